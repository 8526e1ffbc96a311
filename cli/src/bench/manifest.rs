//! The file of an arena: which strategies meet on which problems, how often, and for how long.
//!
//! It is read by the machinery of study manifests, so that what is wrong is said in the same way: everything at once,
//! where it stands, with what is allowed. A problem is a study manifest, in a file of its own or in a table of this one.

use super::reading::{HYPERVOLUME, HYPERVOLUME_METRIC_COUNT_MAX, Reading};
use crate::automatic::{self, AUTOMATIC, Mixture};
use crate::error::Error;
use crate::manifest::check::{members, plugin_choice, word};
use crate::manifest::diagnostics::{At, Diagnostic};
use crate::manifest::keys::Need::{Default, Optional, Required};
use crate::manifest::keys::{
    CALL_TIMEOUT_KEY, Form, GOAL, ISOLATION_KEY, Keys, MEMORY_KEY, MIX, STRATEGY, document_schema, key,
};
use crate::manifest::tree::{Entry, Kind, Node, Table};
use crate::manifest::{Diagnostics, Manifest, options};
use crate::plan::{PluginChoice, StudyPlan};
use ansatz_core::metric::Goal;
use ansatz_core::study::{Member, Mix};
use std::path::{Path, PathBuf};

/// The arenas that come with Ansatz, by name. Strategies that take one metric alone would lead the standings of one arena
/// with all problems, by means over fewer of them.
const SHIPPED: [(&str, &str); 2] =
    [("standard", include_str!("standard.toml")), ("several", include_str!("several.toml"))];

/// What a problem's manifest is read with: who proposes and for how long is for the arena to say.
const OVERRIDES: [&str; 3] = ["strategy=[{ plugin = \"random\" }]", "budget={ trials = 1 }", "run.slots=1"];

/// Runs of each strategy on each problem unless the file says otherwise.
const SEED_COUNT: u64 = 10;

/// The most trials of a run, and the most runs: a trace has a number for each.
const TRIALS_MAX: i64 = 1_000_000;

static ARENA: Keys = Keys {
    keys: &[
        key(
            "name",
            Form::Name,
            Optional,
            "What the arena is called. Default: the name of the file without its ending.",
            "name = \"family\"",
        ),
        key(
            "budgets",
            Form::List(&Form::Whole(1, TRIALS_MAX)),
            Default("[30, 60, 100]"),
            "Counts of trials at which results are compared; each run makes as many as the largest.",
            "budgets = [30, 60, 100]",
        )
        .also(&["budget", "trials"]),
        key(
            "seeds",
            Form::Whole(1, TRIALS_MAX),
            Default("10"),
            "How often each strategy meets each problem, with a seed of its own each time.",
            "seeds = 10",
        )
        .also(&["repeats", "runs"]),
        key(
            "first_seed",
            Form::Whole(0, i64::MAX / 2),
            Default("1"),
            "The first of the seeds; the others follow it.",
            "first_seed = 1",
        )
        .also(&["seed"]),
        key("jobs", Form::Whole(1, 1_024), Default("1"), "How many runs go on at the same time.", "jobs = 2")
            .also(&["parallel", "workers", "n_jobs"]),
        key(
            "slots",
            Form::Whole(1, 1_024),
            Default("1"),
            "How many trials a strategy has under way at a time; the oldest ends first.",
            "slots = 8",
        )
        .also(&["concurrency", "pending", "batch", "batch_size"]),
        key(
            "strategies",
            Form::Named(&Form::Table(&CONTENDER)),
            Optional,
            "Who competes, by the name that is shown. Default: every strategy that ships with Ansatz.",
            "[strategies.bayesian]",
        )
        .also(&["strategy", "samplers"]),
        key(
            "problems",
            Form::Named(&Form::Table(&PROBLEM)),
            Required,
            "On what, by the name that is shown.",
            "[problems.branin]\nstudy = \"problems/branin.toml\"",
        )
        .also(&["problem", "functions"]),
        key(
            "plugins",
            Form::Table(&PLUGINS),
            Optional,
            "Where plugins are looked for first.",
            "[plugins]\npath = [\"plugins\"]",
        ),
    ],
    one_of: &[],
};

