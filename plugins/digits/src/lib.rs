//! Objective `digits`: trains a small neural network on handwritten digits that ship with the plugin.
//!
//! A real learning problem that needs no download and no accelerator: a trial takes a tenth of a second,
//! reports after every epoch and repeats bit for bit. `checkpoint` keeps a network that was stopped, `data` has the images, `network` the perceptron and its
//! gradient, `training` the optimizers, `options` the parameters and their ranges. README.md is the user's
//! side of it.
#![forbid(unsafe_code)]

pub mod checkpoint;
pub mod data;
pub mod network;
pub mod options;
pub mod real;
pub mod training;

use ansatz_core::nearest::did_you_mean;
use ansatz_core::{
    Context, Descriptor, EvaluationError, Measurement, Objective, ObjectiveError, Point, Problem,
    Surroundings, Verdict,
};

pub use options::Options;
use training::{Interruption, Training};

/// Metrics of a finished trial; the first two are reported after every epoch too.
const METRICS: [&str; 5] =
    ["validation_loss", "validation_accuracy", "test_accuracy", "train_loss", "epochs"];

/// Trains a multi-layer perceptron at each point.
#[derive(Debug)]
pub struct Digits {
    options: Options,
    /// The most epochs of a trial whose fidelity is not set; `None` without a fidelity.
    epochs_max: Option<f64>,
}

impl Objective for Digits {
    const DESCRIPTOR: Descriptor = Descriptor {
        name: "digits",
        summary: "a multi-layer perceptron trained on 8x8 handwritten digits (UCI, Alpaydin and Kaynak 1998)",
        capabilities: &[],
    };
    type Options = Options;

    fn new(problem: &Problem, options: Options, _: &Surroundings) -> Result<Digits, ObjectiveError> {
        options.check()?;
        options.check_space(&problem.space)?;
        check_metrics(problem)?;
        if let Some(fidelity) = &problem.fidelity {
            if fidelity.name != "epochs" {
                return Err(ObjectiveError(format!(
                    "fidelity {}: objective digits can be cut short by epochs only; \
                     call the fidelity \"epochs\"",
                    fidelity.name
                )));
            }
            if !(1.0..=options::EPOCHS_MAX as f64).contains(&fidelity.upper) || fidelity.lower < 1.0 {
                return Err(ObjectiveError(format!(
                    "fidelity epochs must lie within 1 to {}, found {} to {}",
                    options::EPOCHS_MAX,
                    fidelity.lower,
                    fidelity.upper
                )));
            }
        }
        // Read the data now rather than in the first trial's time.
        data::digits();
        Ok(Digits { options, epochs_max: problem.fidelity.as_ref().map(|fidelity| fidelity.upper) })
    }

    fn evaluate(&self, point: &Point, context: &mut Context<'_>) -> Result<Measurement, EvaluationError> {
        let mut options = self.options.clone();
        for (name, value) in context.space().values(point) {
            options.set(name, &value).map_err(EvaluationError::Failed)?;
        }
        if let Some(fidelity) = context.assignment.fidelity.or(self.epochs_max) {
            // The cast saturates; what is no number of epochs becomes the nearest one.
            options.epochs = (fidelity.round() as u64).clamp(1, options::EPOCHS_MAX);
        }

        let mut training = Training::new(data::digits(), &options.settings(), context.assignment.seed);
        let seed = context.assignment.seed;
        let kept = context
            .assignment
            .continued
            .as_ref()
            .and_then(|stopped| checkpoint::read(stopped.output_folder.as_deref()?, seed, stopped.step));
        let kept = kept.filter(|state| state.epoch < options.epochs);
        let begun = kept.map_or(0, |state| {
            let epoch = state.epoch;
            if training.take_over(state) { epoch } else { 0 }
        });
        let mut measurement = Measurement::new();
        for epoch in begun + 1..=options.epochs {
            let validation = training.run_epoch(|| context.is_stopped()).map_err(|cause| match cause {
                Interruption::Stopped => EvaluationError::Stopped,
                Interruption::Diverged { epoch } => EvaluationError::Failed(format!(
                    "training diverged in epoch {epoch}: the loss is not finite at learning_rate {}; \
                     lower its upper bound",
                    options.learning_rate
                )),
            })?;
            measurement = Measurement::new()
                .with("validation_loss", validation.loss)
                .with("validation_accuracy", validation.accuracy);
            if context.report(epoch, &measurement) == Verdict::Stop {
                if let Some(folder) = context.output_folder().filter(|_| options.checkpoints) {
                    checkpoint::write(folder, seed, &training.state()).map_err(EvaluationError::Failed)?;
                }
                return Err(EvaluationError::Stopped);
            }
        }
        Ok(measurement
            .with("test_accuracy", training.test_accuracy())
            .with("train_loss", training.training_loss())
            .with("epochs", options.epochs as f64))
    }
}

