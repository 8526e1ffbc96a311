"""Share of the hypervolume that Optuna's samplers find with two and three metrics, for the tables in docs/benchmarks.md.

    OMP_NUM_THREADS=1 python tests/peers/hypervolume.py [--seeds 5] [--samplers GP,TPE,NSGA-II,random] [--problems zdt1,dtlz2]

The problems, counts and reference points are those of the tests in strategies/bayesian/src/tests/several_metrics.rs.
"""

import argparse

import math
import statistics
import time
import warnings

import optuna

COUNTS = (50, 60, 100)


def zdt1(x):
    g = 1 + 9 * sum(x[1:]) / (len(x) - 1)
    return x[0], g * (1 - math.sqrt(x[0] / g))


def dtlz2(x, metric_count=2):
    angles, rest = x[: metric_count - 1], x[metric_count - 1 :]
    radius = 1 + sum((value - 0.5) ** 2 for value in rest)
    losses = []
    for metric in range(metric_count):
        loss = radius
        for angle in angles[: metric_count - 1 - metric]:
            loss *= math.cos(0.5 * math.pi * angle)
        if metric > 0:
            loss *= math.sin(0.5 * math.pi * angles[metric_count - 1 - metric])
        losses.append(loss)
    return losses


def dtlz7(x, metric_count=2):
    first, rest = x[: metric_count - 1], x[metric_count - 1 :]
    g = 1 + 9 * sum(rest) / len(rest)
    saved = sum(f / (1 + g) * (1 + math.sin(3 * math.pi * f)) for f in first)
    return [*first, (1 + g) * (metric_count - saved)]


def crash(x):
    a, b, c, d, e = (1 + 2 * value for value in x)
    return (
        1640.2823 + 2.3573285 * a + 2.3220035 * b + 4.5688768 * c + 7.7213633 * d + 4.4559504 * e,
        6.5856
        + 1.15 * a
        - 1.0427 * b
        + 0.9738 * c
        + 0.8364 * d
        - 0.3695 * a * d
        + 0.0861 * a * e
        + 0.3628 * b * d
        - 0.1106 * a * a
        - 0.3437 * c * c
        + 0.1764 * d * d,
        -0.0551
        + 0.0181 * a
        + 0.1024 * b
        + 0.0421 * c
        - 0.0073 * a * b
        + 0.024 * b * c
        - 0.0118 * b * d
        - 0.0204 * c * d
        - 0.008 * c * e
        - 0.0241 * b * b
        + 0.0109 * d * d,
    )


# Function, parameters, reference point, hypervolume of the whole front or of the best that is known.
PROBLEMS = {
    "zdt1": (zdt1, 5, (1.1, 1.1), 1.21 - 1 / 3),
    "dtlz2": (dtlz2, 6, (1.1, 1.1), 1.21 - math.pi / 4),
    "dtlz7": (dtlz7, 5, (1.1, 4.6), 1.554),
    "dtlz2-3": (lambda x: dtlz2(x, 3), 6, (1.1, 1.1, 1.1), 1.331 - math.pi / 6),
    "dtlz7-3": (lambda x: dtlz7(x, 3), 6, (1.1, 1.1, 7.0), 3.1),
    "crash": (crash, 5, (1698.55, 11.21, 0.29), 1.0),
}


def hypervolume(points, reference):
    """By slices along the last metric, each with the points at or below it."""
    points = sorted((p for p in points if all(a < b for a, b in zip(p, reference))), key=lambda p: p[-1])
    if len(reference) == 1:
        return max((reference[0] - p[0] for p in points), default=0.0)
    total = 0.0
    for i, point in enumerate(points):
        upper = points[i + 1][-1] if i + 1 < len(points) else reference[-1]
        if upper > point[-1]:
            total += (upper - point[-1]) * hypervolume([p[:-1] for p in points[: i + 1]], reference[:-1])
    return total


def shares(sampler, function, parameter_count, reference, whole):
    study = optuna.create_study(directions=["minimize"] * len(reference), sampler=sampler)

    def objective(trial):
        return tuple(function([trial.suggest_float(f"x{i}", 0, 1) for i in range(parameter_count)]))

    study.optimize(objective, n_trials=max(COUNTS))
    values = [tuple(trial.values) for trial in study.trials]
    return [hypervolume(values[:count], reference) / whole for count in COUNTS]


def main():
    samplers = {
        "random": optuna.samplers.RandomSampler,
        "NSGA-II": optuna.samplers.NSGAIISampler,
        "TPE": optuna.samplers.TPESampler,
        "GP": optuna.samplers.GPSampler,
    }
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--samplers", default=",".join(samplers))
    parser.add_argument("--problems", default=",".join(PROBLEMS))
    chosen = parser.parse_args()
    warnings.simplefilter("ignore")
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    for problem in chosen.problems.split(","):
        for name in chosen.samplers.split(","):
            start = time.process_time()
            runs = [shares(samplers[name](seed=seed), *PROBLEMS[problem]) for seed in range(chosen.seeds)]
            each = (time.process_time() - start) / chosen.seeds / max(COUNTS)
            medians = " / ".join(f"{statistics.median(column):.3f}" for column in zip(*runs))
            print(f"{problem} {name} {medians} ({chosen.seeds} seeds, {each:.3f} s a trial)", flush=True)


if __name__ == "__main__":
    main()
