//! The options of the manifest, and the checks that need no trial.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::path::{Component, Path, PathBuf};
use std::time::Duration;

use ansatz_core::Problem;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::input::{FACTS, variable_name};
use crate::left_over;
use crate::protocol::RESERVED;
use crate::template::Template;

/// Which program to run, how it gets its point and where its metrics are.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Options {
    /// The program and its arguments, without a shell: `["python3", "train.py", "--rate={learning_rate}"]`.
    /// Placeholders are parameters and trial, attempt, seed, fidelity, input, metrics, output, continued_step,
    /// continued_output.
    pub command: Option<Vec<String>>,
    /// Instead of `command`: a line for /bin/sh, without placeholders; use $ANSATZ_PARAM_LEARNING_RATE.
    pub shell: Option<String>,
    /// How the program gets its point, besides the environment variables that are always set.
    pub input: Input,
    /// Where the program writes its metrics: "stdout", or a file in the trial's output folder.
    pub metrics: String,
    /// Where the program runs, relative to the manifest's folder.
    pub working_directory: PathBuf,
    /// Environment variables for the program, besides those it inherits.
    pub environment: BTreeMap<String, String>,
    /// Seconds from SIGTERM to SIGKILL, 0 to 3,600.
    #[schemars(range(min = 0, max = 3600))]
    pub grace_seconds: f64,
    /// How much of stdout and of stderr is kept in a trial's output folder, in bytes.
    pub log_bytes_max: u64,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            command: None,
            shell: None,
            input: Input::Stdin,
            metrics: "stdout".to_owned(),
            working_directory: PathBuf::from("."),
            environment: BTreeMap::new(),
            grace_seconds: 2.0,
            log_bytes_max: 16 << 20,
        }
    }
}

/// How a program gets its point.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Input {
    /// A JSON object on stdin.
    Stdin,
    /// The same object in a file, whose path is in $ANSATZ_INPUT and {input}.
    File,
    /// Environment variables alone.
    Environment,
    /// `--name=value` for each active parameter that no placeholder mentions.
    Arguments,
}

/// Options that were checked against a problem: nothing is left to guess.
#[derive(Debug)]
pub struct Plan {
    /// What to start.
    pub launch: Launch,
    /// How the point is passed.
    pub input: Input,
    /// The metrics file, relative to the trial's output folder; stdout if `None`.
    pub metrics_file: Option<PathBuf>,
    /// An existing folder, absolute.
    pub working_directory: PathBuf,
    /// Additions to the environment.
    pub environment: BTreeMap<String, String>,
    /// From SIGTERM to SIGKILL.
    pub grace: Duration,
    /// Of each log.
    pub log_bytes_max: u64,
}

/// What is started.
#[derive(Debug)]
pub enum Launch {
    /// A program.
    Program {
        /// An absolute path.
        path: PathBuf,
        /// Its arguments.
        arguments: Vec<Template>,
        /// Parameters that are added as `--name=value` where they are active.
        appended: Vec<String>,
    },
    /// A line for /bin/sh.
    Shell(String),
}

impl Options {
    /// The checked form. `search_path`: the value of PATH.
    ///
    /// # Errors
    /// What is wrong, where it was looked for, and what to do.
    pub fn check(
        &self,
        problem: &Problem,
        manifest_folder: &Path,
        search_path: &str,
    ) -> Result<Plan, String> {
        self.check_names(problem)?;
        if !(0.0..=3600.0).contains(&self.grace_seconds) {
            return Err(format!("option grace_seconds must be 0 to 3600, found {}", self.grace_seconds));
        }
        let joined = manifest_folder.join(&self.working_directory);
        let working_directory = std::path::absolute(&joined)
            .map_err(|error| format!("option working_directory: {}: {error}", joined.display()))?;
        if !working_directory.is_dir() {
            return Err(format!(
                "option working_directory: {} is no folder; \
                 relative paths are meant from the manifest's folder",
                working_directory.display()
            ));
        }
        let metrics_file = if self.metrics == "stdout" {
            None
        } else {
            let file = PathBuf::from(&self.metrics);
            let is_inside = file.components().all(|component| matches!(component, Component::Normal(_)));
            if !is_inside || self.metrics.is_empty() || self.metrics == left_over::NOTE {
                return Err(format!(
                    "option metrics: {:?} is neither \"stdout\" nor a free file name relative to the trial's \
                     output folder; the program finds the path in $ANSATZ_METRICS and {{metrics}}",
                    self.metrics
                ));
            }
            Some(file)
        };
        Ok(Plan {
            launch: self.check_launch(problem, &working_directory, search_path)?,
            input: self.input,
            metrics_file,
            working_directory,
            environment: self.environment.clone(),
            grace: Duration::from_secs_f64(self.grace_seconds),
            log_bytes_max: self.log_bytes_max,
        })
    }