/// Whether everything that the study wants to know is measured here, and fit to choose by.
fn check_metrics(problem: &Problem) -> Result<(), ObjectiveError> {
    let goals = problem.metrics.iter().map(|metric| metric.name.as_str());
    let bounds = problem.outcome_constraints.iter().map(|constraint| constraint.metric.as_str());
    for name in goals.chain(bounds) {
        if name == "test_accuracy" {
            return Err(ObjectiveError(
                "metric test_accuracy is measured for the record: a study that chooses by it leaves no \
                 unbiased number; use validation_accuracy"
                    .to_owned(),
            ));
        }
        if !METRICS.contains(&name) {
            return Err(ObjectiveError(format!(
                "metric {name} is not measured by objective digits{}; it has {}",
                did_you_mean(name, METRICS),
                METRICS.join(", ")
            )));
        }
    }
    Ok(())
}

ansatz_core::export_plugin! { objectives: [Digits] }

#[cfg(test)]
mod tests {
    use ansatz_core::space::{Condition, Parameter};
    use ansatz_core::{
        Assignment, Continued, FidelityRange, Goal, Metric, OutcomeConstraint, Reporter, Side, Space,
        TrialId, Value,
    };

    use super::*;

    /// Remembers every report and asks to stop at a step.
    struct Recorder {
        reports: Vec<(u64, Measurement)>,
        stop_at: u64,
        is_stopped: bool,
    }

    impl Reporter for Recorder {
        fn report(&mut self, step: u64, measurement: &Measurement) -> Verdict {
            self.reports.push((step, measurement.clone()));
            if step >= self.stop_at { Verdict::Stop } else { Verdict::Continue }
        }
        fn is_stopped(&self) -> bool {
            self.is_stopped
        }
    }

    fn recorder() -> Recorder {
        Recorder { reports: Vec::new(), stop_at: u64::MAX, is_stopped: false }
    }

    fn problem(parameters: Vec<Parameter>) -> Problem {
        let metric = Metric { name: "validation_loss".to_owned(), goal: Goal::Minimise };
        Problem::new(Space::of(parameters).unwrap(), vec![metric])
    }

    fn rate() -> Parameter {
        Parameter::float("learning_rate", 1e-4, 1.0).log()
    }

    fn create(problem: &Problem, options: Options) -> Result<Digits, ObjectiveError> {
        Digits::new(problem, options, &Surroundings::default())
    }

    fn assignment(seed: u64, fidelity: Option<f64>) -> Assignment {
        Assignment {
            trial: TrialId(3),
            attempt: 1,
            seed,
            fidelity,
            time_limit: None,
            output_folder: None,
            continued: None,
        }
    }

    fn evaluate(
        problem: &Problem,
        options: Options,
        values: &[(&str, Value)],
        assignment: Assignment,
        recorder: &mut Recorder,
    ) -> Result<Measurement, EvaluationError> {
        let point = problem.space.point_from_values(values.iter().cloned()).unwrap();
        problem.space.check(&point).unwrap();
        let mut context = Context::new(assignment, &problem.space, recorder);
        create(problem, options).unwrap().evaluate(&point, &mut context)
    }

