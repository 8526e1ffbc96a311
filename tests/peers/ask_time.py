"""Processor time of an ask and the tell that follows it, of `bayesian` and the peers in one run: each a process of its
own that speaks the plugin protocol, on the points and the function of `strategies/bayesian/benches/ask.rs` (other random
numbers). Prints a line for each; nothing but the standard library is needed.

    python3 ask_time.py [--results N] [--rounds N] [--parameters N] [STRATEGY ...]

ANSATZ is the host, whose libraries are beside it (default target/release/ansatz), ANSATZ_PEERS_VENV as in setup.sh. The
processor time is that of all threads of the process (Linux: /proc/PID/task/*/schedstat), and so depends little on what
else the machine does.
"""

import argparse
import json
import math
import os
import pathlib
import random
import statistics
import subprocess
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
PYTHON = ["optuna-gp", "ax", "botorch", "smac-hpo", "smac-blackbox", "skopt", "egobox", "hyperopt", "optuna-tpe", "optuna-cma"]
#: name: folder below plugins, component, options
PEERS = {name: ("python", "peers.python", {"peer": name}) for name in PYTHON}
PEERS |= {name: (name, f"peers.{name}", {}) for name in ("hebo", "botorch-rust", "rustuna")}
PEERS |= {f"optimizer-{name}": ("optimizer", "peers.optimizer", {"peer": name}) for name in ("gp", "tpe", "tpe-multivariate", "cma")}
OURS = ["bayesian", "tpe", "cmaes"]
#: Those that build a model of the function; the others are for comparison, and Rustuna passes over what it did not propose.
MODELS = ["bayesian", "hebo", "ax", "botorch", "botorch-rust", "optuna-gp", "smac-hpo", "smac-blackbox", "skopt", "egobox", "optimizer-gp"]


def loss(x):
    """A curved valley with ripples (Levy 1985) on the unit cube, moved."""
    w = [1 + (20 * (v - 0.43) - 1) / 4 for v in x]
    inner = sum((v - 1) ** 2 * (1 + 10 * math.sin(math.pi * v + 1) ** 2) for v in w[:-1])
    return math.sin(math.pi * w[0]) ** 2 + inner + (w[-1] - 1) ** 2 * (1 + math.sin(2 * math.pi * w[-1]) ** 2)


class Process:
    """A strategy in a process of its own."""

    def __init__(self, name, parameter_count, trial_count, log):
        host = pathlib.Path(os.environ.get("ANSATZ", HERE.parents[1] / "target/release/ansatz")).resolve()
        if name in OURS:
            library = next(host.parent.glob(f"**/libansatz_strategy_{name}.so"))
            command, folder, component, options = [str(host), "plugin-worker", "--library", str(library)], HERE, name, {}
        else:
            folder, component, options = PEERS[name]
            folder = HERE / "plugins" / folder
            manifest = (folder / "plugin.toml").read_text()
            # a list of strings in TOML is one in JSON
            command = json.loads(manifest.split("command =")[1].splitlines()[0])
        environment = dict(os.environ, RAYON_NUM_THREADS="1", OMP_NUM_THREADS="1")
        self.child = subprocess.Popen(
            command, cwd=folder, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True
        )
        domain = {"float": {"lower": 0.0, "upper": 1.0, "scale": "linear"}}
        parameters = [{"name": f"x{k}", "domain": domain} for k in range(parameter_count)]
        problem = {"space": {"parameters": parameters}, "metrics": [{"name": "loss", "goal": "minimise"}]}
        problem["trial_count"] = trial_count
        surroundings = {"manifest_folder": str(HERE), "study": "ask-time"}
        self.call({"hello": {"protocol": 1, "host": "ask_time.py"}})
        create = {"role": "strategy", "name": component, "problem": problem, "options": options}
        self.call({"create": create | {"surroundings": surroundings, "seed": 7}})

    def call(self, request):
        self.child.stdin.write(json.dumps(request) + "\n")
        self.child.stdin.flush()
        while line := self.child.stdout.readline():
            reply = json.loads(line)
            if "fault" in reply:
                raise RuntimeError(reply["fault"]["message"])
            if "log" not in reply:
                return reply
        raise RuntimeError("its process ended")

    def seconds(self):
        """Of processor time so far."""
        total = 0
        for task in pathlib.Path(f"/proc/{self.child.pid}/task").iterdir():
            total += int((task / "schedstat").read_text().split()[0])
        return 1e-9 * total

    def end(self):
        self.child.stdin.close()
        try:
            self.child.wait(10)
        except subprocess.TimeoutExpired:
            self.child.kill()


def observation(trial, x, own, tag=0):
    seen = {"trial": trial, "own": own, "status": "completed", "x": x, "losses": [loss(x)]}
    return seen | ({"tag": tag} if own else {})


def measure(name, result_count, round_count, parameter_count, log):
    """Milliseconds of each round but the first, which for some fits all models."""
    rng = random.Random(8)
    process = Process(name, parameter_count, result_count + round_count + 1, log)

    def play(trial):
        suggestion = process.call({"ask": {"count": 1, "pending": []}})["suggestions"][0]
        news = observation(trial, suggestion["x"], True, suggestion.get("tag", 0))
        process.call({"tell": {"observations": [news]}})

    try:
        # many begin with a design of their own, whatever they were told; SMAC's is a quarter of all trials
        design_count = min(result_count, max(30, math.ceil((result_count + round_count + 1) / 4)))
        for trial in range(design_count):
            play(trial)
        told = []
        for trial in range(design_count, result_count):
            # half of the points anywhere, half around the optimum, as in a study under way
            width = 1.0 if trial % 2 == 0 else 0.2
            x = [min(max(0.43 + width * (rng.random() - 0.5), 0.0), 1.0) for _ in range(parameter_count)]
            told.append(observation(trial, x, own=False))
        process.call({"tell": {"observations": told}})
        rounds = []
        for number in range(round_count + 1):
            before = process.seconds()
            play(result_count + number)
            rounds.append(1e3 * (process.seconds() - before))
        return rounds[1:]
    finally:
        process.end()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--results", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--parameters", type=int, default=10)
    parser.add_argument("strategies", nargs="*", metavar="STRATEGY", help=", ".join([*OURS, *PEERS]))
    arguments = parser.parse_args()
    known = {*OURS, *PEERS}
    if unknown := [name for name in arguments.strategies if name not in known]:
        parser.error(f"{unknown[0]}: there are {', '.join(sorted(known))}")
    first = None
    print(f"{arguments.results} results, {arguments.parameters} parameters: ask and tell, ms of processor time")
    # some propose several points from one search: their median is next to nothing
    print("| strategy | mean | median | largest | mean, of the first |\n|---|---|---|---|---|")
    with tempfile.TemporaryFile() as log:
        for name in arguments.strategies or MODELS:
            try:
                rounds = measure(name, arguments.results, arguments.rounds, arguments.parameters, log)
            except RuntimeError as error:
                print(f"| {name} | {error} | | | |", flush=True)
                continue
            mean = statistics.mean(rounds)
            first = first or mean
            print(
                f"| {name} | {mean:.1f} | {statistics.median(rounds):.1f} | {max(rounds):.1f} | {mean / first:.1f} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
