//! What the results of an arena say: a `Comparison`, which every report shows and `--json` prints.

use super::manifest::ArenaProblem;
use super::results::{CellResult, Failing};
use super::statistics::{
    self, Block, Estimate, RESOLUTION, mean, quantile, quartiles, ranks, score, win_rate,
};
use ansatz_core::metric::Goal;
use serde::Serialize;
use std::collections::BTreeMap;

/// The plugin whose regret is the reference of scores, where it takes part.
const REFERENCE: &str = "random";

/// Points of a curve at most: more than a small chart can show.
const CURVE_POINTS_MAX: usize = 160;

/// A strategy that competes.
#[derive(Clone, Debug)]
pub struct Entrant {
    /// As it is shown.
    pub name: String,
    /// The plugin's name.
    pub plugin: String,
    /// Of the plugin's package.
    pub version: String,
}

/// A problem on which they do.
#[derive(Clone, Debug)]
pub struct Ground {
    /// As it is shown.
    pub name: String,
    /// What it is summed up with.
    pub family: Option<String>,
    /// What is read.
    pub metric: String,
    /// Which direction of it is better.
    pub goal: Goal,
    /// The best possible value.
    pub optimum: Option<f64>,
    /// Whether each seed has an instance of its own: then a best value found on one says nothing of another.
    pub has_instances: bool,
}

impl From<&ArenaProblem> for Ground {
    fn from(problem: &ArenaProblem) -> Self {
        Self {
            name: problem.name.clone(),
            family: problem.family.clone(),
            metric: problem.reading.name().to_owned(),
            goal: problem.goal,
            optimum: problem.optimum,
            has_instances: problem.has_instances,
        }
    }
}

/// A result with the indices of its strategy and problem.
pub type Placed<'a> = (usize, usize, &'a CellResult);

/// An arena's results, summed up.
#[derive(Clone, Debug, Serialize)]
pub struct Comparison {
    /// Of the arena.
    pub name: String,
    /// Of the host that summed up.
    pub host_version: String,
    /// Trials under way at a time in each run.
    pub slots: usize,
    /// Ascending.
    pub budgets: Vec<u64>,
    /// How many runs are summed up.
    pub run_count: usize,
    /// How many there are to be.
    pub planned_count: usize,
    /// In the order of the arena.
    pub strategies: Vec<StrategySummary>,
    /// In the order of the arena.
    pub problems: Vec<ProblemSummary>,
    /// By family, then by budget, then by strategy: the mean score.
    pub families: BTreeMap<String, Vec<Vec<Option<f64>>>>,
    /// At the largest budget, by strategy twice: how often the first does better than the second, ties half.
    pub win_rates: Vec<Vec<Option<f64>>>,
    /// Runs that did not come to their end.
    pub failures: Vec<FailureSummary>,
    /// What a person should know.
    pub notices: Vec<String>,
}

impl Comparison {
    /// What its title says of the slots, with a comma before it; nothing where there is one.
    pub(super) fn at_a_time(&self) -> String {
        if self.slots > 1 { format!(", {} trials at a time", self.slots) } else { String::new() }
    }
}

/// A strategy over all problems.
#[derive(Clone, Debug, Serialize)]
pub struct StrategySummary {
    /// As it is shown.
    pub name: String,
    /// The plugin's name.
    pub plugin: String,
    /// Of the plugin's package.
    pub version: String,
    /// How many runs it has.
    pub run_count: usize,
    /// By budget.
    pub by_budget: Vec<Standing>,
    /// Mean time of an ask on the wall, over whole runs, in seconds.
    pub ask_wall_seconds: Option<f64>,
    /// Mean processor time of an ask, over whole runs, in seconds.
    pub ask_cpu_seconds: Option<f64>,
    /// Mean processor time of a tell, over whole runs, in seconds.
    pub tell_cpu_seconds: Option<f64>,
}

/// Where a strategy stands at a budget.
#[derive(Clone, Debug, Serialize)]
pub struct Standing {
    /// Trials.
    pub budget: u64,
    /// Mean rank; 1 is best.
    pub rank: Option<Estimate>,
    /// Mean score; 1 is best.
    pub score: Option<Estimate>,
    /// Mean processor time of the asks up to it, in seconds.
    pub ask_cpu_seconds: Option<f64>,
}