    #[test]
    fn the_default_network_learns_to_read() {
        let problem = problem(vec![Parameter::int("hidden_units", 1, 1024)]);
        for seed in 0..3 {
            let mut recorder = recorder();
            let values = [("hidden_units", Value::Int(64))];
            let measurement =
                evaluate(&problem, Options::default(), &values, assignment(seed, None), &mut recorder)
                    .unwrap();
            let value = |metric| measurement.value(metric).unwrap();
            assert!(value("test_accuracy") >= 0.95, "seed {seed}: {measurement:?}");
            assert!(value("validation_accuracy") >= 0.96, "seed {seed}: {measurement:?}");
            assert!(value("train_loss") < value("validation_loss"), "seed {seed}: {measurement:?}");
            assert_eq!(value("epochs"), 20.0);
            assert!(METRICS.iter().all(|metric| measurement.get(metric).is_some()));

            let steps: Vec<u64> = recorder.reports.iter().map(|(step, _)| *step).collect();
            assert_eq!(steps, (1..=20).collect::<Vec<_>>());
            let last = &recorder.reports[19].1;
            assert_eq!(last.readings().len(), 2, "the test part is not for early stopping: {last:?}");
            assert_eq!(last.value("validation_loss"), measurement.value("validation_loss"));
        }
    }

    #[test]
    fn same_point_and_seed_give_the_same_bits() {
        let problem = problem(vec![rate(), Parameter::float("dropout", 0.0, 0.5)]);
        let run = |seed, dropout: f64| {
            let values = [("learning_rate", Value::Float(0.003)), ("dropout", Value::Float(dropout))];
            let mut recorder = recorder();
            let options = Options { epochs: 3, ..Options::default() };
            let measurement =
                evaluate(&problem, options, &values, assignment(seed, None), &mut recorder).unwrap();
            let reports = recorder.reports.iter().map(|(_, report)| report).chain([&measurement]);
            reports.flat_map(Measurement::readings).map(|reading| reading.value.to_bits()).collect::<Vec<_>>()
        };
        assert_eq!(run(11, 0.25), run(11, 0.25));
        assert_ne!(run(11, 0.25), run(12, 0.25));
        assert_ne!(run(11, 0.25), run(11, 0.2));
    }

    #[test]
    fn every_parameter_changes_the_training() {
        let cases = [
            (rate(), Value::Float(0.02)),
            (Parameter::int("batch_size", 1, 1077).log(), Value::Int(100)),
            (Parameter::categorical("optimizer", ["sgd", "adam"]), Value::from("sgd")),
            (Parameter::float("momentum", 0.0, 0.99), Value::Float(0.5)),
            (Parameter::float("weight_decay", 0.0, 1.0), Value::Float(0.5)),
            (Parameter::int("hidden_layers", 0, 4), Value::Int(2)),
            (Parameter::ordinal("hidden_units", [16_i64, 32, 48]), Value::Int(16)),
            (Parameter::categorical("activation", ["relu", "tanh", "gelu", "sigmoid"]), Value::from("gelu")),
            (Parameter::float("dropout", 0.0, 0.9), Value::Float(0.5)),
        ];
        assert_eq!(cases.each_ref().map(|(parameter, _)| parameter.name.as_str()), options::PARAMETERS);
        for (parameter, value) in cases {
            let name = parameter.name.clone();
            let options = Options {
                epochs: 1,
                optimizer: options::Optimizer::Sgd,
                learning_rate: 0.01,
                ..Options::default()
            };
            // The optimizer is compared with the other one.
            let options = if name == "optimizer" {
                Options { optimizer: options::Optimizer::Adam, ..options }
            } else {
                options
            };
            let loss = |parameter: Parameter, value: Value| {
                let (problem, name) = (problem(vec![parameter.clone()]), parameter.name);
                let values = [(name.as_str(), value)];
                let outcome =
                    evaluate(&problem, options.clone(), &values, assignment(1, None), &mut recorder());
                outcome.unwrap().value("validation_loss").unwrap()
            };
            let plain = loss(Parameter::float("learning_rate", 0.001, 0.1), Value::Float(0.01));
            assert_ne!(loss(parameter, value), plain, "{name} has no effect");
        }
    }

