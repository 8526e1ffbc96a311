"""Models of scikit-learn on the data that it brings along: the mean error over the folds of a cross-validation.

The parameters of the space have the names that scikit-learn gives them. Names, kinds and ranges are checked before the
first trial, because a typo that shows after an hour is an hour lost.
"""

import math
import time
import warnings

from ansatz_plugin import Infeasible, Invalid, Objective, Unsupported, nearest, serve

# -- What the parameters of each model may be --------------------------------------------------------------------------


def above(bound):
    return (f"a number above {bound}", lambda value: is_number(value) and value > bound)


def at_least(bound):
    return (f"a number of at least {bound}", lambda value: is_number(value) and value >= bound)


def share(value_max=1.0):
    return (f"a number above 0, at most {value_max:g}", lambda value: is_number(value) and 0 < value <= value_max)


def count(least=1):
    return (
        f"a whole number of at least {least}",
        lambda value: isinstance(value, int) and not isinstance(value, bool) and value >= least,
    )


def one_of(*values):
    return (f"one of {', '.join(map(str, values))}", lambda value: value in values)


def is_number(value):
    return isinstance(value, (int, float)) and not isinstance(value, bool)


KERNEL = {"degree": count(), "coef0": at_least(0), "gamma": above(0)}
PARAMETERS = {
    "svm": {
        "C": above(0),
        "epsilon": at_least(0),  # regression only
        "kernel": one_of("linear", "poly", "rbf", "sigmoid"),
        **KERNEL,
    },
    "kernel-ridge": {
        "alpha": above(0),
        "kernel": one_of("linear", "poly", "rbf", "laplacian", "sigmoid"),
        **KERNEL,
    },
    "random-forest": {
        "n_estimators": count(),
        "max_depth": count(),
        "max_features": share(),
        "max_samples": share(),
        "max_leaf_nodes": count(2),
        "min_samples_leaf": count(),
        "min_samples_split": count(2),
        "bootstrap": one_of(False, True),
    },
    "gradient-boosting": {
        "learning_rate": above(0),
        "max_iter": count(),
        "max_depth": count(),
        "max_leaf_nodes": count(2),
        "max_features": share(),
        "min_samples_leaf": count(),
        "l2_regularization": at_least(0),
    },
    "mlp": {
        "hidden_layers": count(),
        "hidden_units": count(),
        "activation": one_of("identity", "logistic", "tanh", "relu"),
        "solver": one_of("lbfgs", "sgd", "adam"),
        "alpha": at_least(0),
        "batch_size": count(),
        "learning_rate_init": above(0),
        "momentum": at_least(0),
        "max_iter": count(),
    },
}

CLASSIFICATION = ("digits", "wine", "breast-cancer")
METRICS = ("loss", "fit_seconds", "predict_seconds", "accuracy", "r2")


