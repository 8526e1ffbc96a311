"""Prints what an ask and a tell cost, in microseconds: `python3 plugins/python/tests/measure.py`. Not a test: it depends
on the machine. The times are of the whole way, with both pipes and the JSON of this side; the processor time is of the plugin alone."""

import os
import subprocess
import sys
import tempfile
import time

from fake_host import PLUGINS, Host, round_trip_us
from problems import BRANIN, MIXED, PLAIN, branin, mixed

EXAMPLES = os.path.join(PLUGINS, "examples")


def processor_us(host):
    with open(f"/proc/{host.process.pid}/schedstat", encoding="ascii") as file:
        return int(file.read().split()[0]) / 1e3


def measure(title, folder, declared, loss, command=None, rounds=2000):
    began = time.perf_counter()
    with Host(folder, command) as host:
        host.hello()
        started = 1e3 * (time.perf_counter() - began)
        host.create(declared, {}, 1)
        round_trip_us(host, loss, 50)
        before = processor_us(host)
        time_us = round_trip_us(host, loss, rounds)
        used_us = (processor_us(host) - before) / rounds
        print(f"{title:42} {time_us:8.0f} us, {used_us:8.1f} us of the processor, start {started:.0f} ms")


def main():
    climb = os.path.join(EXAMPLES, "hill-climb-python")
    measure("hill-climb-python, branin", climb, BRANIN, branin)
    measure("hill-climb-python, 9 mixed parameters", climb, MIXED, mixed)
    with tempfile.TemporaryDirectory() as folder:
        program = os.path.join(folder, "coordinate")
        coordinate = os.path.join(EXAMPLES, "coordinate-c")
        source = os.path.join(coordinate, "coordinate.c")
        subprocess.run(["cc", "-std=c11", "-O2", "-o", program, source, "-lm"], check=True)
        measure("coordinate-c, branin", coordinate, BRANIN, branin, [program])
        measure("coordinate-c, 7 parameters", coordinate, PLAIN, mixed, [program])
    try:
        import optuna
    except ImportError:
        return
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    bridge = os.path.join(EXAMPLES, "optuna-bridge")
    measure("optuna-bridge, TPE on branin, 200 trials", bridge, BRANIN, branin, rounds=200)
    study = optuna.create_study(sampler=optuna.samplers.TPESampler(seed=1))
    total = 0.0
    for number in range(250):
        began = time.perf_counter()
        trial = study.ask()
        values = {"x1": trial.suggest_float("x1", -5.0, 10.0), "x2": trial.suggest_float("x2", 0.0, 15.0)}
        asked = time.perf_counter()
        loss = branin(values)
        telling = time.perf_counter()
        study.tell(trial, loss)
        total += (time.perf_counter() - telling + asked - began) * (number >= 50)
    print(f"{'Optuna itself, the same':42} {1e6 * total / 200:8.0f} us")


if __name__ == "__main__":
    sys.exit(main())