    #[test]
    fn a_training_that_is_continued_comes_to_what_it_would_have_come_to() {
        let folder = tempfile::tempdir().unwrap();
        let output = |trial: u64| Some(folder.path().join(format!("trial-{trial}")));
        let problem = problem(vec![Parameter::int("hidden_units", 1, 1024)]);
        for (optimizer, dropout) in [(options::Optimizer::Adam, 0.3), (options::Optimizer::Sgd, 0.0)] {
            let options = Options { epochs: 6, optimizer, dropout, checkpoints: true, ..Options::default() };
            let values = [("hidden_units", Value::Int(9))];
            let run = |options: &Options, assignment: Assignment, stop_at: u64| {
                let mut recorder = Recorder { stop_at, ..recorder() };
                let outcome = evaluate(&problem, options.clone(), &values, assignment, &mut recorder);
                (outcome, recorder.reports)
            };
            let whole = run(&options, assignment(5, None), u64::MAX);
            let first = Assignment { output_folder: output(3), ..assignment(5, None) };
            let (outcome, before) = run(&options, first.clone(), 2);
            assert_eq!(outcome, Err(EvaluationError::Stopped));
            let continues = |trial: u64, step| {
                Some(Continued { trial: TrialId(trial), attempt: 1, step, output_folder: output(trial) })
            };
            let second = Assignment {
                trial: TrialId(4),
                output_folder: output(4),
                continued: continues(3, 2),
                ..first
            };
            let (_, between) = run(&options, second.clone(), 5);
            let third = Assignment {
                trial: TrialId(5),
                output_folder: output(5),
                continued: continues(4, 5),
                ..second
            };
            let (outcome, after) = run(&options, third.clone(), u64::MAX);
            let reports = [before, between, after].concat();
            assert_eq!((&outcome, &reports), (&whole.0, &whole.1));
            // whatever lies there: another network, half of one, none at all
            let other = Options { hidden_layers: 2, ..options.clone() };
            assert_eq!(run(&other, third.clone(), u64::MAX), run(&other, assignment(5, None), u64::MAX));
            let path = output(4).unwrap().join("checkpoint.json");
            let text = std::fs::read(&path).unwrap();
            std::fs::write(&path, &text[..text.len() / 2]).unwrap();
            assert_eq!(run(&options, third.clone(), u64::MAX), whole);
            std::fs::remove_file(&path).unwrap();
            assert_eq!(run(&options, third, u64::MAX), whole);
            std::fs::remove_dir_all(output(4).unwrap()).unwrap();
        }
        let plain = Options { epochs: 3, ..Options::default() };
        let kept = Assignment { output_folder: output(9), ..assignment(5, None) };
        let mut stopped = Recorder { stop_at: 1, ..recorder() };
        let values = [("hidden_units", Value::Int(9))];
        assert!(evaluate(&problem, plain, &values, kept, &mut stopped).is_err());
        assert!(!output(9).unwrap().exists(), "nobody asked for it");
    }

    #[test]
    fn inactive_parameters_are_taken_from_the_options() {
        let momentum = Parameter::float("momentum", 0.0, 0.99).when(Condition::equals("optimizer", "sgd"));
        let conditional = problem(vec![Parameter::categorical("optimizer", ["sgd", "adam"]), momentum]);
        let plain = problem(vec![Parameter::categorical("optimizer", ["sgd", "adam"])]);
        let values = [("optimizer", Value::from("adam"))];
        let options = Options { epochs: 1, ..Options::default() };
        let [first, second] = [conditional, plain].map(|problem| {
            evaluate(&problem, options.clone(), &values, assignment(5, None), &mut recorder()).unwrap()
        });
        assert_eq!(first, second);
    }