static CONTENDER: Keys = Keys {
    keys: &[
        key(
            "plugin",
            Form::Name,
            Optional,
            "The strategy's name. Default: the name that is shown.",
            "plugin = \"bayesian\"",
        ),
        key(
            "options",
            Form::Options,
            Optional,
            "As in a study; `ansatz plugins inspect NAME` lists them.",
            "options = { }",
        )
        .also(&["params", "settings", "config"]),
        key(
            "strategy",
            Form::Tables(&STRATEGY),
            Optional,
            "Several strategies that compete as one, as in a study; instead of `plugin` and `options`.",
            "strategy = [{ plugin = \"bayesian\" }, { plugin = \"random\" }]",
        )
        .also(&["strategies", "members"]),
        key(
            "mix",
            Form::Choice(MIX),
            Default("\"in-turn\""),
            "How several strategies take turns.",
            "mix = \"adaptive\"",
        ),
        key(
            "seeds",
            Form::Whole(1, TRIALS_MAX),
            Optional,
            "At most so many runs on each problem, for a slow one.",
            "seeds = 5",
        ),
        key(
            "budget_max",
            Form::Whole(1, TRIALS_MAX),
            Optional,
            "At most so many trials in each run.",
            "budget_max = 60",
        )
        .also(&["budget", "trials"]),
        ISOLATION_KEY,
        CALL_TIMEOUT_KEY,
        MEMORY_KEY,
    ],
    one_of: &[],
};

static PROBLEM: Keys = Keys {
    keys: &[
        key("study", Form::OneOf(&[Form::Text, Form::Options]), Required, "A study manifest: a file, relative to the folder of this one, or the manifest itself as a table. Its strategies, budget, slots and seed are replaced.", "study = \"problems/branin.toml\"").also(&["manifest", "file", "path"]),
        key("metric", Form::Text, Optional, "What is read at the best trial. Default: the metric that the study improves.", "metric = \"regret\""),
        key("reference", Form::Named(&Form::Number), Optional, "Of a problem that improves several metrics, a value for each: the hypervolume of the observed front up to this point is what is read.", "reference = { f1 = 1.1, f2 = 1.1 }").also(&["reference_point", "ref_point", "nadir"]),
        key("goal", Form::Choice(GOAL), Optional, "Which direction of that metric is better. Default: as the study has it, else minimise.", "goal = \"minimise\""),
        key("optimum", Form::Number, Optional, "The best possible value of what is read.", "optimum = 0.0").also(&["best", "minimum"]),
        key("instances", Form::Truth, Optional, "Each seed has an instance of its own: the objective's option `instance` is set to the seed.", "instances = true").also(&["instance"]),
        key("family", Form::Text, Optional, "Problems of a family are also summed up together.", "family = \"synthetic\"").also(&["group"]),
        key("seeds", Form::Whole(1, TRIALS_MAX), Optional, "At most so many runs of each strategy, for a slow one.", "seeds = 5"),
        key("budget_max", Form::Whole(1, TRIALS_MAX), Optional, "At most so many trials in each run.", "budget_max = 60").also(&["budget", "trials"]),
    ],
    one_of: &[],
};

static PLUGINS: Keys = Keys {
    keys: &[key(
        "path",
        Form::List(&Form::Text),
        Optional,
        "Folders with plugins, relative to the folder of this file; searched before all others.",
        "path = [\"plugins\"]",
    )
    .also(&["paths", "folder", "folders", "dir"])],
    one_of: &[],
};

/// The JSON Schema of arenas, for editors that complete and check TOML as one writes.
pub fn json_schema() -> serde_json::Value {
    document_schema(&ARENA, "Ansatz arena")
}

/// An arena that was read and checked, but for its plugins.
#[derive(Clone, Debug)]
pub struct Arena {
    /// What it is called.
    pub name: String,
    /// Ascending, without repeats, at least one.
    pub budgets: Vec<u64>,
    /// Runs of each strategy on each problem.
    pub seed_count: u64,
    /// The first seed.
    pub first_seed: u64,
    /// Runs at the same time.
    pub job_count: usize,
    /// Trials under way at a time in each run.
    pub slot_count: usize,
    /// Who competes; `None`: whatever ships with the host.
    pub strategies: Option<Vec<Contender>>,
    /// On what.
    pub problems: Vec<ArenaProblem>,
    /// Folders that are searched before all others.
    pub plugin_folders: Vec<PathBuf>,
    manifest: Manifest,
}

