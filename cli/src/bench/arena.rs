//! An arena with its plugins: which cells there are, and how they are run.

use super::cell::{self, Task};
use super::comparison::{Comparison, Entrant, Ground, compare};
use super::manifest::{Arena, ArenaProblem, Contender};
use super::reading::Reading;
use super::results::{Cell, CellResult, FORMAT, Failing, Key, Results, digest};
use crate::automatic::Mixture;
use crate::clock::Clock;
use crate::error::Error;
use crate::executor::Evaluate;
use crate::interrupt::Interrupt;
use crate::manifest::{Diagnostics, Section};
use crate::plan::{PluginChoice, StudyPlan};
use crate::plugins::{LoadedStrategy, lone_objective, search_path};
use ansatz_core::study::Budget;
use ansatz_plugin_host::{FaultClass, Found, HostError, Origin, Role, SearchPath};
use serde_json::json;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::channel;
use std::time::Duration;

/// What the command line says beyond the file.
#[derive(Clone, Debug, Default)]
pub struct Selection {
    /// Only these strategies; a plugin that the file does not name competes under its own name.
    pub strategies: Vec<String>,
    /// Only these problems, or problems of these families.
    pub problems: Vec<String>,
    /// Another number of seeds.
    pub seed_count: Option<u64>,
    /// Another largest budget.
    pub budget: Option<u64>,
    /// Another number of jobs.
    pub job_count: Option<usize>,
    /// Another number of slots.
    pub slot_count: Option<usize>,
}

/// An arena whose plugins were found.
pub struct Ready {
    /// As it was read and selected.
    pub arena: Arena,
    /// Who competes.
    pub strategies: Vec<ReadyStrategy>,
    /// On what, with the objective where all seeds share it.
    pub problems: Vec<ReadyProblem>,
    /// Every cell.
    pub cells: Vec<CellPlan>,
}

/// A strategy that was found.
pub struct ReadyStrategy {
    /// As the arena has it.
    pub contender: Contender,
    /// Who competes under its name.
    lineup: Lineup,
    /// On problems of several metrics, where that is somebody else.
    of_several: Option<Lineup>,
}

/// The plugins that compete as one.
struct Lineup {
    mixture: Mixture,
    /// Of each member of the mixture.
    found: Vec<Found>,
    options_digest: String,
}

/// A problem whose objective was found.
pub struct ReadyProblem {
    /// As the arena has it.
    pub problem: ArenaProblem,
    objective: Found,
    /// `None` where each seed has one of its own.
    shared: Option<Arc<dyn Evaluate>>,
    digest: String,
}

/// A cell before it is run.
#[derive(Clone, Debug)]
pub struct CellPlan {
    /// Index of the strategy.
    pub strategy: usize,
    /// Index of the problem.
    pub problem: usize,
    /// What it is known by.
    pub key: Key,
}

/// What a run of the arena did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tally {
    /// Cells that were done before.
    pub kept_count: usize,
    /// Cells that were run.
    pub run_count: usize,
    /// Whether somebody interrupted it.
    pub is_interrupted: bool,
}

impl Arena {
    /// Leaves what was selected.
    ///
    /// # Errors
    /// A name that is not there.
    pub fn select(mut self, selection: &Selection) -> Result<Self, Error> {
        if let Some(count) = selection.seed_count {
            self.seed_count = count;
        }
        if let Some(count) = selection.job_count {
            self.job_count = count;
        }
        if let Some(count) = selection.slot_count {
            self.slot_count = count;
        }
        if let Some(budget) = selection.budget {
            self.budgets.retain(|known| *known < budget);
            self.budgets.push(budget);
        }
        if !selection.problems.is_empty() {
            let is_meant = |wanted: &String, problem: &ArenaProblem| {
                problem.name == *wanted || problem.family.as_ref() == Some(wanted)
            };
            for wanted in &selection.problems {
                if !self.problems.iter().any(|problem| is_meant(wanted, problem)) {
                    let names: Vec<&str> =
                        self.problems.iter().map(|problem| problem.name.as_str()).collect();
                    let hint = ansatz_core::nearest::did_you_mean(wanted, names.iter().copied());
                    return Err(Error::Usage(format!(
                        "the arena {} has no problem and no family {wanted:?}{hint}; it has {}",
                        self.name,
                        names.join(", ")
                    )));
                }
            }
            self.problems.retain(|problem| selection.problems.iter().any(|wanted| is_meant(wanted, problem)));
        }
        if !selection.strategies.is_empty() {
            let known = self.strategies.take().unwrap_or_default();
            let meant = |wanted: &String| {
                let named = known.iter().find(|contender| contender.name == *wanted);
                named.cloned().unwrap_or_else(|| Contender::new(wanted))
            };
            self.strategies = Some(selection.strategies.iter().map(meant).collect());
        }
        Ok(self)
    }