    #[test]
    fn stop_is_obeyed_at_the_report_and_between_batches() {
        let problem = problem(vec![rate()]);
        let values = [("learning_rate", Value::Float(0.003))];
        let mut stops_at_three = Recorder { stop_at: 3, ..recorder() };
        let outcome =
            evaluate(&problem, Options::default(), &values, assignment(1, None), &mut stops_at_three);
        assert_eq!(outcome, Err(EvaluationError::Stopped));
        assert_eq!(stops_at_three.reports.len(), 3);

        let mut cancelled = Recorder { is_stopped: true, ..recorder() };
        let outcome = evaluate(&problem, Options::default(), &values, assignment(1, None), &mut cancelled);
        assert_eq!(outcome, Err(EvaluationError::Stopped));
        assert!(cancelled.reports.is_empty());
    }

    #[test]
    fn the_fidelity_is_the_number_of_epochs() {
        let mut problem = problem(vec![rate()]);
        problem.fidelity = Some(FidelityRange { name: "epochs".to_owned(), lower: 1.0, upper: 6.0 });
        let values = [("learning_rate", Value::Float(0.003))];
        for (fidelity, expected) in [(Some(2.0), 2.0), (Some(3.4), 3.0), (None, 6.0)] {
            let mut recorder = recorder();
            let measurement =
                evaluate(&problem, Options::default(), &values, assignment(1, fidelity), &mut recorder)
                    .unwrap();
            assert_eq!(measurement.value("epochs"), Some(expected));
            assert_eq!(recorder.reports.len() as f64, expected);
        }
        // A short training is the beginning of a long one: what rungs of different height compare is
        // comparable.
        let losses = |fidelity| {
            let mut recorder = recorder();
            evaluate(&problem, Options::default(), &values, assignment(1, Some(fidelity)), &mut recorder)
                .unwrap();
            recorder.reports
        };
        assert_eq!(losses(2.0)[..], losses(5.0)[..2]);
    }

    #[test]
    fn divergence_fails_the_trial_with_what_to_do() {
        let problem = problem(vec![Parameter::float("learning_rate", 1.0, 1e13).log()]);
        let options = Options { optimizer: options::Optimizer::Sgd, ..Options::default() };
        let values = [("learning_rate", Value::Float(1e12))];
        let outcome = evaluate(&problem, options, &values, assignment(1, None), &mut recorder());
        let Err(EvaluationError::Failed(reason)) = outcome else { panic!("{outcome:?}") };
        assert!(
            reason.starts_with("training diverged in epoch 1") && reason.contains("learning_rate"),
            "{reason}"
        );
    }