/// A strategy in an arena, or a mixture of several.
#[derive(Clone, Debug)]
pub struct Contender {
    /// As it is shown.
    pub name: String,
    /// Who it consists of; `None`: what a study has that names no strategy.
    pub mixture: Option<Mixture>,
    /// At most so many seeds.
    pub seed_count_max: Option<u64>,
    /// At most so many trials.
    pub budget_max: Option<u64>,
}

/// A problem in an arena.
#[derive(Clone, Debug)]
pub struct ArenaProblem {
    /// As it is shown.
    pub name: String,
    /// What it is summed up with.
    pub family: Option<String>,
    /// What is compared.
    pub reading: Reading,
    /// Which direction of it is better.
    pub goal: Goal,
    /// Its best possible value.
    pub optimum: Option<f64>,
    /// Whether each seed has an instance of its own.
    pub has_instances: bool,
    /// At most so many seeds.
    pub seed_count_max: Option<u64>,
    /// At most so many trials.
    pub budget_max: Option<u64>,
    /// The study; its members, budget and seed are those of no cell.
    pub plan: StudyPlan,
    /// What the plan was read from, for messages.
    pub manifest: Manifest,
}

impl Arena {
    /// The arena of one metric that comes with Ansatz.
    ///
    /// # Errors
    /// None in a released host: a test reads it.
    pub fn standard() -> Result<Self, Error> {
        Self::named(Path::new("standard"))
    }

    /// What a command line names: a file, or where there is none an arena that comes with Ansatz.
    ///
    /// # Errors
    /// As for [`Arena::read`].
    pub fn named(path: &Path) -> Result<Self, Error> {
        let shipped = SHIPPED.iter().find(|(name, _)| Path::new(name) == path);
        match shipped.filter(|_| !path.exists()) {
            Some((name, text)) => Self::parse((*text).to_owned(), Path::new(&format!("{name}.toml"))),
            None => Self::read(path),
        }
    }

    /// Reads a file.
    ///
    /// # Errors
    /// Everything that is wrong with it; of the problems' own files, with the first that is not right.
    pub fn read(path: &Path) -> Result<Self, Error> {
        Self::from_manifest(Manifest::read(path, &[])?, path)
    }

    /// The same with the text at hand.
    ///
    /// # Errors
    /// As for `read`.
    pub fn parse(text: String, path: &Path) -> Result<Self, Error> {
        Self::from_manifest(Manifest::parse(text, path, &[])?, path)
    }

    fn from_manifest(manifest: Manifest, path: &Path) -> Result<Self, Error> {
        let (root, mut found) = manifest.document(&ARENA);
        let whole =
            |node: &Node, key: &str| node.get(key).and_then(Node::int).and_then(|n| u64::try_from(n).ok());
        let mut budgets: Vec<u64> = match root.get("budgets") {
            None => vec![30, 60, 100],
            Some(list) => {
                list.items().iter().filter_map(Node::int).filter_map(|n| u64::try_from(n).ok()).collect()
            }
        };
        budgets.sort_unstable();
        budgets.dedup();
        if let Some(list) =
            root.get("budgets").filter(|list| list.items_of_list().is_some_and(<[Node]>::is_empty))
        {
            found.push(
                Diagnostic::at(&list.at, "budgets is empty: nothing would be run")
                    .help("for example budgets = [30, 60, 100]"),
            );
        }
        let strategies = root.get("strategies").map(|section| {
            section.entries().iter().filter_map(|entry| contender(entry, &mut found)).collect::<Vec<_>>()
        });
        let mut problems = Vec::new();
        let mut elsewhere: Option<Diagnostics> = None;
        for entry in root.get("problems").map_or(&[][..], Node::entries) {
            match problem(entry, &manifest, &mut found) {
                Ok(problem) => problems.extend(problem),
                // in a file of its own: one after the other, after what is wrong here
                Err(wrong) => elsewhere = elsewhere.or(Some(wrong)),
            }
        }
        if !found.is_empty() {
            return Err(manifest.diagnostics(found).into());
        }
        if let Some(wrong) = elsewhere {
            return Err(wrong.into());
        }
        let stem = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let folders = root.get("plugins").and_then(|plugins| plugins.get("path"));
        let folders = folders.map_or(&[][..], Node::items).iter().filter_map(Node::text);
        Ok(Self {
            name: root.get("name").and_then(Node::text).map_or(stem, str::to_owned),
            budgets,
            seed_count: whole(root, "seeds").unwrap_or(SEED_COUNT),
            first_seed: whole(root, "first_seed").unwrap_or(1),
            job_count: whole(root, "jobs").and_then(|n| usize::try_from(n).ok()).unwrap_or(1),
            slot_count: whole(root, "slots").and_then(|n| usize::try_from(n).ok()).unwrap_or(1),
            strategies,
            problems,
            plugin_folders: folders.map(|folder| manifest.folder().join(folder)).collect(),
            manifest,
        })
    }

