//! A comparison as one page of HTML that needs nothing else: no network, drawings as inline SVG, light and dark by what
//! the reader's system prefers. A few lines of script bring one strategy forward; the page says everything without them.

use super::comparison::{Comparison, CurvePoint, Line, ProblemSummary};
use super::statistics::Estimate;
use super::table::{number, order, seconds};
use std::fmt::Write;

/// Colours that differ for most eyes in both modes; beyond them, dashes tell strategies apart.
const COLOURS: [&str; 8] =
    ["#3b82f6", "#f97316", "#10b981", "#d946ef", "#ca8a04", "#06b6d4", "#ef4444", "#8b5cf6"];
const DASHES: [&str; 3] = ["", "6 3", "2 3"];

/// Of a chart, with its margins.
const WIDTH: f64 = 360.0;
const HEIGHT: f64 = 230.0;
const LEFT: f64 = 46.0;
const RIGHT: f64 = 10.0;
const TOP: f64 = 10.0;
const BOTTOM: f64 = 26.0;

/// Where a log axis ends, in powers of ten below its largest value.
const DECADES_MAX: f64 = 9.0;

/// The page.
pub(super) fn render(comparison: &Comparison) -> String {
    let mut page = String::new();
    let name = escape(&comparison.name);
    let _ = write!(
        page,
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <title>{name}: strategies compared</title>\n<style>{STYLE}"
    );
    for index in 0..comparison.strategies.len() {
        let _ = write!(page, ".s{index}{{--own:{};--dash:{}}}", colour(index), dash(index));
    }
    let missing = comparison.planned_count - comparison.run_count;
    let to_go = if missing > 0 { format!(", {missing} to go") } else { String::new() };
    let _ = write!(
        page,
        "</style></head>\n<body><header><h1>{name}</h1>\
         <p>{} strategies on {} problems, {} runs{}{to_go}. Ansatz {}.</p></header>\n<main>",
        comparison.strategies.len(),
        comparison.problems.len(),
        comparison.run_count,
        comparison.at_a_time(),
        escape(&comparison.host_version)
    );
    for notice in &comparison.notices {
        let _ = write!(page, "<p class=\"notice\">{}</p>", escape(notice));
    }
    legend(&mut page, comparison);
    standings(&mut page, comparison);
    ranks(&mut page, comparison);
    wins(&mut page, comparison);
    families(&mut page, comparison);
    problems(&mut page, comparison);
    failures(&mut page, comparison);
    definitions(&mut page, comparison);
    let _ = writeln!(page, "</main><script>{SCRIPT}</script></body></html>");
    page
}

fn legend(page: &mut String, comparison: &Comparison) {
    page.push_str("<nav aria-label=\"strategies\">");
    for index in order(comparison) {
        let _ = write!(
            page,
            "<button type=\"button\" class=\"chip s{index}\" data-s=\"{index}\" aria-pressed=\"false\">{}{}</button>",
            swatch(),
            escape(&comparison.strategies[index].name)
        );
    }
    page.push_str("<span class=\"hint\">choose one to bring it forward</span></nav>\n");
}

/// A short piece of a strategy's line.
fn swatch() -> &'static str {
    "<svg class=\"swatch\" width=\"22\" height=\"8\" aria-hidden=\"true\"><path d=\"M1 4H21\"/></svg>"
}

