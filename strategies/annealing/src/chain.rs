//! One chain: argmin's solver and its state as plain data, advanced by what was told.
//!
//! argmin calls the cost function itself, from within an iteration. So a proposal runs the iteration on
//! copies: the move that it makes is noted, everything else thrown away. Once the loss of that point is
//! known, the same iteration is run for good, with the noted move and the loss.

use crate::neighbourhood::neighbour;
use crate::options::{AtEnd, Options, Start};
use ansatz_core::rng::Rng;
use ansatz_core::{Point, Space, StrategyError};
use argmin::core::{CostFunction, Error as ArgminError, IterState, Problem, Solver as _, State as _};
use argmin::solver::simulatedannealing::{Anneal, SimulatedAnnealing};
use rand::RngExt;
use rand_xoshiro::Xoshiro256PlusPlus;
use serde::{Deserialize, Serialize};
use std::cell::RefCell;

/// argmin's method.
pub(crate) type Solver = SimulatedAnnealing<f64, Xoshiro256PlusPlus>;
/// Where argmin is: current and best point with their costs.
pub(crate) type State = IterState<Point, (), (), (), (), f64>;

/// What all chains of a study share.
pub(crate) struct Surroundings<'a> {
    pub(crate) space: &'a Space,
    pub(crate) options: &'a Options,
    /// What losses are divided by; `None` while it is not known.
    pub(crate) loss_scale: Option<f64>,
    /// The best point that any strategy has found, with its loss.
    pub(crate) best: Option<&'a (Point, f64)>,
}

/// One sequence of moves.
#[derive(Serialize, Deserialize)]
pub(crate) struct Chain {
    /// For starts and moves; the acceptance has a generator of its own in the solver.
    rng: Rng,
    phase: Phase,
    /// The point whose result it waits for.
    pending: Option<Point>,
}

#[derive(Serialize, Deserialize)]
enum Phase {
    /// Draws points, and keeps the best that completed with its loss.
    Starting { best: Option<(Point, f64)> },
    /// Moves.
    Moving(Box<Run>),
    /// Proposes nothing any more.
    Ended,
}

/// argmin between two iterations.
#[derive(Serialize, Deserialize)]
struct Run {
    solver: Solver,
    state: State,
}

impl Chain {
    pub(crate) fn new(rng: Rng) -> Self {
        Self { rng, phase: Phase::Starting { best: None }, pending: None }
    }

    pub(crate) fn is_waiting(&self) -> bool {
        self.pending.is_some()
    }

    pub(crate) fn has_ended(&self) -> bool {
        matches!(self.phase, Phase::Ended)
    }

    /// The next point to evaluate, which the chain then waits for; `None` if it has ended or waits.
    pub(crate) fn ask(&mut self, around: &Surroundings<'_>) -> Result<Option<Point>, StrategyError> {
        if self.is_waiting() {
            return Ok(None);
        }
        if let (Phase::Starting { best }, Some(scale)) = (&self.phase, around.loss_scale) {
            let known = if around.options.start == Start::Best { around.best } else { None };
            if let Some((point, loss)) = known.or(best.as_ref()) {
                let run = Run {
                    solver: around.options.solver(self.rng.random())?,
                    state: first_state(point, cost(Some(*loss), scale)),
                };
                self.phase = Phase::Moving(Box::new(run));
            }
        }
        self.pending = match &self.phase {
            Phase::Starting { .. } => {
                let point = around.space.sample(&mut self.rng);
                Some(point.ok_or_else(|| {
                    StrategyError::Invalid(
                        "no point that satisfies the constraints was found; loosen them".into(),
                    )
                })?)
            }
            Phase::Moving(run) => Some(run.propose(around, &mut self.rng)?),
            Phase::Ended => None,
        };
        Ok(self.pending.clone())
    }

    /// What came of the point it waits for, or of the one that the study took in its place: its loss, or `None` where there
    /// is none to compare. Nothing happens if it does not wait.
    pub(crate) fn tell(
        &mut self,
        point: &Point,
        loss: Option<f64>,
        around: &Surroundings<'_>,
    ) -> Result<(), StrategyError> {
        if self.pending.take().is_none() {
            return Ok(());
        }
        let point = point.clone();
        match &mut self.phase {
            Phase::Starting { best } => {
                if let Some(loss) = loss
                    && best.as_ref().is_none_or(|(_, lowest)| loss < *lowest)
                {
                    *best = Some((point, loss));
                }
            }
            Phase::Moving(run) => {
                // a chain moves only once the scale is known
                let has_ended = run.learn(point, cost(loss, around.loss_scale.unwrap_or(1.0)), around)?;
                match around.options.at_end {
                    _ if !has_ended => {}
                    AtEnd::Stop => self.phase = Phase::Ended,
                    AtEnd::Reheat => run.solver = around.options.solver(self.rng.random())?,
                    AtEnd::Restart => self.phase = Phase::Starting { best: None },
                }
            }
            Phase::Ended => {}
        }
        Ok(())
    }

