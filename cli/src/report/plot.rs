//! A small convergence plot for the terminal.

use super::text;

const WIDTH: usize = 60;
const HEIGHT: usize = 9;

/// The best value after each finished trial, drawn over the number of trials. `values` are the values of
/// the trials in the order they ended (`None` where a trial has none), `best` the best so far after
/// each. Empty where there are fewer than two values to draw.
pub fn convergence(values: &[Option<f64>], best: &[Option<f64>]) -> String {
    let known: Vec<f64> = best.iter().flatten().copied().collect();
    let Some((low, high)) = range(&known).filter(|(low, high)| high > low) else { return String::new() };
    // a log axis where the best value fell by orders of magnitude
    let is_log = low > 0.0 && high / low > 50.0;
    let axis = |value: f64| if is_log { value.ln() } else { value };
    let place = |value: f64| {
        let share = (axis(value) - axis(low)) / (axis(high) - axis(low));
        (share.clamp(0.0, 1.0) * (HEIGHT - 1) as f64).round() as usize
    };
    let column = |index: usize| index * (WIDTH - 1) / (best.len() - 1).max(1);
    let mut cells = vec![[' '; WIDTH]; HEIGHT];
    for (index, value) in values.iter().enumerate() {
        // what lies outside of the range of the best values would only be a line at the border
        if let Some(value) = value.filter(|value| (low..=high).contains(value)) {
            cells[place(value)][column(index)] = '·';
        }
    }
    let mut earlier: Option<(usize, usize)> = None;
    for (index, value) in best.iter().enumerate() {
        let Some(value) = value else { continue };
        let (x, y) = (column(index), place(*value));
        if let Some((from, level)) = earlier {
            for cell in cells[level].iter_mut().take(x + 1).skip(from + 1) {
                *cell = '─';
            }
            if level != y {
                let (bottom, top) = (level.min(y), level.max(y));
                for row in &mut cells[bottom..=top] {
                    row[x] = '│';
                }
                cells[level][x] = if y < level { '╮' } else { '╯' };
                cells[y][x] = if y < level { '╰' } else { '╭' };
            }
        }
        if earlier.is_none() {
            cells[y][x] = '─';
        }
        earlier = Some((x, y));
    }
    let labels = [text::number(high), text::number(low)];
    let margin = labels.iter().map(String::len).max().unwrap_or(0);
    let mut lines = String::new();
    for (row, cells) in cells.iter().enumerate().rev() {
        let label = match row {
            _ if row == HEIGHT - 1 => &labels[0],
            0 => &labels[1],
            _ => "",
        };
        let cells: String = cells.iter().collect();
        lines.push_str(&format!("  {label:>margin$} ┤{}\n", cells.trim_end()));
    }
    let scale = if is_log { " (log scale)" } else { "" };
    lines.push_str(&format!("  {:margin$} └{}\n", "", "─".repeat(WIDTH)));
    lines.push_str(&format!("  {:margin$}  1{:>width$}{scale}\n", "", best.len(), width = WIDTH - 1));
    lines
}

fn range(values: &[f64]) -> Option<(f64, f64)> {
    let low = values.iter().copied().reduce(f64::min)?;
    let high = values.iter().copied().reduce(f64::max)?;
    Some((low, high))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_falls_from_the_first_to_the_best_value() {
        let values = [Some(4.0), None, Some(5.0), Some(2.0), Some(3.0), Some(1.0)];
        let best = [Some(4.0), Some(4.0), Some(4.0), Some(2.0), Some(2.0), Some(1.0)];
        let plot = convergence(&values, &best);
        let lines: Vec<&str> = plot.lines().collect();
        assert_eq!(lines.len(), HEIGHT + 2);
        assert!(lines[0].starts_with("  4 ┤───"), "{plot}");
        assert!(lines[HEIGHT - 1].starts_with("  1 ┤") && lines[HEIGHT - 1].ends_with('╰'), "{plot}");
        assert!(plot.contains('╮') && plot.matches('╰').count() == 2, "every fall ends in a corner: {plot}");
    }

    #[test]
    fn nothing_is_drawn_where_there_is_nothing_to_see() {
        assert_eq!(convergence(&[], &[]), "");
        assert_eq!(convergence(&[None], &[None]), "");
        assert_eq!(convergence(&[Some(1.0), Some(1.0)], &[Some(1.0), Some(1.0)]), "");
    }
}