    /// A message about the plugin of a contender, shown where it is named.
    pub(super) fn plugin_error(&self, name: &str, member: usize, message: &str) -> Diagnostics {
        let entry = self.contender_entry(name);
        let at = entry
            .map(|entry| member_node(entry, member).get("plugin").map_or(&entry.key_at, |node| &node.at));
        self.manifest.diagnostics(vec![match at {
            Some(at) => Diagnostic::at(at, message),
            None => Diagnostic::nowhere(message),
        }])
    }

    /// What is wrong with the options of a contender's member by the schema of its plugin.
    pub(super) fn check_options(&self, name: &str, member: usize, schema: &serde_json::Value) -> Diagnostics {
        let mut found = Vec::new();
        if let Some(entry) = self.contender_entry(name) {
            let nothing = || Node { at: entry.key_at.clone(), kind: Kind::Table(Table::default()) };
            let node = member_node(entry, member).get("options").cloned().unwrap_or_else(nothing);
            let path = match entry.value.get("strategy") {
                Some(_) => format!("strategies.{name}.strategy.{member}.options"),
                None => format!("strategies.{name}.options"),
            };
            options::check(&node, schema, schema, &path, &mut found);
        }
        self.manifest.diagnostics(found)
    }

    fn contender_entry(&self, name: &str) -> Option<&Entry> {
        self.manifest.document(&ARENA).0.get("strategies")?.table()?.entry(name)
    }
}

/// The table that names the plugin of a contender's member.
fn member_node(entry: &Entry, member: usize) -> &Node {
    let members = entry.value.get("strategy").map_or(&[][..], Node::items);
    members.get(member).unwrap_or(&entry.value)
}

impl Contender {
    /// A plugin under its own name.
    pub fn new(plugin: &str) -> Self {
        let alone = || Mixture {
            mix: Mix::default(),
            members: vec![Member::new(plugin)],
            choices: vec![PluginChoice::new(plugin)],
        };
        Self {
            name: plugin.to_owned(),
            mixture: (plugin != AUTOMATIC).then(alone),
            seed_count_max: None,
            budget_max: None,
        }
    }

    /// Whether it is what a study has that names no strategy.
    pub fn is_automatic(&self) -> bool {
        self.mixture.is_none()
    }

    /// Who competes on a problem of so many metrics for so many trials.
    pub fn mixture(&self, metric_count: usize, trial_count: u64) -> Mixture {
        self.mixture.clone().unwrap_or_else(|| automatic::mixture(metric_count, Some(trial_count)))
    }
}

impl ArenaProblem {
    /// How many metrics its study improves.
    pub fn metric_count(&self) -> usize {
        self.plan.rules.problem.metrics.len()
    }
}

