#!/usr/bin/env python3
"""Trains a classifier at one point: JSON in on stdin, JSON lines out on stdout.

With scikit-learn installed the estimator is its SGDClassifier; without it, a small one of the same interface below. Both
are logistic regression by stochastic gradient descent on polynomial features. They are not the same code, so their
numbers differ a little: do not mix machines with and without scikit-learn in one study.

The problem: two noisy rings in the plane, generated here, so that there is nothing to download.
"""

import json
import math
import random
import sys

try:
    from sklearn.linear_model import SGDClassifier
except ImportError:
    SGDClassifier = None

EPOCHS = 20


class LogisticRegression:
    """Logistic regression for labels 0 and 1, with the methods of a scikit-learn estimator."""

    def __init__(self, learning_rate=0.1, penalty=1e-4, epochs=EPOCHS, random_state=0):
        self.learning_rate = learning_rate
        self.penalty = penalty
        self.epochs = epochs
        self.random_state = random_state

    def get_params(self, deep=True):
        return {name: getattr(self, name) for name in ("learning_rate", "penalty", "epochs", "random_state")}

    def set_params(self, **parameters):
        for name, value in parameters.items():
            if name not in self.get_params():
                raise ValueError(f"there is no parameter {name!r}; there is {', '.join(self.get_params())}")
            setattr(self, name, value)
        return self

    def fit(self, rows, labels):
        self.weights_ = None
        for _ in range(self.epochs):
            self.partial_fit(rows, labels)
        return self

    def partial_fit(self, rows, labels, classes=None):
        if getattr(self, "weights_", None) is None:
            self.weights_, self.bias_ = [0.0] * len(rows[0]), 0.0
            self.random_ = random.Random(self.random_state)
        order = list(range(len(rows)))
        self.random_.shuffle(order)
        for index in order:
            slope = self.predict_proba([rows[index]])[0][1] - labels[index]
            self.bias_ -= self.learning_rate * slope
            self.weights_ = [
                weight - self.learning_rate * (slope * value + self.penalty * weight)
                for weight, value in zip(self.weights_, rows[index])
            ]
        return self

    def predict_proba(self, rows):
        probabilities = []
        for row in rows:
            total = self.bias_ + sum(weight * value for weight, value in zip(self.weights_, row))
            one = 0.5 * (1.0 + math.tanh(0.5 * total))
            probabilities.append([1.0 - one, one])
        return probabilities

    def score(self, rows, labels):
        right = sum((one > zero) == bool(label) for (zero, one), label in zip(self.predict_proba(rows), labels))
        return right / len(labels)


def make_estimator(learning_rate, penalty, seed):
    if SGDClassifier is None:
        return LogisticRegression().set_params(learning_rate=learning_rate, penalty=penalty, random_state=seed)
    return SGDClassifier(
        loss="log_loss", learning_rate="constant", eta0=learning_rate, alpha=penalty, random_state=seed
    )


def rings(count, generator):
    """Points of two rings with radius 0.5 (label 0) and 1 (label 1); the data does not depend on the trial."""
    points, labels = [], []
    for index in range(count):
        label = index % 2
        angle = generator.uniform(0.0, 2.0 * math.pi)
        radius = (0.5, 1.0)[label] + generator.gauss(0.0, 0.1)
        points.append((radius * math.cos(angle), radius * math.sin(angle)))
        labels.append(label)
    return points, labels


def polynomial_features(points, degree):
    """All products of the two coordinates up to this degree, without the constant."""
    powers = [(i, total - i) for total in range(1, degree + 1) for i in range(total + 1)]
    return [[x**i * y**j for i, j in powers] for x, y in points]


def log_loss(estimator, rows, labels):
    likelihoods = [pair[label] for pair, label in zip(estimator.predict_proba(rows), labels)]
    return -sum(math.log(max(float(value), 1e-15)) for value in likelihoods) / len(labels)


def main():
    trial = json.load(sys.stdin)
    parameters = trial["parameters"]
    epochs = trial["fidelity"] or EPOCHS
    degree = parameters.get("degree", 2)

    generator = random.Random(1)
    (points, labels), (held_out, held_out_labels) = rings(300, generator), rings(200, generator)
    rows, held_out_rows = polynomial_features(points, degree), polynomial_features(held_out, degree)

    # scikit-learn takes seeds of 32 bits only.
    estimator = make_estimator(
        parameters.get("learning_rate", 0.1), parameters.get("penalty", 1e-4), trial["seed"] % 2**32
    )
    for epoch in range(1, epochs + 1):
        estimator.partial_fit(rows, labels, classes=[0, 1])
        result = {
            "validation_loss": log_loss(estimator, held_out_rows, held_out_labels),
            "validation_accuracy": float(estimator.score(held_out_rows, held_out_labels)),
        }
        # Flushed, so that a trial can be stopped early.
        print(json.dumps({"step": epoch, **result}), flush=True)
    print(json.dumps(result))


if __name__ == "__main__":
    main()
