//! What a strategy's model expected travels with a trial into the journal, and people can ask about it.

use crate::scenario;
use ansatz_cli::journal::{self, Entry, Stamped};
use ansatz_core::study::Record;
use ansatz_tests::{Scenario, StoredStudy};
use std::path::Path;

const PREDICTING: &str = "ansatz-fault-predicting";

/// A study that maximises, of the predicting strategy in a process of its own (`process`) or in the host (`none`).
fn manifest(name: &str, isolation: &str, says: &str, trials: u64) -> String {
    format!(
        r#"
study = {{ name = "{name}", seed = 6 }}
metrics = {{ value = "maximise" }}
space = {{ x1 = {{ float = [-5.0, 10.0] }}, x2 = {{ float = [0.0, 15.0] }} }}
objective = {{ plugin = "synthetic", options = {{ function = "branin" }} }}
strategy = [{{ plugin = "com.example.predicting", label = "model", isolation = "{isolation}", options = {{ says = "{says}" }} }}]
budget = {{ trials = {trials} }}
"#
    )
}

/// Runs a study; what it asked for.
#[track_caller]
fn asked(scenario: &Scenario, name: &str, isolation: &str, says: &str) -> Vec<Record> {
    scenario.run(&manifest(name, isolation, says, 12)).expect(0);
    let stored = StoredStudy::read(&scenario.journal(), Some(name));
    stored.expect_each_trial_once(12);
    stored.records().into_iter().filter(|record| matches!(record, Record::Asked { .. })).collect()
}

#[test]
fn predictions_reach_the_journal_from_the_host_and_from_processes_alike() {
    let scenario = scenario().with(PREDICTING);
    let (here, apart) =
        (asked(&scenario, "here", "none", "model"), asked(&scenario, "apart", "process", "model"));
    assert_eq!(here, apart);
    let said = StoredStudy::read(&scenario.journal(), Some("here"));
    let predicted = said.study.trials().iter().map(|trial| trial.prediction.is_some()).collect::<Vec<_>>();
    assert_eq!(predicted, [[false; 2].as_slice(), &[true; 10]].concat());
    // nonsense is dropped on its way, and costs nothing
    for isolation in ["none", "process"] {
        let nonsense = asked(&scenario, &format!("nan-{isolation}"), isolation, "nan");
        let silent = asked(&scenario, &format!("nothing-{isolation}"), isolation, "nothing");
        assert_eq!(nonsense, silent);
    }
}

/// Copies a journal as an earlier version would have written it.
fn forget_predictions(from: &Path, to: &Path) {
    let source = journal::open_read_only(from).unwrap().read("study").unwrap();
    let mut header = source.header().clone();
    header.plan.journal.path = to.to_owned();
    let entries: Vec<Stamped> = (source.entries(0).map(Result::unwrap))
        .map(|mut stored| {
            if let Entry::Study(Record::Asked { trials, .. }) = &mut stored.entry {
                trials.iter_mut().for_each(|asked| asked.prediction = None);
            }
            Stamped { at: stored.at, entry: stored.entry }
        })
        .collect();
    let mut copy = journal::open(&header.plan.journal).unwrap().create(header).unwrap();
    copy.append(&entries).unwrap();
    copy.close().unwrap();
}

#[test]
fn a_study_whose_strategy_learns_to_predict_is_resumed_as_it_was() {
    let scenario = scenario().with(PREDICTING);
    scenario.run(&manifest("study", "process", "model", 4)).expect(0);
    let (journal, old) = (scenario.journal(), scenario.path("work/old.db"));
    forget_predictions(&journal, &old);
    let silent = scenario.ansatz(&["explain", "3", "--journal", "old.db"]).expect(0);
    assert!(silent.stdout.contains("none: model said nothing"), "{silent}");
    let resumed =
        scenario.ansatz(&["resume", "--journal", "old.db", "--set", "budget.trials=6", "--quiet"]).expect(0);
    assert!(!resumed.stderr.contains("no longer answers"), "{resumed}");
    let stored = StoredStudy::read(&old, None);
    stored.expect_each_trial_once(6);
    let predicted = stored.study.trials().iter().map(|trial| trial.prediction.is_some()).collect::<Vec<_>>();
    assert_eq!(predicted, [false, false, false, false, true, true]);
}

