//! Spaces of one kind of parameter at a time. That points lie in them is judged with every answer.

use crate::bench::Bench;
use crate::case::{Finding, passed, skipped};
use crate::problems::{self, float as float_parameter, int as int_parameter, with_one_metric};
use ansatz_core::space::{Domain, INTEGER_MAGNITUDE_MAX, Parameter, Scale};
use ansatz_core::{Space, Value};

/// Beyond the usual initial designs, and some in batches.
const ASKS: [usize; 8] = [4, 6, 1, 1, 2, 1, 3, 1];

fn search(bench: &Bench<'_>, parameters: Vec<Parameter>) -> Finding {
    search_space(bench, problems::space(parameters), "there is no such space")
}

fn search_space(bench: &Bench<'_>, space: Option<Space>, otherwise: &str) -> Finding {
    let Some(space) = space else { return skipped(otherwise) };
    bench.strategy(&with_one_metric(space))?.run(&ASKS)?;
    passed()
}

pub(super) fn float(bench: &Bench<'_>) -> Finding {
    let linear = |name, lower, upper| float_parameter(name, lower, upper, Scale::Linear, None);
    search(
        bench,
        vec![
            linear("negative", -7.5, -2.5),
            linear("tiny", 1e-9, 2e-9),
            linear("wide", -1e6, 1e12),
            linear("unit", 0.0, 1.0),
        ],
    )
}

pub(super) fn float_log(bench: &Bench<'_>) -> Finding {
    let log = |name, lower, upper| float_parameter(name, lower, upper, Scale::Log, None);
    search(bench, vec![log("decades", 1e-12, 1e12), log("rate", 1e-5, 0.1), log("narrow", 0.9, 1.1)])
}

pub(super) fn float_step(bench: &Bench<'_>) -> Finding {
    let stepped = |name, lower, upper, step| float_parameter(name, lower, upper, Scale::Linear, Some(step));
    search(
        bench,
        vec![
            stepped("tenths", 0.0, 1.0, 0.1),
            stepped("odd", -0.35, 1.0, 0.3),
            stepped("large", 0.0, 1e6, 2500.0),
            float_parameter("log", 1.0, 100.0, Scale::Log, Some(3.0)),
        ],
    )
}

pub(super) fn int(bench: &Bench<'_>) -> Finding {
    let linear = |name, lower, upper| int_parameter(name, lower, upper, Scale::Linear, 1);
    search(
        bench,
        vec![
            linear("small", -5, 5),
            linear("far", -1_000_010, -999_990),
            linear("huge", 0, INTEGER_MAGNITUDE_MAX),
        ],
    )
}

pub(super) fn int_log(bench: &Bench<'_>) -> Finding {
    let log = |name, lower, upper| int_parameter(name, lower, upper, Scale::Log, 1);
    search(bench, vec![log("units", 1, 1024), log("wide", 1, 1_000_000_000), log("narrow", 7, 9)])
}

pub(super) fn int_step(bench: &Bench<'_>) -> Finding {
    let stepped = |name, lower, upper, step| int_parameter(name, lower, upper, Scale::Linear, step);
    search(
        bench,
        vec![
            stepped("sevens", 0, 100, 7),
            stepped("threes", -9, 9, 3),
            int_parameter("log", 8, 512, Scale::Log, 8),
        ],
    )
}

pub(super) fn categorical(bench: &Bench<'_>) -> Finding {
    let letters: Vec<Value> = ('a'..='z').map(|letter| Value::Text(letter.into())).collect();
    search(
        bench,
        vec![
            Parameter::new("mixed", Domain::Categorical { choices: problems::mixed_choices() }),
            Parameter::new("letter", Domain::Categorical { choices: letters }),
        ],
    )
}

pub(super) fn bool(bench: &Bench<'_>) -> Finding {
    search(bench, ["a", "b", "c", "d", "e"].map(Parameter::bool).to_vec())
}

pub(super) fn ordinal(bench: &Bench<'_>) -> Finding {
    search(
        bench,
        vec![
            Parameter::new("size", Domain::Ordinal { values: [2, 4, 8, 16, 32].map(Value::Int).to_vec() }),
            Parameter::ordinal("level", ["low", "middle", "high"]),
        ],
    )
}

pub(super) fn one_value(bench: &Bench<'_>) -> Finding {
    let kinds = problems::kinds(&bench.target.about.capabilities);
    let fixed = |index: usize, kind| problems::with_values(&format!("fixed{index}"), kind, 1);
    let alone: Vec<Parameter> = kinds.iter().enumerate().map(|(index, kind)| fixed(index, *kind)).collect();
    let mut beside = alone.clone();
    beside.extend(kinds.first().map(|kind| problems::with_values("free", *kind, 40)));
    search_space(bench, problems::space(alone), "it claims no kind of parameter")?;
    search(bench, beside)
}

pub(super) fn conditional(bench: &Bench<'_>) -> Finding {
    search_space(bench, problems::tree(&bench.target.about.capabilities), "it claims no kind of parameter")
}

pub(super) fn linear(bench: &Bench<'_>) -> Finding {
    search_space(
        bench,
        problems::related(&bench.target.about.capabilities),
        "it claims neither float nor int",
    )
}

pub(super) fn forbidden(bench: &Bench<'_>) -> Finding {
    let space = problems::with_forbidden_pairs(&bench.target.about.capabilities);
    search_space(bench, space, "it claims no kind of parameter")
}
