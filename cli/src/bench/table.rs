//! A comparison as text for a terminal.

use super::comparison::Comparison;
use super::statistics::Estimate;
use std::fmt::Write;

/// The whole comparison.
pub(super) fn render(comparison: &Comparison) -> String {
    let mut text = String::new();
    let last = comparison.budgets.len().saturating_sub(1);
    let largest = comparison.budgets.last().copied().unwrap_or(0);
    let missing = comparison.planned_count - comparison.run_count;
    let _ = write!(
        text,
        "{}: {} strategies on {} problems, {} runs{}",
        comparison.name,
        comparison.strategies.len(),
        comparison.problems.len(),
        comparison.run_count,
        comparison.at_a_time()
    );
    text.push_str(&if missing > 0 { format!(", {missing} to go\n\n") } else { "\n\n".to_owned() });

    let budgets = comparison.budgets.iter().map(u64::to_string).collect::<Vec<_>>().join(" / ");
    let mut rows = vec![vec![
        "strategy".to_owned(),
        format!("score at {budgets}"),
        "rank".to_owned(),
        "95 %".to_owned(),
        "ask cpu".to_owned(),
        "ask wall".to_owned(),
    ]];
    for strategy in order(comparison).map(|index| &comparison.strategies[index]) {
        let scores = strategy.by_budget.iter().map(|standing| mean(standing.score, 3));
        let rank = strategy.by_budget.get(last).and_then(|standing| standing.rank);
        rows.push(vec![
            strategy.name.clone(),
            scores.collect::<Vec<_>>().join(" "),
            mean(rank, 2),
            rank.map_or("-".into(), |rank| format!("{:.2} to {:.2}", rank.low, rank.high)),
            seconds(strategy.ask_cpu_seconds),
            seconds(strategy.ask_wall_seconds),
        ]);
    }
    text.push_str(&columns(&rows));

    let _ = writeln!(
        text,
        "\nmedian regret at {largest} trials, * the best of a problem; quartiles and other budgets are in the page and with --json"
    );
    let order: Vec<usize> = order(comparison).collect();
    let mut rows = vec![vec![String::new()]];
    rows[0].extend(order.iter().map(|index| format!("{} ", comparison.strategies[*index].name)));
    for problem in &comparison.problems {
        let regrets: Vec<(usize, Option<f64>)> = (problem.strategies.iter())
            .map(|line| {
                line.by_budget.get(last).map_or((0, None), |regret| (regret.run_count, regret.median))
            })
            .collect();
        let best = regrets.iter().filter_map(|(_, median)| *median).fold(f64::INFINITY, f64::min);
        let cell = |index: &usize| match regrets[*index] {
            (0, _) => "- ".to_owned(),
            (_, None) => "nothing ".to_owned(),
            (_, Some(median)) if median == best => format!("{}*", number(median)),
            // in line with those that have a star
            (_, Some(median)) => format!("{} ", number(median)),
        };
        let mut row = vec![problem.name.clone()];
        row.extend(order.iter().map(cell));
        rows.push(row);
    }
    text.push_str(&columns(&rows));

    let _ = writeln!(
        text,
        "\nshare of runs at {largest} trials in which the row does better than the column, in %"
    );
    let mut rows = vec![vec![String::new()]];
    rows[0].extend(order.iter().map(|index| comparison.strategies[*index].name.clone()));
    for row in &order {
        let rate = |column: &usize| {
            comparison.win_rates[*row][*column].map_or("-".to_owned(), |rate| format!("{:.0}", 100.0 * rate))
        };
        let mut cells = vec![comparison.strategies[*row].name.clone()];
        cells.extend(order.iter().map(rate));
        rows.push(cells);
    }
    text.push_str(&columns(&rows));

    if !comparison.failures.is_empty() {
        text.push_str("\nruns that did not come to their end\n");
        for failure in &comparison.failures {
            let what = short(&failure.error, 160);
            let _ = writeln!(
                text,
                "  {} on {} ({}): {what}",
                failure.strategy, failure.problem, failure.run_count
            );
        }
    }
    text
}

/// The strategies by their rank at the largest budget, best first.
pub(super) fn order(comparison: &Comparison) -> impl Iterator<Item = usize> + use<> {
    let rank = |index: usize| {
        let standing = comparison.strategies[index].by_budget.last();
        standing.and_then(|standing| standing.rank).map_or(f64::INFINITY, |rank| rank.mean)
    };
    let mut indices: Vec<(usize, f64)> =
        (0..comparison.strategies.len()).map(|index| (index, rank(index))).collect();
    indices.sort_by(|a, b| a.1.total_cmp(&b.1));
    indices.into_iter().map(|(index, _)| index)
}

fn mean(estimate: Option<Estimate>, digits: usize) -> String {
    estimate.map_or("-".into(), |estimate| format!("{:.digits$}", estimate.mean))
}

/// A regret in few digits.
pub(super) fn number(value: f64) -> String {
    match value {
        0.0 => "0".to_owned(),
        value if !(1e-3..1e5).contains(&value.abs()) => format!("{value:.1e}"),
        value if value.abs() >= 100.0 => format!("{value:.0}"),
        value if value.abs() >= 1.0 => format!("{value:.2}"),
        value => format!("{value:.3}"),
    }
}

/// A short time with its unit.
pub(super) fn seconds(value: Option<f64>) -> String {
    match value {
        None => "-".to_owned(),
        Some(value) if value < 1e-3 => format!("{:.0} us", value * 1e6),
        Some(value) if value < 1.0 => format!("{:.1} ms", value * 1e3),
        Some(value) => format!("{value:.2} s"),
    }
}

/// At most so many characters of one line.
fn short(text: &str, length_max: usize) -> String {
    let mut line: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    if line.chars().count() > length_max {
        line = line.chars().take(length_max - 3).collect::<String>() + "...";
    }
    line
}

/// Columns of the same width, all but the first to the right.
fn columns(rows: &[Vec<String>]) -> String {
    let column_count = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| {
        rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..column_count).map(width).collect();
    let mut text = String::new();
    for row in rows {
        let mut line = String::new();
        for (column, (cell, width)) in row.iter().zip(&widths).enumerate() {
            line.push_str(&match column > 0 {
                true => format!("  {cell:>width$}"),
                false => format!("  {cell:width$}"),
            });
        }
        let _ = writeln!(text, "{}", line.trim_end());
    }
    text
}
