//! Comparisons of hand-made results.

use super::*;
use crate::bench::results::{Cell, Key};

fn entrants(names: &[&str]) -> Vec<Entrant> {
    let entrant = |name: &&str| Entrant {
        name: (*name).to_owned(),
        plugin: (*name).to_owned(),
        version: "1.0.0".to_owned(),
    };
    names.iter().map(entrant).collect()
}

fn ground(optimum: Option<f64>, goal: Goal) -> Ground {
    Ground {
        name: "valley".into(),
        family: Some("land".into()),
        metric: "value".into(),
        goal,
        optimum,
        has_instances: false,
    }
}

fn cell(seed: u64, budget: u64, trace: &[f64]) -> CellResult {
    CellResult {
        key: Key { seed, budget, ..Key::default() },
        cell: Cell {
            trial_count: trace.len() as u64,
            trace: trace.iter().map(|value| Some(*value).filter(|value| value.is_finite())).collect(),
            ..Cell::default()
        },
        ..CellResult::default()
    }
}

fn compared(ground: Ground, names: &[&str], cells: &[(usize, CellResult)]) -> Comparison {
    let placed: Vec<Placed<'_>> = cells.iter().map(|(who, cell)| (*who, 0, cell)).collect();
    compare("hand-made", 1, &[1, 2], &entrants(names), &[ground], &placed, placed.len())
}

fn medians(comparison: &Comparison, who: usize) -> Vec<Option<f64>> {
    comparison.problems[0].strategies[who].by_budget.iter().map(|regret| regret.median).collect()
}

#[test]
fn regret_is_measured_from_the_optimum_and_random_is_the_reference() {
    let cells = [
        (0, cell(1, 2, &[11.0, 6.0])),
        (0, cell(2, 2, &[21.0, 6.0])),
        (1, cell(1, 2, &[101.0, 1.0015])),
        (1, cell(2, 2, &[101.0, 2.5])),
    ];
    let comparison = compared(ground(Some(1.0), Goal::Minimise), &["random", "model"], &cells);
    assert_eq!(medians(&comparison, 0), [Some(15.0), Some(5.0)]);
    assert_eq!(comparison.problems[0].reference, Some(15.0));
    let at = |who: usize, budget: usize| &comparison.strategies[who].by_budget[budget];
    // a ten-thousandth of the reference scores 1, a tenth a quarter
    assert!((at(1, 1).score.unwrap().mean - (1.0 + 0.25) / 2.0).abs() < 1e-9);
    assert_eq!(at(1, 0).rank.unwrap().mean, 2.0);
    assert_eq!(at(1, 1).rank.unwrap(), Estimate { mean: 1.0, low: 1.0, high: 1.0 });
    assert_eq!(comparison.win_rates, [[None, Some(0.0)], [Some(1.0), None]]);
    assert_eq!(comparison.families["land"][1][1], Some(at(1, 1).score.unwrap().mean));
    assert!(comparison.notices.is_empty());
}

#[test]
fn without_an_optimum_the_best_found_stands_in() {
    let cells = [(0, cell(1, 2, &[0.5, 0.75])), (1, cell(1, 2, &[0.5, 1.0]))];
    let comparison = compared(ground(None, Goal::Maximise), &["random", "model"], &cells);
    assert_eq!(medians(&comparison, 0), [Some(0.5), Some(0.25)]);
    assert_eq!(medians(&comparison, 1), [Some(0.5), Some(0.0)]);
    assert_eq!(comparison.strategies[0].by_budget[1].score.unwrap().mean, 0.5);
    assert_eq!(comparison.strategies[1].by_budget[1].score.unwrap().mean, 1.0);
}

#[test]
fn who_stops_earlier_is_not_compared_later_and_who_breaks_keeps_what_it_had() {
    let mut broken = cell(1, 2, &[3.0]);
    broken.cell.fail(Failing::Broke, "it broke".into());
    let mut unfit = cell(1, 2, &[]);
    unfit.cell.fail(Failing::Unsupported, "it cannot".into());
    let cells = [
        (0, cell(1, 2, &[4.0, 2.0])),
        (1, cell(1, 1, &[1.0])),
        (2, broken),
        (3, unfit),
        (4, cell(1, 2, &[f64::NAN, f64::NAN])),
    ];
    let names = ["random", "short", "broken", "unfit", "empty"];
    let comparison = compared(ground(Some(0.0), Goal::Minimise), &names, &cells);
    assert_eq!(medians(&comparison, 1), [Some(1.0), None]);
    assert_eq!(medians(&comparison, 2), [Some(3.0), Some(3.0)]);
    assert_eq!(medians(&comparison, 4), [None, None]);
    let unfit = &comparison.problems[0].strategies[3];
    assert_eq!((unfit.run_count, unfit.absent.as_deref()), (0, Some("it cannot")));
    let ranks: Vec<Option<f64>> =
        comparison.strategies.iter().map(|s| s.by_budget[1].rank.map(|rank| rank.mean)).collect();
    assert_eq!(ranks, [Some(1.0), None, Some(3.0), None, Some(5.0)]);
    assert_eq!(comparison.failures.len(), 2);
}

#[test]
fn a_wrong_optimum_is_told() {
    let cells = [(0, cell(1, 2, &[1.0, -1.0]))];
    let comparison = compared(ground(Some(0.0), Goal::Minimise), &["random"], &cells);
    assert_eq!(medians(&comparison, 0), [Some(1.0), Some(0.0)]);
    assert!(comparison.notices[0].contains("better than its optimum"), "{:?}", comparison.notices);
}

#[test]
fn differences_below_the_resolution_are_ties() {
    let cells = [(0, cell(1, 2, &[1.0, 1.0])), (1, cell(1, 2, &[1.0, 1e-16])), (2, cell(1, 2, &[1.0, 0.0]))];
    let comparison = compared(ground(Some(0.0), Goal::Minimise), &["random", "a", "b"], &cells);
    assert_eq!(comparison.win_rates[1][2], Some(0.5));
    assert_eq!(comparison.strategies[1].by_budget[1].rank.unwrap().mean, 1.5);
}

#[test]
fn a_page_and_a_table_can_be_made_of_anything() {
    let nothing = compared(ground(None, Goal::Minimise), &["random"], &[]);
    let names = ["random", "<b>\"&"];
    let flat = [(0, cell(1, 2, &[0.0, 0.0])), (1, cell(1, 2, &[f64::NAN, 1e300]))];
    let flat = compared(ground(Some(0.0), Goal::Minimise), &names, &flat);
    for comparison in [nothing, flat] {
        let page = crate::bench::page::render(&comparison);
        assert!(!page.contains("NaN") && !page.contains("inf"), "{page}");
        assert!(!page.contains("<b>"), "names are escaped");
        assert!(crate::bench::table::render(&comparison).contains("hand-made"));
    }
}
