//! From a manifest of the right form to a plan: what its parts mean, and whether they fit together.
//!
//! Values of a wrong form were reported by `structure` and are passed over here, so that no mistake is reported
//! twice and none hides another.

use super::diagnostics::{At, Diagnostic};
use super::keys::DEFAULT_JOURNAL;
use super::structure::{NAME_LENGTH_MAX, is_name};
use super::tree::{Entry, Kind, Node};
use super::{duration, size};
use crate::automatic::{self, AUTOMATIC, Mixture};
use crate::journal::{Location, ServerUrl};
use crate::plan::{
    FaultRules, Isolation, IsolationRules, JournalChoice, OnInterrupt, PluginChoice, RunRules, StudyPlan,
    Sync, Transfer,
};
use ansatz_core::metric::{Goal, Metric, OutcomeConstraint, Side};
use ansatz_core::problem::{FidelityRange, Problem};
use ansatz_core::rng::{Rng, Streams};
use ansatz_core::space::{
    Condition, Constraint, Domain, INTEGER_MAGNITUDE_MAX, Parameter, Place, Scale, Space, SpaceError, Test,
    Value,
};
use ansatz_core::study::{
    Budget, CostLimit, EnqueuedPoint, LittleExpected, Member, Mix, Plateau, StudyRules,
};
use serde::de::DeserializeOwned;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Trials that may fail in a row unless the manifest says otherwise.
const CONSECUTIVE_FAILURES_MAX: u64 = 10;

/// Where a manifest comes from.
pub(super) struct PlanSource<'a> {
    /// Absolute.
    pub folder: &'a Path,
    pub file_name: &'a str,
    /// As `key=value`.
    pub overrides: &'a [String],
}

