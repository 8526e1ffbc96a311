//! `ansatz plugins check`: arguments and printing. What is checked, and how, is in `ansatz-plugin-check`; each case
//! runs in a process of its own, which is this program again.

use crate::args::{CheckPlugin, PluginCase};
use crate::commands::{print, print_json};
use crate::error::{Error, Exit};
use crate::manifest::Manifest;
use crate::plugins;
use crate::report::text::in_one_line;
use ansatz_core::Surroundings;
use ansatz_plugin_check::{
    CaseResult, CaseSetup, Examination, Given, Job, Place, Report, Subject, Verdict, cases, examine,
    run_case as carry_out,
};
use ansatz_plugin_host::Role;
use ansatz_plugin_host::program::Program;
use serde_json::json;
use std::collections::HashMap;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

/// How many cases run at the same time at most: each is a process that loads the plugin.
const SLOT_COUNT_MAX: usize = 8;

/// Checks a plugin, or lists the cases.
pub fn check(arguments: &CheckPlugin) -> Result<Exit, Error> {
    let Some(path) = arguments.path.as_ref().filter(|_| !arguments.list) else {
        return list(arguments.json);
    };
    for id in &arguments.only {
        if cases().iter().all(|case| case.id != id) {
            let hint = ansatz_core::nearest::did_you_mean(id, cases().iter().map(|case| case.id));
            return Err(Error::Usage(format!(
                "there is no case {id:?}{hint}; ansatz plugins check --list has all"
            )));
        }
    }
    if let Some(manifest) = &arguments.problem {
        // what is wrong with it is said once, not by every case
        given(manifest, None)?;
    }
    let program = std::env::current_exe().map_err(|error| Error::Io { path: "ansatz".into(), error })?;
    let command = |job: &Job<'_>| {
        let mut command = Command::new(&program);
        command.arg("plugin-case").arg("--plugin").arg(path);
        if arguments.isolated {
            command.arg("--isolated");
        }
        if let Some(Subject { role, name }) = job.subject {
            command.args(["--role", &role.to_string(), "--name", name]);
        }
        command.args(["--case", job.case, "--seed", &arguments.seed.to_string()]);
        command.args(["--timeout", &job.time_limit.as_secs_f64().to_string()]);
        if let Some(problem) = &arguments.problem {
            command.arg("--problem").arg(problem);
        }
        command
    };
    let is_wanted = |id: &str| arguments.only.is_empty() || arguments.only.iter().any(|only| only == id);
    let examination = Examination {
        cases: cases().iter().filter(|case| is_wanted(case.id)).collect(),
        component: arguments.component.clone(),
        time_limit: Duration::from_secs(arguments.timeout),
        slot_count: std::thread::available_parallelism().map_or(1, |count| count.get().min(SLOT_COUNT_MAX)),
        command: &command,
    };
    let mut shown = Shown::default();
    let mut printed = Ok(Exit::Success);
    let report = examine(&examination, |result| {
        if !arguments.json && printed.is_ok() {
            printed = print(&shown.line(result));
        }
    });
    printed?;
    if let (Some(name), false) = (&arguments.component, report.components.is_empty())
        && report.components.iter().all(|about| about.name != *name)
    {
        let names: Vec<&str> = report.components.iter().map(|about| about.name.as_str()).collect();
        return Err(Error::NotFound(format!(
            "{} offers no {name}; it offers {}",
            path.display(),
            names.join(", ")
        )));
    }
    match arguments.json {
        true => print_json(&as_json(path, arguments.seed, &report))?,
        false => print(&summary(arguments.seed, &report))?,
    };
    Ok(if report.is_conforming() { Exit::Success } else { Exit::Plugin })
}

/// One case in this process. Standard output was taken for ourselves before the plugin is loaded.
pub fn run_case(arguments: &PluginCase) -> Result<Exit, Error> {
    let subject = match (&arguments.role, &arguments.name) {
        (Some(role), Some(name)) => {
            let role = Role::ALL.into_iter().find(|known| known.to_string() == *role);
            let role =
                role.ok_or_else(|| Error::Usage("--role is strategy, objective or early-stopping".into()))?;
            Some(Subject { role, name: name.clone() })
        }
        _ => None,
    };
    let given = match &arguments.problem {
        Some(manifest) => given(manifest, subject.as_ref())?,
        None => Given::default(),
    };
    let time_limit = Duration::try_from_secs_f64(arguments.timeout).unwrap_or(Duration::from_secs(60));
    let is_apart = arguments.isolated || Program::is_at(&arguments.plugin);
    let setup = CaseSetup {
        place: Place {
            path: arguments.plugin.clone(),
            launch: is_apart.then(|| plugins::launch(time_limit, None, None)),
        },
        subject,
        case: arguments.case.clone(),
        seed: arguments.seed,
        time_limit,
        given,
    };
    print(&format!("{}\n", json!(carry_out(&setup))))
}