/// One problem with everybody on it.
#[derive(Clone, Debug, Serialize)]
pub struct ProblemSummary {
    /// As it is shown.
    pub name: String,
    /// What it is summed up with.
    pub family: Option<String>,
    /// What is read.
    pub metric: String,
    /// Which direction of it is better.
    pub goal: Goal,
    /// The best possible value, if it is known.
    pub optimum: Option<f64>,
    /// The regret that scores 0.
    pub reference: Option<f64>,
    /// In the order of the arena.
    pub strategies: Vec<Line>,
}

/// One strategy on one problem.
#[derive(Clone, Debug, Serialize)]
pub struct Line {
    /// Runs that take part.
    pub run_count: usize,
    /// Why it has none, where it has none.
    pub absent: Option<String>,
    /// By budget.
    pub by_budget: Vec<Regret>,
    /// From the first trial to the last.
    pub curve: Vec<CurvePoint>,
}

/// The regret of several runs at a budget; null where it is infinite because nothing was found, or where none ran.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Regret {
    /// Trials.
    pub budget: u64,
    /// Runs that were meant to get there.
    pub run_count: usize,
    /// Lower quartile.
    pub low: Option<f64>,
    /// Half of the runs are better.
    pub median: Option<f64>,
    /// Upper quartile.
    pub high: Option<f64>,
    /// Mean score of the runs.
    pub score: Option<f64>,
}

/// The regret of several runs after a trial.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct CurvePoint {
    /// How many.
    pub trials: u64,
    /// Lower quartile.
    pub low: Option<f64>,
    /// Half of the runs are better.
    pub median: Option<f64>,
    /// Upper quartile.
    pub high: Option<f64>,
}

/// Runs of a strategy on a problem that did not come to their end for the same reason.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct FailureSummary {
    /// As it is shown.
    pub strategy: String,
    /// As it is shown.
    pub problem: String,
    /// How many.
    pub run_count: usize,
    /// Whose fault it was.
    pub failing: Option<Failing>,
    /// Of the first of them.
    pub error: String,
}