#[test]
fn a_trial_is_explained() {
    let scenario = scenario().with(PREDICTING);
    scenario.run(&manifest("study", "process", "model", 12)).expect(0);
    let text = scenario.ansatz(&["explain", "study", "7"]).expect(0);
    for part in ["trial 7 by model: completed", "prediction  value ", "90 % between", "interval", "unit cube"]
    {
        assert!(text.stdout.contains(part), "nothing about {part:?}\n{text}");
    }
    // the study may be left out where there is only one
    assert_eq!(scenario.ansatz(&["explain", "7"]).expect(0).stdout, text.stdout);
    let explained = scenario.ansatz(&["explain", "study", "7", "--json"]).expect(0).json();
    let mean = explained["prediction"]["mean"].as_f64().unwrap();
    // all of Branin's function, in the metric's own sign
    let before: f64 = (0..7)
        .map(|trial| {
            let trial = scenario.ansatz(&["show", "study", "--trial", &trial.to_string(), "--json"]).json();
            trial["metrics"]["value"].as_f64().unwrap()
        })
        .sum();
    assert!((mean - before / 7.0).abs() < 1e-9, "{mean} {}", before / 7.0);
    assert_eq!(explained["prediction"]["acquisition"], -0.5);
    let silent = scenario.ansatz(&["explain", "study", "0"]).expect(0);
    assert!(silent.stdout.contains("none: model said nothing"), "{silent}");

    let missing = scenario.ansatz(&["explain", "study", "99"]).expect(7);
    missing.expect_message(&["study study has no trial 99; it has 12, counted from 0"]);
    let missing = scenario.ansatz(&["explain", "sturdy", "0"]).expect(7);
    missing.expect_message(&["has no study \"sturdy\" (did you mean \"study\"?)"]);
    let missing = scenario.ansatz(&["explain", "study", "0", "--journal", "no.db"]).expect(7);
    missing.expect_message(&["there is no journal no.db; name the journal of the study with --journal"]);
}

#[test]
fn calibration_is_shown_and_predictions_are_exported() {
    let scenario = scenario().with(PREDICTING);
    scenario.run(&manifest("study", "process", "model", 12)).expect(0);
    let shown = scenario.ansatz(&["show", "study"]).expect(0);
    assert!(shown.stdout.contains("predictions of value"), "{shown}");
    let overview = scenario.ansatz(&["show", "study", "--json"]).expect(0).json();
    let calibration = &overview["strategies"][0]["calibration"];
    assert_eq!(calibration["outcomes"], 10);
    let share = |key: &str| calibration[key].as_f64().unwrap();
    assert!((0.0..=share("inside_90")).contains(&share("inside_50")) && share("inside_90") <= 1.0);
    assert!(share("mean_log_density").is_finite());
    assert_eq!(overview["all_trials"][11]["prediction"]["acquisition"], -0.5);

    let table = scenario.ansatz(&["export", "study"]).expect(0);
    let header = table.stdout.lines().next().unwrap();
    assert!(
        header.contains("prediction_mean,prediction_deviation,prediction_acquisition,reason"),
        "{header}"
    );
    scenario.run(&manifest("silent", "process", "nothing", 3)).expect(0);
    for arguments in [["export", "silent"], ["show", "silent"]] {
        let silent = scenario.ansatz(&arguments).expect(0);
        assert!(!silent.stdout.contains("prediction"), "{silent}");
    }
    let overview = scenario.ansatz(&["show", "silent", "--json"]).expect(0).json();
    assert!(overview["strategies"][0]["calibration"].is_null());
}