fn standings(page: &mut String, comparison: &Comparison) {
    page.push_str(
        "<section><h2>Standings</h2><p>Best average rank first. The score is 1 where the best possible value was \
         reached and 0 for what random search has after the first budget.</p><div class=\"wide\"><table><thead><tr>\
         <th rowspan=\"2\">Strategy</th>",
    );
    let count = comparison.budgets.len();
    let _ = write!(
        page,
        "<th class=\"group\" colspan=\"{count}\">Score at trials</th><th class=\"group\" colspan=\"{count}\">Rank at \
         trials, with 95 % interval</th><th class=\"group\" colspan=\"3\">Mean time of one ask</th></tr><tr>"
    );
    for _ in 0..2 {
        for (index, budget) in comparison.budgets.iter().enumerate() {
            let class = if index == 0 { " class=\"group\"" } else { "" };
            let _ = write!(page, "<th{class}>{budget}</th>");
        }
    }
    page.push_str(
        "<th class=\"group\">processor</th><th>wall</th><th>tell, processor</th></tr></thead><tbody>",
    );
    for index in order(comparison) {
        let strategy = &comparison.strategies[index];
        let version = match strategy.plugin == strategy.name {
            true => strategy.version.clone(),
            false => format!("{} {}", strategy.plugin, strategy.version),
        };
        let _ = write!(
            page,
            "<tr class=\"s{index} row\" data-s=\"{index}\"><th scope=\"row\">{}{} <small>{}</small></th>",
            swatch(),
            escape(&strategy.name),
            escape(&version)
        );
        for (at, standing) in strategy.by_budget.iter().enumerate() {
            let class = if at == 0 { "bar group" } else { "bar" };
            match standing.score {
                Some(score) => {
                    let _ = write!(
                        page,
                        "<td class=\"{class}\" style=\"--share:{:.1}%\" title=\"{:.3} to {:.3}\">{:.3}</td>",
                        100.0 * score.mean,
                        score.low,
                        score.high,
                        score.mean
                    );
                }
                None => {
                    let _ = write!(page, "<td class=\"{class}\">–</td>");
                }
            }
        }
        for (at, standing) in strategy.by_budget.iter().enumerate() {
            let class = if at == 0 { " class=\"group\"" } else { "" };
            let text = standing.rank.map_or("–".to_owned(), |rank| {
                format!("{:.2} <small>{:.2}–{:.2}</small>", rank.mean, rank.low, rank.high)
            });
            let _ = write!(page, "<td{class}>{text}</td>");
        }
        let _ = write!(
            page,
            "<td class=\"group\">{}</td><td>{}</td><td>{}</td></tr>",
            seconds(strategy.ask_cpu_seconds),
            seconds(strategy.ask_wall_seconds),
            seconds(strategy.tell_cpu_seconds)
        );
    }
    page.push_str("</tbody></table></div></section>\n");
}

/// Ranks with their intervals on one axis, so that what overlaps is seen.
fn ranks(page: &mut String, comparison: &Comparison) {
    let count = comparison.strategies.len();
    if count < 2 {
        return;
    }
    let largest = comparison.budgets.last().copied().unwrap_or(0);
    let letters =
        comparison.strategies.iter().map(|strategy| strategy.name.chars().count()).max().unwrap_or(0);
    let label = (letters as f64 * 7.5).clamp(60.0, 300.0);
    let (width, row) = (720.0, 26.0);
    let height = 34.0 + row * count as f64;
    let x = |rank: f64| label + 14.0 + (width - label - 34.0) * (rank - 1.0) / (count as f64 - 1.0);
    let _ = write!(
        page,
        "<section><h2>Average rank at {largest} trials</h2><p>The dot is the mean over problems and seeds, the bar its 95 % \
         interval for other seeds. Left is better.</p><div class=\"wide\"><svg class=\"ranks\" viewBox=\"0 0 {width} {height}\" role=\"img\" \
         aria-label=\"average ranks\">"
    );
    for rank in 1..=count {
        let at = x(rank as f64);
        let _ = write!(
            page,
            "<path class=\"grid\" d=\"M{at:.1} 4V{:.1}\"/><text class=\"tick\" x=\"{at:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{rank}</text>",
            height - 24.0,
            height - 8.0
        );
    }
    for (position, index) in order(comparison).enumerate() {
        let strategy = &comparison.strategies[index];
        let y = 18.0 + row * position as f64;
        let _ = write!(
            page,
            "<g class=\"s{index} row\" data-s=\"{index}\"><text x=\"{label}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>",
            y + 4.0,
            escape(&strategy.name)
        );
        let rank: Option<Estimate> = strategy.by_budget.last().and_then(|standing| standing.rank);
        if let Some(rank) = rank {
            let _ = write!(
                page,
                "<path class=\"interval\" d=\"M{:.1} {y}H{:.1}\"/><circle cx=\"{:.1}\" cy=\"{y}\" r=\"5\"><title>{}: {:.2}, {:.2} to {:.2}</title></circle>",
                x(rank.low),
                x(rank.high),
                x(rank.mean),
                escape(&strategy.name),
                rank.mean,
                rank.low,
                rank.high
            );
        }
        page.push_str("</g>");
    }
    page.push_str("</svg></div></section>\n");
}