/// Sums up what is there.
pub fn compare(
    name: &str,
    slots: usize,
    budgets: &[u64],
    entrants: &[Entrant],
    grounds: &[Ground],
    cells: &[Placed<'_>],
    planned_count: usize,
) -> Comparison {
    let mut notices = Vec::new();
    let fields: Vec<Field<'_>> = grounds
        .iter()
        .enumerate()
        .map(|(problem, ground)| {
            let own = cells.iter().filter(|(_, of, _)| *of == problem).map(|(who, _, cell)| (*who, *cell));
            Field::new(ground, budgets, entrants, own.collect(), &mut notices)
        })
        .collect();
    let count = entrants.len();
    let mut standings: Vec<Vec<Standing>> = vec![Vec::new(); count];
    for budget in budgets {
        let blocks: Vec<Vec<Block>> = fields.iter().map(|field| field.blocks(*budget, count)).collect();
        let ranked: Vec<Vec<Block>> =
            blocks.iter().map(|blocks| blocks.iter().map(|block| ranks(block)).collect()).collect();
        let scored: Vec<Vec<Block>> =
            fields.iter().zip(&blocks).map(|(field, blocks)| field.scores(blocks)).collect();
        let estimates = |blocks: &[Vec<Block>]| statistics::estimates(blocks, count);
        for (strategy, (rank, score)) in estimates(&ranked).into_iter().zip(estimates(&scored)).enumerate() {
            let means = cells.iter().filter(|(who, _, _)| *who == strategy).filter_map(|(_, _, result)| {
                let means = &result.cell.ask_cpu_means;
                means.iter().find(|mean| mean.trials == *budget)?.seconds
            });
            standings[strategy].push(Standing { budget: *budget, rank, score, ask_cpu_seconds: mean(means) });
        }
    }
    let mut families: BTreeMap<String, Vec<Vec<Option<f64>>>> = BTreeMap::new();
    for family in grounds.iter().filter_map(|ground| ground.family.as_ref()) {
        let own: Vec<&Field<'_>> =
            fields.iter().filter(|field| field.ground.family.as_ref() == Some(family)).collect();
        let at = |budget: &u64| {
            let by_strategy = |who| mean(own.iter().filter_map(|field| field.mean_score(who, *budget)));
            (0..count).map(by_strategy).collect()
        };
        families.entry(family.clone()).or_insert_with(|| budgets.iter().map(at).collect());
    }
    let last = budgets.last().copied().unwrap_or(0);
    let met: Vec<Block> = fields.iter().flat_map(|field| field.blocks(last, count)).collect();
    let rate = |a: usize, b: usize| if a == b { None } else { win_rate(&met, a, b) };
    Comparison {
        name: name.to_owned(),
        host_version: env!("CARGO_PKG_VERSION").to_owned(),
        slots,
        budgets: budgets.to_vec(),
        run_count: cells.len(),
        planned_count,
        strategies: entrants
            .iter()
            .enumerate()
            .zip(standings)
            .map(|((who, entrant), by_budget)| summary(entrant, who, by_budget, cells))
            .collect(),
        problems: fields.iter().map(|field| field.summary(budgets, count)).collect(),
        families,
        win_rates: (0..count).map(|a| (0..count).map(|b| rate(a, b)).collect()).collect(),
        failures: failures(entrants, grounds, cells),
        notices,
    }
}

fn summary(entrant: &Entrant, who: usize, by_budget: Vec<Standing>, cells: &[Placed<'_>]) -> StrategySummary {
    let own = || cells.iter().filter(|(of, _, result)| *of == who && result.cell.trial_count > 0);
    let per_trial = |seconds: &dyn Fn(&CellResult) -> Option<f64>| {
        mean(own().filter_map(|(_, _, result)| Some(seconds(result)? / result.cell.trial_count as f64)))
    };
    StrategySummary {
        name: entrant.name.clone(),
        plugin: entrant.plugin.clone(),
        version: entrant.version.clone(),
        run_count: cells.iter().filter(|(of, _, _)| *of == who).count(),
        by_budget,
        ask_wall_seconds: per_trial(&|result| Some(result.cell.ask_seconds.wall)),
        ask_cpu_seconds: per_trial(&|result| result.cell.ask_seconds.cpu),
        tell_cpu_seconds: per_trial(&|result| result.cell.tell_seconds.cpu),
    }
}

fn failures(entrants: &[Entrant], grounds: &[Ground], cells: &[Placed<'_>]) -> Vec<FailureSummary> {
    let mut found: Vec<FailureSummary> = Vec::new();
    for (who, problem, result) in cells.iter().filter(|(_, _, result)| result.cell.failed) {
        let (strategy, problem) = (&entrants[*who].name, &grounds[*problem].name);
        let known = found.iter_mut().find(|known| {
            known.strategy == *strategy && known.problem == *problem && known.failing == result.cell.failing
        });
        match known {
            Some(known) => known.run_count += 1,
            None => found.push(FailureSummary {
                strategy: strategy.clone(),
                problem: problem.clone(),
                run_count: 1,
                failing: result.cell.failing,
                error: result.cell.error.clone().unwrap_or_default(),
            }),
        }
    }
    found
}

/// All runs on one problem.
struct Field<'a> {
    ground: &'a Ground,
    cells: Vec<(usize, &'a CellResult)>,
    /// The loss that is no regret, for each seed.
    best: BTreeMap<u64, f64>,
    reference: Option<f64>,
}

impl<'a> Field<'a> {
    fn new(
        ground: &'a Ground,
        budgets: &[u64],
        entrants: &[Entrant],
        cells: Vec<(usize, &'a CellResult)>,
        notices: &mut Vec<String>,
    ) -> Self {
        let mut best: BTreeMap<u64, f64> = BTreeMap::new();
        for (_, result) in &cells {
            let losses = result.cell.trace.iter().flatten().map(|value| ground.goal.loss(*value));
            let least = losses.fold(f64::INFINITY, f64::min);
            let known = best.entry(result.key.seed).or_insert(least);
            *known = known.min(least);
        }
        let least = best.values().copied().fold(f64::INFINITY, f64::min);
        if let Some(optimum) = ground.optimum.map(|optimum| ground.goal.loss(optimum)) {
            if least < optimum - 1e-9 * (1.0 + optimum.abs()) {
                notices.push(format!(
                    "problem {}: a run found {}, better than its optimum {}; correct the arena",
                    ground.name,
                    ground.goal.loss(least),
                    ground.goal.loss(optimum)
                ));
            }
            best.values_mut().for_each(|best| *best = optimum);
        } else if !ground.has_instances {
            best.values_mut().for_each(|best| *best = least);
        }
        let mut field = Self { ground, cells, best, reference: None };
        let first = budgets.first().copied().unwrap_or(1);
        let of_random = |who: usize| entrants[who].plugin == REFERENCE;
        let is_there = field.cells.iter().any(|(who, _)| of_random(*who));
        let regrets = field
            .cells
            .iter()
            .filter(|(who, result)| (!is_there || of_random(*who)) && is_taking_part(result));
        let [_, reference, _] = quartiles(regrets.map(|(_, result)| field.regret(result, first)));
        field.reference = reference;
        field
    }

    /// How far a run is from the best after so many trials; infinite while it has nothing.
    fn regret(&self, result: &CellResult, trials: u64) -> f64 {
        let best = self.best.get(&result.key.seed).copied().unwrap_or(f64::INFINITY);
        match result.cell.at(trials) {
            Some(value) => (self.ground.goal.loss(value) - best).max(0.0),
            None => f64::INFINITY,
        }
    }

    /// By seed, the regret of everybody who got as far as the budget. What is below the resolution is equal.
    fn blocks(&self, budget: u64, strategy_count: usize) -> Vec<Block> {
        let least = self.reference.unwrap_or(0.0) * RESOLUTION;
        let mut blocks: BTreeMap<u64, Block> = BTreeMap::new();
        for (who, result) in &self.cells {
            if result.key.budget >= budget && is_taking_part(result) {
                let block = blocks.entry(result.key.seed).or_insert_with(|| vec![None; strategy_count]);
                block[*who] = Some(self.regret(result, budget).max(least));
            }
        }
        blocks.into_values().collect()
    }

    fn scores(&self, blocks: &[Block]) -> Vec<Block> {
        let scored = |regret: &Option<f64>| regret.map(|regret| self.score(regret));
        blocks.iter().map(|block| block.iter().map(scored).collect()).collect()
    }

    fn score(&self, regret: f64) -> f64 {
        score(regret, self.reference.unwrap_or(0.0), self.ground.optimum.is_some())
    }

    fn regrets(&self, who: usize, budget: u64) -> Vec<f64> {
        let own = self
            .cells
            .iter()
            .filter(|(of, result)| *of == who && result.key.budget >= budget && is_taking_part(result));
        own.map(|(_, result)| self.regret(result, budget)).collect()
    }

    fn mean_score(&self, who: usize, budget: u64) -> Option<f64> {
        mean(self.regrets(who, budget).into_iter().map(|regret| self.score(regret)))
    }

    fn summary(&self, budgets: &[u64], strategy_count: usize) -> ProblemSummary {
        ProblemSummary {
            name: self.ground.name.clone(),
            family: self.ground.family.clone(),
            metric: self.ground.metric.clone(),
            goal: self.ground.goal,
            optimum: self.ground.optimum,
            reference: self.reference,
            strategies: (0..strategy_count).map(|who| self.line(who, budgets)).collect(),
        }
    }

    fn line(&self, who: usize, budgets: &[u64]) -> Line {
        let own: Vec<&CellResult> =
            self.cells.iter().filter(|(of, _)| *of == who).map(|(_, result)| *result).collect();
        let run_count = own.iter().filter(|result| is_taking_part(result)).count();
        let absent = match (run_count, own.first()) {
            (0, Some(result)) => Some(result.cell.error.clone().unwrap_or_default()),
            _ => None,
        };
        let at = |budget: &u64| {
            let regrets = self.regrets(who, *budget);
            let run_count = regrets.len();
            let [low, median, high] = quartiles(regrets.into_iter());
            Regret { budget: *budget, run_count, low, median, high, score: self.mean_score(who, *budget) }
        };
        Line { run_count, absent, by_budget: budgets.iter().map(at).collect(), curve: self.curve(&own) }
    }

    fn curve(&self, own: &[&CellResult]) -> Vec<CurvePoint> {
        let taking_part: Vec<&&CellResult> = own.iter().filter(|result| is_taking_part(result)).collect();
        let last = taking_part.iter().map(|result| result.cell.trial_count).max().unwrap_or(0);
        let step = last.div_ceil(CURVE_POINTS_MAX as u64).max(1);
        let counts = (1..=last).filter(|trials| trials % step == 0 || *trials == 1 || *trials == last);
        let point = |trials: u64| {
            let mut regrets: Vec<f64> =
                taking_part.iter().map(|result| self.regret(result, trials)).collect();
            regrets.sort_by(f64::total_cmp);
            let [low, median, high] = [0.25, 0.5, 0.75].map(|share| quantile(&regrets, share));
            CurvePoint { trials, low, median, high }
        };
        counts.map(point).collect()
    }
}

/// Whether a run is compared. One that broke is, with what it had found; one that could not begin, or that fell to
/// something else, says nothing of its strategy.
fn is_taking_part(result: &CellResult) -> bool {
    matches!(result.cell.failing, None | Some(Failing::Broke))
}

#[cfg(test)]
mod tests;