/// The plan of a manifest; `None` where something is wrong, which is then in `found`.
pub(super) fn plan(root: &Node, source: &PlanSource<'_>, found: &mut Vec<Diagnostic>) -> Option<StudyPlan> {
    let folder = source.folder;
    let mut checker = Checker { root, found };
    let seed = checker.get(&["study", "seed"]).and_then(Node::int).and_then(|seed| u64::try_from(seed).ok());
    let (metrics, outcome_constraints) = checker.metrics();
    let space = checker.space();
    let fidelity = checker.fidelity();
    let mix: Mix = checker.word(&["study", "mix"]);
    let tables = root.get("strategy").map_or(&[][..], Node::items);
    let Mixture { mix, members, choices: strategies } = match root.get("strategy") {
        Some(_) => {
            let (members, choices) = members(tables, "strategy", mix, checker.found);
            Mixture { mix, members, choices }
        }
        None => {
            if let Some(node) = checker.get(&["study", "mix"]) {
                let finding = Diagnostic::at(&node.at, "study.mix has no effect: no strategy is named");
                checker.report(finding.help("leave it out, or name strategies in [[strategy]]"));
            }
            let trials = root.get("budget").and_then(|budget| budget.get("trials"));
            automatic::mixture(metrics.len(), trials.and_then(count))
        }
    };
    let budget = checker.budget(&metrics);
    let objective = checker.get(&["objective"]).and_then(plugin_choice);
    let early_stopping = checker.get(&["early_stopping"]).and_then(plugin_choice);
    let streams = Streams::new(seed.unwrap_or(0));
    let enqueued = space.as_ref().map_or_else(Vec::new, |space| checker.enqueued(space, streams));
    let transfers = checker.transfers(space.as_ref(), folder);
    let server = checker.server();
    let run = checker.get(&["run"]);
    let number = |key| run.and_then(|run| run.get(key)).and_then(Node::int);
    let slot_count = number("slots").and_then(|count| usize::try_from(count).ok()).unwrap_or(1);
    let is_deterministic = run.and_then(|run| run.get("deterministic")?.truth()).unwrap_or(false);
    let window = number("deterministic")
        .and_then(|count| u64::try_from(count).ok())
        .or(is_deterministic.then_some(slot_count as u64));
    if let Some(node) = run.and_then(|run| run.get("on_interrupt")).filter(|_| window.is_some())
        && node.text() == Some("fail")
    {
        let message = "run.deterministic cannot go with on_interrupt = \"fail\": then it would matter when the host died";
        checker.report(
            Diagnostic::at(&node.at, message).help("leave on_interrupt out: such trials are run again"),
        );
    }
    if let (Some(node), Some(2..)) = (run.and_then(|run| run.get("deterministic")), window)
        && checker.get(&["early_stopping"]).is_some()
    {
        let message = "run.deterministic cannot go with [early_stopping] where several trials run at once: verdicts would \
                       rest on how far the others have got, and so on how long trials take";
        let help = "leave run.deterministic out, or write run.deterministic = 1: one trial after the other repeats in any case";
        checker.report(Diagnostic::at(&node.at, message).help(help));
    }
    let consecutive_failures_max = match run.and_then(|run| run.get("stop_after_failures")) {
        Some(node) if node.truth() == Some(false) => None,
        Some(node) => node.int().and_then(|count| u64::try_from(count).ok()),
        None => Some(CONSECUTIVE_FAILURES_MAX),
    };
    let text = |section, key| checker.get(&[section, key]).and_then(Node::text);
    let plugins = checker.get(&["plugins"]);
    let standard = FaultRules::default();
    let faults = FaultRules {
        restart_count_max: plugins
            .and_then(|plugins| plugins.get("restarts"))
            .and_then(count)
            .unwrap_or(standard.restart_count_max),
        fallback: match plugins.and_then(|plugins| plugins.get("fallback")) {
            None => standard.fallback,
            Some(node) => node.text().map(PluginChoice::new),
        },
    };
    let plugin_folders = checker.get(&["plugins", "path"]).map_or(&[][..], Node::items);
    let problem = Problem {
        trial_count: trial_count(&budget, &members),
        outcome_constraints,
        fidelity,
        ..Problem::new(space?, metrics)
    };
    Some(StudyPlan {
        name: text("study", "name").map_or_else(|| name_of(source.file_name), str::to_owned),
        rules: StudyRules {
            problem,
            seed: seed.unwrap_or(0),
            members,
            mix,
            budget,
            attempts_max: number("retries").and_then(|count| u32::try_from(count).ok()).unwrap_or(0) + 1,
            duplicates: checker.word(&["run", "duplicates"]),
            consecutive_failures_max,
            window,
            early_stopping: early_stopping.as_ref().map(|choice: &PluginChoice| choice.plugin.clone()),
            enqueued,
        },
        objective,
        strategies,
        is_automatic: root.get("strategy").is_none(),
        early_stopping,
        transfers,
        repeated_count: 0,
        run: RunRules {
            slot_count,
            trial_timeout: checker.duration(&["run", "trial_timeout"]),
            on_interrupt: checker.word::<OnInterrupt>(&["run", "on_interrupt"]),
        },
        journal: JournalChoice {
            server,
            // unnamed, it is where the command runs: there the reading commands look for it too
            path: text("journal", "path")
                .map_or_else(|| PathBuf::from(DEFAULT_JOURNAL), |path| folder.join(path)),
            sync: checker.word::<Sync>(&["journal", "sync"]),
        },
        plugin_folders: plugin_folders.iter().filter_map(Node::text).map(|path| folder.join(path)).collect(),
        faults,
        manifest_folder: folder.to_owned(),
        manifest_name: source.file_name.to_owned(),
        overrides: source.overrides.to_vec(),
    })
}

/// A study's name from a file's: without the ending, and what may not stand in it becomes a hyphen.
fn name_of(file_name: &str) -> String {
    let stem = Path::new(file_name).file_stem().unwrap_or_default().to_string_lossy();
    let letter = |c: char| if is_name(c.encode_utf8(&mut [0; 4])) { c } else { '-' };
    let name: String = stem.chars().map(letter).take(NAME_LENGTH_MAX).collect();
    if name.is_empty() { "study".to_owned() } else { name }
}

/// The least of what the budget and the strategies allow, if that is known.
fn trial_count(budget: &Budget, members: &[Member]) -> Option<u64> {
    let by_members = members
        .iter()
        .map(|member| member.trial_count_max)
        .try_fold(0_u64, |sum, count| Some(sum.saturating_add(count?)));
    [budget.trial_count, by_members].into_iter().flatten().min()
}

