//! What a strategy is told.

use crate::bench::{Bench, USUAL_ASKS, difference};
use crate::case::{Ending, Finding, failed as fail, passed, passed_with};
use crate::driven::{Driven, Trial};
use crate::problems;
use ansatz_core::{Losses, Observation, ObservedResult, Problem};
use ansatz_plugin_host::FaultClass;

/// Numbers of trials that no study of a few trials has.
const FOREIGN_FROM: u64 = 1_000_000;

/// Rounds of three trials each, whose results the case makes up from the trial and its losses; then two asks more.
fn told(
    bench: &Bench<'_>,
    problem: &Problem,
    result: impl Fn(u64, Losses) -> ObservedResult,
) -> Result<Driven, Ending> {
    let mut driven = bench.strategy(problem)?;
    for _ in 0..6 {
        let trials = driven.ask(3)?;
        if trials.is_empty() {
            break;
        }
        let observation = |trial: &Trial| {
            let losses = driven.losses(&trial.suggestion.point, trial.number);
            driven.observation(trial, result(trial.number, losses))
        };
        let observations: Vec<Observation> = trials.iter().map(observation).collect();
        driven.tell(&observations)?;
    }
    driven.ask(1)?;
    driven.ask(2)?;
    Ok(driven)
}

pub(super) fn failed(bench: &Bench<'_>) -> Finding {
    told(bench, &bench.usual_problem()?, |number, losses| match number % 3 {
        2 => ObservedResult::Failed,
        _ => ObservedResult::Completed(losses),
    })?;
    passed()
}

pub(super) fn infeasible(bench: &Bench<'_>) -> Finding {
    told(bench, &bench.usual_problem()?, |number, losses| match number % 3 {
        1 => ObservedResult::Infeasible,
        _ => ObservedResult::Completed(losses),
    })?;
    passed()
}

pub(super) fn stopped(bench: &Bench<'_>) -> Finding {
    told(bench, &bench.usual_problem()?, |number, losses| match number % 4 {
        1 => ObservedResult::Stopped(Some(losses)),
        2 => ObservedResult::Stopped(None),
        _ => ObservedResult::Completed(losses),
    })?;
    passed()
}

pub(super) fn nothing_but_failures(bench: &Bench<'_>) -> Finding {
    told(bench, &bench.usual_problem()?, |number, _| match number {
        0..9 => ObservedResult::Failed,
        9..12 => ObservedResult::Stopped(None),
        _ => ObservedResult::Infeasible,
    })?;
    passed()
}

pub(super) fn late(bench: &Bench<'_>) -> Finding {
    let mut driven = bench.strategy(&bench.usual_problem()?)?;
    driven.ask(6)?;
    // the latest first, the first of all at the very end
    for _ in 0..10 {
        let pending = driven.book.pending().to_vec();
        let Some(last) = pending.last() else { break };
        driven.tell(&[driven.completed(last)])?;
        driven.ask(1)?;
    }
    let mut rest: Vec<Observation> =
        driven.book.pending().iter().map(|trial| driven.completed(trial)).collect();
    rest.reverse();
    driven.tell(&rest)?;
    driven.ask(2)?;
    passed()
}

pub(super) fn foreign(bench: &Bench<'_>) -> Finding {
    let problem = bench.usual_problem()?;
    let mut rng = bench.rng("foreign");
    let mut draw = || problem.space.sample(&mut rng).ok_or(Ending::Skipped("there is no point".into()));
    let mut driven = bench.strategy(&problem)?;
    let mut number = FOREIGN_FROM;
    let mut history = Vec::new();
    for round in 0..6 {
        for _ in 0..if round == 0 { 6 } else { 2 } {
            let mut observation = driven.foreign(number, draw()?);
            if number.is_multiple_of(5) {
                observation.result = ObservedResult::Failed;
            }
            driven.tell(std::slice::from_ref(&observation))?;
            history.push(observation);
            number += 1;
        }
        for trial in driven.step(2)? {
            history.push(Observation { tag: None, ..driven.completed(&trial) });
        }
    }
    // one that is made anew hears everything as somebody else's
    let mut anew = bench.strategy(&problem)?;
    anew.tell(&history)?;
    anew.ask(1)?;
    anew.ask(2)?;
    passed()
}

