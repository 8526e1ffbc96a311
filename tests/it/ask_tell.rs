//! A study driven by a program over standard input and output, as `docs/ask-tell.md` has it.

use crate::scenario;
use ansatz_tests::scenario::PATIENCE;
use ansatz_tests::{Scenario, StoredStudy};
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, Stdio};
use std::sync::mpsc::{Receiver, channel};

const MANIFEST: &str = r#"
[study]
name = "driven"
seed = 3
[metrics]
loss = "minimise"
[space]
x = { float = [0.0, 1.0] }
kind = { categorical = ["a", "b"] }
only_b = { int = [1, 9], when = { kind = "b" } }
[[strategy]]
plugin = "annealing"
[[strategy]]
plugin = "sobol"
[budget]
trials = 10
"#;

/// A session with the host.
struct Talk {
    child: Child,
    input: Option<ChildStdin>,
    answers: Receiver<String>,
}

impl Talk {
    fn begin(scenario: &Scenario) -> Self {
        Self::begin_with(scenario, MANIFEST)
    }

    fn begin_with(scenario: &Scenario, manifest: &str) -> Self {
        scenario.write("study.toml", manifest);
        let mut command = scenario.command(&["ask-tell", "study.toml"]);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let (sender, answers) = channel();
        let output = BufReader::new(child.stdout.take().unwrap());
        std::thread::spawn(move || {
            for line in output.lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
        let input = child.stdin.take();
        Self { child, input, answers }
    }

    #[track_caller]
    fn say(&mut self, line: &str) -> Value {
        writeln!(self.input.as_mut().unwrap(), "{line}").unwrap();
        let answer = self.answers.recv_timeout(PATIENCE).expect("an answer in time");
        serde_json::from_str(&answer).unwrap()
    }

    #[track_caller]
    fn request(&mut self, request: &Value) -> Value {
        self.say(&request.to_string())
    }

    /// Closes standard input and waits for the end.
    fn leave(mut self) {
        self.input = None;
        // the answers end with the process
        assert!(self.answers.recv_timeout(PATIENCE).is_err(), "an answer that nobody asked for");
        assert_eq!(self.child.wait().unwrap().code(), Some(0));
    }
}

impl Drop for Talk {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn loss(trial: &Value) -> f64 {
    let x = trial["parameters"]["x"].as_f64().unwrap();
    (x - 0.3).powi(2) + trial["parameters"]["only_b"].as_f64().unwrap_or(0.0)
}

fn tell(trial: &Value) -> Value {
    json!({"tell": {"trial": trial["trial"], "metrics": {"loss": loss(trial)}}})
}

#[test]
fn a_program_runs_a_study_to_its_end() {
    let scenario = scenario();
    let mut talk = Talk::begin(&scenario);
    let mut losses = Vec::new();
    loop {
        let answer = talk.request(&json!({"ask": 3, "id": "here"}));
        assert_eq!(answer["id"], "here");
        match answer["state"].as_str().unwrap() {
            "running" => {}
            "done" => break,
            other => panic!("nothing is pending, and the state is {other}"),
        }
        for trial in answer["trials"].as_array().unwrap() {
            let parameters = trial["parameters"].as_object().unwrap();
            assert_eq!(parameters.contains_key("only_b"), parameters["kind"] == "b", "{trial}");
            losses.push(loss(trial));
            let told = talk.request(&tell(trial));
            assert_eq!((&told["ok"], &told["outcome"]), (&json!(true), &json!("completed")));
        }
    }
    let best = talk.request(&json!({"best": true}));
    let least = losses.iter().copied().fold(f64::INFINITY, f64::min);
    assert_eq!(best["best"][0]["metrics"]["loss"], least);
    let status = talk.request(&json!({"status": true}));
    assert_eq!(status["status"]["trials"]["completed"], 10);
    talk.leave();
    StoredStudy::read(&scenario.journal(), None).expect_each_trial_once(10);
}

#[test]
fn what_makes_no_sense_is_answered_and_the_session_goes_on() {
    let scenario = scenario();
    let mut talk = Talk::begin(&scenario);
    for nonsense in [
        "hello",
        "{}",
        "{\"ask\": 0}",
        "{\"ask\": 1, \"best\": true}",
        "{\"aks\": 1}",
        "{\"tell\": {\"trial\": 99, \"metrics\": {\"loss\": 1}}}",
        "{\"tell\": {\"trial\": 0}}",
        "[1, 2",
    ] {
        let answer = talk.say(nonsense);
        assert!(answer["error"].is_string(), "{nonsense} was answered by {answer}");
    }
    talk.input.as_mut().unwrap().write_all(b"\xff\xfe ").unwrap();
    let answer = talk.say("{\"ask\": 1}");
    assert!(answer["error"].as_str().is_some_and(|error| error.contains("UTF-8")), "{answer}");
    assert_eq!(talk.request(&json!({"ask": 1}))["state"], "running");
    talk.leave();
    StoredStudy::read(&scenario.journal(), None);
}

#[test]
fn a_trial_can_end_in_every_way_and_telling_twice_changes_nothing() {
    let scenario = scenario();
    let mut talk = Talk::begin(&scenario);
    let answer = talk.request(&json!({"ask": 10}));
    assert!(answer["trials"].as_array().unwrap().len() >= 6, "{answer}");
    let reported = talk.request(&json!({"report": {"trial": 0, "step": 1, "metrics": {"loss": 0.5}}}));
    assert_eq!(reported, json!({"ok": true, "verdict": "continue"}));
    for (request, outcome, reason) in [
        ("{\"tell\": {\"trial\": 0, \"metrics\": {\"loss\": 1.5}}}", "completed", None),
        ("{\"tell\": {\"trial\": 1, \"infeasible\": \"too big\"}}", "infeasible", Some("too big")),
        ("{\"tell\": {\"trial\": 2, \"failed\": \"no power\"}}", "failed", Some("no power")),
        (
            "{\"tell\": {\"trial\": 3, \"stopped\": \"pruned\", \"metrics\": {\"loss\": 2}}}",
            "stopped",
            Some("pruned"),
        ),
        ("{\"tell\": {\"trial\": 4, \"metrics\": {\"loss\": NaN}}}", "failed", Some("metric loss is NaN")),
        (
            "{\"tell\": {\"trial\": 5, \"metrics\": {\"lose\": 1}}}",
            "failed",
            Some("metric loss was not reported"),
        ),
    ] {
        let answer = talk.say(request);
        assert_eq!(answer["outcome"], outcome, "{request}: {answer}");
        if let Some(reason) = reason {
            assert!(answer["reason"].as_str().unwrap().contains(reason), "{request}: {answer}");
        }
        let again = talk.say(request);
        assert_eq!(
            (&again["repeated"], &again["outcome"]),
            (&json!(true), &json!(outcome)),
            "{request}: {again}"
        );
    }
    talk.leave();
    let stored = StoredStudy::read(&scenario.journal(), None);
    assert_eq!(stored.study.finished_count(), 6);
    assert_eq!(
        stored.study.trials()[0].outcome.as_ref().unwrap().completed().unwrap().value("loss"),
        Some(1.5)
    );
}

#[test]
fn whatever_was_acknowledged_survives_a_kill_and_the_rest_is_given_out_again() {
    let scenario = scenario();
    let mut talk = Talk::begin(&scenario);
    let given = talk.request(&json!({"ask": 4}))["trials"].as_array().unwrap().clone();
    assert!(given.len() >= 2, "{given:?}");
    assert_eq!(talk.request(&tell(&given[0]))["ok"], true);
    drop(talk); // SIGKILL
    let mut talk = Talk::begin(&scenario);
    let again = talk.request(&json!({"ask": given.len() - 1}))["trials"].as_array().unwrap().clone();
    let mut expected = given[1..].to_vec();
    for trial in &mut expected {
        trial["attempt"] = json!(2);
    }
    assert_eq!(again, expected);
    assert_eq!(talk.request(&tell(&given[0]))["repeated"], true);
    talk.leave();
}

/// A program that outlives the host tells what it measured meanwhile, and of which attempt.
#[test]
fn what_an_attempt_measured_while_the_host_was_away_is_its_result() {
    let scenario = scenario();
    let mut talk = Talk::begin(&scenario);
    let given = talk.request(&json!({"ask": 2}))["trials"].as_array().unwrap().clone();
    drop(talk); // SIGKILL
    let mut talk = Talk::begin(&scenario);
    let mut late = tell(&given[0]);
    late["tell"]["attempt"] = json!(1);
    let answer = talk.request(&late);
    assert_eq!((&answer["outcome"], &answer["repeated"]), (&json!("completed"), &Value::Null), "{answer}");
    assert_eq!(talk.request(&late)["repeated"], true);
    // what makes no sense leaves the other one waiting
    let of_none = json!({"tell": {"trial": given[1]["trial"], "metrics": {"loss": 1.0}, "standard_errors": {"lss": 1.0}}});
    assert!(talk.request(&of_none)["error"].as_str().unwrap().contains("lss"));
    let both = json!({"tell": {"trial": given[1]["trial"], "metrics": {"loss": 1.0}, "failed": "no"}});
    assert!(talk.request(&both)["error"].is_string());
    let again = talk.request(&json!({"ask": 1}));
    assert_eq!(again["trials"][0]["trial"], given[1]["trial"]);
    talk.leave();
}

#[test]
fn a_study_that_is_being_driven_can_be_read_and_not_be_run() {
    let scenario = scenario();
    let mut talk = Talk::begin(&scenario);
    let given = talk.request(&json!({"ask": 1}))["trials"][0].clone();
    talk.request(&tell(&given));
    let best = scenario.ansatz(&["best", "--json"]).expect(0).json();
    assert_eq!(best[0]["metrics"]["loss"], loss(&given));
    scenario.ansatz(&["resume"]).expect(5).expect_message(&["driven"]);
    talk.leave();
}

/// Whoever asks and tells in whatever order and numbers: with `deterministic` the trials are the same.
#[test]
fn a_deterministic_study_does_not_depend_on_who_tells_first() {
    let manifest = format!("{MANIFEST}[run]\ndeterministic = 4\n");
    // how many are asked for at once, and which of those at work is told next
    type Choose = fn(usize) -> usize;
    let (first, last, middle): (Choose, Choose, Choose) = (|_| 0, |count| count - 1, |count| count / 2);
    let exports = [(1, first), (3, last), (9, middle)].map(|(ask, choose)| {
        let scenario = scenario();
        let mut talk = Talk::begin_with(&scenario, &manifest);
        let mut at_work: Vec<Value> = Vec::new();
        loop {
            let answer = talk.request(&json!({"ask": ask}));
            at_work.extend(answer["trials"].as_array().unwrap().iter().cloned());
            assert!(at_work.len() <= 4, "more than the window");
            if at_work.is_empty() {
                assert_eq!(answer["state"], "done", "{answer}");
                break;
            }
            let trial = at_work.remove(choose(at_work.len()));
            let loss = trial["parameters"]["x"].as_f64().unwrap();
            let tell = json!({"tell": {"trial": trial["trial"], "metrics": {"loss": loss}}});
            let told = talk.request(&tell);
            assert_eq!(told["outcome"], "completed");
            assert_eq!(talk.request(&tell)["repeated"], true);
        }
        talk.leave();
        scenario.ansatz(&["export", "--repeatable"]).expect(0).stdout
    });
    assert_eq!(exports[0], exports[1]);
    assert_eq!(exports[0], exports[2]);
    assert_eq!(exports[0].lines().count(), 11);
}

/// A rule that stops a trial is heard at once; what is told afterwards does not matter, nor does whether anything is.
#[test]
fn a_report_may_be_answered_by_stop() {
    let scenario = scenario();
    let manifest = format!("{MANIFEST}\n[early_stopping]\nplugin = \"successive-halving\"\n");
    let mut talk = Talk::begin_with(&scenario, &manifest);
    assert_eq!(talk.request(&json!({"ask": 4}))["trials"].as_array().unwrap().len(), 4);
    let report = |talk: &mut Talk, trial: u64, step: u64, loss: f64| {
        talk.request(&json!({"report": {"trial": trial, "step": step, "metrics": {"loss": loss}}}))
    };
    assert_eq!(report(&mut talk, 0, 1, 0.1), json!({"ok": true, "verdict": "continue"}));
    let stopped = report(&mut talk, 1, 1, 0.5);
    assert_eq!(stopped["verdict"], "stop");
    let reason = stopped["reason"].as_str().unwrap();
    assert!(
        reason.starts_with("successive-halving at step 1: it is number 2 with 0.5 of 2 trials"),
        "{reason}"
    );
    // a report that comes all the same, and a measurement, change nothing
    assert_eq!(report(&mut talk, 1, 2, 0.0)["verdict"], "stop");
    let told = talk.request(&json!({"tell": {"trial": 1, "metrics": {"loss": 0.0}}}));
    assert_eq!((&told["outcome"], told["reason"].as_str()), (&"stopped".into(), Some(reason)));
    assert_eq!(report(&mut talk, 2, 1, 0.7)["verdict"], "stop");
    assert_eq!(
        talk.request(&json!({"tell": {"trial": 3, "metrics": {"loss": 0.3}}}))["outcome"],
        "completed"
    );
    assert_eq!(talk.request(&json!({"best": true}))["best"][0]["trial"], 3);
    talk.leave();

    // trial 2 was never told of: it has ended all the same, and trial 0 is given out again
    let mut talk = Talk::begin_with(&scenario, &manifest);
    let status = talk.request(&json!({"status": true}));
    assert_eq!(status["status"]["trials"]["stopped"], 2, "{status}");
    assert_eq!(talk.request(&json!({"ask": 1}))["trials"][0]["trial"], 0);
    // the step that it had passed is not judged again
    assert_eq!(report(&mut talk, 0, 1, 99.0)["verdict"], "continue");
    let told = talk.request(&json!({"tell": {"trial": 2, "stopped": "as it was told"}}));
    assert_eq!((&told["outcome"], &told["repeated"]), (&"stopped".into(), &true.into()));
    talk.leave();
}

/// A trial that was stopped is given out again, as another one that continues it, as soon as the rule says so.
#[test]
fn a_stopped_trial_is_given_out_again_as_one_that_continues_it() {
    let scenario = scenario();
    let options = "options = { variant = \"promotion\", steps_max = 9 }";
    let manifest = format!("{MANIFEST}\n[early_stopping]\nplugin = \"successive-halving\"\n{options}\n");
    let mut talk = Talk::begin_with(&scenario, &manifest);
    let asked = talk.request(&json!({"ask": 3}));
    let first = asked["trials"][1].clone();
    for (trial, loss) in [(0, 0.7), (1, 0.2), (2, 0.5)] {
        let report = json!({"report": {"trial": trial, "step": 1, "metrics": {"loss": loss}}});
        assert_eq!(talk.request(&report)["verdict"], "stop");
        talk.request(&json!({"tell": {"trial": trial, "stopped": "as it was told"}}));
    }
    // before any new point
    let again = talk.request(&json!({"ask": 1}))["trials"][0].clone();
    assert_eq!(
        (&again["trial"], &again["continues"]),
        (&json!(3), &json!({"trial": 1, "step": 1})),
        "{again}"
    );
    for same in ["parameters", "seed", "strategy"] {
        assert_eq!(again[same], first[same], "{same}");
    }
    let next = talk.request(&json!({"ask": 1}))["trials"][0].clone();
    assert_eq!((&next["trial"], next.get("continues")), (&json!(4), None));
    let told = talk.request(&json!({"tell": {"trial": 3, "metrics": {"loss": 0.1}}}));
    assert_eq!(told["outcome"], "completed");
    assert_eq!(talk.request(&json!({"best": true}))["best"][0]["continues"], 1);
    talk.leave();
}

#[test]
fn a_program_may_enqueue_points_of_its_own() {
    let scenario = scenario();
    let mut talk = Talk::begin_with(&scenario, &MANIFEST.replace("trials = 10", "trials = 4"));
    talk.say(r#"{"ask": 1}"#);
    let enqueued = talk.say(r#"{"enqueue": {"x": 0.5, "kind": "b", "only_b": 3}}"#);
    assert_eq!(enqueued, json!({"ok": true, "trial": 1}));
    let asked = talk.say(r#"{"ask": 2}"#);
    assert_eq!(asked["trials"][0]["trial"], 1);
    assert_eq!(asked["trials"][0]["strategy"], "enqueued");
    assert_eq!(asked["trials"][0]["parameters"], json!({"x": 0.5, "kind": "b", "only_b": 3}));
    assert_eq!(asked["trials"][1]["trial"], 2);
    let refused = talk.say(r#"{"enqueue": {"only_b": 3, "kind": "a"}}"#);
    assert!(refused["error"].as_str().unwrap().contains("only_b would be inactive"), "{refused}");
    // what is left out is drawn
    talk.say(r#"{"enqueue": {"kind": "a"}}"#);
    let refused = talk.say(r#"{"enqueue": {"x": 0.125, "kind": "a"}}"#);
    assert!(refused["error"].as_str().unwrap().contains("no room"), "{refused}");
    let stored = StoredStudy::read(&scenario.journal(), None);
    assert_eq!(stored.study.enqueued_count(), 2);
    let drawn = &stored.study.trials()[3].point;
    assert_eq!((drawn.is_active(0), drawn.get(1)), (true, Some(0.0)));
}
