//! What is made for Kubernetes is what its published schema allows. No cluster is needed, and none has run it.

use crate::scenario;
use ansatz_tests::json_schema::problems;
use serde_json::{Value, json};

const SCHEMA: &str = include_str!("../kubernetes/schema.json");
const MANIFEST: &str = r#"
study = { name = "Above.the_Clouds", seed = 1 }
metrics = { value = "minimise" }
space = { x1 = { float = [-5.0, 10.0] }, x2 = { float = [0.0, 15.0] } }
objective = { plugin = "synthetic", options = { function = "branin" } }
strategy = [{ plugin = "random" }]
budget = { trials = 5 }
"#;
const STORE: &str = "postgres://eva@db.example.org/tuning";

fn schema_of(root: &Value, kind: &str) -> Value {
    let end = format!(".{kind}");
    let name = root["$defs"].as_object().unwrap().keys().find(|name| name.ends_with(&end));
    json!({"$ref": format!("#/$defs/{}", name.unwrap())})
}

#[test]
fn what_is_made_for_kubernetes_is_what_its_schema_allows() {
    let scenario = scenario();
    scenario.write("study.toml", MANIFEST);
    let words = ["kubernetes", "study.toml", "--image", "registry.example.org/tuner:1", "--store", STORE];
    let more = ["-n", "100", "--worker-slots", "4", "--secret", "tuning"];
    let ended = scenario.ansatz(&[&words[..], &more].concat()).expect(0);
    assert!(
        ended.stdout.starts_with("# Study Above.the_Clouds") && ended.stdout.contains("not run on a cluster")
    );
    // comments aside it is JSON, too
    let body: String = ended.stdout.lines().filter(|line| !line.starts_with('#')).collect();
    let list: Value = serde_json::from_str(&body).unwrap();
    let root: Value = serde_json::from_str(SCHEMA).unwrap();
    let items = list["items"].as_array().unwrap();
    assert_eq!(items.len(), 3);
    for item in items {
        let schema = schema_of(&root, item["kind"].as_str().unwrap());
        assert_eq!(problems(&root, &schema, item), [] as [String; 0]);
        let name = item["metadata"]["name"].as_str().unwrap();
        assert!(name.starts_with("ansatz-above-the-clouds-"), "{name}");
    }
    let [config, asker, workers] = [&items[0], &items[1], &items[2]];
    assert_eq!(config["data"]["study.toml"], MANIFEST);
    assert_eq!(workers["spec"]["completionMode"], "Indexed");
    assert_eq!(
        (&workers["spec"]["completions"], &workers["spec"]["parallelism"]),
        (&json!(100), &json!(100))
    );
    for (job, command) in [(asker, "run"), (workers, "worker")] {
        let container = &job["spec"]["template"]["spec"]["containers"][0];
        assert_eq!(container["args"][0], command);
        assert_eq!(container["env"][0]["valueFrom"]["secretKeyRef"]["name"], "tuning");
        // each argument is one that the program knows
        let mut arguments: Vec<&str> =
            container["args"].as_array().unwrap().iter().map(|word| word.as_str().unwrap()).collect();
        arguments.push("--help");
        scenario.ansatz(&arguments).expect(0);
    }
    // the check itself finds what is wrong
    let schema = schema_of(&root, "Job");
    let mut wrong = asker.clone();
    wrong["spec"]["backoffLimt"] = json!(3);
    wrong["spec"]["template"]["spec"]["containers"][0]["args"] = json!("run");
    assert_eq!(problems(&root, &schema, &wrong).len(), 2);
}

#[test]
fn what_pods_cannot_do_is_refused() {
    let scenario = scenario();
    scenario.write("study.toml", MANIFEST);
    let words = ["kubernetes", "study.toml", "--image", "tuner:1"];
    scenario.ansatz(&words).expect(2).expect_message(&["pods cannot share the file", "postgres://"]);
    scenario.write("study.toml", &MANIFEST.replace("minimise", "minimum"));
    scenario.ansatz(&[&words[..], &["--store", STORE]].concat()).expect(3).expect_message(&["minimise"]);
}

#[test]
fn run_with_resume_may_be_said_again() {
    let scenario = scenario();
    scenario.write("study.toml", MANIFEST);
    let run = ["run", "study.toml", "--resume", "--quiet"];
    scenario.ansatz(&run).expect(0);
    scenario.ansatz(&run).expect(0);
    assert_eq!(scenario.ansatz(&["show", "--json"]).expect(0).json()["trials"]["all"], 5);
    scenario.write("study.toml", &MANIFEST.replace("trials = 5", "trials = 8"));
    scenario.ansatz(&["run", "study.toml", "--quiet"]).expect(2).expect_message(&["resume"]);
    scenario.ansatz(&run).expect(0);
    assert_eq!(scenario.ansatz(&["show", "--json"]).expect(0).json()["trials"]["all"], 8);
}