#[test]
fn what_a_model_recommends_is_asked_for_without_running_or_writing_anything() {
    let scenario = scenario().with(PREDICTING);
    for isolation in ["none", "process"] {
        scenario.run(&manifest(isolation, isolation, "model", 8)).expect(0);
        let before = StoredStudy::read(&scenario.journal(), Some(isolation));
        let text = scenario.ansatz(&["recommend", isolation]).expect(0);
        let best = before.study.incumbent().first().unwrap();
        for part in [
            "model recommends, and expects value ",
            &format!("evaluated in trial {best} by model: value "),
            "observed, best: trial",
        ] {
            assert!(text.stdout.contains(part), "nothing about {part:?}\n{text}");
        }
        let json = scenario.ansatz(&["recommend", isolation, "--json"]).expect(0).json();
        let recommended = &json["strategies"][0]["recommended"];
        assert_eq!(recommended.as_array().unwrap().len(), 2);
        // what it knows is what it was told, in the metric's own sign
        assert_eq!(recommended[0]["mean"], json["best"][0]["metrics"]["value"]);
        assert_eq!(recommended[0]["parameters"], json["best"][0]["parameters"]);
        assert_eq!(recommended[0]["trials"], serde_json::json!([best]));
        let after = StoredStudy::read(&scenario.journal(), Some(isolation));
        assert_eq!(before.entries, after.entries);
    }
}

#[test]
fn where_nobody_recommends_anything_the_best_trial_is_pointed_to() {
    let scenario = scenario().with(PREDICTING);
    for says in ["nan", "nothing"] {
        for isolation in ["none", "process"] {
            let name = format!("{says}-{isolation}");
            scenario.run(&manifest(&name, isolation, says, 3)).expect(0);
            let refused = scenario.ansatz(&["recommend", &name]).expect(2);
            refused.expect_message(&["no strategy of study", "recommends a point", "ansatz best"]);
        }
    }
    let missing = scenario.ansatz(&["recommend", "sturdy"]).expect(7);
    missing.expect_message(&["has no study \"sturdy\""]);
}

#[test]
fn a_program_predicts_and_recommends_as_a_library_does() {
    let scenario = scenario();
    let folder = scenario.strangers().join("sure");
    std::fs::create_dir(&folder).unwrap();
    let helper = Path::new(env!("CARGO_MANIFEST_DIR")).join("../plugins/python/ansatz_plugin.py");
    std::fs::copy(helper, folder.join("ansatz_plugin.py")).unwrap();
    let about = "name = \"com.example.sure\"\nkind = \"strategy\"\nversion = \"0.1.0\"\nprotocol = 1\n\
                 command = [\"python3\", \"sure.py\"]\n";
    std::fs::write(folder.join("plugin.toml"), about).unwrap();
    let program = r#"
from ansatz_plugin import Prediction, Recommendation, Strategy, Suggestion, serve

class Sure(Strategy):
    name = "com.example.sure"
    best = None

    def ask(self, count, pending):
        points = [self.space.sample(self.rng) for _ in range(count)]
        return [Suggestion(x, prediction=Prediction(-40.0, 25.0, -1.0)) for x in points]

    def tell(self, observations):
        self.best = min([seen for seen in [self.best, *observations] if seen], key=lambda seen: seen.loss)

    def recommend(self):
        return [Recommendation(self.best.x, self.best.loss, 0.5)]

serve(Sure)
"#;
    std::fs::write(folder.join("sure.py"), program).unwrap();
    let manifest = manifest("study", "process", "model", 4)
        .replace("com.example.predicting", "com.example.sure")
        .replace(", options = { says = \"model\" }", "");
    scenario.run(&manifest).expect(0);
    let explained = scenario.ansatz(&["explain", "2", "--json"]).expect(0).json();
    let expected = serde_json::json!({"mean": 40.0, "deviation": 25.0, "acquisition": -1.0});
    assert_eq!(explained["prediction"], expected);
    let json = scenario.ansatz(&["recommend", "--json"]).expect(0).json();
    let recommended = &json["strategies"][0]["recommended"][0];
    assert_eq!(recommended["mean"], json["best"][0]["metrics"]["value"]);
    assert_eq!(recommended["deviation"], 0.5);
}
