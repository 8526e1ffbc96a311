//! Every key of a manifest: its form, its default and what it means. The structure check, the messages and
//! the JSON Schema for editors all read these tables, so that they cannot disagree.

use super::structure::NAME_LENGTH_MAX;
use super::{duration, size};
use serde_json::{Map, Value, json};

/// A key of a table.
#[derive(Debug)]
pub(crate) struct Key {
    pub name: &'static str,
    pub form: Form,
    pub need: Need,
    /// In a sentence or two, for editors.
    pub doc: &'static str,
    /// A line or two of TOML.
    pub example: &'static str,
    /// What people write who mean this key.
    pub also: &'static [&'static str],
}

/// Whether a key must be there.
#[derive(Debug)]
pub(crate) enum Need {
    Required,
    /// Without it there is nothing of the kind.
    Optional,
    /// With the default as JSON.
    Default(&'static str),
}

/// The keys of a table.
#[derive(Debug)]
pub(crate) struct Keys {
    pub keys: &'static [Key],
    /// If not empty: exactly one of these must be there.
    pub one_of: &'static [&'static str],
}

/// A word with its meaning and other spellings.
#[derive(Debug)]
pub(crate) struct Word {
    pub word: &'static str,
    pub doc: &'static str,
    pub also: &'static [&'static str],
}