    /// Finds the plugins, compares options with what they publish, and makes every objective once.
    ///
    /// # Errors
    /// A plugin is missing, or options or a problem do not fit an objective. Strategies are judged in their cells.
    pub fn prepare(self) -> Result<Ready, Error> {
        let search = search_path(&self.plugin_folders);
        let strategies = self.find_strategies(&search)?;
        let mut problems = Vec::new();
        for problem in &self.problems {
            problems.push(ready_problem(problem, &self)?);
        }
        let mut ready = Ready { arena: self, strategies, problems, cells: Vec::new() };
        ready.cells = ready.every_cell();
        Ok(ready)
    }

    fn find_strategies(&self, search: &SearchPath) -> Result<Vec<ReadyStrategy>, Error> {
        let contenders = match &self.strategies {
            Some(contenders) => contenders.clone(),
            None => shipped(search),
        };
        let mut ready: Vec<ReadyStrategy> = Vec::new();
        let (mut wrong, mut missing) = (Diagnostics::default(), Diagnostics::default());
        let trial_count = self.budgets.last().copied().unwrap_or(1);
        let of_several = self.problems.iter().filter(|problem| problem.metric_count() > 1).count();
        let mut lineup = |name: &str, mixture: Mixture| {
            let mut plugins = Vec::new();
            for (index, choice) in mixture.choices.iter().enumerate() {
                match search.find(Role::Strategy, &choice.plugin) {
                    Ok(found) => {
                        let component = found.plugin.metadata.component(Role::Strategy, &choice.plugin);
                        if let Some(component) = component {
                            wrong.extend(self.check_options(name, index, &component.options_schema));
                        }
                        plugins.push(found);
                    }
                    Err(error) => missing.extend(self.plugin_error(name, index, &error.to_string())),
                }
            }
            Lineup { options_digest: options_digest(&mixture), found: plugins, mixture }
        };
        for contender in contenders {
            let trial_count = contender.budget_max.map_or(trial_count, |max| max.min(trial_count));
            let least = if of_several == self.problems.len() { 2 } else { 1 };
            let is_different = contender.is_automatic() && least == 1 && of_several > 0;
            ready.push(ReadyStrategy {
                lineup: lineup(&contender.name, contender.mixture(least, trial_count)),
                of_several: is_different.then(|| lineup(&contender.name, contender.mixture(2, trial_count))),
                contender,
            });
        }
        if !missing.is_empty() {
            return Err(Error::MissingPlugin(missing));
        }
        if !wrong.is_empty() {
            return Err(wrong.into());
        }
        if ready.is_empty() {
            return Err(Error::NotFound(
                "no strategy ships beside this ansatz; name some in [strategies] or with --strategies".into(),
            ));
        }
        Ok(ready)
    }
}

/// Of the members of a mixture, in one word.
fn joined<'a>(parts: impl Iterator<Item = &'a str>) -> String {
    parts.collect::<Vec<_>>().join("+")
}

/// Of everything that a contender may choose besides its plugins.
fn options_digest(mixture: &Mixture) -> String {
    match &mixture.choices[..] {
        [one] => digest(&one.options),
        several => digest(&json!({
            "mix": mixture.mix,
            "members": mixture.members,
            "options": several.iter().map(|choice| &choice.options).collect::<Vec<_>>(),
        })),
    }
}

/// Every strategy that ships with the host, by name. Theirs are the names without a vendor.
fn shipped(search: &SearchPath) -> Vec<Contender> {
    let (found, _) = search.all();
    let beside = found.iter().filter(|found| found.origin == Origin::BesideHost);
    let mut names: Vec<&str> = beside
        .flat_map(|found| &found.plugin.metadata.components)
        .filter(|component| component.role == Role::Strategy && !component.name.contains('.'))
        .map(|component| component.name.as_str())
        .collect();
    names.sort_unstable();
    names.dedup();
    names.into_iter().map(Contender::new).collect()
}

