"""Hypervolume that `evolution` and pymoo's NSGA-II and NSGA-III find in as many evaluations, for docs/benchmarks.md.

    python3 -m venv .venv-pymoo && .venv-pymoo/bin/pip install -r tests/peers/requirements-pymoo.txt
    OMP_NUM_THREADS=1 .venv-pymoo/bin/python tests/peers/pymoo_fronts.py [SEEDS [EVALUATIONS [PROBLEM ...]]]

`ANSATZ` says which host to use; default what cargo built (release). Both have the same population and the same
operators and probabilities: those that pymoo has by default. Problems are the functions of `synthetic`, with the parameters
that the papers have; pymoo evaluates its own. The hypervolume is that of all evaluated points below the reference point,
and beside it that of pymoo's last population alone, as a share of the hypervolume of the whole front. The difference is
that of the medians; p is the chance of one as large in ranks (Mann and Whitney, normal approximation).
"""

import csv
import io
import math
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile

import numpy
from pymoo.algorithms.moo.nsga2 import NSGA2
from pymoo.algorithms.moo.nsga3 import NSGA3
from pymoo.indicators.hv import HV
from pymoo.optimize import minimize
from pymoo.problems import get_problem
from pymoo.util.ref_dirs import get_reference_directions

ROOT = pathlib.Path(__file__).resolve().parents[2]
HOST = os.environ.get("ANSATZ", str(ROOT / "target/release/ansatz"))
BELOW = 1.1


def ball_share(metric_count):
    """What the unit ball takes from a cube of the positive orthant."""
    return math.pi ** (metric_count / 2) / math.gamma(metric_count / 2 + 1) / 2**metric_count


def zdt3_whole():
    first = numpy.linspace(0, 1, 2_000_001)
    second = 1 - numpy.sqrt(first) - first * numpy.sin(10 * math.pi * first)
    # what is dominated has the height of the lowest before it
    return float(numpy.trapezoid(BELOW - numpy.minimum.accumulate(second), first) + (BELOW - 1) * (BELOW - second.min()))


#: Name, metrics, parameters, method, population, divisions, hypervolume of the whole front.
PROBLEMS = (
    ("zdt1", 2, 30, "nsga2", 100, None, BELOW**2 - 1 / 3),
    ("zdt2", 2, 30, "nsga2", 100, None, BELOW**2 - 2 / 3),
    ("zdt3", 2, 30, "nsga2", 100, None, zdt3_whole()),
    ("dtlz2", 2, 11, "nsga2", 100, None, BELOW**2 - ball_share(2)),
    ("dtlz2", 3, 12, "nsga2", 100, None, BELOW**3 - ball_share(3)),
    ("dtlz2", 3, 12, "nsga3", 92, 12, BELOW**3 - ball_share(3)),
    ("dtlz2", 4, 13, "nsga3", 84, 6, BELOW**4 - ball_share(4)),
)


def ours(name, metric_count, parameter_count, method, size, divisions, seed, evaluation_count):
    options = f'method = "{method}", population_size = {size}'
    if divisions:
        # pymoo crosses every child with NSGA-III
        options += f", divisions = {divisions}, crossover_probability = 1.0"
    manifest = f"""
study = {{ name = "front", seed = {seed} }}
objective = {{ plugin = "synthetic", options = {{ function = "{name}" }} }}
strategy = [{{ plugin = "evolution", options = {{ {options} }} }}]
budget = {{ trials = {evaluation_count} }}
[metrics]
{"".join(f'f{k} = "minimise"{chr(10)}' for k in range(1, metric_count + 1))}
[space]
{"".join(f"x{k} = {{ float = [0.0, 1.0] }}{chr(10)}" for k in range(1, parameter_count + 1))}
"""
    with tempfile.TemporaryDirectory() as folder:
        pathlib.Path(folder, "study.toml").write_text(manifest)
        subprocess.run([HOST, "run", "study.toml", "--quiet"], cwd=folder, check=True, stdout=subprocess.DEVNULL)
        exported = subprocess.run([HOST, "export"], cwd=folder, check=True, capture_output=True, text=True).stdout
    rows = list(csv.DictReader(io.StringIO(exported)))
    assert len(rows) == evaluation_count, f"{len(rows)} trials of {evaluation_count}"
    return numpy.array([[float(row[f"metrics.f{k}"]) for k in range(1, metric_count + 1)] for row in rows])




def theirs(name, metric_count, parameter_count, method, size, divisions, seed, evaluation_count):
    arguments = {"n_obj": metric_count} if name == "dtlz2" else {}
    problem = get_problem(name, n_var=parameter_count, **arguments)
    if method == "nsga2":
        algorithm = NSGA2(pop_size=size)
    else:
        directions = get_reference_directions("das-dennis", metric_count, n_partitions=divisions)
        algorithm = NSGA3(ref_dirs=directions, pop_size=size)
    evaluated = []

    class Kept(type(problem)):
        def _evaluate(self, x, out, *arguments, **options):
            super()._evaluate(x, out, *arguments, **options)
            evaluated.append(numpy.array(out["F"]))

    kept = Kept(n_var=parameter_count, **arguments)
    result = minimize(kept, algorithm, ("n_eval", evaluation_count), seed=seed, verbose=False)
    # the last generation may be cut short, as ours is
    return numpy.vstack(evaluated)[:evaluation_count], result.F


def share(losses, metric_count, whole):
    return float(HV(ref_point=numpy.full(metric_count, BELOW))(losses)) / whole


def by_chance(a, b):
    """Two-sided, without ties."""
    both = sorted([(value, 0) for value in a] + [(value, 1) for value in b])
    rank_sum = sum(rank for rank, (_, which) in enumerate(both, 1) if which == 0)
    n, m = len(a), len(b)
    deviation = math.sqrt(n * m * (n + m + 1) / 12)
    return math.erfc(abs(rank_sum - n * (n + m + 1) / 2) / deviation / math.sqrt(2))


def summary(shares):
    low, high = numpy.percentile(shares, [25, 75])
    return f"{statistics.median(shares):.4f} ({low:.4f} to {high:.4f})"


def main():
    seed_count = int(sys.argv[1]) if len(sys.argv) > 1 else 11
    evaluation_count = int(sys.argv[2]) if len(sys.argv) > 2 else 10_000
    print("| problem | metrics | parameters | method | `evolution` | pymoo | its last population | difference | p |")
    print("|---|---|---|---|---|---|---|---|---|")
    for problem in PROBLEMS:
        *setting, whole = problem
        name, metric_count, parameter_count, method = setting[:4]
        if len(sys.argv) > 3 and name not in sys.argv[3:]:
            continue
        a, b, last = [], [], []
        for seed in range(1, seed_count + 1):
            a.append(share(ours(*setting, seed, evaluation_count), metric_count, whole))
            every, population = theirs(*setting, seed, evaluation_count)
            b.append(share(every, metric_count, whole))
            last.append(share(population, metric_count, whole))
        difference = 100 * (statistics.median(a) / statistics.median(b) - 1)
        print(
            f"| {name} | {metric_count} | {parameter_count} | {method} | {summary(a)} | {summary(b)} | {summary(last)} "
            f"| {difference:+.2f} % | {by_chance(a, b):.2g} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
