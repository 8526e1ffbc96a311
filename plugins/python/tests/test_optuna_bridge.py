"""The bridge to Optuna, against Optuna itself."""

import importlib.util
import os
import unittest
import warnings

from fake_host import FaultAnswer, drive, observation
from problems import BRANIN, EVERY_KIND, MIXED, PLAIN, branin, mixed, number, problem
from test_strategies import EXAMPLES, StrategyCases


@unittest.skipUnless(importlib.util.find_spec("optuna"), "optuna is not installed for this Python")
class Bridge(StrategyCases, unittest.TestCase):
    folder = os.path.join(EXAMPLES, "optuna-bridge")
    rounds = 16
    snapshots = False

    def refused(self, kind, words, declared, options):
        with self.assertRaises(FaultAnswer) as caught:
            self.host(declared, options=options)
        self.assertEqual(caught.exception.kind, kind)
        self.assertIn(words, caught.exception.message)

    def native(self, sampler):
        import optuna

        optuna.logging.set_verbosity(optuna.logging.WARNING)
        return optuna.create_study(sampler=sampler)

    def test_tpe_gives_the_trials_that_it_gives_in_optuna(self):
        import optuna

        native = self.native(optuna.samplers.TPESampler(seed=7))

        def judge(trial):
            return branin({"x1": trial.suggest_float("x1", -5.0, 10.0), "x2": trial.suggest_float("x2", 0.0, 15.0)})

        native.optimize(judge, n_trials=40)
        points = drive(self.host(BRANIN, 7), branin, 40)
        self.assertEqual(points, [[trial.params["x1"], trial.params["x2"]] for trial in native.trials])

    def test_a_conditional_study_is_the_same_too(self):
        import optuna

        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # `group` is experimental
            native = self.native(optuna.samplers.TPESampler(seed=7, multivariate=True, group=True))
        declared = problem(
            [
                {"name": "opt", "domain": {"categorical": {"choices": ["sgd", "adam"]}}},
                {"name": "lr", "domain": {"float": {"lower": 1e-5, "upper": 0.1, "scale": "log"}}},
                {"name": "n", "domain": {"int": {"lower": 4, "upper": 64, "scale": "linear", "step": 4}}},
                {**number("momentum", 0.0, 0.99), "conditions": [{"parameter": "opt", "test": {"equals": "sgd"}}]},
            ]
        )

        def loss(values):
            return values["lr"] * values["n"] + values.get("momentum", 1.5)

        def judge(trial):
            values = {"opt": trial.suggest_categorical("opt", ["sgd", "adam"])}
            values["lr"] = trial.suggest_float("lr", 1e-5, 0.1, log=True)
            values["n"] = trial.suggest_int("n", 4, 64, step=4)
            if values["opt"] == "sgd":
                values["momentum"] = trial.suggest_float("momentum", 0.0, 0.99)
            return loss(values)

        native.optimize(judge, n_trials=30)
        host = self.host(declared, 7, {"sampler_options": {"multivariate": True, "group": True}})
        points = [host.space.values(x) for x in drive(host, loss, 30)]
        self.assertEqual(points, [trial.params for trial in native.trials])

    def test_other_samplers_work(self):
        for sampler, options, declared, loss in (
            ("RandomSampler", {}, MIXED, mixed),
            ("QMCSampler", {}, BRANIN, branin),
            ("optuna.samplers.NSGAIISampler", {"population_size": 4}, PLAIN, lambda values: values["lr"]),
        ):
            if sampler == "QMCSampler" and not importlib.util.find_spec("scipy"):
                continue
            host = self.host(declared, options={"sampler": sampler, "sampler_options": options})
            drive(host, loss, 12)

    @unittest.skipIf(importlib.util.find_spec("cmaes"), "the package that must be missing is there")
    def test_a_missing_package_is_named(self):
        host = self.host(BRANIN, options={"sampler": "CmaEsSampler", "sampler_options": {"n_startup_trials": 1}})
        with self.assertRaises(FaultAnswer) as caught:
            drive(host, branin, 5)
        self.assertEqual(caught.exception.kind, "unsupported")
        self.assertIn("cmaes", caught.exception.message)

    def test_a_grid_ends(self):
        declared = problem([EVERY_KIND[4], EVERY_KIND[5], number("f", 0.0, 1.0, step=0.5)])
        host = self.host(declared, options={"sampler": "GridSampler"})
        points = drive(host, lambda values: values["f"], 27)
        self.assertEqual(len({tuple(x) for x in points}), 27)
        with self.assertRaises(FaultAnswer) as caught:
            host.ask(1)
        self.assertEqual(caught.exception.kind, "exhausted")
        self.refused("unsupported", "with a step", BRANIN, {"sampler": "GridSampler"})

    def test_wrong_names_and_options_are_refused(self):
        self.refused("invalid", 'did you mean "TPESampler"', BRANIN, {"sampler": "TPESamplr"})
        self.refused("invalid", "no_such_module", BRANIN, {"sampler": "no_such_module.Sampler"})
        self.refused("invalid", "no sampler", BRANIN, {"sampler": "json.JSONDecoder"})
        wrong = {"sampler_options": {"n_startup_trails": 5}}
        self.refused("invalid", 'did you mean "n_startup_trials"', BRANIN, wrong)
        wrong = {"sampler": "NSGAIISampler", "sampler_options": {"population_size": 1}}
        self.refused("invalid", "does not take these options", BRANIN, wrong)

    def test_two_metrics_and_a_bound(self):
        declared = {
            **problem([number("x1", -5.0, 10.0), number("x2", 0.0, 15.0)], metrics=("a", "b")),
            "outcome_constraints": [{"metric": "c", "side": "at_most", "bound": 1.0}],
        }
        for sampler in ("TPESampler", "NSGAIISampler"):
            host = self.host(declared, options={"sampler": sampler})
            for trial in range(20):
                (suggestion,) = host.ask(1)
                x1, x2 = suggestion["x"]
                told = observation(trial, suggestion, [branin({"x1": x1, "x2": x2}), x1], excesses=[x2 - 5])
                if trial % 5 == 4:
                    told = observation(trial, suggestion, [1.0, 2.0], status="stopped")
                if trial % 7 == 6:
                    told["own"] = False
                host.tell([told])
        self.refused("unsupported", "bounds on metrics", declared, {"sampler": "RandomSampler"})

    def test_a_bound_means_the_same_as_in_optuna(self):
        import optuna

        named = hasattr(optuna.Trial, "set_constraint")  # Optuna 5
        told = {} if named else {"constraints_func": lambda trial: [trial.params["x2"] - 3]}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # `constraints_func` was experimental
            native = self.native(optuna.samplers.TPESampler(seed=7, **told))

        def judge(trial):
            values = {"x1": trial.suggest_float("x1", -5.0, 10.0), "x2": trial.suggest_float("x2", 0.0, 15.0)}
            if named:
                trial.set_constraint("c", values["x2"] - 3)
            return branin(values)

        native.optimize(judge, n_trials=30)
        declared = {**BRANIN, "outcome_constraints": [{"metric": "c", "side": "at_most", "bound": 3.0}]}
        host = self.host(declared)
        for index, trial in enumerate(native.trials):
            (suggestion,) = host.ask(1)
            x1, x2 = suggestion["x"]
            self.assertEqual({"x1": x1, "x2": x2}, trial.params)
            host.tell([observation(index, suggestion, [branin(trial.params)], excesses=[x2 - 3])])

    def test_a_narrow_constraint_between_parameters_is_kept(self):
        terms = [["x1", 1.0], ["x2", 1.0]]
        narrow = {"linear": {"terms": terms, "bound": -4.8, "strict": False}}
        host = self.host(problem(BRANIN["space"]["parameters"], [narrow]))
        drive(host, branin, 8)


if __name__ == "__main__":
    unittest.main()
