//! The objective with real programs: small lines for `sh`, and `python3` where its JSON matters.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test that panics has failed, in its helpers too")]

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use ansatz_core::space::{Condition, Parameter};
use ansatz_core::{
    Assignment, Context, Continued, EvaluationError, FidelityRange, Goal, Measurement, Metric, Objective,
    Problem, Reporter, Space, Surroundings, TrialId, Value, Verdict,
};
use ansatz_objective_command::{Command, Input, Options};

/// A folder that is gone after the test.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Folder {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("ansatz-command-{}-{number}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        Folder(path)
    }

    fn read(&self, name: &str) -> String {
        let path = self.0.join(name);
        fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        drop(fs::remove_dir_all(&self.0));
    }
}

/// Remembers reports; asks to stop at a step, or from the start.
#[derive(Default)]
struct Recorder {
    reports: Vec<(u64, Measurement)>,
    stop_at: Option<u64>,
    /// Says that the study is cancelled as soon as this file exists.
    stop_file: Option<PathBuf>,
}

impl Reporter for Recorder {
    fn report(&mut self, step: u64, measurement: &Measurement) -> Verdict {
        self.reports.push((step, measurement.clone()));
        if self.stop_at.is_some_and(|stop_at| step >= stop_at) { Verdict::Stop } else { Verdict::Continue }
    }
    fn is_stopped(&self) -> bool {
        self.stop_file.as_ref().is_some_and(|file| file.exists())
    }
}

fn problem() -> Problem {
    let space = Space::of(vec![
        Parameter::float("learning_rate", 1e-6, 1.0).log(),
        Parameter::categorical("optimizer", ["sgd", "adam"]),
        Parameter::float("momentum", 0.0, 0.9).when(Condition::equals("optimizer", "sgd")),
    ])
    .unwrap();
    Problem::new(space, vec![Metric { name: "loss".to_owned(), goal: Goal::Minimise }])
}

fn assignment(folder: &Folder) -> Assignment {
    Assignment {
        trial: TrialId(17),
        attempt: 1,
        seed: 99,
        fidelity: None,
        time_limit: None,
        output_folder: Some(folder.0.join("trial-17")),
        continued: None,
    }
}

/// One evaluation of the point (2e-5, adam).
struct Case {
    folder: Folder,
    problem: Problem,
    options: Options,
    assignment: Assignment,
    recorder: Recorder,
}

impl Case {
    fn new(options: Options) -> Case {
        let folder = Folder::new();
        let assignment = assignment(&folder);
        Case { folder, problem: problem(), options, assignment, recorder: Recorder::default() }
    }

    /// A line for `sh`, run without the option `shell`.
    fn sh(line: &str) -> Case {
        Case::new(Options { command: Some(words(&["sh", "-c", line])), ..Options::default() })
    }

    fn create(&self) -> Result<Command, String> {
        let surroundings = Surroundings { manifest_folder: self.folder.0.clone(), study: "test".to_owned() };
        Command::new(&self.problem, self.options.clone(), &surroundings).map_err(|error| error.0)
    }

    fn evaluate(&mut self) -> Result<Measurement, EvaluationError> {
        let command = self.create().unwrap();
        let values = [("learning_rate", Value::Float(2e-5)), ("optimizer", "adam".into())];
        let point = self.problem.space.point_from_values(values).unwrap();
        let mut context = Context::new(self.assignment.clone(), &self.problem.space, &mut self.recorder);
        command.evaluate(&point, &mut context)
    }

    fn loss(&mut self) -> f64 {
        self.evaluate().unwrap().value("loss").unwrap()
    }

    fn failure(&mut self) -> String {
        match self.evaluate() {
            Err(EvaluationError::Failed(reason)) => reason,
            other => panic!("{other:?}"),
        }
    }

    fn output(&self, name: &str) -> String {
        self.folder.read(&format!("trial-17/{name}"))
    }