fn wins(page: &mut String, comparison: &Comparison) {
    if comparison.strategies.len() < 2 {
        return;
    }
    let largest = comparison.budgets.last().copied().unwrap_or(0);
    let _ = write!(
        page,
        "<section><h2>Who beats whom at {largest} trials</h2><p>In how many of the runs on the same problem with the same seed the \
         row did better than the column, in %; ties count half.</p><div class=\"wide\"><table class=\"wins\"><thead><tr><th></th>"
    );
    for index in order(comparison) {
        let _ = write!(page, "<th>{}</th>", escape(&comparison.strategies[index].name));
    }
    page.push_str("</tr></thead><tbody>");
    for row in order(comparison) {
        let _ = write!(
            page,
            "<tr class=\"row\" data-s=\"{row}\"><th scope=\"row\">{}</th>",
            escape(&comparison.strategies[row].name)
        );
        for column in order(comparison) {
            match comparison.win_rates[row][column] {
                Some(rate) => {
                    let tone = if rate >= 0.5 { "var(--good)" } else { "var(--bad)" };
                    let _ = write!(
                        page,
                        "<td style=\"background:color-mix(in srgb,{tone} {:.0}%,transparent)\">{:.0}</td>",
                        (rate - 0.5).abs() * 120.0,
                        100.0 * rate
                    );
                }
                None => page.push_str("<td class=\"none\">·</td>"),
            }
        }
        page.push_str("</tr>");
    }
    page.push_str("</tbody></table></div></section>\n");
}

fn families(page: &mut String, comparison: &Comparison) {
    if comparison.families.len() < 2 {
        return;
    }
    let largest = comparison.budgets.last().copied().unwrap_or(0);
    let _ = write!(
        page,
        "<section><h2>Score by family at {largest} trials</h2><div class=\"wide\"><table><thead><tr><th>Strategy</th>"
    );
    for family in comparison.families.keys() {
        let _ = write!(page, "<th>{}</th>", escape(family));
    }
    page.push_str("</tr></thead><tbody>");
    for index in order(comparison) {
        let _ = write!(
            page,
            "<tr class=\"s{index} row\" data-s=\"{index}\"><th scope=\"row\">{}{}</th>",
            swatch(),
            escape(&comparison.strategies[index].name)
        );
        for scores in comparison.families.values() {
            match scores.last().and_then(|scores| scores[index]) {
                Some(score) => {
                    let _ = write!(
                        page,
                        "<td class=\"bar\" style=\"--share:{:.1}%\">{score:.3}</td>",
                        100.0 * score
                    );
                }
                None => page.push_str("<td>–</td>"),
            }
        }
        page.push_str("</tr>");
    }
    page.push_str("</tbody></table></div></section>\n");
}

fn problems(page: &mut String, comparison: &Comparison) {
    page.push_str(
        "<section><h2>Problems</h2><p>Median regret after each trial on a log axis, with the quartiles as a band. Lower is \
         better.</p><div class=\"charts\">",
    );
    for problem in &comparison.problems {
        let family = problem
            .family
            .as_ref()
            .map_or(String::new(), |family| format!(" <small>{}</small>", escape(family)));
        let _ = write!(page, "<figure><figcaption>{}{family}</figcaption>", escape(&problem.name));
        chart(page, comparison, problem);
        page.push_str(
            "<details><summary>numbers</summary><div class=\"wide\"><table><thead><tr><th>Strategy</th>",
        );
        for budget in &comparison.budgets {
            let _ = write!(page, "<th>{budget}</th>");
        }
        page.push_str("</tr></thead><tbody>");
        for index in order(comparison) {
            let line = &problem.strategies[index];
            let _ = write!(
                page,
                "<tr class=\"s{index} row\" data-s=\"{index}\"><th scope=\"row\">{}{}</th>",
                swatch(),
                escape(&comparison.strategies[index].name)
            );
            numbers(page, line);
            page.push_str("</tr>");
        }
        page.push_str("</tbody></table></div></details></figure>");
    }
    page.push_str("</div></section>\n");
}

