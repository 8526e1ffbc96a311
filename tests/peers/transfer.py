#!/usr/bin/env python3
"""What an earlier study is worth to a new one: from nothing, from its results, and from its best points alone.

    python3 transfer.py --ansatz ../../target/release/ansatz [--seeds 10] [--only WORD]

Each pair of studies is one that was made before and one that starts from it. The better the less: medians over the seeds of
the regret, or of the validation loss, after so many trials of the new study. docs/benchmarks.md has the figures of a real run.
"""

import argparse
import json
import statistics
import subprocess
import tempfile
from pathlib import Path

BUDGETS = [5, 10, 20, 30]
MODES = {
    "nothing": None,
    "results": "results = true\nrepeat = 1",
    "points": "results = false\nrepeat = 5",
}
CUBE = ", ".join(f"x{k} = {{{{ float = [{{lower}}, {{upper}}] }}}}" for k in range(1, 7))
DIGITS = (
    'learning_rate = { float = [1e-5, 1e-1], scale = "log" }, hidden_units = { int = [8, 128], scale = "log" }, '
    "batch_size = { int = [16, 128], step = 16 }"
)
MORE = DIGITS + ', dropout = { float = [0.0, 0.6] }, activation = { categorical = ["relu", "tanh", "gelu"] }'


def synthetic(function, space, instance=None):
    """`instance`: what is added to the seed; without it the function is as published."""

    def study(seed):
        moved = {} if instance is None else {"instance": seed + instance}
        return "value", "regret", space, "synthetic", {"function": function, **moved}

    return study


def digits(space, **options):
    return lambda seed: ("validation_loss", "validation_loss", space, "digits", options)


PAIRS = {
    "the same, of a wider space": (
        synthetic("hartmann6", CUBE.format(lower=0.2, upper=0.7)),
        synthetic("hartmann6", CUBE.format(lower=0.0, upper=1.0)),
        "",
    ),
    "the same, with parameters added": (
        digits(DIGITS, epochs=10),
        digits(MORE, epochs=10),
        'defaults = { dropout = 0.0, activation = "relu" }',
    ),
    "shorter training": (digits(MORE, epochs=3), digits(MORE, epochs=15), ""),
    "something else": (
        synthetic("hartmann6", CUBE.format(lower=0.0, upper=1.0), instance=1000),
        synthetic("hartmann6", CUBE.format(lower=0.0, upper=1.0), instance=0),
        "",
    ),
}


def manifest(name, instance, study, trials, rest="", seed=None):
    metric, _, space, plugin, options = study(instance)
    listed = ", ".join(f"{key} = {json.dumps(value)}" for key, value in options.items())
    return f"""
study = {{ name = "{name}", seed = {seed or instance} }}
metrics = {{ {metric} = "minimise" }}
space = {{ {space} }}
objective = {{ plugin = "{plugin}", options = {{ {listed} }} }}
budget = {{ trials = {trials} }}
journal = {{ sync = "off" }}
{rest}
"""


def run(ansatz, folder, text):
    (folder / "study.toml").write_text(text)
    subprocess.run([ansatz, "run", "study.toml", "--quiet"], cwd=folder, check=True, capture_output=True)


def main():
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--ansatz", default="ansatz", help="the host")
    arguments.add_argument("--seeds", type=int, default=10)
    arguments.add_argument("--only", default="", help="pairs with this word in their names")
    arguments = arguments.parse_args()
    ansatz = str(Path(arguments.ansatz).resolve()) if "/" in arguments.ansatz else arguments.ansatz
    for pair, (before, after, defaults) in PAIRS.items():
        if arguments.only not in pair:
            continue
        best = {mode: [] for mode in MODES}
        for seed in range(1, arguments.seeds + 1):
            with tempfile.TemporaryDirectory() as folder:
                folder = Path(folder)
                run(ansatz, folder, manifest("before", seed, before, 40))
                for mode, said in MODES.items():
                    rest = f'[[transfer]]\nstudy = "before"\n{said}\n{defaults}' if said else ""
                    # another seed than that of the study before: the same random numbers would be luck
                    run(ansatz, folder, manifest(mode, seed, after, BUDGETS[-1], rest, seed + 500))
                    out = subprocess.run(
                        [ansatz, "export", mode, "--format", "json"], cwd=folder, check=True, capture_output=True)
                    read = after(seed)[1]
                    values = [trial["metrics"][read] for trial in json.loads(out.stdout)]
                    best[mode].append([min(values[:count]) for count in BUDGETS])
        for mode, rows in best.items():
            medians = [statistics.median(row[index] for row in rows) for index in range(len(BUDGETS))]
            rounded = [float(f"{median:.3g}") for median in medians]
            print(json.dumps({"pair": pair, "from": mode, "after": BUDGETS, "median": rounded}), flush=True)


main()
