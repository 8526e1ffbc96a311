"""Share of the hypervolume that Optuna's samplers find with two metrics, for the table in docs/benchmarks.md.

    OMP_NUM_THREADS=1 python tests/peers/hypervolume.py [GP_SEEDS [OTHER_SEEDS]]

The problems, counts and reference point (1.1, 1.1) are those of the tests in strategies/bayesian/src/tests/several_metrics.rs.
"""

import math
import statistics
import sys
import time
import warnings

import optuna

COUNTS = (50, 100)
BELOW = 1.1


def zdt1(x):
    g = 1 + 9 * sum(x[1:]) / (len(x) - 1)
    return x[0], g * (1 - math.sqrt(x[0] / g))


def dtlz2(x):
    radius = 1 + sum((value - 0.5) ** 2 for value in x[1:])
    angle = 0.5 * math.pi * x[0]
    return radius * math.cos(angle), radius * math.sin(angle)


# Name, function, parameters, hypervolume of the whole front.
PROBLEMS = (("zdt1", zdt1, 5, BELOW**2 - 1 / 3), ("dtlz2", dtlz2, 6, BELOW**2 - math.pi / 4))


def hypervolume(points):
    area, height = 0.0, BELOW
    for first, second in sorted(points):
        if first < BELOW and second < height:
            area += (BELOW - first) * (height - second)
            height = second
    return area


def shares(sampler, function, parameter_count, whole):
    study = optuna.create_study(directions=["minimize", "minimize"], sampler=sampler)

    def objective(trial):
        return function([trial.suggest_float(f"x{i}", 0, 1) for i in range(parameter_count)])

    study.optimize(objective, n_trials=max(COUNTS))
    values = [trial.values for trial in study.trials]
    return [hypervolume(values[:count]) / whole for count in COUNTS]


def main():
    seed_counts = [int(text) for text in sys.argv[1:]]
    gp_seeds, other_seeds = seed_counts + [5, 5][len(seed_counts) :]
    warnings.simplefilter("ignore")
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    samplers = {
        "random": (optuna.samplers.RandomSampler, other_seeds),
        "NSGA-II": (optuna.samplers.NSGAIISampler, other_seeds),
        "TPE": (optuna.samplers.TPESampler, other_seeds),
        "GP": (optuna.samplers.GPSampler, gp_seeds),
    }
    for problem, function, parameter_count, whole in PROBLEMS:
        for name, (make, seed_count) in samplers.items():
            start = time.process_time()
            runs = [shares(make(seed=seed), function, parameter_count, whole) for seed in range(seed_count)]
            each = (time.process_time() - start) / seed_count / max(COUNTS)
            medians = " / ".join(f"{statistics.median(column):.3f}" for column in zip(*runs))
            print(f"{problem} {name} {medians} ({seed_count} seeds, {each:.3f} s a trial)", flush=True)


if __name__ == "__main__":
    main()