    #[test]
    fn what_cannot_work_is_refused_before_any_trial() {
        let refused =
            |parameter: Parameter| create(&problem(vec![parameter]), Options::default()).unwrap_err().0;
        let cases = [
            (
                refused(Parameter::float("learnign_rate", 0.1, 1.0)),
                "parameter learnign_rate is unknown to objective digits \
                 (did you mean \"learning_rate\"?); it has learning_rate, ",
            ),
            (
                refused(Parameter::int("hidden_unit", 1, 2)),
                "parameter hidden_unit is unknown to objective digits \
                 (did you mean \"hidden_units\"?); it has hidden_units, ",
            ),
            (
                refused(Parameter::float("learning_rate", 0.0, 1.0)),
                "parameter learning_rate must be a number above 0, found 0",
            ),
            (
                refused(Parameter::int("batch_size", 16, 2048)),
                "parameter batch_size must be a whole number from 1 to 1077, found 2048",
            ),
            (
                refused(Parameter::float("hidden_units", 16.0, 64.0)),
                "parameter hidden_units must be whole numbers; make it an int",
            ),
            (
                refused(Parameter::categorical("batch_size", ["16"])),
                "parameter batch_size must be a whole number from 1 to 1077, found \"16\"",
            ),
            (
                refused(Parameter::categorical("activation", ["relu", "gleu"])),
                "parameter activation must be one of \"relu\", \"tanh\", \"gelu\", \"sigmoid\", \
                 found \"gleu\" (did you mean \"gelu\"?)",
            ),
            (
                refused(Parameter::float("momentum", 0.0, 1.0)),
                "parameter momentum must be a number 0 or more and below 1, found 1",
            ),
            (
                refused(Parameter::bool("dropout")),
                "parameter dropout must be a number 0 or more and below 1, found false",
            ),
        ];
        for (message, expected) in cases {
            assert!(message.starts_with(expected), "{message}\n{expected}");
        }

        let options = |options: Options| create(&problem(vec![rate()]), options).unwrap_err().0;
        let message = options(Options { epochs: 0, ..Options::default() });
        assert_eq!(message, "option epochs must be a whole number from 1 to 10000, found 0");
        let message = options(Options { dropout: 1.0, ..Options::default() });
        assert_eq!(message, "option dropout must be a number 0 or more and below 1, found 1");
        assert!(options(Options { weight_decay: f64::NAN, ..Options::default() }).contains("NaN"));
    }

    #[test]
    fn metrics_and_fidelities_it_lacks_are_refused() {
        let with_metric = |name: &str| {
            let mut problem = problem(vec![rate()]);
            problem.metrics.push(Metric { name: name.to_owned(), goal: Goal::Maximise });
            create(&problem, Options::default())
        };
        assert!(with_metric("validation_accuracy").is_ok());
        let message = with_metric("validation_acuracy").unwrap_err().0;
        let expected = "metric validation_acuracy is not measured by objective digits \
                        (did you mean \"validation_accuracy\"?); it has ";
        assert!(message.starts_with(expected), "{message}");
        assert!(with_metric("test_accuracy").unwrap_err().0.contains("validation_accuracy"));

        let mut bounded = problem(vec![rate()]);
        bounded.outcome_constraints =
            vec![OutcomeConstraint { metric: "latency".to_owned(), side: Side::AtMost, bound: 1.0 }];
        assert!(create(&bounded, Options::default()).unwrap_err().0.starts_with("metric latency"));

        let with_fidelity = |name: &str, lower, upper| {
            let mut problem = problem(vec![rate()]);
            problem.fidelity = Some(FidelityRange { name: name.to_owned(), lower, upper });
            create(&problem, Options::default())
        };
        assert!(with_fidelity("epochs", 1.0, 30.0).is_ok());
        assert!(with_fidelity("samples", 1.0, 30.0).unwrap_err().0.contains("\"epochs\""));
        assert!(with_fidelity("epochs", 0.5, 30.0).unwrap_err().0.contains("1 to 10000"));
    }

    #[test]
    fn options_are_typed_and_closed() {
        let options: Options = serde_json::from_str(r#"{"optimizer": "sgd", "hidden_layers": 2}"#).unwrap();
        assert_eq!(
            (options.optimizer, options.hidden_layers, options.epochs),
            (options::Optimizer::Sgd, 2, 20)
        );
        let message = serde_json::from_str::<Options>(r#"{"epoch": 3}"#).unwrap_err().to_string();
        assert!(message.contains("unknown field `epoch`"), "{message}");
        let schema = serde_json::to_value(ansatz_core::schemars::schema_for!(Options)).unwrap();
        let properties = schema["properties"].as_object().unwrap();
        for name in options::PARAMETERS {
            assert!(properties.contains_key(name), "{name} is a parameter and not an option");
        }
    }
}