pub(crate) fn plugin_choice(section: &Node) -> Option<PluginChoice> {
    let options = match section.get("options") {
        Some(options) => options.to_json(),
        None => serde_json::json!({}),
    };
    let standard = IsolationRules::default();
    let isolation = IsolationRules {
        isolation: section.get("isolation").and_then(Node::text).and_then(|text| match text {
            "process" | "worker" | "subprocess" => Some(Isolation::Process),
            "none" | "in-process" => Some(Isolation::None),
            _ => None,
        }),
        call_timeout: section
            .get("call_timeout")
            .and_then(|node| duration::read(node).ok())
            .unwrap_or(standard.call_timeout),
        memory_bytes_max: section.get("memory").and_then(|node| size::read(node).ok()),
    };
    Some(PluginChoice { plugin: section.get("plugin")?.text()?.to_owned(), options, isolation })
}

/// The strategies of a list of tables, which messages call by `path`.
pub(crate) fn members(
    tables: &[Node],
    path: &str,
    mix: Mix,
    found: &mut Vec<Diagnostic>,
) -> (Vec<Member>, Vec<PluginChoice>) {
    let mut taken: Vec<&str> = Vec::new();
    for label in tables.iter().filter_map(|table| table.get("label")) {
        let Some(text) = label.text() else { continue };
        if taken.contains(&text) {
            let finding = Diagnostic::at(&label.at, format!("two strategies have the label {text:?}"));
            found.push(finding.help("a label is unique in its study"));
        }
        taken.push(text);
    }
    let mut taken: Vec<String> = taken.into_iter().map(str::to_owned).collect();
    let (mut members, mut choices) = (Vec::new(), Vec::new());
    for (index, table) in tables.iter().enumerate() {
        if let Some(entry) = table.table().and_then(|table| table.entry("weight"))
            && mix != Mix::Weighted
        {
            let message = format!("{path}.{index}.weight has no effect here");
            let help = "set mix = \"weighted\", or leave the weight out";
            found.push(Diagnostic::at(&entry.key_at, message).help(help));
        }
        if let Some(entry) = table.table().and_then(|table| table.entry("after"))
            && mix != Mix::Adaptive
        {
            let message = format!("{path}.{index}.after has no effect here");
            let help = "set mix = \"adaptive\", or let mix = \"phases\" and `trials` say who follows whom";
            found.push(Diagnostic::at(&entry.key_at, message).help(help));
        }
        if mix == Mix::Phases
            && index + 1 < tables.len()
            && table.table().is_some()
            && table.get("trials").is_none()
        {
            let message = format!("{path}.{index} needs the key \"trials\": its phase would never end");
            let help = "for example trials = 20; a strategy that ends by itself, such as a grid, may get more than it needs";
            found.push(Diagnostic::at(&table.at, message).help(help));
        }
        let Some(choice) = plugin_choice(table) else { continue };
        if let Some(node) = table.get("plugin").filter(|_| choice.plugin == AUTOMATIC) {
            let message = format!("{AUTOMATIC} is no strategy: it is what a study has that names none");
            found.push(Diagnostic::at(&node.at, message).help("leave it out: it does not mix with others"));
        }
        let label = table.get("label").and_then(Node::text).map_or_else(
            || {
                let numbered = (2_u32..).map(|number| format!("{}-{number}", choice.plugin));
                let mut names = std::iter::once(choice.plugin.clone()).chain(numbered);
                let label = names.find(|name| !taken.contains(name)).unwrap_or_default();
                taken.push(label.clone());
                label
            },
            str::to_owned,
        );
        members.push(Member {
            label,
            weight: table.get("weight").and_then(Node::number).unwrap_or(1.0),
            trial_count_max: table.get("trials").and_then(count),
            after_count: table.get("after").and_then(count).unwrap_or(0),
        });
        choices.push(choice);
    }
    (members, choices)
}

/// A word as the core spells it; its default where there is none, or an unknown one.
pub(crate) fn word<T: DeserializeOwned + Default>(node: Option<&Node>) -> T {
    node.and_then(Node::text).and_then(|text| read_word(&text.replace('_', "-"))).unwrap_or_default()
}

struct Checker<'a> {
    root: &'a Node,
    found: &'a mut Vec<Diagnostic>,
}

