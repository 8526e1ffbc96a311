"""The objective on scikit-learn."""

import importlib.util
import os
import unittest

from fake_host import FaultAnswer, Host
from problems import number, problem
from test_strategies import EXAMPLES

C = number("C", 0.01, 1000.0, scale="log")


def whole(name, lower, upper):
    return {"name": name, "domain": {"int": {"lower": lower, "upper": upper, "scale": "linear", "step": 1}}}


@unittest.skipUnless(importlib.util.find_spec("sklearn"), "scikit-learn is not installed for this Python")
class Sklearn(unittest.TestCase):
    def host(self, declared, options=None):
        host = Host(os.path.join(EXAMPLES, "sklearn-python"))
        self.addCleanup(host.__exit__)
        host.hello()
        host.create(declared, options)
        return host

    def test_it_measures_and_reports_each_fold(self):
        host = self.host(problem([C]), {"data": "wine"})
        measured = host.evaluate({"C": 1.0})
        self.assertLess(measured["metrics"]["loss"], 0.05)
        self.assertAlmostEqual(measured["metrics"]["loss"] + measured["metrics"]["accuracy"], 1)
        self.assertGreater(measured["standard_errors"]["loss"], 0)
        self.assertGreater(measured["metrics"]["fit_seconds"], 0)
        self.assertEqual([report["step"] for report in host.reports], [1, 2, 3, 4])
        self.assertEqual(host.evaluate({"C": 1.0})["metrics"]["loss"], measured["metrics"]["loss"])

    def test_it_stops_between_folds(self):
        host = self.host(problem([C]), {"data": "wine"})
        with self.assertRaises(FaultAnswer) as caught:
            host.evaluate({"C": 1.0}, lambda report: "stop" if report["step"] == 2 else "continue")
        self.assertEqual(caught.exception.kind, "stopped")
        self.assertEqual(len(host.reports), 2)

    def test_every_model_fits_both_kinds_of_data(self):
        kernel = {"name": "kernel", "domain": {"categorical": {"choices": ["poly", "rbf"]}}}
        for model, parameters, values in (
            ("svm", [C, kernel], {"C": 1.0, "kernel": "rbf"}),
            ("kernel-ridge", [number("alpha", 0.01, 10), kernel], {"alpha": 1.0, "kernel": "poly"}),
            ("random-forest", [whole("n_estimators", 5, 50)], {"n_estimators": 10}),
            ("gradient-boosting", [whole("max_iter", 5, 50)], {"max_iter": 10}),
            (
                "mlp",
                [whole("hidden_units", 4, 32), whole("hidden_layers", 1, 3), whole("max_iter", 5, 100)],
                {"hidden_units": 16, "hidden_layers": 2, "max_iter": 100},
            ),
        ):
            for data, loss_max in (("wine", 0.3), ("diabetes", 78.0)):
                with self.subTest(model=model, data=data):
                    host = self.host(problem(parameters), {"data": data, "model": model, "folds": 3})
                    self.assertLess(host.evaluate(values)["metrics"]["loss"], loss_max)

    def test_fewer_rows_are_a_fidelity(self):
        declared = {**problem([C]), "fidelity": {"name": "rows", "lower": 20.0, "upper": 1000.0}}
        host = self.host(declared, {"data": "digits", "folds": 2})
        few, many = (host.evaluate({"C": 1.0}, fidelity=rows)["metrics"]["loss"] for rows in (20.0, 900.0))
        self.assertLess(many, few)
        self.assertLess(many, 0.06)

    def test_mistakes_are_found_before_the_first_trial(self):
        for declared, options, words in (
            (problem([number("Gamma", 0.1, 1.0)]), {}, 'did you mean "gamma"'),
            (problem([number("n_estimators", 1.0, 9.0)]), {"model": "random-forest"}, "a whole number of at least 1"),
            (problem([number("C", 0.0, 1.0)]), {}, "above 0"),
            (problem([number("epsilon", 0.0, 1.0)]), {"data": "digits"}, "no parameter"),
            (problem([{"name": "kernel", "domain": {"categorical": {"choices": ["rfb"]}}}]), {}, "'rfb'"),
            (problem([C], metrics=("los",)), {}, 'did you mean "loss"'),
            (problem([C]), {"data": "digit"}, 'did you mean "digits"'),
            (problem([C]), {"fold": 3}, 'did you mean "folds"'),
            ({**problem([C]), "fidelity": {"name": "epochs", "lower": 1, "upper": 2}}, {}, '"rows"'),
        ):
            with self.assertRaises(FaultAnswer) as caught:
                self.host(declared, options)
            self.assertEqual(caught.exception.kind, "invalid")
            self.assertIn(words, caught.exception.message)


if __name__ == "__main__":
    unittest.main()
