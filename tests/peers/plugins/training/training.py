"""Models of scikit-learn on the data that it brings along, small enough to train in some hundredths of a second.

Each model is a function from parameters to something that is fitted; a cross-validation with folds that never change
judges it. With `noise`, everything random in a model is drawn from the seed of the trial, as where nobody fixes it;
without, the same point always measures the same."""

import math
import warnings

from ansatz_plugin import Infeasible, Invalid, Objective, Unsupported, nearest, serve

#: Data: name in scikit-learn, whether its targets are classes, rows that are used (the first of a fixed shuffle).
DATA = {
    "iris": ("load_iris", True, None),
    "wine": ("load_wine", True, None),
    "breast-cancer": ("load_breast_cancer", True, None),
    "breast-cancer-300": ("load_breast_cancer", True, 300),
    "digits-300": ("load_digits", True, 300),
    "diabetes": ("load_diabetes", False, None),
}
#: Probabilities of the true class below this count as this: one certain mistake should not be the whole loss.
PROBABILITY_MIN = 1e-3


# -- Models: parameters by the names in the problems, `seed` for what is random in them ------------------------------


def svm(classify, seed, *, C, gamma):
    from sklearn.svm import SVC, SVR

    return SVC(C=C, gamma=gamma) if classify else SVR(C=C, gamma=gamma)


def kernel_ridge(classify, seed, *, alpha, gamma):
    from sklearn.kernel_ridge import KernelRidge

    return KernelRidge(kernel="rbf", alpha=alpha, gamma=gamma)


def boosting(classify, seed, *, learning_rate, trees, depth, subsample, min_leaf, max_features=1.0):
    from sklearn.ensemble import GradientBoostingClassifier, GradientBoostingRegressor

    return (GradientBoostingClassifier if classify else GradientBoostingRegressor)(
        learning_rate=learning_rate,
        n_estimators=trees,
        max_depth=depth,
        subsample=subsample,
        min_samples_leaf=min_leaf,
        max_features=max_features,
        random_state=seed,
    )


def forest(classify, seed, *, trees=15, depth=None, min_leaf=1, max_features="sqrt", criterion="gini", bootstrap=True):
    from sklearn.ensemble import RandomForestClassifier

    return RandomForestClassifier(
        n_estimators=trees,
        max_depth=depth,
        min_samples_leaf=min_leaf,
        max_features=max_features,
        criterion=criterion,
        bootstrap=bootstrap,
        random_state=seed,
    )


def network(classify, seed, *, learning_rate, alpha, units, layers, activation, batch):
    from sklearn.neural_network import MLPClassifier

    return MLPClassifier(
        hidden_layer_sizes=[units] * layers,
        learning_rate_init=learning_rate,
        alpha=alpha,
        activation=activation,
        batch_size=batch,
        max_iter=12,
        random_state=seed,
    )


def elastic_net(classify, seed, *, alpha, l1_ratio, degree):
    from sklearn.linear_model import ElasticNet
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import PolynomialFeatures, StandardScaler

    return make_pipeline(
        PolynomialFeatures(degree, include_bias=False), StandardScaler(), ElasticNet(alpha=alpha, l1_ratio=l1_ratio)
    )


def logistic(classify, seed, *, alpha, l1_ratio, rate, schedule, epochs, averaged):
    """Logistic regression with an elastic net, by stochastic gradients."""
    from sklearn.linear_model import SGDClassifier

    return SGDClassifier(
        loss="log_loss",
        penalty="elasticnet",
        alpha=alpha,
        l1_ratio=l1_ratio,
        learning_rate=schedule,
        eta0=rate,
        max_iter=epochs,
        tol=None,
        average=averaged,
        random_state=seed,
    )