fn numbers(page: &mut String, line: &Line) {
    if let Some(reason) = &line.absent {
        let _ =
            write!(page, "<td class=\"absent\" colspan=\"{}\">{}</td>", line.by_budget.len(), escape(reason));
        return;
    }
    let text = |value: Option<f64>| value.map_or("–".to_owned(), number);
    for regret in &line.by_budget {
        match regret.median {
            None if regret.run_count > 0 => page.push_str("<td class=\"none\">nothing found</td>"),
            Some(median) => {
                let (low, high) = (text(regret.low), text(regret.high));
                let _ = write!(page, "<td>{} <small>{low}–{high}</small></td>", number(median));
            }
            None => page.push_str("<td>–</td>"),
        }
    }
}

fn chart(page: &mut String, comparison: &Comparison, problem: &ProblemSummary) {
    let points = || problem.strategies.iter().flat_map(|line| &line.curve);
    let values = || points().flat_map(|point| [point.low, point.median, point.high]).flatten();
    let most = values().fold(0.0, f64::max);
    let trials_max = points().map(|point| point.trials).max().unwrap_or(0).max(2);
    if most <= 0.0 {
        page.push_str("<p class=\"empty\">nothing to draw</p>");
        return;
    }
    let top = most.log10();
    let least = values().filter(|value| *value > 0.0).fold(most, f64::min).log10().max(top - DECADES_MAX);
    // at least half a decade, so that a flat line is no cliff
    let (top, bottom) = (top + 0.05, least.min(top - 0.5) - 0.05);
    let x = |trials: u64| LEFT + (WIDTH - LEFT - RIGHT) * (trials - 1) as f64 / (trials_max - 1) as f64;
    let y = |value: f64| {
        let log = if value > 0.0 { value.log10().max(bottom) } else { bottom };
        TOP + (HEIGHT - TOP - BOTTOM) * (top - log) / (top - bottom)
    };
    let _ = write!(
        page,
        "<svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" aria-label=\"median regret on {}\">",
        escape(&problem.name)
    );
    for (value, label) in ticks(bottom, top) {
        let at = y(value);
        let _ = write!(
            page,
            "<path class=\"grid\" d=\"M{LEFT} {at:.1}H{:.1}\"/><text class=\"tick\" x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{label}</text>",
            WIDTH - RIGHT,
            LEFT - 5.0,
            at + 3.5
        );
    }
    for budget in comparison.budgets.iter().filter(|budget| **budget <= trials_max) {
        let at = x(*budget);
        let _ = write!(
            page,
            "<path class=\"grid\" d=\"M{at:.1} {TOP}V{:.1}\"/><text class=\"tick\" x=\"{at:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{budget}</text>",
            HEIGHT - BOTTOM,
            HEIGHT - BOTTOM + 14.0
        );
    }
    // the best last, above the others
    let mut indices: Vec<usize> = order(comparison).collect();
    indices.reverse();
    for index in indices {
        let curve = &problem.strategies[index].curve;
        let name = escape(&comparison.strategies[index].name);
        let _ = write!(page, "<g class=\"s{index} line\" data-s=\"{index}\"><title>{name}</title>");
        let place = |point: &CurvePoint, value: Option<f64>| Some((x(point.trials), y(value?)));
        let upper: Vec<(f64, f64)> = curve.iter().filter_map(|point| place(point, point.high)).collect();
        let lower: Vec<(f64, f64)> = (curve.iter().filter(|point| point.high.is_some()))
            .filter_map(|point| place(point, point.low))
            .collect();
        if !upper.is_empty() {
            let ring = upper.iter().chain(lower.iter().rev());
            let _ = write!(page, "<path class=\"band\" d=\"{}Z\"/>", path(ring));
        }
        let median: Vec<(f64, f64)> = curve.iter().filter_map(|point| place(point, point.median)).collect();
        if !median.is_empty() {
            let _ = write!(page, "<path class=\"median\" d=\"{}\"/>", path(median.iter()));
        }
        page.push_str("</g>");
    }
    page.push_str("</svg>");
}