fn contender(entry: &Entry, found: &mut Vec<Diagnostic>) -> Option<Contender> {
    let limits = |contender: Contender| Contender {
        name: entry.key.clone(),
        seed_count_max: count(&entry.value, "seeds"),
        budget_max: count(&entry.value, "budget_max"),
        ..contender
    };
    let path = format!("strategies.{}", entry.key);
    if let Some(list) = entry.value.get("strategy") {
        let of_one = ["plugin", "options", "isolation", "call_timeout", "memory"];
        for other in entry.value.entries().iter().filter(|other| of_one.contains(&other.key.as_str())) {
            let message = format!("{path}.{} does not go with {path}.strategy", other.key);
            found.push(Diagnostic::at(&other.key_at, message).help("say it in the tables of `strategy`"));
        }
        let mix = word(entry.value.get("mix"));
        let (members, choices) = members(list.items(), &format!("{path}.strategy"), mix, found);
        if choices.is_empty() {
            found.push(Diagnostic::at(&list.at, format!("{path}.strategy is empty: nobody would compete")));
            return None;
        }
        return Some(limits(Contender {
            mixture: Some(Mixture { mix, members, choices }),
            ..Contender::new(&entry.key)
        }));
    }
    if let Some(mix) = entry.value.get("mix") {
        let message = format!("{path}.mix has no effect: there is one strategy");
        found.push(Diagnostic::at(&mix.at, message).help("name several in `strategy`"));
    }
    let mut section = entry.value.clone();
    if section.get("plugin").is_none()
        && let Kind::Table(table) = &mut section.kind
    {
        let at = entry.key_at.clone();
        let value = Node { at: at.clone(), kind: Kind::Text(entry.key.clone()) };
        table.entries.push(Entry { key: "plugin".to_owned(), key_at: at, value });
    }
    let choice = plugin_choice(&section)?;
    // By the plugin, not by the name that is shown: variants of a plugin have the same random numbers.
    let mut alone = Contender::new(&choice.plugin);
    if let Some(mixture) = &mut alone.mixture {
        mixture.choices = vec![choice];
    } else {
        let of_one = ["options", "isolation", "call_timeout", "memory"];
        for other in entry.value.entries().iter().filter(|other| of_one.contains(&other.key.as_str())) {
            let message = format!("{path}.{} has no effect: {AUTOMATIC} is several strategies", other.key);
            found.push(
                Diagnostic::at(&other.key_at, message).help("write a mixture of your own as `strategy`"),
            );
        }
    }
    Some(limits(alone))
}

/// A problem; `None` where something is wrong with it here, `Err` where in a file of its own.
fn problem(
    entry: &Entry,
    arena: &Manifest,
    found: &mut Vec<Diagnostic>,
) -> Result<Option<ArenaProblem>, Diagnostics> {
    let section = &entry.value;
    let overrides = OVERRIDES.map(str::to_owned);
    let Some(study) = section.get("study") else { return Ok(None) };
    let manifest = match &study.kind {
        Kind::Text(file) => {
            let path = arena.folder().join(file);
            if !path.is_file() {
                let message = format!("problems.{}: there is no file {}", entry.key, path.display());
                found.push(
                    Diagnostic::at(&study.at, message).help("the path is meant from the folder of this file"),
                );
                return Ok(None);
            }
            Manifest::read(&path, &overrides)?
        }
        Kind::Table(_) => arena.part(study, &overrides),
        _ => return Ok(None),
    };
    let plan = match manifest.plan() {
        Ok(plan) => plan,
        Err(wrong) if study.text().is_some() => return Err(wrong),
        Err(wrong) => {
            // what is missing altogether is missing in this table
            let placed = |finding: &Diagnostic| match finding.span {
                Some(_) => finding.clone(),
                None => Diagnostic { span: Some(entry.key_at.span.clone()), ..finding.clone() },
            };
            found.extend(wrong.iter().map(placed));
            return Ok(None);
        }
    };
    let wrong = |found: &mut Vec<Diagnostic>, at: &At, message: &str, help: &str| {
        found.push(Diagnostic::at(at, format!("problems.{} {message}", entry.key)).help(help));
        Ok(None)
    };
    if plan.objective.is_none() {
        return wrong(found, &study.at, "has no objective", "add [objective] to its study");
    }
    let Some((reading, goal)) = reading(entry, study, &plan, found) else { return Ok(None) };
    Ok(Some(ArenaProblem {
        name: entry.key.clone(),
        family: section.get("family").and_then(Node::text).map(str::to_owned),
        reading,
        goal,
        optimum: section.get("optimum").and_then(Node::number),
        has_instances: section.get("instances").and_then(Node::truth).unwrap_or(false),
        seed_count_max: count(section, "seeds"),
        budget_max: count(section, "budget_max"),
        plan,
        manifest,
    }))
}