/// What a value must look like.
#[derive(Debug)]
pub(crate) enum Form {
    /// A text that is not blank.
    Text,
    /// Letters, digits, `_`, `.` and `-`.
    Name,
    /// One of several words.
    Choice(&'static [Word]),
    /// An integer between two bounds, both allowed.
    Whole(i64, i64),
    /// A number.
    Number,
    /// A number above 0.
    Positive,
    /// See `duration`.
    Duration,
    /// See `size`.
    Size,
    /// True or false.
    Truth,
    /// True or false, and only this one.
    Exactly(bool),
    /// A text, number, true or false.
    Value,
    /// A list of any length.
    List(&'static Form),
    /// Lowest and highest.
    Pair(&'static Form),
    /// A table with these keys.
    Table(&'static Keys),
    /// A list of tables with these keys.
    Tables(&'static Keys),
    /// A table whose keys are names.
    Named(&'static Form),
    /// A table that somebody else judges.
    Options,
    /// The first of these that fits the kind of the value.
    OneOf(&'static [Form]),
}

pub(crate) const fn key(
    name: &'static str,
    form: Form,
    need: Need,
    doc: &'static str,
    example: &'static str,
) -> Key {
    Key { name, form, need, doc, example, also: &[] }
}

impl Key {
    pub(crate) const fn also(self, also: &'static [&'static str]) -> Self {
        Key { also, ..self }
    }
}

const fn word(word: &'static str, doc: &'static str, also: &'static [&'static str]) -> Word {
    Word { word, doc, also }
}

/// Where a study is kept unless the manifest says otherwise.
pub const DEFAULT_JOURNAL: &str = "ansatz.db";

use Need::{Default, Optional, Required};

/// The sections.
pub(crate) static MANIFEST: Keys = Keys {
    keys: &[
        key("study", Form::Table(&STUDY), Optional, "What the study is called, its seed, and how strategies take turns.", "[study]\nname = \"first\""),
        key("metrics", Form::Named(&METRIC), Required, "What is measured, by name. Metrics with a goal are improved, in the order of the file; bounds must be kept by good trials.", "[metrics]\nvalidation_loss = \"minimise\"").also(&["metric", "goals", "direction", "directions"]),
        key("space", Form::Named(&PARAMETER), Required, "The parameters of the search space, by name.", "[space]\nlearning_rate = { float = [1e-5, 1e-1], scale = \"log\" }").also(&["parameters", "params", "search_space"]),
        key("constraints", Form::Table(&CONSTRAINTS), Optional, "What must hold between parameters.", "[constraints]\nrequire = [\"x1 + x2 <= 1\"]"),
        key("fidelity", Form::Table(&FIDELITY), Optional, "How much of a full evaluation a trial may use, if the objective can be cut short.", "[fidelity]\nname = \"epochs\"\nmin = 3\nmax = 30"),
        key("objective", Form::Table(&OBJECTIVE), Optional, "Who evaluates. Only studies driven by another program (ask and tell) go without.", "[objective]\nplugin = \"digits\""),
        key("strategy", Form::Tables(&STRATEGY), Optional, "Who proposes points; one table for each strategy, all of which hear every result. Default: what fits most problems (docs/manifest.md).", "[[strategy]]\nplugin = \"random\"").also(&["strategies", "sampler", "algorithm"]),
        key("early_stopping", Form::Table(&EARLY_STOPPING), Optional, "Who ends trials before they are done, by what they report on their way. Without it, all run to their end.", "[early_stopping]\nplugin = \"median\"").also(&["early-stopping", "pruner", "pruning", "stopper", "stopping", "scheduler"]),
        key("enqueue", Form::List(&Form::Named(&Form::Value)), Optional, "Points to evaluate before any strategy is asked; what one leaves out is drawn by the study's seed. Later ones: `ansatz enqueue`.", "[[enqueue]]\nlearning_rate = 1e-3").also(&["points_to_evaluate", "initial_points", "first_points", "points", "enqueue_trial", "warm_start"]),
        key("transfer", Form::Tables(&TRANSFER), Optional, "Earlier studies to start from: strategies hear their results, and their best points are evaluated again first.", "[[transfer]]\nstudy = \"first\"").also(&["transfers", "previous", "prior", "continue_from"]),
        key("budget", Form::Table(&BUDGET), Optional, "What the study may spend. The first limit reached ends it; running trials are finished. At least one limit is needed, unless every strategy has `trials`.", "[budget]\ntrials = 50"),
        key("run", Form::Table(&RUN), Optional, "How trials are run.", "[run]\nslots = 2"),
        key("journal", Form::Table(&JOURNAL), Optional, "Where the study is kept.", "[journal]\npath = \"ansatz.db\""),
        key("plugins", Form::Table(&PLUGINS), Optional, "Where plugins are looked for first.", "[plugins]\npath = [\"plugins\"]").also(&["plugin"]),
    ],
    one_of: &[],
};

static STUDY: Keys = Keys {
    keys: &[
        key(
            "name",
            Form::Name,
            Optional,
            "Unique in its journal. Default: the name of the file without its ending.",
            "name = \"digits\"",
        ),
        key(
            "seed",
            Form::Whole(0, i64::MAX),
            Default("0"),
            "All randomness comes from it: with one slot, the same manifest and seed give the same study.",
            "seed = 7",
        )
        .also(&["random_seed", "random_state"]),
        key(
            "mix",
            Form::Choice(MIX),
            Default("\"in-turn\""),
            "How several strategies take turns.",
            "mix = \"in-turn\"",
        ),
    ],
    one_of: &[],
};

pub(crate) static MIX: &[Word] = &[
    word("in-turn", "One suggestion each, round and round.", &["in_turn"]),
    word("weighted", "Suggestions in proportion to the weights, spread evenly.", &[]),
    word("phases", "One after the other, in the order of the file; `trials` is the length of a phase.", &[]),
    word(
        "adaptive",
        "Whose trials have been better gets more of them; a tenth is shared out equally, and more where nobody finds anything.",
        &["bandit"],
    ),
];

pub(crate) static GOAL: &[Word] = &[
    word("minimise", "Smaller is better.", &["minimize", "min"]),
    word("maximise", "Larger is better.", &["maximize", "max"]),
];

static METRIC: Form = Form::OneOf(&[Form::Choice(GOAL), Form::Table(&METRIC_KEYS)]);

static METRIC_KEYS: Keys = Keys {
    keys: &[
        key(
            "goal",
            Form::Choice(GOAL),
            Optional,
            "Which direction is better. Without it the metric is only bounded.",
            "goal = \"maximise\"",
        )
        .also(&["direction", "mode"]),
        key("at_most", Form::Number, Optional, "A good trial measures no more than this.", "at_most = 50")
            .also(&["max", "upper", "less_than", "below"]),
        key("at_least", Form::Number, Optional, "A good trial measures no less than this.", "at_least = 0.9")
            .also(&["min", "lower", "greater_than", "above"]),
    ],
    one_of: &[],
};

static BOOL_WORD: &[Word] = &[word("bool", "False or true.", &["boolean"])];

static SCALE: &[Word] = &[
    word("linear", "Distances are differences.", &["lin", "uniform"]),
    word("log", "Distances are ratios; the lowest value must be above 0.", &["logarithmic", "loguniform"]),
];

static PARAMETER: Form = Form::OneOf(&[Form::Choice(BOOL_WORD), Form::Table(&PARAMETER_KEYS)]);

static PARAMETER_KEYS: Keys = Keys {
    keys: &[
        key("float", Form::Pair(&Form::Number), Optional, "Real numbers from the lowest to the highest, both included.", "float = [1e-5, 1e-1]").also(&["real", "uniform", "loguniform", "range", "bounds", "low", "high", "lower", "upper", "min", "max"]),
        key("int", Form::Pair(&Form::Whole(i64::MIN, i64::MAX)), Optional, "Whole numbers from the lowest to the highest, both included.", "int = [16, 128]").also(&["integer", "randint"]),
        key("categorical", Form::List(&Form::Value), Optional, "One of several values without an order.", "categorical = [\"sgd\", \"adam\"]").also(&["choices", "choice", "values", "options", "enum", "type"]),
        key("ordinal", Form::List(&Form::Value), Optional, "One of several values whose order means something.", "ordinal = [2, 4, 8]").also(&["ordered"]),
        key("bool", Form::Exactly(true), Optional, "False or true; `name = \"bool\"` is short for it.", "bool = true").also(&["boolean"]),
        key("scale", Form::Choice(SCALE), Default("\"linear\""), "How distances are measured; for float and int.", "scale = \"log\"").also(&["log", "prior", "distribution"]),
        key("step", Form::Positive, Optional, "Only lowest, lowest + step, lowest + 2 step and so on; for float and int (whole there; default 1).", "step = 16").also(&["q", "quantisation"]),
        key("when", Form::Named(&CONDITION), Optional, "The parameter is active only where all of this holds: other parameters by name, with a value, a list of values or a range.", "when = { optimizer = \"sgd\" }").also(&["if", "condition", "conditions", "active_if", "depends_on"]),
    ],
    one_of: &["float", "int", "categorical", "ordinal", "bool"],
};

static CONDITION: Form = Form::OneOf(&[Form::Value, Form::List(&Form::Value), Form::Table(&CONDITION_RANGE)]);

static CONDITION_RANGE: Keys = Keys {
    keys: &[
        key(
            "min",
            Form::Number,
            Optional,
            "Smallest value for which it holds. Default: the parameter's lowest.",
            "min = 2",
        )
        .also(&["at_least", "lower", "low"]),
        key(
            "max",
            Form::Number,
            Optional,
            "Largest value for which it holds. Default: the parameter's highest.",
            "max = 3",
        )
        .also(&["at_most", "upper", "high"]),
    ],
    one_of: &[],
};

static CONSTRAINTS: Keys = Keys {
    keys: &[
        key("require", Form::List(&Form::Text), Optional, "Linear relations between float and int parameters, all of which must hold. One that speaks of an inactive parameter holds.", "require = [\"x1 + x2 <= 1\", \"min_leaf < max_leaf\"]").also(&["required", "relations", "linear"]),
        key("forbid", Form::List(&Form::Named(&CONDITION)), Optional, "Combinations that are not allowed; written like `when`.", "forbid = [{ optimizer = \"sgd\", activation = \"gelu\" }]").also(&["forbidden", "exclude"]),
    ],
    one_of: &[],
};

static FIDELITY: Keys = Keys {
    keys: &[
        key("name", Form::Text, Required, "What is counted.", "name = \"epochs\""),
        key("min", Form::Positive, Required, "The least that tells anything.", "min = 3")
            .also(&["lower", "low"]),
        key("max", Form::Positive, Required, "A full evaluation.", "max = 30").also(&["upper", "high"]),
    ],
    one_of: &[],
};

static ISOLATION: &[Word] = &[
    word(
        "process",
        "In a process of its own: whatever it does, the study goes on.",
        &["worker", "subprocess"],
    ),
    word(
        "none",
        "In the host: quicker by some microseconds a call; a crash takes the host down.",
        &["in-process"],
    ),
];

pub(crate) const ISOLATION_KEY: Key = key(
    "isolation",
    Form::Choice(ISOLATION),
    Optional,
    "Where the plugin runs. Default: none for what ships with Ansatz, process for everything else.",
    "isolation = \"process\"",
)
.also(&["isolate", "sandbox"]);

pub(crate) const CALL_TIMEOUT_KEY: Key = key(
    "call_timeout",
    Form::Duration,
    Default("\"1min\""),
    "In a process of its own: how long one call may take (other than an evaluation, see run.trial_timeout) before the process is killed. It always has a minute to start.",
    "call_timeout = \"10s\"",
);

pub(crate) const MEMORY_KEY: Key = key(
    "memory",
    Form::Size,
    Optional,
    "In a process of its own: how much address space it may use.",
    "memory = \"2GiB\"",
)
.also(&["memory_limit", "max_memory"]);

static OBJECTIVE: Keys = Keys {
    keys: &[
        key("plugin", Form::Name, Required, "The objective's name: `vendor.name`, or a bare name for what ships with Ansatz. `ansatz plugins list` shows all.", "plugin = \"digits\"").also(&["name", "type", "kind"]),
        key("options", Form::Options, Optional, "What the objective lets users choose; `ansatz plugins inspect NAME` lists it.", "options = { epochs = 20 }").also(&["params", "settings", "config"]),
        ISOLATION_KEY,
        CALL_TIMEOUT_KEY,
        MEMORY_KEY,
    ],
    one_of: &[],
};

pub(crate) static STRATEGY: Keys = Keys {
    keys: &[
        key("plugin", Form::Name, Required, "The strategy's name: `vendor.name`, or a bare name for what ships with Ansatz. `ansatz plugins list` shows all.", "plugin = \"random\"").also(&["type", "kind"]),
        key("label", Form::Text, Optional, "Unique in the study; shown beside its trials. Default: the plugin's name, with -2, -3 for repeats.", "label = \"warm-up\"").also(&["name", "id"]),
        key("weight", Form::Positive, Default("1"), "Its share; only for mix = \"weighted\".", "weight = 2.0"),
        key("trials", Form::Whole(1, i64::MAX), Optional, "How many trials it proposes at most; in phases, the length of its phase.", "trials = 20").also(&["n_trials", "max_trials", "count"]),
        key("after", Form::Whole(1, i64::MAX), Optional, "It has no turn before so many trials of the study, unless nobody else is left; only for mix = \"adaptive\".", "after = 200").also(&["from", "start_after", "from_trial"]),
        key("options", Form::Options, Optional, "What the strategy lets users choose; `ansatz plugins inspect NAME` lists it.", "options = { }").also(&["params", "settings", "config"]),
        ISOLATION_KEY,
        CALL_TIMEOUT_KEY,
        MEMORY_KEY,
    ],
    one_of: &[],
};

static EARLY_STOPPING: Keys = Keys {
    keys: &[
        key("plugin", Form::Name, Required, "The name of the rule: `vendor.name`, or a bare name for what ships with Ansatz. `ansatz plugins list` shows all.", "plugin = \"median\"").also(&["name", "type", "kind", "rule"]),
        key("options", Form::Options, Optional, "What the rule lets users choose; `ansatz plugins inspect NAME` lists it.", "options = { warm_up_steps = 5 }").also(&["params", "settings", "config"]),
        ISOLATION_KEY,
        CALL_TIMEOUT_KEY,
        MEMORY_KEY,
    ],
    one_of: &[],
};

static LITTLE_EXPECTED: Keys = Keys {
    keys: &[
        key(
            "below",
            Form::Positive,
            Required,
            "A trial is expected to be better than the best by less than this, on average, in the unit of the metric.",
            "below = 0.001",
        ),
        key(
            "trials",
            Form::Whole(1, i64::MAX),
            Default("5"),
            "So many trials in a row, of those that a model predicted.",
            "trials = 5",
        ),
    ],
    one_of: &[],
};

static BUDGET: Keys = Keys {
    keys: &[
        key("trials", Form::Whole(1, i64::MAX), Optional, "Trials, however they end.", "trials = 50")
            .also(&["n_trials", "max_trials", "trial_count"]),
        key(
            "wall_time",
            Form::Duration,
            Optional,
            "Time with the study running, summed over its sessions.",
            "wall_time = \"10min\"",
        )
        .also(&["timeout", "time", "max_time", "duration"]),
        key(
            "target",
            Form::Number,
            Optional,
            "A value of the first metric with a goal that is good enough.",
            "target = 0.02",
        )
        .also(&["goal", "stop_at"]),
        key(
            "cost",
            Form::Table(&COST),
            Optional,
            "A limit on the sum of a metric over all trials that measured it.",
            "cost = { metric = \"gpu_seconds\", limit = 3600 }",
        ),
        key(
            "completed",
            Form::Whole(1, i64::MAX),
            Optional,
            "Trials that complete; those that fail, are infeasible or stopped early do not count.",
            "completed = 50",
        )
        .also(&["completed_trials", "n_completed"]),
        key(
            "expected_improvement",
            Form::OneOf(&[Form::Positive, Form::Table(&LITTLE_EXPECTED)]),
            Optional,
            "A number, in the unit of the metric: the study ends when strategies with a model have expected less than this of five trials in a row.",
            "expected_improvement = 0.001",
        )
        .also(&["expected_regret", "min_improvement"]),
        key(
            "plateau",
            Form::Table(&PLATEAU),
            Optional,
            "So many trials in a row without a better one are enough.",
            "plateau = { trials = 30 }",
        )
        .also(&["patience", "no_improvement"]),
        key(
            "until_exhausted",
            Form::Exactly(true),
            Optional,
            "No limit is needed: the study ends when no strategy has a suggestion left, as after a full grid.",
            "until_exhausted = true",
        ),
    ],
    one_of: &[],
};

static PLATEAU: Keys = Keys {
    keys: &[
        key(
            "trials",
            Form::Whole(1, i64::MAX),
            Required,
            "Trials in a row that brought nothing better; failed ones do not count, and before the first good one none does.",
            "trials = 30",
        )
        .also(&["n_trials", "steps", "patience"]),
        key(
            "min_delta",
            Form::Positive,
            Optional,
            "By how much a trial must be better, in the unit of the metric. Default: by anything. Only for one metric.",
            "min_delta = 0.001",
        )
        .also(&["delta", "tolerance"]),
    ],
    one_of: &[],
};

static COST: Keys = Keys {
    keys: &[
        key(
            "metric",
            Form::Text,
            Required,
            "The metric that says what a trial cost; it needs no goal.",
            "metric = \"gpu_seconds\"",
        )
        .also(&["name"]),
        key("limit", Form::Positive, Required, "In the metric's unit.", "limit = 3600")
            .also(&["max", "at_most"]),
    ],
    one_of: &[],
};

static ON_INTERRUPT: &[Word] =
    &[word("requeue", "They are run again.", &[]), word("fail", "They count as failed.", &[])];

static DUPLICATES: &[Word] = &[
    word("replicate", "Evaluate it again: right for noisy objectives.", &[]),
    word("reuse", "Take over the outcome of the earlier trial.", &[]),
    word(
        "resample",
        "Evaluate another point instead, near it and not asked for before: no evaluation is spent twice.",
        &["replace", "skip"],
    ),
];

static RUN: Keys = Keys {
    keys: &[
        key(
            "slots",
            Form::Whole(1, 1_024),
            Default("1"),
            "How many trials run at the same time.",
            "slots = 2",
        )
        .also(&["parallel", "workers", "n_jobs", "jobs", "concurrency"]),
        key(
            "deterministic",
            Form::OneOf(&[Form::Whole(1, 1_024), Form::Truth]),
            Default("false"),
            "Outcomes count in the order of the trials, so that the study repeats bit for bit, however long its trials \
             take. A number says how many trials are asked ahead; true: as many as there are slots.",
            "deterministic = true",
        )
        .also(&["reproducible", "window", "synchronous"]),
        key(
            "trial_timeout",
            Form::Duration,
            Optional,
            "How long one attempt at a trial may take; then it failed.",
            "trial_timeout = \"5min\"",
        )
        .also(&["timeout", "trial_time", "max_trial_time"]),
        key(
            "retries",
            Form::Whole(0, 1_000),
            Default("0"),
            "How often a failed trial is tried again before its failure is final.",
            "retries = 1",
        )
        .also(&["attempts", "max_retries"]),
        key(
            "on_interrupt",
            Form::Choice(ON_INTERRUPT),
            Default("\"requeue\""),
            "What becomes of trials that were running when the host died.",
            "on_interrupt = \"requeue\"",
        ),
        key(
            "duplicates",
            Form::Choice(DUPLICATES),
            Default("\"replicate\""),
            "What to do with a point that has been evaluated before.",
            "duplicates = \"reuse\"",
        ),
        key(
            "stop_after_failures",
            Form::OneOf(&[Form::Whole(1, i64::MAX), Form::Exactly(false)]),
            Default("10"),
            "Stop after this many failed trials in a row, because the objective is probably broken; false: never.",
            "stop_after_failures = 10",
        ),
    ],
    one_of: &[],
};

static SYNC: &[Word] = &[
    word("full", "A record counts as written when it is on the disk: survives a power cut.", &[]),
    word("off", "When the operating system has it: survives a crash of the host, not of the machine.", &[]),
];

static TRANSFER: Keys = Keys {
    keys: &[
        key("study", Form::Name, Required, "Its name.", "study = \"first\"").also(&["name"]),
        key("store", Form::Text, Optional, "Where it is kept: a SQLite database, relative to the folder of the manifest, or postgres://user@host/database. Default: where this study is kept.", "store = \"ansatz.db\"").also(&["journal", "path", "storage"]),
        key("results", Form::Truth, Default("true"), "Whether strategies hear its results, as if this study had them: right where the same is measured, on the same data.", "results = true").also(&["observations", "tell"]),
        key("repeat", Form::Whole(0, 10_000), Default("1"), "How many of its best points are evaluated again, before any strategy is asked.", "repeat = 1").also(&["best", "top", "points", "re_ask"]),
        key("defaults", Form::Named(&Form::Value), Optional, "What value parameters had that it did not know.", "defaults = { dropout = 0.0 }").also(&["default", "given", "fixed"]),
    ],
    one_of: &[],
};

static JOURNAL: Keys = Keys {
    keys: &[
        key("path", Form::Text, Default("\"ansatz.db\""), "A SQLite database, relative to the folder of the manifest; made if it does not exist. One may hold many studies. Without it, ansatz.db in the folder where the command runs.", "path = \"ansatz.db\"").also(&["file"]),
        key("store", Form::Text, Optional, "A database of a PostgreSQL server in place of the SQLite one, for studies that several machines work on. Never with a password: that comes from PGPASSFILE or ~/.pgpass.", "store = \"postgres://ansatz@db.example.org/ansatz\"").also(&["storage", "url", "server", "postgres", "database"]),
        key("sync", Form::Choice(SYNC), Default("\"full\""), "When a record counts as written.", "sync = \"full\""),
    ],
    one_of: &[],
};

static PLUGINS: Keys = Keys {
    keys: &[
        key(
            "path",
            Form::List(&Form::Text),
            Optional,
            "Folders with plugins, relative to the folder of the manifest; searched before all others.",
            "path = [\"plugins\"]",
        )
        .also(&["paths", "folder", "folders", "dir"]),
        key(
            "restarts",
            Form::Whole(0, 1_000),
            Default("3"),
            "How often a strategy or an early-stopping rule that breaks is made anew, and hears everything again, before the fallback takes a strategy's place, or trials run to their end.",
            "restarts = 3",
        )
        .also(&["faults", "max_faults", "retries"]),
        key(
            "fallback",
            Form::OneOf(&[Form::Name, Form::Exactly(false)]),
            Default("\"random\""),
            "The strategy that proposes in place of one that keeps breaking; false: the study goes on without.",
            "fallback = \"random\"",
        ),
    ],
    one_of: &[],
};

impl Keys {
    pub fn get(&self, name: &str) -> Option<&'static Key> {
        self.keys.iter().find(|key| key.name == name)
    }

    /// The names, for "allowed here".
    pub fn names(&self) -> impl Iterator<Item = &'static str> {
        self.keys.iter().map(|key| key.name)
    }

    fn schema(&self) -> Value {
        let mut properties = Map::new();
        for key in self.keys {
            let mut schema = key.form.schema();
            schema["description"] = key.doc.into();
            if let Default(text) = key.need {
                // every default in the tables is JSON, which a test checks
                schema["default"] = serde_json::from_str(text).unwrap_or(Value::Null);
            }
            properties.insert(key.name.to_owned(), schema);
        }
        let required: Vec<&str> =
            self.keys.iter().filter(|key| matches!(key.need, Required)).map(|key| key.name).collect();
        let mut schema = json!({ "type": "object", "properties": properties, "additionalProperties": false });
        if !required.is_empty() {
            schema["required"] = json!(required);
        }
        if !self.one_of.is_empty() {
            schema["oneOf"] = self.one_of.iter().map(|name| json!({ "required": [name] })).collect();
        }
        schema
    }
}

impl Form {
    /// What it is in words, after "must be".
    pub fn expected(&self) -> String {
        match self {
            Form::Text => "a text".into(),
            Form::Name => format!("a name of at most {NAME_LENGTH_MAX} letters, digits, _, . and -"),
            Form::Choice(words) => {
                let names: Vec<String> = words.iter().map(|word| format!("{:?}", word.word)).collect();
                either(&names)
            }
            Form::Whole(i64::MIN, i64::MAX) => "a whole number".into(),
            Form::Whole(least, i64::MAX) => format!("a whole number of at least {least}"),
            Form::Whole(least, most) => format!("a whole number from {least} to {most}"),
            Form::Number => "a number".into(),
            Form::Positive => "a number above 0".into(),
            Form::Duration => duration::FORM.into(),
            Form::Size => size::FORM.into(),
            Form::Truth => "true or false".into(),
            Form::Exactly(truth) => truth.to_string(),
            Form::Value => "a text, a number, true or false".into(),
            Form::List(Form::Text) => "a list of texts".into(),
            Form::List(Form::Value) => "a list of values".into(),
            Form::List(Form::Whole(..)) => "a list of whole numbers".into(),
            Form::List(_) => "a list of tables".into(),
            Form::Pair(Form::Number) => "a list of two numbers, [lowest, highest]".into(),
            Form::Pair(_) => "a list of two whole numbers, [lowest, highest]".into(),
            Form::Table(_) | Form::Named(_) | Form::Options => "a table".into(),
            Form::Tables(_) => "a list of tables".into(),
            Form::OneOf(forms) => either(&forms.iter().map(Form::expected).collect::<Vec<_>>()),
        }
    }

    fn schema(&self) -> Value {
        match self {
            Form::Text => json!({ "type": "string", "minLength": 1 }),
            Form::Name => json!({
                "type": "string", "pattern": "^[A-Za-z0-9_-][A-Za-z0-9_.-]*$", "maxLength": NAME_LENGTH_MAX
            }),
            Form::Choice(words) => {
                let mut choices: Vec<Value> =
                    words.iter().map(|word| json!({ "const": word.word, "description": word.doc })).collect();
                let others: Vec<&str> = words.iter().flat_map(|word| word.also).copied().collect();
                if !others.is_empty() {
                    choices.push(json!({ "enum": others, "description": "Other spellings." }));
                }
                json!({ "oneOf": choices })
            }
            Form::Whole(i64::MIN, i64::MAX) => json!({ "type": "integer" }),
            Form::Whole(least, i64::MAX) => json!({ "type": "integer", "minimum": least }),
            Form::Whole(least, most) => json!({ "type": "integer", "minimum": least, "maximum": most }),
            Form::Number => json!({ "type": "number" }),
            Form::Positive => json!({ "type": "number", "exclusiveMinimum": 0 }),
            Form::Duration => json!({ "anyOf": [
                { "type": "number", "exclusiveMinimum": 0, "description": "In seconds." },
                { "type": "string", "minLength": 1, "pattern": duration::PATTERN,
                  "description": "With the units d, h, min, s, ms." },
            ] }),
            Form::Size => json!({ "anyOf": [
                { "type": "integer", "minimum": 1, "description": "In bytes." },
                { "type": "string", "pattern": size::PATTERN, "description": "With a unit." },
            ] }),
            Form::Truth => json!({ "type": "boolean" }),
            Form::Exactly(truth) => json!({ "const": truth }),
            Form::Value => json!({ "type": ["string", "number", "boolean"] }),
            Form::List(form) => json!({ "type": "array", "items": form.schema() }),
            Form::Pair(form) => {
                json!({ "type": "array", "items": form.schema(), "minItems": 2, "maxItems": 2 })
            }
            Form::Table(keys) => keys.schema(),
            Form::Tables(keys) => json!({ "type": "array", "items": keys.schema(), "minItems": 1 }),
            Form::Named(form) => {
                json!({ "type": "object", "additionalProperties": form.schema(), "minProperties": 1 })
            }
            Form::Options => json!({ "type": "object" }),
            Form::OneOf(forms) => json!({ "anyOf": forms.iter().map(Form::schema).collect::<Vec<_>>() }),
        }
    }
}

/// "a, b or c".
pub(crate) fn either(names: &[String]) -> String {
    match names {
        [rest @ .., last] if !rest.is_empty() => format!("{} or {last}", rest.join(", ")),
        _ => names.concat(),
    }
}

/// The JSON Schema of manifests, for editors that complete and check TOML as one writes.
pub fn json_schema() -> Value {
    document_schema(&MANIFEST, "Ansatz study manifest")
}

/// The JSON Schema of a document of ours.
pub(crate) fn document_schema(keys: &Keys, title: &str) -> Value {
    let mut schema = keys.schema();
    schema["$schema"] = "https://json-schema.org/draft/2020-12/schema".into();
    schema["title"] = title.into();
    schema
}