    fn check_launch(
        &self,
        problem: &Problem,
        working_directory: &Path,
        search_path: &str,
    ) -> Result<Launch, String> {
        let (program, arguments) = match (&self.command, &self.shell) {
            (Some(_), Some(_)) => {
                return Err("options command and shell exclude each other; keep one".to_owned());
            }
            (None, None) => {
                return Err(
                    "option command is missing, for example command = [\"python3\", \"train.py\"]".to_owned()
                );
            }
            (None, Some(line)) => {
                if line.trim().is_empty() {
                    return Err("option shell is empty".to_owned());
                }
                if self.input == Input::Arguments {
                    return Err(
                        "input = \"arguments\" needs command; in a shell line use the variables".to_owned()
                    );
                }
                return Ok(Launch::Shell(line.clone()));
            }
            (Some(words), None) => match words.split_first() {
                Some((program, arguments)) if !program.is_empty() => (program, arguments),
                _ => return Err("option command names no program".to_owned()),
            },
        };
        let search_path = self.environment.get("PATH").map_or(search_path, String::as_str);
        let path = find_program(program, working_directory, search_path)?;
        find_script(program, arguments, working_directory)?;

        let names: Vec<&str> =
            problem.space.parameters().iter().map(|parameter| parameter.name.as_str()).collect();
        let mut known = names.clone();
        known.extend(FACTS.iter().filter(|fact| !names.contains(fact)));
        let arguments: Vec<Template> =
            arguments.iter().map(|argument| Template::parse(argument, &known)).collect::<Result<_, _>>()?;
        let used: Vec<&str> = arguments.iter().flat_map(Template::placeholders).collect();
        for name in &used {
            let missing = match *name {
                name if names.contains(&name) && FACTS.contains(&name) => {
                    return Err(format!(
                        "placeholder {{{name}}} could mean the parameter or the {name} of the trial; \
                         rename the parameter"
                    ));
                }
                name if names.contains(&name) => None,
                "input" if self.input != Input::File => Some("input = \"file\""),
                "metrics" if self.metrics == "stdout" => Some("metrics = \"some-file.jsonl\""),
                "fidelity" if problem.fidelity.is_none() => Some("a fidelity in the study"),
                _ => None,
            };
            if let Some(missing) = missing {
                return Err(format!("placeholder {{{name}}} needs {missing}"));
            }
        }
        let appended = match self.input {
            Input::Arguments => {
                names.iter().filter(|name| !used.contains(name)).map(ToString::to_string).collect()
            }
            _ => Vec::new(),
        };
        Ok(Launch::Program { path, arguments, appended })
    }

    /// Names that would collide or mean something else.
    fn check_names(&self, problem: &Problem) -> Result<(), String> {
        let mut variables = BTreeMap::new();
        for parameter in problem.space.parameters() {
            let variable = variable_name(&parameter.name);
            if let Some(other) = variables.insert(variable.clone(), &parameter.name) {
                return Err(format!(
                    "parameters {other} and {} would share the environment variable {variable}; rename one",
                    parameter.name
                ));
            }
        }
        let goals = problem.metrics.iter().map(|metric| &metric.name);
        let bounds = problem.outcome_constraints.iter().map(|constraint| &constraint.metric);
        if let Some(name) = goals.chain(bounds).find(|name| RESERVED.contains(&name.as_str())) {
            return Err(format!(
                "a metric cannot be called {name}: that has a meaning of its own in a program's output"
            ));
        }
        for name in self.environment.keys() {
            if name.is_empty() || name.contains(['=', '\0']) || name.starts_with("ANSATZ_") {
                return Err(format!(
                    "option environment: {name:?} cannot be set; a name has no = and no prefix ANSATZ_"
                ));
            }
        }
        Ok(())
    }
}

/// Programs whose first argument is the path of a script, unless it is an option.
const INTERPRETERS: [&str; 5] = ["python", "python3", "Rscript", "perl", "ruby"];

/// Whether there is the script that an interpreter would run: otherwise every trial would fail. An absolute path may be one of
/// other machines.
fn find_script(program: &str, arguments: &[String], working_directory: &Path) -> Result<(), String> {
    let name = program.rsplit('/').next().unwrap_or(program);
    // such as python3.12
    let is_interpreter = INTERPRETERS.contains(&name) || name.starts_with("python3.");
    let Some(script) = arguments.first().filter(|_| is_interpreter) else { return Ok(()) };
    let path = working_directory.join(script);
    if script.starts_with(['-', '/']) || script.contains('{') || path.exists() {
        return Ok(());
    }
    Err(format!(
        "script {script} was not found: there is no file {}; give a path, relative to working_directory ({})",
        path.display(),
        working_directory.display()
    ))
}

/// The absolute path of a program: a bare name is looked up in PATH, a path is meant from the working
/// directory.
fn find_program(program: &str, working_directory: &Path, search_path: &str) -> Result<PathBuf, String> {
    let is_executable =
        |path: &Path| path.metadata().is_ok_and(|data| data.permissions().mode() & 0o111 != 0);
    if program.contains('/') {
        let path = working_directory.join(program);
        if !path.is_file() {
            return Err(format!("program {program} was not found: there is no file {}", path.display()));
        }
        if !is_executable(&path) {
            return Err(format!(
                "program {} is not executable; put its interpreter first, as in \
                 [\"python3\", {program:?}], or chmod +x it",
                path.display()
            ));
        }
        return Ok(path);
    }
    let folders = || search_path.split(':').filter(|folder| !folder.is_empty());
    let found = folders().map(|folder| working_directory.join(folder).join(program));
    found.into_iter().find(|path| path.is_file() && is_executable(path)).ok_or_else(|| {
        let hint = if working_directory.join(program).is_file() {
            format!("; there is one in {}: call it ./{program}", working_directory.display())
        } else {
            String::new()
        };
        format!(
            "program {program} was not found in the folders of PATH ({}){hint}; \
             give a path, relative to working_directory ({})",
            folders().collect::<Vec<_>>().join(", "),
            working_directory.display()
        )
    })
}