impl<'a> Checker<'a> {
    fn get(&self, path: &[&str]) -> Option<&'a Node> {
        path.iter().try_fold(self.root, |node, key| node.get(key))
    }

    fn report(&mut self, finding: Diagnostic) {
        self.found.push(finding);
    }

    fn word<T: DeserializeOwned + Default>(&self, path: &[&str]) -> T {
        word(self.get(path))
    }

    fn duration(&self, path: &[&str]) -> Option<Duration> {
        duration::read(self.get(path)?).ok()
    }

    fn metrics(&mut self) -> (Vec<Metric>, Vec<OutcomeConstraint>) {
        let (mut metrics, mut bounds) = (Vec::new(), Vec::new());
        let Some(section) = self.root.get("metrics") else { return (metrics, bounds) };
        // whatever was reported already may have been meant as a goal
        let mut may_have_goal = section.entries().is_empty();
        for Entry { key: name, value, .. } in section.entries() {
            let goal_node = if value.text().is_some() { Some(value) } else { value.get("goal") };
            let is_bound = |entry: &Entry| matches!(entry.key.as_str(), "at_most" | "at_least");
            may_have_goal |= value.entries().is_empty() || !value.entries().iter().all(is_bound);
            if let Some(goal) = goal_node.and_then(Node::text).and_then(read_word::<Goal>) {
                metrics.push(Metric { name: name.clone(), goal });
            }
            let sides = [("at_most", Side::AtMost), ("at_least", Side::AtLeast)];
            let [most, least] = sides.map(|(key, side)| {
                let bound = value.get(key)?.number()?;
                bounds.push(OutcomeConstraint { metric: name.clone(), side, bound });
                Some(bound)
            });
            if let (Some(most), Some(least)) = (most, least)
                && least > most
            {
                let message = format!("metric {name} cannot be at least {least} and at most {most}");
                self.report(Diagnostic::at(&value.at, message));
            }
            if value.table().is_some_and(|table| table.entries.is_empty()) {
                let message = format!("metric {name} has neither a goal nor a bound");
                let help = "write \"minimise\" or \"maximise\", or { at_most = 50 } or { at_least = 0.9 }";
                self.report(Diagnostic::at(&value.at, message).help(help));
            }
        }
        if !may_have_goal {
            let finding = Diagnostic::at(&section.at, "no metric has a goal: there is nothing to improve");
            self.report(finding.help("at least one metric is \"minimise\" or \"maximise\""));
        }
        (metrics, bounds)
    }

    fn fidelity(&mut self) -> Option<FidelityRange> {
        let section = self.root.get("fidelity")?;
        let (lower, upper) = (section.get("min")?.number()?, section.get("max")?.number()?);
        if lower >= upper {
            let message = format!("the fidelity range is empty: min {lower} is not below max {upper}");
            self.report(
                Diagnostic::at(&section.get("min")?.at, message).help("swap them, or leave out [fidelity]"),
            );
        }
        Some(FidelityRange { name: section.get("name")?.text()?.to_owned(), lower, upper })
    }

    fn server(&mut self) -> Option<ServerUrl> {
        let text = self.root.get("journal")?.get("store")?.text()?;
        match ServerUrl::try_from(text.to_owned()) {
            Ok(url) => Some(url),
            Err(reason) => {
                // not at its place: the line would be shown, and what is wrong with it may be a password
                self.report(Diagnostic::nowhere(format!("journal.store: {reason}")));
                None
            }
        }
    }

    /// Points that the study begins with.
    fn enqueued(&mut self, space: &Space, streams: Streams) -> Vec<EnqueuedPoint> {
        let mut points = Vec::new();
        for (index, table) in self.root.get("enqueue").map_or(&[][..], Node::items).iter().enumerate() {
            let before = self.found.len();
            let mut values = Vec::new();
            for Entry { key, key_at, value: node } in table.entries() {
                let Some(value) = value(node) else { continue };
                if let Err(reason) = space.point_from_values([(key.as_str(), value.clone())]) {
                    let at = if space.index_of(key).is_none() { key_at } else { &node.at };
                    self.report(advice(at, "enqueue: ", &reason));
                }
                values.push((key.as_str(), value));
            }
            if self.found.len() > before {
                continue;
            }
            let Ok(point) = space.point_from_values(values) else { continue };
            match space.filled(&point, &mut streams.filling(index as u64)) {
                Ok(point) => points.push(EnqueuedPoint { point, fidelity: None }),
                Err(reason) => {
                    let help = "what a point leaves out is drawn; what it has must be active, and keep the constraints";
                    self.report(Diagnostic::at(&table.at, format!("enqueue: {reason}")).help(help));
                }
            }
        }
        points
    }

    fn transfers(&mut self, space: Option<&Space>, folder: &Path) -> Vec<Transfer> {
        let mut transfers = Vec::new();
        for table in self.root.get("transfer").map_or(&[][..], Node::items) {
            let Some(study) = table.get("study").and_then(Node::text) else { continue };
            let store = match table.get("store").and_then(Node::text).map(str::parse) {
                None => None,
                Some(Ok(Location::File(path))) => Some(Location::File(folder.join(path))),
                Some(Ok(server)) => Some(server),
                Some(Err(reason)) => {
                    // not at its place: what is wrong with it may be a password
                    self.report(Diagnostic::nowhere(format!("transfer: {reason}")));
                    continue;
                }
            };
            let mut defaults = BTreeMap::new();
            for Entry { key, key_at, value: node } in table.get("defaults").map_or(&[][..], Node::entries) {
                let (Some(value), Some(space)) = (value(node), space) else { continue };
                if let Err(reason) = space.point_from_values([(key.as_str(), value.clone())]) {
                    let at = if space.index_of(key).is_none() { key_at } else { &node.at };
                    self.report(advice(at, "transfer: ", &reason));
                }
                defaults.insert(key.clone(), value);
            }
            let repeat = table.get("repeat").and_then(count).and_then(|count| usize::try_from(count).ok());
            let results = table.get("results").and_then(Node::truth).unwrap_or(true);
            let repeat_count = repeat.unwrap_or(1);
            if !results && repeat_count == 0 {
                let message = "the transfer has no effect: it tells no results and repeats no points";
                self.report(Diagnostic::at(&table.at, message));
            }
            transfers.push(Transfer { study: study.to_owned(), store, results, repeat_count, defaults });
        }
        transfers
    }

    fn budget(&mut self, metrics: &[Metric]) -> Budget {
        let section = self.root.get("budget");
        let strategies = self.root.get("strategy").map_or(&[][..], Node::items);
        let strategies_end =
            !strategies.is_empty() && strategies.iter().all(|strategy| strategy.get("trials").is_some());
        let is_limited =
            section.is_some_and(|section| !section.entries().is_empty() || section.table().is_none());
        if !is_limited && !strategies_end {
            let message = "the study has no limit: it would never end";
            let finding = match section {
                Some(section) => Diagnostic::at(&section.at, message),
                None => Diagnostic::nowhere(message),
            };
            self.report(finding.help(
                "give [budget] at least one of trials = 50, wall_time = \"10min\", target = 0.02, \
                 cost = { metric = \"gpu_seconds\", limit = 3600 }; or until_exhausted = true for strategies that \
                 end by themselves, such as a grid; or give every strategy trials",
            ));
        }
        let Some(section) = section else { return Budget::default() };
        let cost = section.get("cost").and_then(|cost| {
            let metric = cost.get("metric")?;
            Some((
                metric,
                CostLimit { metric: metric.text()?.to_owned(), limit: cost.get("limit")?.number()? },
            ))
        });
        if let Some((node, cost)) = &cost
            && metrics.iter().any(|metric| metric.name == cost.metric && metric.goal == Goal::Maximise)
        {
            let message = format!("metric {} cannot be maximised and a cost at the same time", cost.metric);
            let help = "a cost is what each trial uses up, such as \"gpu_seconds\"; it needs no goal";
            self.report(Diagnostic::at(&node.at, message).help(help));
        }
        let plateau = section.get("plateau").and_then(|plateau| {
            let min_delta = plateau.get("min_delta").and_then(Node::number);
            if let Some(node) = plateau.get("min_delta").filter(|_| metrics.len() > 1) {
                let message = "budget.plateau.min_delta has no effect with several metrics: a trial that joins the front is better";
                self.report(Diagnostic::at(&node.at, message).help("leave it out"));
            }
            Some(Plateau { trial_count: count(plateau.get("trials")?)?, min_delta: min_delta.unwrap_or(0.0) })
        });
        let little = section.get("expected_improvement").and_then(|node| {
            if section.entries().len() == 1 && !strategies_end {
                let message = "budget.expected_improvement alone may never end the study: strategies without a model expect nothing";
                self.report(Diagnostic::at(&node.at, message).help("add another limit, such as trials = 200"));
            }
            if metrics.len() > 1 {
                let message = "budget.expected_improvement is for one metric; predictions are of the first alone";
                self.report(Diagnostic::at(&node.at, message).help("use plateau, which counts trials that join the front"));
            }
            let below = node.number().or_else(|| node.get("below")?.number())?;
            Some(LittleExpected { below, trial_count: node.get("trials").and_then(count).unwrap_or(5) })
        });
        Budget {
            expected_improvement: little,
            trial_count: section.get("trials").and_then(count),
            wall_time: self.duration(&["budget", "wall_time"]),
            target: section.get("target").and_then(Node::number),
            cost: cost.map(|(_, cost)| cost),
            completed_count: section.get("completed").and_then(count),
            plateau,
        }
    }

    fn space(&mut self) -> Option<Space> {
        let entries = self.root.get("space")?.entries();
        let mut parameters = Vec::new();
        let mut is_known = Vec::new();
        for entry in entries {
            let domain = self.domain(entry);
            is_known.push(domain.is_some());
            // stands for a domain that was reported: conditions on it are passed over, its name is known
            let unknown =
                Domain::Float { lower: f64::NAN, upper: f64::NAN, scale: Scale::Linear, step: None };
            parameters.push(Parameter::new(entry.key.clone(), domain.unwrap_or(unknown)));
        }
        let mut condition_places = Vec::new();
        for (index, entry) in entries.iter().enumerate() {
            let (conditions, places) = self.conditions(entry.value.get("when"), &parameters);
            parameters[index].conditions = conditions;
            condition_places.push(places);
        }
        let (constraints, constraint_places) = self.constraints(&parameters);
        if entries.is_empty() {
            return None;
        }
        let names: Vec<String> = parameters.iter().map(|parameter| parameter.name.clone()).collect();
        let domains: Vec<Domain> = parameters.iter().map(|parameter| parameter.domain.clone()).collect();
        let errors = match Space::new(parameters, constraints) {
            Ok(space) => {
                // what has no point at all would only be found out by the first strategy
                if space.sample(&mut Rng::new(0)).is_none() {
                    let at = self.root.get("constraints").map(|node| node.at.clone())?;
                    self.found.push(
                        Diagnostic::at(&at, "no point of the space satisfies all constraints")
                            .help("they contradict each other or the bounds: widen or drop one"),
                    );
                }
                return Some(space);
            }
            Err(errors) => errors,
        };
        for SpaceError { place, message } in errors {
            let (at, prefix) = match place {
                Place::Space => (self.root.get("space")?.at.clone(), "space: ".to_owned()),
                Place::Parameter(index) if !is_known[index] || names[index].trim().is_empty() => continue,
                Place::Parameter(index) => {
                    (domain_place(&entries[index], &domains[index]), format!("parameter {}: ", names[index]))
                }
                Place::Condition(index, position) => {
                    let Some((key_at, value_at)) = condition_places[index].get(position) else { continue };
                    let at = if message.starts_with("there is no parameter") { key_at } else { value_at };
                    (at.clone(), format!("condition of {}: ", names[index]))
                }
                Place::Constraint(index) => match &constraint_places[index] {
                    ConstraintPlace::Relation(at) => (at.clone(), "constraint: ".to_owned()),
                    ConstraintPlace::Combination(at, places) => {
                        let culprit = places.iter().find(|(name, _)| {
                            message.contains(&format!("{name:?}")) || message.starts_with(&format!("{name} "))
                        });
                        (culprit.map_or(at, |place| &place.1).clone(), "forbidden combination: ".to_owned())
                    }
                },
            };
            self.report(advice(&at, &prefix, &message));
        }
        None
    }

    /// The domain of a parameter; `None` where its form is wrong.
    fn domain(&mut self, entry: &Entry) -> Option<Domain> {
        let node = &entry.value;
        if node.text().is_some() {
            return node.text().and_then(|text| matches!(text, "bool" | "boolean").then_some(Domain::Bool));
        }
        let table = node.table()?;
        let mut kinds = table.entries.iter().filter(|entry| {
            matches!(entry.key.as_str(), "float" | "int" | "categorical" | "ordinal" | "bool")
        });
        let (kind, None) = (kinds.next()?, kinds.next()) else { return None };
        let is_numeric = matches!(kind.key.as_str(), "float" | "int");
        for key in ["scale", "step"] {
            if let (false, Some(stray)) = (is_numeric, table.entry(key)) {
                let message = format!("parameter {}: a {} parameter has no {key}", entry.key, kind.key);
                self.report(
                    Diagnostic::at(&stray.key_at, message).help(format!("{key} is for float and int")),
                );
            }
        }
        let scale = table.get("scale").and_then(Node::text).and_then(|text| match text {
            "logarithmic" | "loguniform" => Some(Scale::Log),
            "lin" | "uniform" => Some(Scale::Linear),
            _ => read_word(text),
        });
        let scale = scale.unwrap_or_default();
        // a step of 0 or less was reported with its form
        let step = table.get("step").filter(|step| step.number().is_some_and(|number| number > 0.0));
        match kind.key.as_str() {
            "float" => {
                let [lower, upper] = pair(&kind.value, Node::number)?;
                Some(Domain::Float { lower, upper, scale, step: step.and_then(Node::number) })
            }
            "int" => {
                let [lower, upper] = pair(&kind.value, Node::int)?;
                if let Some(node) = step
                    && matches!(node.kind, Kind::Float(_))
                {
                    let message = format!(
                        "parameter {}: the step of an int is a whole number, found {}",
                        entry.key,
                        node.describe()
                    );
                    self.report(Diagnostic::at(&node.at, message).help("use float for steps of fractions"));
                }
                Some(Domain::Int { lower, upper, scale, step: step.and_then(Node::int).unwrap_or(1) })
            }
            "categorical" => Some(Domain::Categorical { choices: values(kind.value.items_of_list()?)? }),
            "ordinal" => Some(Domain::Ordinal { values: values(kind.value.items_of_list()?)? }),
            _ => kind.value.truth().filter(|truth| *truth).map(|_| Domain::Bool),
        }
    }

    /// Conditions with the places of their names and of their values.
    fn conditions(
        &mut self,
        node: Option<&Node>,
        parameters: &[Parameter],
    ) -> (Vec<Condition>, Vec<(At, At)>) {
        let (mut conditions, mut places) = (Vec::new(), Vec::new());
        for entry in node.map_or(&[][..], Node::entries) {
            let Some(test) = self.test(entry, parameters) else { continue };
            conditions.push(Condition { parameter: entry.key.clone(), test });
            places.push((entry.key_at.clone(), entry.value.at.clone()));
        }
        (conditions, places)
    }

    fn test(&mut self, entry: &Entry, parameters: &[Parameter]) -> Option<Test> {
        match &entry.value.kind {
            Kind::List(items) => Some(Test::Among(values(items)?)),
            Kind::Table(table) => {
                let bound = |key| match table.get(key) {
                    Some(node) => node.number().map(Some),
                    None => Some(None),
                };
                let (lower, upper) = (bound("min")?, bound("max")?);
                if table.entries.is_empty() {
                    let message = format!("the range of {} has neither min nor max", entry.key);
                    self.report(
                        Diagnostic::at(&entry.value.at, message).help("for example { min = 2, max = 3 }"),
                    );
                    return None;
                }
                // an unknown name, or one that is no number, is refused whatever the bounds
                let domain =
                    parameters.iter().find(|known| known.name == entry.key).map(|known| &known.domain);
                let (lowest, highest) = domain
                    .filter(|domain| domain.is_numeric() && domain.check().is_ok())
                    .map_or((0.0, 0.0), |domain| (domain.lower(), domain.upper()));
                // a single bound beyond the domain still makes a range, so that it is refused for what it is
                let one_sided = |bound: f64, own: f64, beyond: bool| if beyond { bound } else { own };
                Some(match (lower, upper) {
                    (Some(lower), Some(upper)) => Test::Within { lower, upper },
                    (Some(lower), None) => {
                        Test::Within { lower, upper: one_sided(lower, highest, lower > highest) }
                    }
                    (None, Some(upper)) => {
                        Test::Within { lower: one_sided(upper, lowest, upper < lowest), upper }
                    }
                    (None, None) => return None,
                })
            }
            _ => value(&entry.value).map(Test::Equals),
        }
    }

    fn constraints(&mut self, parameters: &[Parameter]) -> (Vec<Constraint>, Vec<ConstraintPlace>) {
        let (mut constraints, mut constraint_places) = (Vec::new(), Vec::new());
        let Some(section) = self.root.get("constraints") else { return (constraints, constraint_places) };
        for node in section.get("require").map_or(&[][..], Node::items) {
            let Some(text) = node.text().filter(|text| !text.trim().is_empty()) else { continue };
            match Constraint::parse(text) {
                Ok(constraint) => {
                    constraints.push(constraint);
                    constraint_places.push(ConstraintPlace::Relation(node.at.clone()));
                }
                Err(message) => self.report(advice(&node.at, "constraint: ", &message)),
            }
        }
        for node in section.get("forbid").map_or(&[][..], Node::items) {
            let (conditions, places) = self.conditions(Some(node), parameters);
            // fewer conditions than were written would forbid more than was meant
            if conditions.is_empty() || conditions.len() < node.entries().len() {
                continue;
            }
            let places = (conditions.iter().zip(places))
                .map(|(condition, (key_at, _))| (condition.parameter.clone(), key_at))
                .collect();
            constraints.push(Constraint::Forbidden(conditions));
            constraint_places.push(ConstraintPlace::Combination(node.at.clone(), places));
        }
        (constraints, constraint_places)
    }
}

