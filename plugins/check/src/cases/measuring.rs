//! What an objective measures.

use crate::bench::{Bench, refusal_kind};
use crate::case::{Ending, Finding, failed, passed, passed_with, skipped, warning};
use crate::problems;
use ansatz_core::rng::Streams;
use ansatz_core::{
    Assignment, EvaluationError, Measurement, Point, Problem, Reading, Reporter, TrialId, Verdict,
};
use ansatz_plugin_host::{EvaluationFault, ForeignObjective};
use std::sync::{Arc, Barrier, mpsc};
use std::time::{Duration, Instant};

/// How long an evaluation may go on after it was told to stop.
const STOP_TIME: Duration = Duration::from_secs(5);

/// What an evaluation came to.
type Evaluated = Result<Measurement, EvaluationFault>;

/// A host that listens to everything, and says stop or does not.
struct Host {
    verdict: Verdict,
    /// Whether the evaluation ever heard what it has to say.
    was_asked: std::cell::Cell<bool>,
}

impl Reporter for Host {
    fn report(&mut self, _: u64, _: &Measurement) -> Verdict {
        self.was_asked.set(true);
        self.verdict
    }
    fn is_stopped(&self) -> bool {
        self.was_asked.set(true);
        self.verdict == Verdict::Stop
    }
}

/// An objective with points to evaluate.
pub(super) struct Bed {
    pub objective: Arc<ForeignObjective>,
    problem: Problem,
    points: Vec<Point>,
    seed: u64,
    /// Where trials put their output.
    folder: Arc<tempfile::TempDir>,
}

impl Bed {
    pub fn new(bench: &Bench<'_>, point_count: usize) -> Result<Self, Ending> {
        let (objective, problem) = bench.objective()?;
        let mut rng = bench.rng("points");
        let points: Vec<Point> = (0..point_count).filter_map(|_| problem.space.sample(&mut rng)).collect();
        if points.is_empty() {
            return skipped("no point of the problem keeps its constraints");
        }
        let folder = tempfile::tempdir()
            .map_err(|error| Ending::Skipped(format!("there is no folder for output: {error}")))?;
        Ok(Self { objective: objective.into(), problem, points, seed: bench.seed, folder: folder.into() })
    }

    fn assignment(&self, index: usize, attempt: u32) -> Assignment {
        let number = index as u64;
        Assignment {
            trial: TrialId(number),
            attempt,
            seed: Streams::new(self.seed).trial_seed(number),
            fidelity: self.problem.fidelity.as_ref().map(|range| range.upper),
            time_limit: None,
            output_folder: Some(self.folder.path().join(format!("trial-{number}-{attempt}"))),
            continued: None,
        }
    }

    /// Evaluates one of the points, undisturbed.
    pub fn evaluate(&self, index: usize, attempt: u32) -> Evaluated {
        let mut host = Host { verdict: Verdict::Continue, was_asked: false.into() };
        let point = &self.points[index % self.points.len()];
        self.objective.evaluate(point, &self.assignment(index, attempt), &mut host)
    }
}

/// A plugin that breaks is no answer.
pub(super) fn judge(evaluated: Evaluated) -> Result<Result<Measurement, EvaluationError>, Ending> {
    match evaluated {
        Ok(measurement) => Ok(Ok(measurement)),
        Err(EvaluationFault::Objective(error)) => Ok(Err(error)),
        Err(EvaluationFault::Plugin(fault)) => Err(fault.into()),
    }
}

pub(super) fn measurements(bench: &Bench<'_>) -> Finding {
    let bed = Bed::new(bench, 6)?;
    let mut reasons = Vec::new();
    let began = Instant::now();
    for index in 0..bed.points.len() {
        match judge(bed.evaluate(index, 1))? {
            Ok(measurement) => {
                if let Err(reason) = bed.problem.check_measurement(&measurement) {
                    return failed(format!("{reason} (at {})", shown(&bed, index)));
                }
            }
            Err(EvaluationError::Stopped) => {
                return failed(format!(
                    "it says that it was stopped, and nobody stopped it (at {})",
                    shown(&bed, index)
                ));
            }
            Err(error) => reasons.push(error.to_string()),
        }
    }
    let (count, took) = (bed.points.len(), began.elapsed().as_secs_f64());
    match reasons.last() {
        Some(reason) if reasons.len() == count => {
            warning(format!("none of {count} points was measured; the last {reason}"))
        }
        _ => passed_with(format!(
            "{} of {count} points measured, {:.3} s each",
            count - reasons.len(),
            took / count as f64
        )),
    }
}

fn shown(bed: &Bed, index: usize) -> String {
    bed.problem.space.point_to_json(&bed.points[index]).to_string()
}

/// The same to the last bit; reasons of failures may differ.
fn is_same(
    left: &Result<Measurement, EvaluationError>,
    right: &Result<Measurement, EvaluationError>,
) -> bool {
    match (left, right) {
        (Ok(left), Ok(right)) => {
            let bits = |measurement: &Measurement| -> Vec<(String, u64, Option<u64>)> {
                let bits =
                    |r: &Reading| (r.metric.clone(), r.value.to_bits(), r.standard_error.map(f64::to_bits));
                measurement.readings().iter().map(bits).collect()
            };
            bits(left) == bits(right)
        }
        (Err(left), Err(right)) => std::mem::discriminant(left) == std::mem::discriminant(right),
        _ => false,
    }
}