fn path<'a>(points: impl Iterator<Item = &'a (f64, f64)>) -> String {
    let mut text = String::new();
    for (number, (x, y)) in points.enumerate() {
        let _ = write!(text, "{}{x:.1} {y:.1}", if number == 0 { 'M' } else { 'L' });
    }
    text
}

/// A handful of values with their labels for an axis between two powers of ten.
fn ticks(bottom: f64, top: f64) -> Vec<(f64, String)> {
    let (first, last) = (bottom.ceil() as i32, top.floor() as i32);
    let every = ((last - first) / 5 + 1).max(1);
    let powers = (first..=last).filter(|power| power.rem_euclid(every) == 0);
    let mut ticks: Vec<(f64, String)> = powers.map(|power| (10_f64.powi(power), label(power))).collect();
    if ticks.len() < 2 {
        // within a decade: 1, 2, 5 of it
        let steps =
            (first - 1..=last + 1).flat_map(|power| [1.0, 2.0, 5.0].map(|step| step * 10_f64.powi(power)));
        ticks = steps
            .filter(|value| (bottom..=top).contains(&value.log10()))
            .map(|value| (value, format!("{value}")))
            .collect();
    }
    ticks
}

fn label(power: i32) -> String {
    match power {
        -2..=4 => format!("{}", 10_f64.powi(power)),
        _ => format!("1e{power}"),
    }
}

fn failures(page: &mut String, comparison: &Comparison) {
    if comparison.failures.is_empty() {
        return;
    }
    page.push_str(
        "<section><h2>Runs that did not come to their end</h2><div class=\"wide\"><table><thead><tr><th>Strategy</th>\
         <th>Problem</th><th>Runs</th><th>What happened</th></tr></thead><tbody>",
    );
    for failure in &comparison.failures {
        let _ = write!(
            page,
            "<tr><th scope=\"row\">{}</th><td>{}</td><td>{}</td><td class=\"absent\">{}</td></tr>",
            escape(&failure.strategy),
            escape(&failure.problem),
            failure.run_count,
            escape(&failure.error)
        );
    }
    page.push_str("</tbody></table></div></section>\n");
}

fn definitions(page: &mut String, comparison: &Comparison) {
    let first = comparison.budgets.first().copied().unwrap_or(0);
    let _ = write!(
        page,
        "<section class=\"definitions\"><h2>What the numbers mean</h2><dl>\
         <dt>Regret</dt><dd>How far the best trial so far is from the best possible value. The best trial is the one that was \
         observed to be best; with noise its true value may be worse than before. Where the best possible value is not known, \
         the best that any run found stands in for it.</dd>\
         <dt>Score</dt><dd>0 for the median regret of random search after {first} trials, or worse. Where the optimum is known, \
         each tenth part of that is worth a quarter, and a ten-thousandth or less is 1. Where it is not, the score falls linearly \
         from 1 at the best value found.</dd>\
         <dt>Rank</dt><dd>Among all strategies on the same problem with the same seed; equal ones share theirs. Where some \
         cannot take part, the ranks of the others are stretched to the same range. Problems count the same, however many seeds \
         they have.</dd>\
         <dt>Interval</dt><dd>A bootstrap over seeds within each problem: what other seeds might have given on these \
         problems.</dd>\
         <dt>Processor time</dt><dd>Of the thread that asks, and of the strategy's own process where it has one. On a busy \
         machine the wall shows more.</dd></dl></section>"
    );
}

fn colour(index: usize) -> &'static str {
    COLOURS[index % COLOURS.len()]
}

fn dash(index: usize) -> &'static str {
    match DASHES[(index / COLOURS.len()) % DASHES.len()] {
        "" => "none",
        dash => dash,
    }
}

/// Names are whatever a file says.
fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

const STYLE: &str = include_str!("page.css");
const SCRIPT: &str = include_str!("page.js");