def pipeline(classify, seed, *, scaler, classifier, **parameters):
    """A choice of classifiers, each with its own parameters."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.neighbors import KNeighborsClassifier
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import MinMaxScaler, StandardScaler
    from sklearn.svm import SVC

    own = {name.split("_", 1)[1]: value for name, value in parameters.items()}
    if classifier == "svm":
        kernel = own.pop("kernel")
        gamma = {} if kernel == "linear" else {"gamma": own["gamma"]}
        # a linear kernel on columns as they are would need minutes
        model = SVC(kernel=kernel, C=own["C"], max_iter=2000, **gamma)
    elif classifier == "neighbours":
        model = KNeighborsClassifier(n_neighbors=own["count"], weights=own["weights"], p=own["power"])
    elif classifier == "forest":
        model = forest(classify, seed, **own)
    else:
        model = LogisticRegression(C=own["C"], max_iter=50)
    before = {"none": [], "standard": [StandardScaler()], "minmax": [MinMaxScaler()]}[scaler]
    return make_pipeline(*before, model)


MODELS = {
    "svm": svm,
    "kernel-ridge": kernel_ridge,
    "boosting": boosting,
    "forest": forest,
    "network": network,
    "elastic-net": elastic_net,
    "logistic": logistic,
    "pipeline": pipeline,
}
#: Models that look at the data as it is; the others get columns of mean 0 and variance 1 in the training rows.
UNSCALED = ("boosting", "forest", "elastic-net", "pipeline")


class Training(Objective):
    name = "peers.training"
    summary = "a small model of scikit-learn on its bundled data, judged by a fixed cross-validation"
    options = {
        "model": {"type": "string", "enum": list(MODELS), "default": "svm"},
        "data": {"type": "string", "enum": list(DATA), "default": "wine"},
        "folds": {"type": "integer", "minimum": 2, "maximum": 10, "default": 3},
        "noise": {
            "type": "boolean",
            "default": False,
            "description": "whether what is random in a model is drawn from the seed of the trial",
        },
    }

    def setup(self):
        try:
            import numpy
            from sklearn import datasets
            from sklearn.model_selection import KFold, StratifiedKFold
            from sklearn.preprocessing import StandardScaler
        except ImportError as error:
            raise Unsupported(f"scikit-learn is not installed: {error}; run tests/peers/setup.sh") from None
        warnings.simplefilter("ignore")
        load, self.classify, row_count = DATA[self.options["data"]]
        known = ("error", "log_loss") if self.classify else ("rmse",)
        for name in self.problem.metric_names:
            if name not in known:
                raise Invalid(f'there is no metric "{name}"{nearest(name, known)}; there are {", ".join(known)}')
        rows, targets = getattr(datasets, load)(return_X_y=True)
        order = numpy.random.RandomState(0).permutation(len(rows))[:row_count]
        rows, targets = rows[order], targets[order]
        kind = StratifiedKFold if self.classify else KFold
        self.folds = []
        for train, test in kind(self.options["folds"], shuffle=True, random_state=0).split(rows, targets):
            training, testing = rows[train], rows[test]
            if self.options["model"] not in UNSCALED:
                scaler = StandardScaler().fit(training)
                training, testing = scaler.transform(training), scaler.transform(testing)
            mean, scale = (0.0, 1.0) if self.classify else (targets[train].mean(), targets[train].std())
            self.folds.append((training, (targets[train] - mean) / scale, testing, targets[test], mean, scale))
        self.try_space(rows[:5])

    def try_space(self, rows):
        """A parameter too many or too few is found now, and the imports belong to the set-up."""
        space = self.problem.space
        x = space.assemble([parameter.from_unit(0.5) for parameter in space.parameters])
        try:
            MODELS[self.options["model"]](self.classify, 0, **space.values(x))
        except (TypeError, KeyError, IndexError) as error:
            raise Invalid(f"the space does not fit the model {self.options['model']}: {error}") from None

    def evaluate(self, parameters, trial):
        import numpy

        seed = trial.seed32 if self.options["noise"] else 0
        sums = {}
        for fold, (rows, targets, test_rows, test_targets, mean, scale) in enumerate(self.folds):
            model = MODELS[self.options["model"]](self.classify, (seed + fold) % 2**32, **parameters)
            try:
                model.fit(rows, targets)
                measured = self.judge(model, test_rows, test_targets, mean, scale)
            except (ValueError, FloatingPointError, numpy.linalg.LinAlgError) as error:
                raise Infeasible(f"{type(error).__name__}: {error}") from None
            for name, value in measured.items():
                sums[name] = sums.get(name, 0.0) + value * len(test_rows)
        count = sum(len(fold[3]) for fold in self.folds)
        means = {name: value / count for name, value in sums.items()}
        if "rmse" in means:
            means["rmse"] = math.sqrt(means["rmse"])
        return {name: value for name, value in means.items() if name in ("error", "log_loss", "rmse")}

    def judge(self, model, rows, targets, mean, scale):
        import numpy

        if not self.classify:
            return {"rmse": float(numpy.mean((model.predict(rows) * scale + mean - targets) ** 2))}
        if hasattr(model, "predict_proba"):
            probabilities = model.predict_proba(rows)
        else:
            # an SVM: the softmax of its margins (of one margin: the logistic function)
            margins = model.decision_function(rows)
            margins = numpy.column_stack([-margins / 2, margins / 2]) if margins.ndim == 1 else margins
            probabilities = numpy.exp(margins - margins.max(axis=1, keepdims=True))
            probabilities /= probabilities.sum(axis=1, keepdims=True)
        of_truth = probabilities[numpy.arange(len(targets)), numpy.searchsorted(model.classes_, targets)]
        of_truth = numpy.clip(numpy.nan_to_num(of_truth), PROBABILITY_MIN, 1.0)
        wrong = model.classes_[numpy.argmax(probabilities, axis=1)] != targets
        return {"error": float(numpy.mean(wrong)), "log_loss": float(-numpy.mean(numpy.log(of_truth)))}


if __name__ == "__main__":
    serve(Training)