enum ConstraintPlace {
    Relation(At),
    /// The table, and its parameters with the places of their names.
    Combination(At, Vec<(String, At)>),
}

/// A message of the core, with what to do (after a semicolon) apart from what is wrong.
fn advice(at: &At, prefix: &str, message: &str) -> Diagnostic {
    match message.split_once("; ") {
        Some((problem, help)) => Diagnostic::at(at, format!("{prefix}{problem}")).help(help),
        None => Diagnostic::at(at, format!("{prefix}{message}")),
    }
}

/// Which part of a parameter makes its domain invalid.
fn domain_place(entry: &Entry, domain: &Domain) -> At {
    let get = |key: &str| entry.value.get(key);
    let range_place = |kind: &str, lower: f64, upper: f64, scale: Scale| {
        let range = get(kind)?;
        let is_too_large =
            |bound: &&Node| bound.int().is_some_and(|n| n.unsigned_abs() > INTEGER_MAGNITUDE_MAX as u64);
        if let (Domain::Int { .. }, Some(bound)) = (domain, range.items().iter().find(is_too_large)) {
            Some(bound.at.clone())
        } else if lower > upper {
            Some(range.at.clone())
        } else if scale == Scale::Log && lower <= 0.0 {
            range.items().first().map(|bound| bound.at.clone())
        } else {
            Some(get("step").unwrap_or(range).at.clone())
        }
    };
    let repeated = |kind: &str, listed: &[Value]| {
        let list = get(kind)?;
        let index = (0..listed.len()).find(|index| listed[..*index].iter().any(|v| v.means(&listed[*index])));
        Some(index.and_then(|index| list.items().get(index)).unwrap_or(list).at.clone())
    };
    let place = match domain {
        Domain::Float { lower, upper, scale, .. } => range_place("float", *lower, *upper, *scale),
        Domain::Int { lower, upper, scale, .. } => range_place("int", *lower as f64, *upper as f64, *scale),
        Domain::Categorical { choices } => repeated("categorical", choices),
        Domain::Ordinal { values } => repeated("ordinal", values),
        Domain::Bool => None,
    };
    place.unwrap_or_else(|| entry.key_at.clone())
}

fn pair<T>(node: &Node, read: impl Fn(&Node) -> Option<T>) -> Option<[T; 2]> {
    match node.items() {
        [lower, upper] => Some([read(lower)?, read(upper)?]),
        _ => None,
    }
}

fn value(node: &Node) -> Option<Value> {
    match &node.kind {
        Kind::Text(text) => Some(Value::Text(text.clone())),
        Kind::Int(number) => Some(Value::Int(*number)),
        Kind::Float(number) => Some(Value::Float(*number)),
        Kind::Bool(truth) => Some(Value::Bool(*truth)),
        Kind::List(_) | Kind::Table(_) | Kind::Broken => None,
    }
}

fn values(nodes: &[Node]) -> Option<Vec<Value>> {
    nodes.iter().map(value).collect()
}

fn count(node: &Node) -> Option<u64> {
    node.int().and_then(|number| u64::try_from(number).ok())
}

fn read_word<T: DeserializeOwned>(word: &str) -> Option<T> {
    serde_json::from_value(serde_json::Value::String(word.to_owned())).ok()
}