/// What a manifest says of a component: options where it names it, and for an objective its problem too.
fn given(manifest: &Path, subject: Option<&Subject>) -> Result<Given, Error> {
    let plan = Manifest::read(manifest, &[])?.plan()?;
    let surroundings =
        Surroundings { manifest_folder: plan.manifest_folder.clone(), study: plan.name.clone() };
    let mut given = Given { surroundings, ..Given::default() };
    match subject {
        Some(Subject { role: Role::Objective, name }) => {
            if let Some(choice) = plan.objective.filter(|choice| choice.plugin == *name) {
                given.options = Some(choice.options);
                given.problem = Some(plan.rules.problem);
            }
        }
        Some(Subject { role: Role::Strategy, name }) => {
            given.options = plan
                .strategies
                .into_iter()
                .find(|choice| choice.plugin == *name)
                .map(|choice| choice.options);
        }
        Some(Subject { role: Role::EarlyStopping, name }) => {
            given.options =
                plan.early_stopping.filter(|choice| choice.plugin == *name).map(|choice| choice.options);
        }
        None => {}
    }
    Ok(given)
}

fn list(as_json: bool) -> Result<Exit, Error> {
    if as_json {
        let list = cases()
            .iter()
            .map(|case| json!({"case": case.id, "about": case.about(), "sentence": case.sentence}));
        return print_json(&list.collect());
    }
    let width = id_width();
    let lines =
        cases().iter().map(|case| format!("{:9}  {:width$}  {}\n", case.about(), case.id, case.sentence));
    print(&lines.collect::<String>())
}

fn id_width() -> usize {
    cases().iter().map(|case| case.id.len()).max().unwrap_or(0)
}

/// What has been printed of a check.
#[derive(Default)]
struct Shown {
    subject: Option<Subject>,
    /// What the cases of this subject said that are not well, with the first that did.
    said: HashMap<String, &'static str>,
}

impl Shown {
    /// A line for a result, and before the first of a component its name. What was said before is not said again.
    fn line(&mut self, result: &CaseResult) -> String {
        let mut text = String::new();
        if result.subject != self.subject {
            if let Some(subject) = &result.subject {
                text.push_str(&format!("{} {}\n", subject.role, subject.name));
            }
            self.subject.clone_from(&result.subject);
            self.said.clear();
        }
        let mark = match result.verdict {
            Verdict::Passed => "ok",
            Verdict::Warning => "warning",
            Verdict::Failed => "FAILED",
            Verdict::Crashed => "CRASHED",
            Verdict::Skipped => "skipped",
        };
        let sentence = cases().iter().find(|case| case.id == result.case).map_or("", |case| case.sentence);
        let width = id_width();
        let said = in_one_line(&result.text);
        let what = match result.verdict {
            Verdict::Passed if said.is_empty() => sentence.to_owned(),
            Verdict::Passed => format!("{sentence} ({said})"),
            Verdict::Skipped => said,
            _ => match self.said.get(&said) {
                Some(first) => format!("as {first}"),
                None => {
                    self.said.insert(said.clone(), result.case);
                    said
                }
            },
        };
        text.push_str(&format!("  {mark:7}  {:width$}  {what}\n", result.case));
        text
    }
}

fn summary(seed: u64, report: &Report) -> String {
    let counts = [
        (Verdict::Passed, "passed"),
        (Verdict::Warning, "with a warning"),
        (Verdict::Failed, "failed"),
        (Verdict::Crashed, "crashed"),
        (Verdict::Skipped, "skipped"),
    ];
    let counts: Vec<String> = counts
        .into_iter()
        .map(|(verdict, word)| (report.count(verdict), word))
        .filter(|(count, _)| *count > 0)
        .map(|(count, word)| format!("{count} {word}"))
        .collect();
    format!("{} (seed {seed})\n", counts.join(", "))
}

fn as_json(path: &Path, seed: u64, report: &Report) -> serde_json::Value {
    let results = report.results.iter().map(|result| {
        json!({
            "role": result.subject.as_ref().map(|subject| subject.role.to_string()),
            "name": result.subject.as_ref().map(|subject| &subject.name),
            "case": result.case,
            "verdict": result.verdict,
            "text": result.text,
            "seconds": result.seconds,
        })
    });
    json!({
        "path": path,
        "seed": seed,
        "is_conforming": report.is_conforming(),
        "passed": report.count(Verdict::Passed),
        "warnings": report.count(Verdict::Warning),
        "failed": report.count(Verdict::Failed),
        "crashed": report.count(Verdict::Crashed),
        "skipped": report.count(Verdict::Skipped),
        "results": results.collect::<serde_json::Value>(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_many_cases_say_is_said_once() {
        let mut shown = Shown::default();
        let mut line = |name: &str, case: &'static str, verdict, text: &str| {
            let subject = Some(Subject { role: Role::Strategy, name: name.into() });
            shown.line(&CaseResult { subject, case, verdict, text: text.into(), seconds: 0.0 })
        };
        let (first, second) = (cases()[0].id, cases()[1].id);
        assert!(line("walk", first, Verdict::Failed, "it panicked:\n  no").ends_with("  it panicked: no\n"));
        assert!(
            line("walk", second, Verdict::Crashed, "it panicked: no").ends_with(&format!("  as {first}\n"))
        );
        assert!(line("walk", second, Verdict::Failed, "it panicked: yes").ends_with("  it panicked: yes\n"));
        // another component speaks for itself
        assert!(line("run", first, Verdict::Failed, "it panicked: no").ends_with("  it panicked: no\n"));
    }
}
