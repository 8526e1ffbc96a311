//! The manifest that `ansatz init` writes: short, commented, and runnable.

/// A commented manifest to start from, for an objective by name: `command` or `digits`, `None` for others.
/// It is a valid plan as it is.
pub fn starter(objective: &str) -> Option<String> {
    match objective {
        "command" => Some([BEFORE_OBJECTIVE, COMMAND, AFTER_OBJECTIVE].concat()),
        "digits" => Some(DIGITS.to_owned()),
        _ => None,
    }
}

const COMMAND: &str = r#"# Who evaluates: here any program. It reads one JSON object from its standard input and prints
# {"loss": 0.25} as its last line; a line such as {"step": 3, "loss": 0.4} reports progress.
#
#     import json, sys
#     trial = json.load(sys.stdin)
#     rate = trial["parameters"]["learning_rate"]
#     print(json.dumps({"loss": (rate - 0.01) ** 2}))
#
[objective]
plugin = "command"
options = { command = ["python3", "train.py"] }

"#;

const BEFORE_OBJECTIVE: &str = r#"# A study: what to tune, how to judge it, and what it may cost.
#
#     ansatz check FILE        says what is wrong with this file, and where
#     ansatz run FILE          runs the study; an interrupted one goes on with `ansatz resume`
#     ansatz schema            prints a JSON Schema, with which editors complete this file

[study]
name = "first"
seed = 7                     # with one slot, the same seed gives the same study

# What is measured, by the names that the objective reports.
[metrics]
loss = "minimise"
# latency_ms = { at_most = 50 }

# Where to search.
[space]
learning_rate = { float = [1e-5, 1e-1], scale = "log" }
layers = { int = [1, 4] }
optimizer = { categorical = ["sgd", "adam"] }
momentum = { float = [0.0, 0.99], when = { optimizer = "sgd" } }
# batch_size = { ordinal = [16, 32, 64, 128] }
# augment = "bool"

"#;

const AFTER_OBJECTIVE: &str = r#"# Who proposes. Without such a table Ansatz chooses; `ansatz plugins list` shows what there is, and several tables make
# several strategies.
# [[strategy]]
# plugin = "bayesian"

# The first limit reached ends the study.
[budget]
trials = 50
# wall_time = "2h"

[run]
slots = 2                    # trials at the same time
# trial_timeout = "10min"
# retries = 1

"#;

const DIGITS: &str = r#"# A study that needs nothing but Ansatz: a small network learns to read handwritten digits.
#
#     ansatz check FILE        says what is wrong with this file, and where
#     ansatz run FILE          runs the study; an interrupted one goes on with `ansatz resume`
#     ansatz schema            prints a JSON Schema, with which editors complete this file

[study]
name = "digits"
seed = 7                     # with one slot, the same seed gives the same study
mix = "phases"               # the strategies below one after the other

# What is measured, by the names that the objective reports.
[metrics]
validation_loss = "minimise"

# Where to search.
[space]
learning_rate = { float = [1e-4, 1e0], scale = "log" }
batch_size = { int = [16, 128], step = 16 }
optimizer = { categorical = ["sgd", "adam"] }
momentum = { float = [0.0, 0.99], when = { optimizer = "sgd" } }
hidden_layers = { int = [0, 3] }
hidden_units = { int = [8, 128], scale = "log", when = { hidden_layers = { min = 1 } } }
activation = { categorical = ["relu", "tanh", "gelu", "sigmoid"], when = { hidden_layers = { min = 1 } } }
dropout = { float = [0.0, 0.5], when = { hidden_layers = { min = 1 } } }

# Who evaluates. `ansatz plugins inspect digits` lists its options.
[objective]
plugin = "digits"
options = { epochs = 20 }

# Who proposes: evenly spread points first, then a model of what they showed.
[[strategy]]
plugin = "sobol"
trials = 16

[[strategy]]
plugin = "bayesian"

# The first limit reached ends the study.
[budget]
trials = 60
wall_time = "10min"

[run]
slots = 2                    # trials at the same time

"#;
