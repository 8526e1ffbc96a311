//! Every case, in the order in which they are shown.

mod asking;
mod endurance;
mod measuring;
mod options;
mod parameters;
mod repeating;
mod resources;
mod ruling;
mod saving;
mod telling;

use crate::case::{Case, Scope, passed};
use ansatz_core::Capability;
use ansatz_plugin_host::Role;

/// The case that a plugin can be loaded at all; it comes before all others.
pub(crate) const LOADS: &str = "loads";

/// A case that needs nothing in particular.
const fn case(
    scope: Scope,
    id: &'static str,
    sentence: &'static str,
    run: fn(&crate::bench::Bench<'_>) -> crate::case::Finding,
) -> Case {
    Case { id, sentence, scope, needs: &[], is_run_twice: false, run }
}

/// A case about strategies that claim something.
const fn strategy(
    id: &'static str,
    sentence: &'static str,
    needs: &'static [Capability],
    run: fn(&crate::bench::Bench<'_>) -> crate::case::Finding,
) -> Case {
    Case { id, sentence, scope: Scope::Only(Role::Strategy), needs, is_run_twice: false, run }
}

const EVERY: Scope = Scope::Component;
const RULE: Scope = Scope::Only(Role::EarlyStopping);
const OBJECTIVE: Scope = Scope::Only(Role::Objective);

use Capability::{Categorical, Conditional, Constraints, Fidelity, Float, Int, Ordinal, Snapshot};
use Capability::{MultiObjective, OutcomeConstraints};

static ALL: [Case; 69] = [
    // that it was loaded is all there is to it
    case(Scope::Plugin, LOADS, "It loads and describes itself within five seconds.", |_| passed()),
    case(
        EVERY,
        "metadata",
        "It has a name of the form vendor.name in lower case and a summary of one line; a strategy claims some kind of parameter.",
        options::metadata,
    ),
    case(
        EVERY,
        "option-schema",
        "The schema of its options is a JSON Schema of a table whose references, types and defaults agree.",
        options::schema,
    ),
    case(
        EVERY,
        "default-options",
        "It accepts an empty table of options and the defaults that its schema states.",
        options::defaults,
    ),
    case(EVERY, "unknown-option", "It refuses an option that it does not know.", options::unknown),
    strategy("float-parameters", "Its points lie in ranges of floats.", &[Float], parameters::float),
    strategy(
        "float-log-parameters",
        "Its points lie in logarithmic ranges of floats.",
        &[Float],
        parameters::float_log,
    ),
    strategy(
        "float-step-parameters",
        "Floats with a step take no value between the steps.",
        &[Float],
        parameters::float_step,
    ),
    strategy(
        "int-parameters",
        "Its points lie in ranges of whole numbers, and are whole.",
        &[Int],
        parameters::int,
    ),
    strategy(
        "int-log-parameters",
        "Its points lie in logarithmic ranges of whole numbers, and are whole.",
        &[Int],
        parameters::int_log,
    ),
    strategy(
        "int-step-parameters",
        "Whole numbers with a step take no value between the steps.",
        &[Int],
        parameters::int_step,
    ),
    strategy(
        "categorical-parameters",
        "It copes with categorical parameters whose values are of several types.",
        &[Categorical],
        parameters::categorical,
    ),
    strategy("bool-parameters", "It copes with bools.", &[Categorical], parameters::bool),
    strategy("ordinal-parameters", "It copes with ordinal parameters.", &[Ordinal], parameters::ordinal),
    strategy(
        "one-value-parameters",
        "It copes with parameters that have a single value, alone and beside others.",
        &[],
        parameters::one_value,
    ),
    strategy(
        "conditional-parameters",
        "Of a tree of conditions it gives values to the active parameters and to no others.",
        &[Conditional],
        parameters::conditional,
    ),
    strategy("linear-constraints", "Its points keep linear constraints.", &[Constraints], parameters::linear),
    strategy(
        "forbidden-combinations",
        "Its points keep clear of forbidden combinations.",
        &[Constraints],
        parameters::forbidden,
    ),
    strategy(
        "unclaimed-capabilities",
        "Where a problem needs a capability that it does not claim, it says so instead of trying.",
        &[],
        asking::unclaimed,
    ),
    strategy(
        "ask-counts",
        "Asked for 1, 7 or 64 suggestions, it gives that many or fewer.",
        &[],
        asking::counts,
    ),
    strategy(
        "waiting",
        "While no trial is pending, it suggests something or says that it is exhausted: it has nothing to wait for.",
        &[],
        asking::waiting,
    ),
    strategy(
        "many-pending-trials",
        "With 64 trials pending, its points still lie in the space.",
        &[],
        asking::pending,
    ),
    strategy(
        "finite-space",
        "In a space of six points it repeats points or is exhausted, without a fault.",
        &[],
        asking::finite,
    ),
    strategy(
        "exhaustion",
        "Once it said that it is exhausted, it goes on saying so.",
        &[],
        asking::exhaustion,
    ),
    strategy("failed-trials", "It goes on where some trials fail.", &[], telling::failed),
    strategy("infeasible-trials", "It goes on where some trials are infeasible.", &[], telling::infeasible),
    strategy(
        "stopped-trials",
        "It goes on where some trials are stopped, with and without losses.",
        &[],
        telling::stopped,
    ),
    strategy(
        "nothing-but-failures",
        "It goes on where no trial ever completes.",
        &[],
        telling::nothing_but_failures,
    ),
    strategy("late-results", "It takes results in any order.", &[], telling::late),
    strategy(
        "foreign-observations",
        "It takes results of trials that it never proposed and whose numbers it does not know, before and between its own.",
        &[],
        telling::foreign,
    ),
    strategy(
        "points-elsewhere",
        "It takes results of its suggestions that were measured at other points, as in a study that resamples.",
        &[],
        telling::elsewhere,
    ),
    strategy("told-twice", "Telling it a trial twice is the same as telling it once.", &[], telling::twice),
    strategy(
        "losses-not-finite",
        "It refuses losses that are not finite with a fault, and goes on afterwards.",
        &[],
        telling::not_finite,
    ),
    strategy("extreme-losses", "It goes on after losses of 1e300, -1e300 and 1e-300.", &[], telling::extreme),
    strategy("equal-losses", "It goes on where all losses are equal.", &[], telling::equal),
    strategy(
        "standard-errors",
        "It takes losses with standard errors, with some, and with errors of 0.",
        &[],
        telling::standard_errors,
    ),
    strategy(
        "multi-objective",
        "It takes two losses for each trial.",
        &[MultiObjective],
        telling::multi_objective,
    ),
    strategy(
        "outcome-constraints",
        "It takes trials that break outcome constraints, some and all of them.",
        &[OutcomeConstraints],
        telling::outcome_constraints,
    ),
    strategy(
        "fidelity",
        "The fidelities that it chooses lie in the range of the problem.",
        &[Fidelity],
        telling::fidelity,
    ),
    strategy("same-seed", "Equal seeds and equal results give equal suggestions.", &[], repeating::same_seed),
    strategy(
        "nothing-shared",
        "Two of them that take turns do what each does alone.",
        &[],
        repeating::nothing_shared,
    ),
    Case {
        is_run_twice: true,
        ..strategy(
            "every-process",
            "It makes the same suggestions in every process.",
            &[],
            repeating::every_process,
        )
    },
    strategy(
        "replay",
        "A new one that is asked and told the same, results one by one instead of in batches, goes on with the same suggestions.",
        &[],
        repeating::replay,
    ),
    strategy(
        "other-threads",
        "It may be made in one thread, asked in another and told in a third.",
        &[],
        repeating::other_threads,
    ),
    strategy(
        "recommendations",
        "The points that it recommends lie in the space, and asking for them changes nothing that comes.",
        &[],
        repeating::recommendations,
    ),
    strategy(
        "snapshot",
        "Restored from a snapshot, it goes on with the same suggestions.",
        &[Snapshot],
        saving::snapshot,
    ),
    strategy(
        "snapshot-while-pending",
        "Restored from a snapshot between ask and tell, it goes on with the same suggestions.",
        &[Snapshot],
        saving::while_pending,
    ),
    strategy(
        "wrong-snapshot",
        "It refuses states that are empty, cut off or no states at all, and survives damaged ones.",
        &[Snapshot],
        saving::wrong,
    ),
    strategy("many-observations", "It copes with 10,000 observations.", &[], endurance::many_observations),
    strategy(
        "random-studies",
        "It copes with random problems within its capabilities, and with random results.",
        &[],
        endurance::random_studies,
    ),
    case(
        OBJECTIVE,
        "measurements",
        "It measures every metric of the problem as a finite number, or says that a point is infeasible or failed.",
        measuring::measurements,
    ),
    case(
        OBJECTIVE,
        "same-measurement",
        "The same point and seed give the same measurement.",
        measuring::same,
    ),
    case(
        OBJECTIVE,
        "stopping",
        "Told to stop, an evaluation ends within five seconds and says that it was stopped.",
        measuring::stopping,
    ),
    case(
        OBJECTIVE,
        "evaluations-at-once",
        "Evaluations in several threads at once measure what single ones do.",
        measuring::at_once,
    ),
    case(
        OBJECTIVE,
        "strange-problems",
        "It accepts or refuses problems that it was not made for, and breaks on none.",
        measuring::strange_problems,
    ),
    Case {
        is_run_twice: true,
        ..case(
            RULE,
            "rule-repeats",
            "Equal seeds and equal reports give equal verdicts, in every process.",
            ruling::repeats,
        )
    },
    case(
        RULE,
        "rule-answers",
        "It answers every report, also of losses that are missing or no finite numbers.",
        ruling::answers,
    ),
    case(
        RULE,
        "rule-evidence",
        "It lets the first report of a study pass, or has stopped trials go on: there is nothing yet to compare it with.",
        ruling::evidence,
    ),
    case(
        RULE,
        "rule-completes",
        "Of sixty trials it lets some run to their end, or has some go on: only what completed can be the best of a study.",
        ruling::completes,
    ),
    case(
        RULE,
        "rule-ends",
        "It takes ends of trials of every kind, of trials that never reported too, whatever their numbers.",
        ruling::ends,
    ),
    case(
        RULE,
        "rule-several-metrics",
        "It judges reports of two metrics, or does not claim to and refuses them.",
        ruling::several_metrics,
    ),
    Case {
        is_run_twice: true,
        ..case(
            RULE,
            "rule-promotions",
            "The trials that it has go on were stopped by it, have ended and go on once, and to be asked for them changes nothing.",
            ruling::promotions,
        )
    },
    case(RULE, "rule-many-reports", "It copes with 20,000 reports.", ruling::many_reports),
    case(
        Scope::Only(Role::Strategy),
        "strategy-output",
        "It prints nothing on standard output, which belongs to the host.",
        resources::strategy_output,
    ),
    case(
        OBJECTIVE,
        "objective-output",
        "It prints nothing on standard output, which belongs to the host.",
        resources::objective_output,
    ),
    case(
        Scope::Only(Role::Strategy),
        "strategy-threads",
        "No thread outlives the strategy that started it.",
        resources::strategy_threads,
    ),
    case(
        OBJECTIVE,
        "objective-threads",
        "No thread outlives the objective that started it.",
        resources::objective_threads,
    ),
    case(
        Scope::Only(Role::Strategy),
        "strategy-memory",
        "Made and dropped a thousand times, it gives its memory back.",
        resources::strategy_memory,
    ),
    case(
        OBJECTIVE,
        "objective-memory",
        "Made and dropped a thousand times, it gives its memory back.",
        resources::objective_memory,
    ),
];

/// Every case, in the order in which they are shown.
pub fn all() -> &'static [Case] {
    &ALL
}

/// The case of an id.
pub(crate) fn find(id: &str) -> Option<&'static Case> {
    ALL.iter().find(|case| case.id == id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_kebab_case_and_sentences_are_sentences() {
        for (index, case) in ALL.iter().enumerate() {
            assert!(case.id.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-'), "{}", case.id);
            assert!(case.sentence.ends_with('.') && !case.sentence.contains(". "), "{}", case.sentence);
            assert!(ALL[..index].iter().all(|earlier| earlier.id != case.id), "{} is there twice", case.id);
        }
    }
}