fn ready_problem(problem: &ArenaProblem, arena: &Arena) -> Result<ReadyProblem, Error> {
    let manifest = &problem.manifest;
    let mut folders = problem.plan.plugin_folders.clone();
    folders.extend(arena.plugin_folders.iter().cloned());
    let Some(choice) = &problem.plan.objective else {
        return Err(Error::Usage(format!("problem {} has no objective", problem.name)));
    };
    let found = search_path(&folders).find(Role::Objective, &choice.plugin).map_err(|error| {
        let message = format!("problem {}: {error}", problem.name);
        Error::MissingPlugin(manifest.plugin_error(Section::Objective, &message))
    })?;
    if let Some(component) = found.plugin.metadata.component(Role::Objective, &choice.plugin) {
        let wrong = manifest.check_options(Section::Objective, &component.options_schema);
        if !wrong.is_empty() {
            return Err(wrong.into());
        }
    }
    let mut plan = problem.plan.clone();
    plan.rules.problem.trial_count = None;
    let mut content = json!({
        "problem": plan.rules.problem,
        "objective": choice.plugin,
        "version": found.plugin.metadata.version,
        "options": choice.options,
        "metric": problem.reading.name(),
        "instances": problem.has_instances,
        "attempts": plan.rules.attempts_max,
        "duplicates": plan.rules.duplicates,
    });
    if let (Reading::Hypervolume(reference), Some(content)) = (&problem.reading, content.as_object_mut()) {
        content.insert("reference".to_owned(), json!(reference));
    }
    let first = problem.has_instances.then_some(arena.first_seed);
    let made = make_objective(&found, choice, &plan, first).map_err(|error| match &error {
        HostError::Unfit(fault) if matches!(fault.kind, FaultClass::Invalid | FaultClass::Unsupported) => {
            let message = format!("problem {}: {error}", problem.name);
            Error::from(manifest.options_error(Section::Objective, &message))
        }
        _ => error.into(),
    })?;
    Ok(ReadyProblem {
        problem: problem.clone(),
        objective: found,
        shared: (!problem.has_instances).then_some(made),
        digest: digest(&content),
    })
}

fn make_objective(
    found: &Found,
    choice: &PluginChoice,
    plan: &StudyPlan,
    instance: Option<u64>,
) -> Result<Arc<dyn Evaluate>, HostError> {
    let mut choice = choice.clone();
    if let (Some(instance), Some(options)) = (instance, choice.options.as_object_mut()) {
        options.insert("instance".to_owned(), instance.into());
    }
    Ok(Arc::new(lone_objective(found, &choice, plan)?))
}

impl ReadyStrategy {
    /// Who competes on a problem.
    fn lineup(&self, problem: &ArenaProblem) -> &Lineup {
        self.of_several.as_ref().filter(|_| problem.metric_count() > 1).unwrap_or(&self.lineup)
    }

    /// Of all who compete under its name, in words.
    fn shown(&self, said: fn(&Lineup) -> String) -> String {
        let all = std::iter::once(&self.lineup).chain(&self.of_several);
        all.map(said).collect::<Vec<_>>().join(" or ")
    }
}

impl Lineup {
    fn plugin(&self) -> String {
        joined(self.mixture.choices.iter().map(|choice| choice.plugin.as_str()))
    }

    fn version(&self) -> String {
        joined(self.found.iter().map(|found| found.plugin.metadata.version.as_str()))
    }

    fn sha256(&self) -> String {
        joined(self.found.iter().map(|found| found.plugin.metadata.sha256.as_str()))
    }
}

impl Ready {
    /// By problem, then seed, then strategy: what is compared with each other is done together.
    fn every_cell(&self) -> Vec<CellPlan> {
        let most = self.arena.budgets.last().copied().unwrap_or(1);
        let least = |limits: [Option<u64>; 2], value: u64| limits.into_iter().flatten().fold(value, u64::min);
        let mut cells = Vec::new();
        for (problem_index, ReadyProblem { problem, digest, .. }) in self.problems.iter().enumerate() {
            for number in 0..self.arena.seed_count {
                for (strategy_index, strategy) in self.strategies.iter().enumerate() {
                    let contender = &strategy.contender;
                    let seed_limits = [problem.seed_count_max, contender.seed_count_max];
                    if number >= least(seed_limits, self.arena.seed_count) {
                        continue;
                    }
                    let lineup = strategy.lineup(problem);
                    let key = Key {
                        strategy: contender.name.clone(),
                        plugin: lineup.plugin(),
                        plugin_version: lineup.version(),
                        options_digest: lineup.options_digest.clone(),
                        problem: problem.name.clone(),
                        problem_digest: digest.clone(),
                        seed: self.arena.first_seed + number,
                        budget: least([problem.budget_max, contender.budget_max], most),
                        slots: self.arena.slot_count,
                    };
                    cells.push(CellPlan { strategy: strategy_index, problem: problem_index, key });
                }
            }
        }
        cells
    }

    /// Who competes in a cell.
    fn lineup(&self, cell: &CellPlan) -> &Lineup {
        self.strategies[cell.strategy].lineup(&self.problems[cell.problem].problem)
    }

    /// Whether a result is of another build of the plugin than the one that is here.
    pub fn is_of_another_build(&self, cell: &CellPlan, result: &CellResult) -> bool {
        self.lineup(cell).sha256() != result.plugin_sha256
    }