class Sklearn(Objective):
    name = "com.example.sklearn"
    summary = "cross-validated error of a model of scikit-learn on its bundled data"
    options = {
        "data": {"type": "string", "default": "digits", "enum": [*CLASSIFICATION, "diabetes"]},
        "model": {"type": "string", "default": "svm", "enum": list(PARAMETERS)},
        "folds": {"type": "integer", "default": 5, "minimum": 2, "maximum": 50},
        "split_seed": {"type": "integer", "default": 0, "minimum": 0, "description": "which folds; the same for all"},
    }

    def setup(self):
        self.is_classification = self.options["data"] in CLASSIFICATION
        self.check_space()
        self.check_metrics()
        try:
            from sklearn import datasets
        except ImportError as error:
            raise Unsupported(f"scikit-learn is not installed for this Python: {error}") from None
        from sklearn.exceptions import ConvergenceWarning

        # a model that did not converge is judged by its error
        warnings.simplefilter("ignore", ConvergenceWarning)
        self.rows, self.targets = getattr(datasets, "load_" + self.options["data"].replace("-", "_"))(return_X_y=True)
        self.splits = self.split()
        self.make_model({}, 0)  # the imports belong to the set-up, not to the first trial

    # -- Before the first trial ----------------------------------------------------------------------------------------

    def check_space(self):
        model = self.options["model"]
        known = dict(PARAMETERS[model])
        if self.is_classification:
            known.pop("epsilon", None)
        for parameter in self.problem.space.parameters:
            if parameter.name not in known:
                hint = nearest(parameter.name, known) or f"; it has {', '.join(known)}"
                raise Invalid(f'{model} has no parameter "{parameter.name}"{hint}')
            words, fits = known[parameter.name]
            for value in parameter.choices or [parameter.value(parameter.lower), parameter.value(parameter.upper)]:
                if not fits(value):
                    raise Invalid(f"{model}: {parameter.name} must be {words}, and {value!r} is in its space")

    def check_metrics(self):
        known = [name for name in METRICS if name != ("r2" if self.is_classification else "accuracy")]
        for name in self.problem.metric_names:
            if name not in known:
                raise Invalid(f'there is no metric "{name}"{nearest(name, known)}; there are {", ".join(known)}')
        fidelity = self.problem.fidelity
        if fidelity and fidelity.name != "rows":
            raise Invalid(f'the fidelity must be "rows" (how many a model is fitted to), found "{fidelity.name}"')

    def split(self):
        from sklearn.model_selection import KFold, StratifiedKFold

        kind = StratifiedKFold if self.is_classification else KFold
        folds = kind(self.options["folds"], shuffle=True, random_state=self.options["split_seed"])
        # the training rows come sorted, by class in some data: shuffled, any part of them is a sample
        import numpy

        shuffle = numpy.random.default_rng(self.options["split_seed"]).permutation
        return [(shuffle(train), test) for train, test in folds.split(self.rows, self.targets)]

    # -- A trial -------------------------------------------------------------------------------------------------------

    def evaluate(self, parameters, trial):
        import numpy

        losses, quality, fit_seconds, predict_seconds = [], [], 0.0, 0.0
        for fold, (train, test) in enumerate(self.splits):
            if trial.fidelity is not None:
                train = train[: max(10, int(trial.fidelity))]
            model = self.make_model(parameters, trial.seed32)
            began = time.perf_counter()
            try:
                model.fit(self.rows[train], self.targets[train])
                fitted = time.perf_counter()
                predicted = model.predict(self.rows[test])
            except (ValueError, numpy.linalg.LinAlgError) as error:
                raise Infeasible(f"{type(error).__name__}: {error}") from None
            fit_seconds += fitted - began
            predict_seconds += time.perf_counter() - fitted
            truth = self.targets[test]
            if self.is_classification:
                quality.append(float(numpy.mean(predicted == truth)))
                losses.append(1 - quality[-1])
            else:
                error = float(numpy.mean((predicted - truth) ** 2))
                quality.append(1 - error / float(numpy.var(truth)))
                losses.append(math.sqrt(error))
            if fold + 1 < len(self.splits):
                trial.report(fold + 1, loss=numpy.mean(losses))
        return {
            "loss": self.mean(losses),
            "fit_seconds": fit_seconds,
            "predict_seconds": predict_seconds,
            "accuracy" if self.is_classification else "r2": self.mean(quality),
        }

    @staticmethod
    def mean(values):
        """The mean over the folds and its standard error."""
        mean = sum(values) / len(values)
        variance = sum((value - mean) ** 2 for value in values) / (len(values) - 1)
        return mean, math.sqrt(variance / len(values))

    def make_model(self, parameters, seed):
        from sklearn.compose import TransformedTargetRegressor
        from sklearn.pipeline import make_pipeline
        from sklearn.preprocessing import StandardScaler

        model = self.bare_model(dict(parameters), seed)
        if self.options["model"] in ("random-forest", "gradient-boosting"):
            return model  # trees do not mind scales
        model = make_pipeline(StandardScaler(), model)
        if self.is_classification:
            return model
        return TransformedTargetRegressor(model, transformer=StandardScaler())

    def bare_model(self, parameters, seed):
        model, classify = self.options["model"], self.is_classification
        if model == "svm":
            from sklearn.svm import SVC, SVR

            return SVC(random_state=seed, **parameters) if classify else SVR(**parameters)
        if model == "kernel-ridge":
            from sklearn.kernel_ridge import KernelRidge

            parameters = {"kernel": "rbf", **parameters}
            return kernel_ridge_classifier()(**parameters) if classify else KernelRidge(**parameters)
        if model == "random-forest":
            from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor

            if parameters.get("bootstrap") is False:
                parameters.pop("max_samples", None)
            return (RandomForestClassifier if classify else RandomForestRegressor)(random_state=seed, **parameters)
        if model == "gradient-boosting":
            from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

            kind = HistGradientBoostingClassifier if classify else HistGradientBoostingRegressor
            return kind(random_state=seed, **parameters)
        from sklearn.neural_network import MLPClassifier, MLPRegressor

        layers = [parameters.pop("hidden_units", 64)] * parameters.pop("hidden_layers", 1)
        kind = MLPClassifier if classify else MLPRegressor
        return kind(hidden_layer_sizes=layers, random_state=seed, **parameters)


def kernel_ridge_classifier():
    """Kernel ridge regression on one column per class; the largest wins."""
    import numpy
    from sklearn.kernel_ridge import KernelRidge

    class KernelRidgeClassifier(KernelRidge):
        def fit(self, rows, targets):
            self.classes_ = numpy.unique(targets)
            return super().fit(rows, (targets[:, None] == self.classes_) - 1 / len(self.classes_))

        def predict(self, rows):
            return self.classes_[numpy.argmax(super().predict(rows), axis=1)]

    return KernelRidgeClassifier


if __name__ == "__main__":
    serve(Sklearn)