/// What is read of a problem, and which direction of it is better; `None` where something is wrong with that.
fn reading(
    entry: &Entry,
    study: &Node,
    plan: &StudyPlan,
    found: &mut Vec<Diagnostic>,
) -> Option<(Reading, Goal)> {
    let section = &entry.value;
    let metrics = &plan.rules.problem.metrics[..];
    let before = found.len();
    let mut wrong = |at: &At, message: String, help: &str| {
        found.push(Diagnostic::at(at, format!("problems.{}{message}", entry.key)).help(help));
    };
    let reference = section.get("reference");
    if let [metric] = metrics {
        if let Some(reference) = reference {
            let help = "it is for problems that improve several metrics; take it out";
            wrong(
                &reference.at,
                format!(".reference has no effect: the study improves {} alone", metric.name),
                help,
            );
            return None;
        }
        let read = section.get("metric").and_then(Node::text).unwrap_or(&metric.name).to_owned();
        let goal = section
            .get("goal")
            .and_then(Node::text)
            .and_then(|word| serde_json::from_value(serde_json::Value::String(word.to_owned())).ok());
        let known = if metric.name == read { metric.goal } else { Goal::Minimise };
        return Some((Reading::Metric(read), goal.unwrap_or(known)));
    }
    if metrics.len() > HYPERVOLUME_METRIC_COUNT_MAX {
        let help = format!(
            "fronts of up to {HYPERVOLUME_METRIC_COUNT_MAX} are compared: leave the goal of others out"
        );
        wrong(&study.at, format!(" improves {} metrics", metrics.len()), &help);
        return None;
    }
    let values: Vec<String> = metrics.iter().map(|metric| format!("{} = 1.0", metric.name)).collect();
    let example = format!(
        "add reference = {{ {} }}, with a value of each that is worse than all that counts",
        values.join(", ")
    );
    let Some(reference) = reference else {
        let help = format!("an arena compares by one number, here the hypervolume up to a point: {example}");
        wrong(&study.at, " improves several metrics at once, and has no reference".to_owned(), &help);
        return None;
    };
    for key in ["metric", "goal"] {
        if let Some(other) = section.get(key) {
            let message = format!(".{key} does not go with .reference: what is read is the {HYPERVOLUME}");
            wrong(&other.at, message, "take it out");
        }
    }
    let mut are_known = true;
    for other in reference.entries() {
        if !metrics.iter().any(|metric| metric.name == other.key) {
            are_known = false;
            let names: Vec<&str> = metrics.iter().map(|metric| metric.name.as_str()).collect();
            let hint = ansatz_core::nearest::did_you_mean(&other.key, names.iter().copied());
            let message = format!(".reference has {}, which the study does not improve{hint}", other.key);
            wrong(&other.key_at, message, &format!("it improves {}", names.join(", ")));
        }
    }
    let mut losses = Vec::new();
    for metric in metrics.iter().filter(|_| are_known) {
        match reference.get(&metric.name).and_then(Node::number) {
            Some(value) => losses.push(metric.goal.loss(value)),
            // what is there and no number has been told
            None if reference.entries().iter().any(|other| other.key == metric.name) => {}
            None => wrong(&reference.at, format!(".reference lacks {}", metric.name), &example),
        }
    }
    (found.len() == before).then_some((Reading::Hypervolume(losses), Goal::Maximise))
}