    /// What the results say of the cells that are done.
    pub fn compare(&self, results: &Results) -> Comparison {
        let entrant = |strategy: &ReadyStrategy| Entrant {
            name: strategy.contender.name.clone(),
            plugin: strategy.shown(Lineup::plugin),
            version: strategy.shown(Lineup::version),
        };
        let entrants: Vec<Entrant> = self.strategies.iter().map(entrant).collect();
        let grounds: Vec<Ground> = self.problems.iter().map(|ready| Ground::from(&ready.problem)).collect();
        let placed = |cell: &CellPlan| (cell.strategy, cell.problem, results.get(&cell.key));
        let cells: Vec<_> = self
            .cells
            .iter()
            .map(placed)
            .filter_map(|(strategy, problem, result)| Some((strategy, problem, result?)))
            .collect();
        let Arena { name, budgets, slot_count, .. } = &self.arena;
        compare(name, *slot_count, budgets, &entrants, &grounds, &cells, self.cells.len())
    }

    /// Runs the cells of the list that are not done, and adds each to the results as it ends. `on_cell` hears of
    /// each.
    ///
    /// # Errors
    /// The results could not be written.
    pub fn run(
        &self,
        cells: &[&CellPlan],
        results: &mut Results,
        interrupt: &Interrupt,
        mut on_cell: impl FnMut(&CellResult),
    ) -> Result<Tally, Error> {
        let next = AtomicUsize::new(0);
        let (sender, receiver) = channel();
        let mut run_count = 0;
        let written = std::thread::scope(|scope| {
            for _ in 0..self.arena.job_count.min(cells.len()) {
                let (sender, next) = (sender.clone(), &next);
                scope.spawn(move || {
                    while let Some(cell) = cells.get(next.fetch_add(1, Ordering::Relaxed)) {
                        if interrupt.count() > 0 {
                            break;
                        }
                        let Some(result) = self.run_cell(cell, interrupt) else { break };
                        if sender.send(result).is_err() {
                            break;
                        }
                    }
                });
            }
            drop(sender);
            for result in receiver {
                on_cell(&result);
                results.add(result)?;
                run_count += 1;
            }
            Ok(())
        });
        // the receiver is gone by then, so that nobody goes on for nothing
        written.map(|()| Tally { kept_count: 0, run_count, is_interrupted: interrupt.count() > 0 })
    }

    /// One cell; `None` if it was interrupted.
    fn run_cell(&self, cell: &CellPlan, interrupt: &Interrupt) -> Option<CellResult> {
        let lineup = self.lineup(cell);
        let ready = &self.problems[cell.problem];
        let plan = self.plan_of(cell);
        let objective = match (&ready.shared, &plan.objective) {
            (Some(shared), _) => Ok(Arc::clone(shared)),
            (None, Some(choice)) => make_objective(&ready.objective, choice, &plan, Some(cell.key.seed)),
            (None, None) => return None,
        };
        let outcome = match objective {
            Ok(objective) => {
                let Lineup { mixture, found, .. } = lineup;
                let parts = found.iter().zip(&mixture.choices).zip(&mixture.members);
                let problem = &plan.rules.problem;
                let task = Task {
                    objective,
                    strategies: parts
                        .map(|((found, choice), member)| {
                            LoadedStrategy::alone(found, choice, problem, cell.key.seed, &member.label)
                        })
                        .collect(),
                    plan,
                    slot_count: cell.key.slots,
                    reading: &ready.problem.reading,
                    budgets: &self.arena.budgets,
                };
                cell::run(task, interrupt)?
            }
            Err(error) => {
                let mut outcome = Cell::default();
                outcome.fail(Failing::Objective, error.to_string());
                outcome
            }
        };
        Some(CellResult {
            format: FORMAT,
            key: cell.key.clone(),
            plugin_sha256: lineup.sha256(),
            metric: ready.problem.reading.name().to_owned(),
            cell: outcome,
            date: Clock::start(Duration::ZERO).unix_seconds(),
            host_version: env!("CARGO_PKG_VERSION").to_owned(),
        })
    }

    /// The study of a cell.
    fn plan_of(&self, cell: &CellPlan) -> StudyPlan {
        let mixture = &self.lineup(cell).mixture;
        let mut plan = self.problems[cell.problem].problem.plan.clone();
        plan.strategies = mixture.choices.clone();
        plan.rules.members = mixture.members.clone();
        plan.rules.mix = mixture.mix;
        // all contenders see whole trials
        (plan.early_stopping, plan.rules.early_stopping) = (None, None);
        plan.rules.seed = cell.key.seed;
        plan.rules.budget = Budget { trial_count: Some(cell.key.budget), ..Budget::default() };
        plan.rules.problem.trial_count = Some(cell.key.budget);
        plan
    }
}