fn show(evaluated: &Result<Measurement, EvaluationError>) -> String {
    match evaluated {
        Ok(measurement) => {
            let readings = measurement.readings().iter().map(|r| format!("{} = {:?}", r.metric, r.value));
            readings.collect::<Vec<_>>().join(", ")
        }
        Err(error) => error.to_string(),
    }
}

pub(super) fn same(bench: &Bench<'_>) -> Finding {
    let bed = Bed::new(bench, 2)?;
    for index in 0..bed.points.len() {
        let (first, again) = (judge(bed.evaluate(index, 1))?, judge(bed.evaluate(index, 1))?);
        if !is_same(&first, &again) {
            let at = shown(&bed, index);
            return warning(format!(
                "the same point and seed give {} and {} (at {at})",
                show(&first),
                show(&again)
            ));
        }
    }
    passed()
}

pub(super) fn stopping(bench: &Bench<'_>) -> Finding {
    let bed = Bed::new(bench, 1)?;
    let (sender, ended) = mpsc::channel();
    let (objective, point, assignment) =
        (Arc::clone(&bed.objective), bed.points[0].clone(), bed.assignment(0, 1));
    let began = Instant::now();
    std::thread::spawn(move || {
        let mut host = Host { verdict: Verdict::Stop, was_asked: false.into() };
        let evaluated = objective.evaluate(&point, &assignment, &mut host);
        // nobody may be there any more to hear it
        let _ = sender.send((evaluated, host.was_asked.get()));
    });
    let Ok((evaluated, was_asked)) = ended.recv_timeout(STOP_TIME.min(bench.time_left())) else {
        return warning(format!("told to stop, it still runs after {:.0} s", began.elapsed().as_secs_f64()));
    };
    match judge(evaluated)? {
        Err(EvaluationError::Stopped) => passed(),
        Err(error) => warning(format!("told to stop, it says: {error}")),
        Ok(_) if was_asked => warning("it was told to stop, and measured on to the end"),
        Ok(_) => passed_with(format!(
            "it neither reports nor asks whether to stop; it took {:.3} s",
            began.elapsed().as_secs_f64()
        )),
    }
}

/// How many evaluations run at once.
const AT_ONCE: usize = 4;

pub(super) fn at_once(bench: &Bench<'_>) -> Finding {
    let bed = Bed::new(bench, AT_ONCE)?;
    let mut alone = Vec::new();
    for index in 0..AT_ONCE {
        alone.push(judge(bed.evaluate(index, 1))?);
    }
    if !is_same(&alone[0], &judge(bed.evaluate(0, 1))?) {
        return skipped("the same point and seed give different measurements: see same-measurement");
    }
    let barrier = Barrier::new(AT_ONCE);
    let together: Vec<Option<Evaluated>> = std::thread::scope(|scope| {
        let evaluations: Vec<_> = (0..AT_ONCE)
            .map(|index| {
                let (bed, barrier) = (&bed, &barrier);
                scope.spawn(move || {
                    barrier.wait();
                    bed.evaluate(index, 2)
                })
            })
            .collect();
        evaluations.into_iter().map(|evaluation| evaluation.join().ok()).collect()
    });
    for (index, (alone, together)) in alone.iter().zip(together).enumerate() {
        let Some(together) = together else { return failed("an evaluation took its thread down") };
        let together = judge(together)?;
        if !is_same(alone, &together) {
            let at = shown(&bed, index);
            return failed(format!(
                "alone it gives {}, beside others {} (at {at})",
                show(alone),
                show(&together)
            ));
        }
    }
    passed()
}

pub(super) fn strange_problems(bench: &Bench<'_>) -> Finding {
    let (mut accepted, mut refused) = (0, 0);
    for problem in problems::for_objectives() {
        match bench.target.create_objective(&problem, &bench.options(), &bench.given.surroundings) {
            Err(error) if refusal_kind(&error).is_some() => refused += 1,
            Err(error) => return failed(error.to_string()),
            Ok(objective) => {
                accepted += 1;
                let Some(point) = problem.space.sample(&mut bench.rng("strange")) else { continue };
                let folder = tempfile::tempdir()
                    .map_err(|error| Ending::Skipped(format!("there is no folder for output: {error}")))?;
                let assignment = Assignment {
                    trial: TrialId(0),
                    attempt: 1,
                    seed: bench.seed,
                    fidelity: problem.fidelity.as_ref().map(|range| range.lower),
                    time_limit: Some(Duration::from_secs(5)),
                    output_folder: Some(folder.path().to_owned()),
                    continued: None,
                };
                let mut host = Host { verdict: Verdict::Continue, was_asked: false.into() };
                judge(objective.evaluate(&point, &assignment, &mut host))?.ok();
            }
        }
    }
    passed_with(format!("{accepted} accepted, {refused} refused"))
}