pub(super) fn elsewhere(bench: &Bench<'_>) -> Finding {
    let problem = bench.usual_problem()?;
    let mut rng = bench.rng("elsewhere");
    let mut driven = bench.strategy(&problem)?;
    for _ in 0..6 {
        for trial in driven.ask(3)? {
            if trial.number % 3 != 1 {
                let point = problem.space.sample(&mut rng);
                let point = point.ok_or(Ending::Skipped("there is no point".into()))?;
                driven.book.replace(trial.number, point);
            }
        }
        // the last one is pending while more are asked for
        let pending = driven.book.pending().to_vec();
        let Some((_, done)) = pending.split_last() else { break };
        let observations: Vec<Observation> = done.iter().map(|trial| driven.completed(trial)).collect();
        driven.tell(&observations)?;
    }
    driven.ask(1)?;
    driven.ask(2)?;
    passed()
}

pub(super) fn twice(bench: &Bench<'_>) -> Finding {
    let problem = bench.usual_problem()?;
    let once = bench.repeatable_run(&problem)?;
    let mut driven = bench.strategy(&problem)?;
    let mut first = None;
    for count in USUAL_ASKS {
        let trials = driven.ask(count)?;
        if trials.is_empty() {
            break;
        }
        let observations: Vec<Observation> = trials.iter().map(|trial| driven.completed(trial)).collect();
        driven.tell(&observations)?;
        driven.tell(&observations)?;
        let first = first.get_or_insert_with(|| observations[0].clone());
        driven.tell(std::slice::from_ref(first))?;
    }
    match difference(&problem, &once, driven.suggestions()) {
        Some(difference) => fail(format!("told once and told twice, {difference}")),
        None => passed(),
    }
}

pub(super) fn not_finite(bench: &Bench<'_>) -> Finding {
    let mut driven = bench.strategy(&bench.usual_problem()?)?;
    for loss in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        for trial in driven.ask(2)? {
            let losses = Losses { values: vec![loss], standard_errors: Vec::new(), excesses: Vec::new() };
            match driven.try_tell(&[driven.observation(&trial, ObservedResult::Completed(losses))]) {
                Ok(()) => return fail(format!("it takes a loss that is {loss}")),
                Err(fault) if fault.kind == FaultClass::Panic => return fail(fault.to_string()),
                Err(_) => {}
            }
            // what was refused was not told
            driven.tell(&[driven.completed(&trial)])?;
        }
    }
    driven.run(&[2, 1, 3, 1, 1])?;
    passed()
}

/// Losses of a study of one metric by trial number.
fn with_losses(bench: &Bench<'_>, loss: impl Fn(u64, f64) -> f64) -> Finding {
    told(bench, &bench.usual_problem()?, |number, mut losses| {
        for value in &mut losses.values {
            *value = loss(number, *value);
        }
        ObservedResult::Completed(losses)
    })?;
    passed()
}

pub(super) fn extreme(bench: &Bench<'_>) -> Finding {
    with_losses(bench, |number, loss| match number % 6 {
        1 => 1e300,
        2 => 1e-300,
        3 => -1e300,
        4 => 0.0,
        _ => loss,
    })
}

pub(super) fn equal(bench: &Bench<'_>) -> Finding {
    with_losses(bench, |_, _| 0.25)
}

pub(super) fn standard_errors(bench: &Bench<'_>) -> Finding {
    told(bench, &bench.usual_problem()?, |number, mut losses| {
        let error = match number % 4 {
            0 => Some(0.1),
            1 => Some(0.0),
            2 => None,
            _ => Some(1e3),
        };
        losses.standard_errors = vec![error; losses.values.len()];
        ObservedResult::Completed(losses)
    })?;
    passed()
}

pub(super) fn multi_objective(bench: &Bench<'_>) -> Finding {
    let problem = problems::with_two_metrics(bench.usual_problem()?);
    told(bench, &problem, |_, losses| ObservedResult::Completed(losses))?;
    passed()
}

pub(super) fn outcome_constraints(bench: &Bench<'_>) -> Finding {
    let problem = problems::with_outcome_constraint(bench.usual_problem()?);
    told(bench, &problem, |_, losses| ObservedResult::Completed(losses))?;
    // and where nothing keeps them
    told(bench, &problem, |_, mut losses| {
        losses.excesses.iter_mut().for_each(|excess| *excess = excess.abs() + 1.0);
        ObservedResult::Completed(losses)
    })?;
    passed()
}

pub(super) fn fidelity(bench: &Bench<'_>) -> Finding {
    let problem = problems::with_fidelity(bench.usual_problem()?);
    let mut driven = told(bench, &problem, |_, losses| ObservedResult::Completed(losses))?;
    driven.run(&[4; 6])?;
    let chosen = driven.suggestions().iter().filter(|suggestion| suggestion.fidelity.is_some()).count();
    passed_with(format!("it chose the fidelity of {chosen} of {} suggestions", driven.suggestions().len()))
}