fn count(section: &Node, key: &str) -> Option<u64> {
    section.get(key).and_then(Node::int).and_then(|number| u64::try_from(number).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_arenas_that_ship_are_right() {
        let arena = Arena::standard().unwrap();
        assert_eq!((arena.name.as_str(), &arena.budgets[..]), ("standard", &[30, 60, 100][..]));
        assert!(arena.strategies.is_none(), "whatever ships competes");
        let known = arena.problems.iter().filter(|problem| problem.optimum.is_some()).count();
        assert_eq!(known + 1, arena.problems.len(), "all but digits");
        assert!(arena.problems.iter().all(|problem| problem.plan.objective.is_some()));
        let several = Arena::named(Path::new("several")).unwrap();
        assert_eq!((several.name.as_str(), several.problems.len()), ("several", 5));
        assert!(
            several.problems.iter().all(|problem| problem.optimum.is_some() && problem.metric_count() > 1)
        );
        assert!(arena.problems.iter().all(|problem| problem.metric_count() == 1));
    }

    #[test]
    fn what_a_study_says_of_strategies_and_budget_does_not_count() {
        let text = r#"
[problems.p.study]
strategy = [{ plugin = "bayesian" }, { plugin = "random" }]
study = { mix = "phases" }
objective = { plugin = "synthetic" }
metrics = { accuracy = "maximise" }
space = { x = { float = [0.0, 1.0] } }
"#;
        let arena = Arena::parse(text.to_owned(), Path::new("some/small.toml")).unwrap();
        let [problem] = &arena.problems[..] else { panic!("one problem") };
        assert_eq!((arena.name.as_str(), arena.seed_count, arena.first_seed), ("small", 10, 1));
        assert_eq!((problem.reading.name(), problem.goal), ("accuracy", Goal::Maximise));
        assert_eq!(problem.plan.rules.members.len(), 1);
    }

    #[test]
    fn several_strategies_compete_as_one() {
        let text = r#"
[strategies.pair]
mix = "weighted"
strategy = [{ plugin = "sobol", trials = 8 }, { plugin = "random", weight = 2.0 }, { plugin = "random" }]
seeds = 3
[strategies.hot]
plugin = "annealing"
[strategies.auto]
seeds = 2
[problems.p.study]
objective = { plugin = "synthetic" }
metrics = { value = "minimise" }
space = { x = { float = [0.0, 1.0] } }
"#;
        let arena = Arena::parse(text.to_owned(), Path::new("some/small.toml")).unwrap();
        let [pair, hot, auto] = &arena.strategies.as_ref().unwrap()[..] else { panic!("three") };
        assert!(auto.is_automatic() && !hot.is_automatic() && auto.seed_count_max == Some(2));
        assert_eq!(auto.mixture(1, 5000), automatic::mixture(1, Some(5000)));
        assert_ne!(auto.mixture(1, 5000), auto.mixture(1, 100));
        assert_ne!(auto.mixture(1, 100), auto.mixture(2, 100));
        assert_eq!(hot.mixture(1, 5000), hot.mixture(2, 100));
        let mixture = pair.mixture(1, 100);
        let plugins: Vec<&str> = mixture.choices.iter().map(|choice| choice.plugin.as_str()).collect();
        assert_eq!((pair.name.as_str(), &plugins[..]), ("pair", &["sobol", "random", "random"][..]));
        assert_eq!((mixture.mix, pair.seed_count_max), (Mix::Weighted, Some(3)));
        let members: Vec<(&str, f64, Option<u64>)> = (mixture.members.iter())
            .map(|member| (member.label.as_str(), member.weight, member.trial_count_max))
            .collect();
        assert_eq!(members, [("sobol", 1.0, Some(8)), ("random", 2.0, None), ("random-2", 1.0, None)]);
        // By the plugin: variants of one have the same random numbers.
        assert_eq!((hot.name.as_str(), hot.mixture(1, 9).members[0].label.as_str()), ("hot", "annealing"));
    }

    #[test]
    fn what_is_wrong_with_a_mixture_is_said() {
        let cases = [
            ("mix = \"adaptive\"", "strategies.pair.mix has no effect: there is one strategy"),
            ("strategy = []", "strategies.pair.strategy is empty"),
            (
                "strategy = [{ plugin = \"sobol\" }]\nplugin = \"random\"",
                "strategies.pair.plugin does not go with",
            ),
            (
                "strategy = [{ plugin = \"sobol\", weight = 2.0 }]",
                "strategies.pair.strategy.0.weight has no effect",
            ),
            (
                "mix = \"phases\"\nstrategy = [{ plugin = \"sobol\" }, { plugin = \"random\" }]",
                "strategies.pair.strategy.0 needs the key \"trials\"",
            ),
            ("mix = \"adaptiv\"\nstrategy = [{ plugin = \"sobol\" }]", "did you mean \"adaptive\"?"),
        ];
        for (lines, expected) in cases {
            let text = format!(
                "[strategies.pair]\n{lines}\n[problems.p.study]\nobjective = {{ plugin = \"synthetic\" }}\n\
                 metrics = {{ value = \"minimise\" }}\nspace = {{ x = {{ float = [0.0, 1.0] }} }}\n"
            );
            let error = Arena::parse(text, Path::new("some/small.toml")).unwrap_err().to_string();
            assert!(error.contains(expected), "{lines}: {error}");
        }
    }
}
