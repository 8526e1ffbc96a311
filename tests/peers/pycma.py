"""Trials that `cmaes` and pycma need to come within a target of the optimum, for the table in docs/benchmarks.md.

    ansatz bench tests/peers/cmaes.toml --output FOLDER
    OMP_NUM_THREADS=1 python tests/peers/pycma.py FOLDER/results.jsonl [SEEDS]

pycma (cma 4.5.0, in requirements.txt) runs here, on functions that are moved and turned as the arena's are: the same
formulas, bounds and distribution of instances, with other random numbers, so the two are compared as samples and not seed
by seed. It searches the unit cube from its middle with a first step of a sixth, its own defaults, and starts again at a
random point with twice the population when it says that it is done, as its `fmin` does. For each function there are the
share of runs that reached the target, the quartiles of the trials of those, and the expected number of trials until
success (all trials of all runs divided by the number of successes), with the probability of a difference in ranks as large
as this one by chance (Mann and Whitney, normal approximation, a run without success being last).
"""

import json
import math
import sys
import warnings

import cma
import numpy

warnings.simplefilter("ignore")
INITIAL_STEP = 1 / 6
#: Name, bounds, whether it is turned, target, place of the optimum as published.
FUNCTIONS = {
    "ellipsoid": (-5.0, 5.0, True, 1e-8, 0.0),
    "rosenbrock": (-5.0, 10.0, False, 1e-8, 1.0),
    "rastrigin": (-5.12, 5.12, True, 1e-2, 0.0),
    "levy": (-10.0, 10.0, True, 1e-8, 1.0),
    "ackley": (-32.768, 32.768, True, 1e-2, 0.0),
}
DIMENSIONS = (4, 10, 20)
TRIAL_COUNT = 5000


def ellipsoid(x):
    return float(numpy.sum(10.0 ** (6 * numpy.arange(len(x)) / (len(x) - 1)) * x**2))


def rosenbrock(x):
    return float(numpy.sum(100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2))


def rastrigin(x):
    return float(10 * len(x) + numpy.sum(x**2 - 10 * numpy.cos(2 * math.pi * x)))


def levy(x):
    w = 1 + (x - 1) / 4
    inner = numpy.sum((w[:-1] - 1) ** 2 * (1 + 10 * numpy.sin(math.pi * w[:-1] + 1) ** 2))
    return float(math.sin(math.pi * w[0]) ** 2 + inner + (w[-1] - 1) ** 2 * (1 + math.sin(2 * math.pi * w[-1]) ** 2))


def ackley(x):
    near = -20 * math.exp(-0.2 * math.sqrt(numpy.mean(x**2)))
    return near - math.exp(numpy.mean(numpy.cos(2 * math.pi * x))) + 20 + math.e


def trials_to_target(name, d, seed):
    low, high, is_turned, target, optimum = FUNCTIONS[name]
    function = globals()[name]
    random = numpy.random.default_rng(1000 * d + seed)
    place = low + (high - low) * random.uniform(0.1, 0.9, d)
    turn = numpy.linalg.qr(random.standard_normal((d, d)))[0] if is_turned else numpy.eye(d)
    mean, size, count = [0.5] * d, None, 0
    while True:
        options = {"bounds": [0, 1], "seed": int(random.integers(1, 2**31)), "verbose": -9}
        if size:
            options["popsize"] = 2 * size
        search = cma.CMAEvolutionStrategy(mean, INITIAL_STEP, options)
        size = search.popsize
        while not search.stop():
            rows = search.ask()
            losses = []
            for row in rows:
                x = low + (high - low) * numpy.asarray(row)
                losses.append(function(optimum + turn @ (x - place)))
                count += 1
                if losses[-1] <= target:
                    return count
                if count == TRIAL_COUNT:
                    return math.inf
            search.tell(rows, losses)
        mean = random.random(d)


def by_chance(a, b):
    """Two-sided, with the correction for ties."""
    both = sorted((value, which) for which, values in enumerate((a, b)) for value in values)
    n, rank_sum, ties, at = len(both), 0.0, 0.0, 0
    while at < n:
        end = at
        while end < n and both[end][0] == both[at][0]:
            end += 1
        rank_sum += sum(0.5 * (at + 1 + end) for k in range(at, end) if both[k][1] == 0)
        ties += (end - at) ** 3 - (end - at)
        at = end
    variance = len(a) * len(b) / 12 * (n + 1 - ties / (n * (n - 1)))
    if variance <= 0:
        return 1.0
    return math.erfc(abs(rank_sum - len(a) * (n + 1) / 2) / math.sqrt(2 * variance))


def summary(counts):
    reached = sorted(count for count in counts if count < math.inf)
    if not reached:
        return f"0/{len(counts)} | - | -"
    quartiles = numpy.percentile(reached, [50, 25, 75])
    spent = sum(min(count, TRIAL_COUNT) for count in counts) / len(reached)
    return "{}/{} | {:,.0f} ({:,.0f} to {:,.0f}) | {:,.0f}".format(len(reached), len(counts), *quartiles, spent)


def main():
    seeds = int(sys.argv[2]) if len(sys.argv) > 2 else 25
    ours = {}
    with open(sys.argv[1]) as lines:
        for line in map(json.loads, lines):
            name = line["problem"].split("-")[0]
            if line["strategy"] != "cmaes" or line["budget"] < TRIAL_COUNT or name not in FUNCTIONS:
                continue
            found = (k for k, regret in enumerate(line["trace"], 1) if regret <= FUNCTIONS[name][3])
            ours.setdefault(line["problem"], {})[line["seed"]] = next(found, math.inf)
    print("| function | parameters | target | `cmaes`: reached | trials | expected | pycma: reached | trials | expected | p |")
    print("|---|---|---|---|---|---|---|---|---|---|")
    for name, (_, _, _, target, _) in FUNCTIONS.items():
        for d in DIMENSIONS:
            a = list(ours.get(f"{name}-{d}", {}).values())
            b = [trials_to_target(name, d, seed) for seed in range(1, seeds + 1)]
            if a:
                row = f"| {name} | {d} | {target:g} | {summary(a)} | {summary(b)} | {by_chance(a, b):.2g} |"
                print(row, flush=True)


if __name__ == "__main__":
    main()