    /// argmin's state, once the chain moves.
    #[cfg(test)]
    pub(crate) fn state(&self) -> Option<&State> {
        match &self.phase {
            Phase::Moving(run) => Some(&run.state),
            _ => None,
        }
    }
}

impl Run {
    /// The move that the next iteration makes.
    fn propose(&self, around: &Surroundings<'_>, rng: &mut Rng) -> Result<Point, StrategyError> {
        let replay =
            Replay { around, rng: RefCell::new(rng.clone()), point: RefCell::new(None), cost: f64::NAN };
        let mut problem = Problem::new(replay);
        let iteration = self.solver.clone().next_iter(&mut problem, self.state.clone());
        iteration.map_err(|error| argmin_error(&error))?;
        let replay = problem.take_problem();
        let (after, point) =
            replay.map(|replay| (replay.rng.into_inner(), replay.point.into_inner())).unzip();
        let point = point.flatten().ok_or_else(|| StrategyError::Other("argmin made no move".into()))?;
        *rng = after.unwrap_or_else(|| rng.clone());
        Ok(point)
    }

    /// Runs the iteration that moves to `point`, which has this cost. Whether it was the last.
    fn learn(&mut self, point: Point, cost: f64, around: &Surroundings<'_>) -> Result<bool, StrategyError> {
        // the generator is not touched: the move is known
        let replay =
            Replay { around, rng: RefCell::new(Rng::new(0)), point: RefCell::new(Some(point)), cost };
        let mut problem = Problem::new(replay);
        let (mut state, values) =
            self.solver.next_iter(&mut problem, self.state.clone()).map_err(|error| argmin_error(&error))?;
        // what argmin's executor does between iterations
        state.update();
        state.increment_iter();
        let stalled = self.terminate(&problem, &state);
        self.state = state;
        let temperature = values.and_then(|values| values.get("t")?.get_float());
        let temperature =
            temperature.ok_or_else(|| StrategyError::Other("argmin reports no temperature".into()))?;
        Ok(stalled || around.options.is_cold(temperature))
    }

    /// Whether the solver's stall limits say that it is over. `_problem` tells the compiler which.
    fn terminate<O>(&mut self, _problem: &Problem<O>, state: &State) -> bool
    where
        O: CostFunction<Param = Point, Output = f64> + Anneal<Param = Point, Output = Point, Float = f64>,
    {
        argmin::core::Solver::<O, State>::terminate(&mut self.solver, state).terminated()
    }
}

/// What argmin starts from: its executor's state after `init`.
fn first_state(point: &Point, cost: f64) -> State {
    let mut state = State::new().param(point.clone()).cost(cost);
    state.update();
    state
}

/// A loss in units of the scale. Never NaN, which argmin would keep for ever; without a loss infinite,
/// which is refused.
fn cost(loss: Option<f64>, scale: f64) -> f64 {
    match loss {
        Some(loss) if loss.is_finite() => (loss / scale).clamp(f64::MIN, f64::MAX),
        _ => f64::INFINITY,
    }
}

pub(crate) fn argmin_error(error: &ArgminError) -> StrategyError {
    StrategyError::Other(format!("argmin: {error}"))
}

/// The problem as one iteration sees it.
struct Replay<'a> {
    around: &'a Surroundings<'a>,
    rng: RefCell<Rng>,
    /// Where the iteration moves to, if that is known; else it is put here.
    point: RefCell<Option<Point>>,
    /// The cost of that point; NaN in a run that is thrown away.
    cost: f64,
}

impl CostFunction for Replay<'_> {
    type Param = Point;
    type Output = f64;
    fn cost(&self, _: &Point) -> Result<f64, ArgminError> {
        Ok(self.cost)
    }
}

impl Anneal for Replay<'_> {
    type Param = Point;
    type Output = Point;
    type Float = f64;
    fn anneal(&self, point: &Point, temperature: f64) -> Result<Point, ArgminError> {
        let make_move = || {
            let Surroundings { space, options, .. } = self.around;
            let width = options.width(temperature);
            neighbour(space, point, width, options.further_move_chance, &mut self.rng.borrow_mut())
        };
        Ok(self.point.borrow_mut().get_or_insert_with(make_move).clone())
    }
}