    /// Waits until the process whose number is in `file` has ended; a zombie has.
    fn assert_process_is_gone(&self, file: &str) {
        let number = self.output(file);
        let stat = PathBuf::from(format!("/proc/{}/stat", number.trim()));
        let is_alive = || {
            fs::read_to_string(&stat).is_ok_and(|text| {
                let state = text.rsplit(") ").next().and_then(|rest| rest.chars().next());
                !matches!(state, Some('Z' | 'X'))
            })
        };
        // The signal was sent before `evaluate` returned; the system may take a moment to act on it.
        let patience = Instant::now();
        while is_alive() {
            assert!(patience.elapsed() < Duration::from_secs(20), "process {} still runs", number.trim());
            std::thread::yield_now();
        }
    }
}

fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| word.to_string()).collect()
}

#[test]
fn the_point_arrives_on_stdin() {
    let mut case = Case::sh(r#"cat > "$ANSATZ_OUTPUT/seen.json"; echo '{"loss": 0.5}'"#);
    assert_eq!(case.loss(), 0.5);
    let seen: serde_json::Value = serde_json::from_str(&case.output("seen.json")).unwrap();
    let expected = serde_json::json!({
        "trial": 17, "attempt": 1, "seed": 99, "fidelity": null,
        "parameters": {"learning_rate": 2e-5, "optimizer": "adam"},
    });
    assert_eq!(seen, expected);
    assert_eq!(case.output("stdout.log"), "{\"loss\": 0.5}\n");
}

#[test]
fn the_point_arrives_as_a_file() {
    let line =
        r#"test "$ANSATZ_INPUT" = "$1" && cat "$1" > "$ANSATZ_OUTPUT/seen.json"; wc -c; echo '{"loss": 1}'"#;
    let command = Some(words(&["sh", "-c", line, "program", "{input}"]));
    let mut case = Case::new(Options { command, input: Input::File, ..Options::default() });
    assert_eq!(case.loss(), 1.0);
    let seen: serde_json::Value = serde_json::from_str(&case.output("seen.json")).unwrap();
    assert_eq!(seen["parameters"]["learning_rate"], 2e-5);
    assert!(case.output("stdout.log").trim_start().starts_with('0'), "stdin is empty");
}

#[test]
fn the_point_arrives_in_variables() {
    let line = r#"echo "$ANSATZ_TRIAL/$ANSATZ_ATTEMPT/$ANSATZ_SEED/$ANSATZ_FIDELITY"
        echo "$ANSATZ_PARAM_OPTIMIZER/${ANSATZ_PARAM_MOMENTUM-inactive}/$EXTRA"; cat; echo "{\"loss\": $ANSATZ_PARAM_LEARNING_RATE}""#;
    let mut case = Case::sh(line);
    case.options.input = Input::Environment;
    case.options.environment.insert("EXTRA".to_owned(), "more".to_owned());
    case.problem.fidelity = Some(FidelityRange { name: "epochs".to_owned(), lower: 1.0, upper: 27.0 });
    case.assignment.fidelity = Some(9.0);
    assert_eq!(case.loss(), 2e-5);
    assert!(case.output("stdout.log").starts_with("17/1/99/9\nadam/inactive/more\n{"));
}

#[test]
fn the_point_arrives_in_arguments() {
    let line = r#"for argument in "$@"; do echo "$argument"; done; echo '{"loss": 1}'"#;
    let arguments =
        ["sh", "-c", line, "program", "--lr", "{learning_rate}", "--momentum={momentum}", "{trial}:{seed}"];
    let command = Some(words(&arguments));
    let mut case =
        Case::new(Options { command: command.clone(), input: Input::Arguments, ..Options::default() });
    case.loss();
    // The inactive parameter's argument is dropped; the parameter that no placeholder mentions is added.
    assert_eq!(case.output("stdout.log"), "--lr\n2e-5\n17:99\n--optimizer=adam\n{\"loss\": 1}\n");
    let mut case = Case::new(Options { command, input: Input::Environment, ..Options::default() });
    case.loss();
    assert_eq!(case.output("stdout.log"), "--lr\n2e-5\n17:99\n{\"loss\": 1}\n");
}

#[test]
fn no_shell_reads_the_values_and_a_shell_must_be_asked_for() {
    let mut case = Case::new(Options {
        command: Some(words(&["echo", r#"{"loss": 1, "note": "$(exit)"}"#])),
        ..Options::default()
    });
    assert_eq!(case.loss(), 1.0);
    assert!(case.output("stdout.log").contains("$(exit)"));

    let shell = Some(r#"echo "{\"loss\": $((3 + 4))}" | cat"#.to_owned());
    let mut case = Case::new(Options { shell, ..Options::default() });
    assert_eq!(case.loss(), 7.0);
}

#[test]
fn programs_run_in_their_working_directory() {
    let mut case = Case::new(Options {
        command: Some(words(&["./tools/run"])),
        working_directory: PathBuf::from("project"),
        ..Options::default()
    });
    let tools = case.folder.0.join("project/tools");
    fs::create_dir_all(&tools).unwrap();
    // A link instead of a script of our own: a file that was just written may still be busy when it is
    // started.
    std::os::unix::fs::symlink("/bin/cat", tools.join("run")).unwrap();
    assert!(
        case.failure().contains(
            "metric loss is missing in the result; found: attempt, seed, trial, fidelity, parameters"
        )
    );

    case.options.command = Some(words(&["sh", "-c", "pwd; echo '{\"loss\": 1}'"]));
    case.loss();
    let first_line = case.output("stdout.log").lines().next().unwrap().to_owned();
    assert!(first_line.ends_with("/project"), "{first_line}");
}

#[test]
fn further_attempts_have_folders_of_their_own() {
    let mut case = Case::sh("echo \"$ANSATZ_ATTEMPT\"; echo '{\"loss\": 1}'");
    case.loss();
    case.assignment.attempt = 2;
    case.loss();
    assert!(case.output("stdout.log").starts_with('1'));
    assert!(case.output("attempt-2/stdout.log").starts_with('2'));
}

#[test]
fn an_exit_code_fails_with_the_end_of_stderr() {
    let reason =
        Case::sh("echo early >&2; echo '{\"loss\": 1}'; echo 'ValueError: no good' >&2; exit 3").failure();
    assert!(
        reason.starts_with(
            "the program exited with code 3; stderr ends: early | ValueError: no good; its output is in "
        ),
        "{reason}"
    );
}

#[test]
fn a_signal_fails_with_its_name() {
    let reason = Case::sh("echo '{\"loss\": 1}'; kill -KILL $$").failure();
    assert!(
        reason.starts_with("the program was ended by SIGKILL, as the system does when memory"),
        "{reason}"
    );
    let reason = Case::sh("kill -SEGV $$").failure();
    assert!(reason.starts_with("the program was ended by SIGSEGV;"), "{reason}");
}

#[test]
fn the_time_limit_ends_the_whole_group() {
    // The shell and its child ignore SIGTERM.
    let line = r#"trap "" TERM
        sleep 1000 & echo $! > "$ANSATZ_OUTPUT/child"; echo $$ > "$ANSATZ_OUTPUT/leader"; wait"#;
    let mut case = Case::sh(line);
    case.options.grace_seconds = 0.1;
    case.assignment.time_limit = Some(Duration::from_millis(1500));
    let reason = case.failure();
    assert!(
        reason.starts_with("the time limit of 1.5s passed; it ignored SIGTERM and was killed"),
        "{reason}"
    );
    case.assert_process_is_gone("child");
    case.assert_process_is_gone("leader");
}

#[test]
fn the_time_limit_leaves_time_to_end_well() {
    let line = r#"trap 'echo saved > "$ANSATZ_OUTPUT/checkpoint"; exit 0' TERM; sleep 1000 & wait"#;
    let mut case = Case::sh(line);
    case.options.grace_seconds = 60.0;
    case.assignment.time_limit = Some(Duration::from_millis(1500));
    let reason = case.failure();
    assert!(reason.starts_with("the time limit of 1.5s passed; it ended on SIGTERM"), "{reason}");
    assert_eq!(case.output("checkpoint"), "saved\n");
}

#[test]
fn children_do_not_survive_a_program_that_ends_well() {
    let mut case = Case::sh(r#"sleep 1000 & echo $! > "$ANSATZ_OUTPUT/child"; echo '{"loss": 1}'"#);
    assert_eq!(case.loss(), 1.0);
    case.assert_process_is_gone("child");
}

#[test]
fn stop_is_obeyed_at_a_report() {
    let line = r#"sleep 1000 & echo $! > "$ANSATZ_OUTPUT/child"
        for step in 1 2 3 4 5; do echo "{\"step\": $step, \"loss\": 0.$step}"; done; wait"#;
    let mut case = Case::sh(line);
    case.recorder.stop_at = Some(3);
    assert_eq!(case.evaluate(), Err(EvaluationError::Stopped));
    let seen: Vec<_> =
        case.recorder.reports.iter().map(|(step, report)| (*step, report.value("loss"))).collect();
    assert_eq!(seen, [(1, Some(0.1)), (2, Some(0.2)), (3, Some(0.3))]);
    case.assert_process_is_gone("child");
}

#[test]
fn stop_counts_even_if_the_program_was_faster() {
    let mut case =
        Case::sh(r#"echo '{"step": 1, "loss": 3}'; echo '{"step": 2, "loss": 2}'; echo '{"loss": 1}'"#);
    case.recorder.stop_at = Some(1);
    assert_eq!(case.evaluate(), Err(EvaluationError::Stopped));
    assert_eq!(case.recorder.reports.len(), 1);
}

#[test]
fn a_silent_program_is_stopped_too() {
    let mut case = Case::sh(r#"echo $$ > "$ANSATZ_OUTPUT/leader"; sleep 1000"#);
    case.recorder.stop_file = Some(case.folder.0.join("trial-17/leader"));
    assert_eq!(case.evaluate(), Err(EvaluationError::Stopped));
    case.assert_process_is_gone("leader");
}

#[test]
fn reports_come_before_the_result() {
    let line = r#"echo epoch 1
        echo '{"step": 1, "loss": 0.9, "accuracy": 0.4}'; echo '{"step": 2, "loss": 0.7}'
        echo '{"loss": 0.6, "loss_stderr": 0.05}'; echo bye"#;
    let mut case = Case::sh(line);
    let measurement = case.evaluate().unwrap();
    assert_eq!(measurement, Measurement::new().with_error("loss", 0.6, 0.05));
    let expected = [
        (1, Measurement::new().with("accuracy", 0.4).with("loss", 0.9)),
        (2, Measurement::new().with("loss", 0.7)),
    ];
    assert_eq!(case.recorder.reports, expected);
}

#[test]
fn garbage_is_no_result() {
    let reason =
        Case::sh("head -c 100000 /dev/urandom; echo; echo \"{'loss': 0.5}\"; echo loss=0.5").failure();
    assert!(
        reason.starts_with(
            "the program exited well, but no result: expected a line such as \
             {\"loss\": 0.5}; a line is no JSON"
        ),
        "{reason}"
    );
    assert!(reason.contains("{'loss': 0.5}"), "{reason}");
    assert!(Case::sh("true").failure().starts_with("the program exited well, but no result"));
}

#[test]
fn a_missing_metric_lists_what_was_found() {
    let reason = Case::sh(r#"echo '{"los": 1, "accuracy": 0.5}'"#).failure();
    assert!(
        reason.contains("metric loss is missing in the result (did you mean \"los\"?); found: accuracy, los"),
        "{reason}"
    );
}

#[test]
fn what_python_writes_for_nan_is_understood() {
    let python = |code: &str| {
        Case::new(Options { command: Some(words(&["python3", "-c", code])), ..Options::default() }).failure()
    };
    let reason = python("import json; print(json.dumps({'loss': float('nan')}))");
    assert!(reason.contains("metric loss is \"NaN\", not a finite number"), "{reason}");
    let reason = python("import json; print(json.dumps({'loss': -float('inf')}))");
    assert!(reason.contains("metric loss is \"-Infinity\", not a finite number"), "{reason}");
    // A report with NaN ends the program: there is no point in going on.
    let reason = python(
        "import json, time\nprint(json.dumps({'step': 4, 'loss': float('nan')}), flush=True)\ntime.sleep(1000)",
    );
    assert!(reason.starts_with("metric loss is \"NaN\" at step 4, not a finite number"), "{reason}");
}

#[test]
fn a_program_may_call_its_point_infeasible() {
    let outcome = Case::sh(r#"echo '{"infeasible": "3 heads do not divide 64 units"}'; exit 1"#).evaluate();
    assert_eq!(outcome, Err(EvaluationError::Infeasible("3 heads do not divide 64 units".to_owned())));
    let reason = Case::sh(r#"echo '{"failed": "no data"}'"#).failure();
    assert!(reason.starts_with("the program says: no data"), "{reason}");
}

#[test]
fn a_runaway_printer_fills_neither_disk_nor_memory() {
    let line = r#"head -c 5000000 /dev/zero; yes | head -c 5000000; yes '{' | head -c 3000000
        head -c 5000000 /dev/zero >&2; echo; echo '{"loss": 2}'"#;
    let mut case = Case::sh(line);
    case.options.log_bytes_max = 1000;
    assert_eq!(case.loss(), 2.0);
    for log in ["trial-17/stdout.log", "trial-17/stderr.log"] {
        let size = fs::metadata(case.folder.0.join(log)).unwrap().len();
        assert!((1000..1100).contains(&size), "{log}: {size} bytes");
    }
    assert!(case.output("stdout.log").ends_with("see log_bytes_max]\n"));
}

#[test]
fn an_endless_printer_is_stopped() {
    let mut case = Case::sh(r#"exec yes '{"step": 1, "loss": 1}'"#);
    case.options.log_bytes_max = 1000;
    case.assignment.time_limit = Some(Duration::from_millis(1500));
    assert!(case.failure().starts_with("the time limit of 1.5s passed; it ended on SIGTERM"));
    assert_eq!(case.recorder.reports.len(), 1);
}

#[test]
fn a_program_that_does_not_read_its_input_is_fine() {
    assert_eq!(Case::sh("exec 0<&-; echo '{\"loss\": 1}'").loss(), 1.0);
}

#[test]
fn metrics_may_come_in_a_file() {
    let append = r#"
        echo '{"loss": 99}'
        echo '{"step": 1, "loss": 3}' >> "$ANSATZ_METRICS"
        echo '{"step": 2, "loss": 2}' >> "$1"
        echo '{"loss": 1}' >> "$1""#;
    let command = Some(words(&["sh", "-c", append, "program", "{metrics}"]));
    let mut case =
        Case::new(Options { command, metrics: "logs/metrics.jsonl".to_owned(), ..Options::default() });
    // What an earlier program left there is not taken for this one's.
    fs::create_dir_all(case.folder.0.join("trial-17/logs")).unwrap();
    fs::write(case.folder.0.join("trial-17/logs/metrics.jsonl"), "{\"step\": 7, \"loss\": 7}\n").unwrap();
    assert_eq!(case.loss(), 1.0);
    assert_eq!(case.recorder.reports.iter().map(|(step, _)| *step).collect::<Vec<_>>(), [1, 2]);

    // One object over several lines.
    let mut case = Case::sh(r#"printf '{\n  "loss": 4,\n  "accuracy": 0.5\n}\n' > "$ANSATZ_METRICS""#);
    case.options.metrics = "metrics.json".to_owned();
    assert_eq!(case.loss(), 4.0);

    let mut case = Case::sh("echo '{\"loss\": 99}'");
    case.options.metrics = "metrics.json".to_owned();
    assert!(case.failure().contains("no result"));
}

#[test]
fn reports_in_a_file_can_stop_the_program() {
    let mut case = Case::sh(r#"echo '{"step": 1, "loss": 3}' >> "$ANSATZ_METRICS"; sleep 1000"#);
    case.options.metrics = "metrics.jsonl".to_owned();
    case.recorder.stop_at = Some(1);
    assert_eq!(case.evaluate(), Err(EvaluationError::Stopped));
}

#[test]
fn several_programs_run_at_once() {
    let case = Case::sh(r#"cat > /dev/null; echo "{\"loss\": $ANSATZ_TRIAL}""#);
    let command = case.create().unwrap();
    let values = [("learning_rate", Value::Float(2e-5)), ("optimizer", "adam".into())];
    let point = case.problem.space.point_from_values(values).unwrap();
    std::thread::scope(|scope| {
        for trial in 0..8 {
            let (command, point, case) = (&command, &point, &case);
            scope.spawn(move || {
                let output_folder = Some(case.folder.0.join(format!("trial-{trial}")));
                let assignment =
                    Assignment { trial: TrialId(trial), output_folder, ..case.assignment.clone() };
                let mut recorder = Recorder::default();
                let mut context = Context::new(assignment, &case.problem.space, &mut recorder);
                let measurement = command.evaluate(point, &mut context).unwrap();
                assert_eq!(measurement.value("loss"), Some(trial as f64));
            });
        }
    });
}

/// A program that keeps its state where it may, in the way that the README shows.
#[test]
fn a_program_goes_on_where_a_stopped_one_ended() {
    let line = r#"cat > /dev/null
step=$(cat "${ANSATZ_CONTINUED_OUTPUT:-/nowhere}/state-$ANSATZ_CONTINUED_STEP" 2> /dev/null || echo 0)
while [ "$step" -lt 4 ]; do
    step=$((step + 1))
    echo "$step" > "$ANSATZ_OUTPUT/state-$step"
    echo "{\"step\": $step, \"loss\": 0.$step}"
    sleep 0.05
done
echo "{\"loss\": 0.$step}""#;
    let mut case = Case::sh(line);
    case.recorder.stop_at = Some(2);
    assert_eq!(case.evaluate(), Err(EvaluationError::Stopped));
    case.assignment.continued = Some(Continued {
        trial: TrialId(17),
        attempt: 1,
        step: 2,
        output_folder: case.assignment.output_folder.take(),
    });
    case.assignment.trial = TrialId(18);
    case.assignment.output_folder = Some(case.folder.0.join("trial-18"));
    case.recorder = Recorder::default();
    assert_eq!(case.loss(), 0.4);
    let steps: Vec<u64> = case.recorder.reports.iter().map(|(step, _)| *step).collect();
    assert_eq!(steps, [3, 4], "however far the first one was ahead of its verdict");
}

#[test]
fn a_trial_without_an_output_folder_keeps_no_logs() {
    let mut case = Case::sh("echo '{\"loss\": 1}'");
    case.assignment.output_folder = None;
    assert_eq!(case.loss(), 1.0);
    case.options.input = Input::File;
    assert!(case.failure().contains("needs an output folder"));
}

#[test]
fn a_program_that_does_not_exist_is_refused_with_where_it_was_looked_for() {
    let refused = |program: &str| {
        Case::new(Options { command: Some(words(&[program, "train.py"])), ..Options::default() })
            .create()
            .unwrap_err()
    };
    let message = refused("pyhton3");
    let path = std::env::var("PATH").unwrap();
    assert!(message.starts_with("program pyhton3 was not found in the folders of PATH ("), "{message}");
    assert!(message.contains(path.split(':').find(|folder| !folder.is_empty()).unwrap()), "{message}");
    let message = refused("./train.sh");
    assert!(message.starts_with("program ./train.sh was not found: there is no file "), "{message}");

    let case = Case::new(Options { command: Some(words(&["train.sh"])), ..Options::default() });
    fs::write(case.folder.0.join("train.sh"), "echo").unwrap();
    assert!(case.create().unwrap_err().contains("call it ./train.sh"));
    let case =
        Case { options: Options { command: Some(words(&["./train.sh"])), ..Options::default() }, ..case };
    assert!(case.create().unwrap_err().contains("is not executable"));
}

#[test]
fn a_script_that_does_not_exist_is_refused_with_where_it_was_looked_for() {
    let create = |command: &[&str]| {
        Case::new(Options { command: Some(words(command)), ..Options::default() }).create().map(|_| ())
    };
    for command in
        [&["python3", "trian.py"][..], &["perl", "trian.pl", "--fast"], &["python3", "src/trian.py"]]
    {
        let message = create(command).unwrap_err();
        let start = format!("script {} was not found: there is no file /", command[1]);
        assert!(message.starts_with(&start), "{message}");
        assert!(message.contains("relative to working_directory (/"), "{message}");
    }
    // no script, one that is looked for elsewhere, one that is not known yet
    for command in [
        &["python3"][..],
        &["python3", "-m", "train"],
        &["cat", "trian.py"],
        &["sh", "trian"],
        &["python3", "/scratch/trian.py"],
        &["python3", "{trial}.py"],
    ] {
        create(command).unwrap();
    }
    let case = Case::new(Options { command: Some(words(&["python3", "train.py"])), ..Options::default() });
    fs::write(case.folder.0.join("train.py"), "").unwrap();
    case.create().unwrap();
}

#[test]
fn a_program_that_vanishes_fails_its_trial() {
    let mut case = Case::new(Options { command: Some(words(&["./run"])), ..Options::default() });
    std::os::unix::fs::symlink("/bin/cat", case.folder.0.join("run")).unwrap();
    let command = case.create().unwrap();
    fs::remove_file(case.folder.0.join("run")).unwrap();
    let values = [("learning_rate", Value::Float(2e-5)), ("optimizer", "adam".into())];
    let point = case.problem.space.point_from_values(values).unwrap();
    let mut context = Context::new(case.assignment.clone(), &case.problem.space, &mut case.recorder);
    let outcome = command.evaluate(&point, &mut context);
    let Err(EvaluationError::Failed(reason)) = outcome else { panic!("{outcome:?}") };
    assert!(reason.starts_with("cannot start ") && reason.contains("No such file"), "{reason}");
}

#[test]
fn what_cannot_work_is_refused_before_any_trial() {
    let command = |arguments: &[&str]| Options { command: Some(words(arguments)), ..Options::default() };
    let cases = [
        (Options::default(), "option command is missing"),
        (Options { shell: Some("true".to_owned()), ..command(&["true"]) }, "exclude each other"),
        (command(&[]), "names no program"),
        (Options { shell: Some(" ".to_owned()), ..Options::default() }, "option shell is empty"),
        (
            Options { shell: Some("true".to_owned()), input: Input::Arguments, ..Options::default() },
            "needs command",
        ),
        (
            command(&["echo", "{learnign_rate}"]),
            "no placeholder {learnign_rate} (did you mean \"learning_rate\"?)",
        ),
        (command(&["echo", "{input}"]), "placeholder {input} needs input = \"file\""),
        (command(&["echo", "{metrics}"]), "placeholder {metrics} needs metrics"),
        (command(&["echo", "{fidelity}"]), "placeholder {fidelity} needs a fidelity"),
        (Options { metrics: "../metrics.json".to_owned(), ..command(&["true"]) }, "option metrics"),
        (Options { metrics: "/tmp/metrics.json".to_owned(), ..command(&["true"]) }, "option metrics"),
        (
            Options { working_directory: PathBuf::from("nowhere"), ..command(&["true"]) },
            "nowhere is no folder",
        ),
        (Options { grace_seconds: -1.0, ..command(&["true"]) }, "grace_seconds must be 0 to 3600, found -1"),
        (
            Options {
                environment: [("ANSATZ_TRIAL".to_owned(), String::new())].into(),
                ..command(&["true"])
            },
            "ANSATZ_TRIAL",
        ),
    ];
    for (options, expected) in cases {
        let message = Case::new(options).create().unwrap_err();
        assert!(message.contains(expected), "{message}\n{expected}");
    }

    let mut case = Case::new(command(&["true"]));
    case.problem.metrics[0].name = "step".to_owned();
    assert!(case.create().unwrap_err().contains("a metric cannot be called step"));
    let mut case = Case::new(command(&["echo", "{seed}"]));
    case.problem.space = Space::of(vec![Parameter::int("seed", 0, 9)]).unwrap();
    assert!(case.create().unwrap_err().contains("rename the parameter"));
    case.problem.space = Space::of(vec![Parameter::int("a-b", 0, 9), Parameter::int("a.b", 0, 9)]).unwrap();
    assert!(case.create().unwrap_err().contains("ANSATZ_PARAM_A_B"));
}

#[test]
fn options_are_typed_and_closed() {
    let options: Options = serde_json::from_str(r#"{"command": ["true"], "input": "arguments"}"#).unwrap();
    assert_eq!(
        (options.input, options.metrics.as_str(), options.grace_seconds),
        (Input::Arguments, "stdout", 2.0)
    );
    let message = serde_json::from_str::<Options>(r#"{"comand": ["true"]}"#).unwrap_err().to_string();
    assert!(message.contains("unknown field `comand`"), "{message}");
    assert!(serde_json::from_str::<Options>(r#"{"input": "pipe"}"#).is_err());
}

/// The example beside this crate, with whatever learning library this machine has or has not.
#[test]
fn the_example_learns() {
    let space = Space::of(vec![
        Parameter::float("learning_rate", 1e-4, 10.0).log(),
        Parameter::float("penalty", 1e-8, 1.0).log(),
        Parameter::int("degree", 1, 4),
    ])
    .unwrap();
    let metric = Metric { name: "validation_loss".to_owned(), goal: Goal::Minimise };
    let folder = Folder::new();
    let surroundings = Surroundings {
        manifest_folder: Path::new(env!("CARGO_MANIFEST_DIR")).join("examples"),
        study: "test".to_owned(),
    };
    let options = Options { command: Some(words(&["python3", "train.py"])), ..Options::default() };
    let problem = Problem::new(space, vec![metric]);
    let command = Command::new(&problem, options, &surroundings).unwrap();
    let evaluate = |degree| {
        let values = [
            ("learning_rate", Value::Float(0.5)),
            ("penalty", Value::Float(1e-6)),
            ("degree", Value::Int(degree)),
        ];
        let point = problem.space.point_from_values(values).unwrap();
        let mut recorder = Recorder::default();
        let mut context = Context::new(assignment(&folder), &problem.space, &mut recorder);
        let measurement = command.evaluate(&point, &mut context).unwrap();
        assert!(!recorder.reports.is_empty());
        measurement
    };
    let (line, curve) = (evaluate(1), evaluate(3));
    assert!(
        curve.value("validation_loss").unwrap() < 0.8 * line.value("validation_loss").unwrap(),
        "{line:?}, {curve:?}"
    );
    assert!(curve.value("validation_accuracy").unwrap() > 0.9, "{curve:?}");
    assert_eq!(curve, evaluate(3));
}
