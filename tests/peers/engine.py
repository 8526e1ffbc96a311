#!/usr/bin/env python3
"""What it costs to keep trials: durable trials a second of Ansatz and of Optuna, by turns on the same disk and server.

    python3 -m venv venv && venv/bin/pip install -r requirements-engine.txt
    venv/bin/python engine.py --ansatz ../../target/release/ansatz [--folder DIR] [--only WORD] [--rounds 3]

Every study samples two numbers at random and puts them into a formula, so that only the engine is left. The rate is that of the
trials between the first fifth and the last, by the times that the stores have, so that starting and ending do not count.
Flushes are counted by strace, in runs of their own, where it is installed; for PostgreSQL an initdb is needed.
Each line of the output is one JSON object. docs/benchmarks.md has the figures of a real run.
"""

import argparse
import json
import os
import pwd
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time
from pathlib import Path

MANIFEST = """
study = {{ name = "{name}", seed = 1 }}
metrics = {{ value = "minimise" }}
space = {{ x1 = {{ float = [-5.0, 10.0] }}, x2 = {{ float = [0.0, 15.0] }} }}
objective = {{ plugin = "synthetic", options = {{ function = "branin" }} }}
strategy = [{{ plugin = "random" }}]
budget = {{ trials = {trials} }}
run = {{ slots = {slots} }}
"""


def flushes_per_second(folder, count=300):
    """How often a second this disk makes 4 KiB durable that are added to a file."""
    with open(folder / "flush", "wb", buffering=0) as file:
        begun = time.perf_counter()
        for _ in range(count):
            file.write(bytes(4096))
            os.fdatasync(file.fileno())
        return count / (time.perf_counter() - begun)


def steady(times):
    """Trials a second between the first fifth and the last."""
    times = sorted(times)
    low, high = len(times) // 5, len(times) - len(times) // 5 - 1
    return (high - low) / max(times[high] - times[low], 1e-9)


class Server:
    """A PostgreSQL server of our own, reached by a socket."""

    def __init__(self, folder):
        found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb")) or [shutil.which("initdb")]
        if not found[-1]:
            raise SystemExit("no initdb: install PostgreSQL, or leave its part out with --only sqlite")
        self.programs = Path(found[-1]).parent
        # the path of a socket is short
        self.folder = Path(tempfile.mkdtemp(prefix="engine-"))
        # on the disk that is measured
        self.data = folder / "postgres"
        self.data.mkdir()
        self.user = {}
        if os.geteuid() == 0:
            account = pwd.getpwnam("postgres")
            for path in (self.folder, self.data):
                os.chown(path, account.pw_uid, account.pw_gid)
            self.user = {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []}
        run = dict(check=True, cwd=self.folder, stdout=subprocess.DEVNULL, **self.user)
        subprocess.run([self.programs / "initdb", "-D", self.data, "-A", "trust", "-U", "bench"], **run)
        with open(self.data / "postgresql.conf", "a") as file:
            file.write(f"listen_addresses=''\nunix_socket_directories='{self.folder}'\nmax_connections=600\n")
        subprocess.run([self.programs / "pg_ctl", "-D", self.data, "-l", self.folder / "log", "-w", "start"], **run)
        self.count = 0

    def database(self):
        self.count += 1
        name = f"engine_{self.count}"
        self.sql("postgres", f"CREATE DATABASE {name}")
        return name

    def sql(self, name, sql):
        words = [self.programs / "psql", "-XqAt", "-h", self.folder, "-U", "bench", "-d", name, "-c", sql]
        return subprocess.run(words, check=True, capture_output=True, text=True).stdout

    def stop(self):
        words = [self.programs / "pg_ctl", "-D", self.data, "-m", "immediate", "stop"]
        subprocess.run(words, cwd=self.folder, stdout=subprocess.DEVNULL, **self.user)
        shutil.rmtree(self.folder, ignore_errors=True)


class Bench:
    def __init__(self, arguments):
        self.ansatz = str(Path(arguments.ansatz).resolve())
        self.folder = Path(tempfile.mkdtemp(prefix="engine-", dir=arguments.folder))
        os.chmod(self.folder, 0o755)
        self.rounds = arguments.rounds
        self.only = arguments.only
        self.count = 0
        self.server = None

    def measure(self, what, run, trials):
        """Runs it some times, each between two looks at the disk."""
        if self.only and self.only not in what:
            return
        found = []
        for _ in range(self.rounds):
            before = flushes_per_second(self.folder)
            cpu, begun = os.times(), time.perf_counter()
            times = run(trials)
            wall = time.perf_counter() - begun
            used = os.times()
            disk = 0.5 * (before + flushes_per_second(self.folder))
            rate = steady(times)
            cpu = used.children_user + used.children_system - cpu.children_user - cpu.children_system
            found.append((rate / disk, rate, disk, cpu / len(times), len(times), wall))
        found.sort()
        ratio, rate, disk, cpu, kept, wall = found[len(found) // 2]
        print(json.dumps({
            "what": what, "trials_per_second": round(rate, 1), "disk_flushes_per_second": round(disk),
            "ratio": round(ratio, 2), "ratios": [round(one[0], 2) for one in found],
            "cpu_ms_per_trial": round(1e3 * cpu, 3), "trials": trials, "kept": kept, "wall_s": round(wall, 1),
        }), flush=True)

    def fresh(self):
        self.count += 1
        folder = self.folder / f"run-{self.count}"
        folder.mkdir()
        return folder

    def ansatz_sqlite(self, slots, prefix=()):
        def run(trials):
            folder = self.fresh()
            (folder / "study.toml").write_text(MANIFEST.format(name="engine", trials=trials, slots=slots))
            words = [*prefix, self.ansatz, "run", "study.toml", "--quiet"]
            subprocess.run(words, check=True, cwd=folder, stdout=subprocess.DEVNULL)
            store = sqlite3.connect(folder / "ansatz.db")
            return [at for (at,) in store.execute("SELECT at FROM record WHERE kind = 'finished'")]
        return run

    def ansatz_postgres(self, slots, workers=None):
        def run(trials):
            folder, name = self.fresh(), self.server.database()
            (folder / "study.toml").write_text(MANIFEST.format(name="engine", trials=trials, slots=slots))
            address = f"postgres://bench@{str(self.server.folder).replace('/', '%2F')}/{name}"
            words = [self.ansatz, "run", "study.toml", "--quiet", "--store", address]
            if workers:
                words += ["--on", "local", "-n", str(workers), "--worker-slots", str(slots)]
            subprocess.run(words, check=True, cwd=folder, stdout=subprocess.DEVNULL)
            times = self.server.sql(name, "SELECT at FROM ansatz.record WHERE kind = 'finished'")
            return [float(at) for at in times.split()]
        return run

    def optuna(self, kind, workers, threads=1, prefix=()):
        def run(trials):
            folder = self.fresh()
            address = {"sqlite": f"sqlite:///{folder}/optuna.db", "file": f"{folder}/optuna.log"}.get(kind)
            address = address or f"postgresql+psycopg2:///{self.server.database()}?host={self.server.folder}&user=bench"
            optuna_study(address, create=True)
            words = [*prefix, sys.executable, __file__, "--optuna", address, str(trials // workers), str(threads)]
            children = [subprocess.Popen(words, stderr=subprocess.DEVNULL) for _ in range(workers)]
            # one that loses its trials to a lock ends with an error: what is kept is counted
            for child in children:
                child.wait()
            done = [trial for trial in optuna_study(address).get_trials(deepcopy=False) if trial.state.is_finished()]
            return [trial.datetime_complete.timestamp() for trial in done if trial.value is not None]
        return run

    def flushes(self, what, run, trials):
        """How many flushes a trial needs, counted by strace."""
        if not shutil.which("strace") or (self.only and self.only not in what):
            return
        log = self.folder / "strace"
        run(("strace", "-f", "-c", "-o", str(log), "-e", "trace=fsync,fdatasync"))(trials)
        rows = [line.split() for line in log.read_text().splitlines()]
        count = sum(int(row[3]) for row in rows if row and row[-1] in ("fsync", "fdatasync"))
        print(json.dumps({"what": f"{what}, flushes", "flushes_per_trial": round(count / trials, 3)}), flush=True)

    def run(self):
        for slots, trials in ((1, 4_000), (8, 20_000), (64, 60_000)):
            self.measure(f"ansatz sqlite, {slots} slots", self.ansatz_sqlite(slots), trials)
        for threads in (1, 8):
            self.measure(f"optuna sqlite, {threads} threads", self.optuna("sqlite", 1, threads), 400)
        self.measure("optuna sqlite, 8 processes", self.optuna("sqlite", 8), 400)
        for workers in (1, 8):
            self.measure(f"optuna journal file, {workers} processes", self.optuna("file", workers), 400)
        for slots in (1, 8, 64):
            run = lambda prefix, slots=slots: self.ansatz_sqlite(slots, prefix)  # noqa: E731
            self.flushes(f"ansatz sqlite, {slots} slots", run, 2_000)
        self.flushes("optuna sqlite, 1 thread", lambda prefix: self.optuna("sqlite", 1, 1, prefix), 100)
        if self.only and "postgres" not in self.only:
            return
        self.server = Server(self.folder)
        for slots, trials in ((1, 1_000), (8, 4_000), (64, 10_000)):
            self.measure(f"ansatz postgres, one process, {slots} slots", self.ansatz_postgres(slots), trials)
        for workers, trials in ((1, 500), (8, 1_500), (64, 3_000), (256, 5_000)):
            self.measure(f"ansatz postgres, {workers} workers", self.ansatz_postgres(1, workers), trials)
        for workers, trials in ((1, 200), (8, 400), (64, 640)):
            self.measure(f"optuna postgres, {workers} workers", self.optuna("postgres", workers), trials)


def optuna_study(address, create=False):
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    if address.endswith(".log"):
        storage = optuna.storages.JournalStorage(optuna.storages.journal.JournalFileBackend(address))
    else:
        storage = optuna.storages.RDBStorage(address)
    sampler = optuna.samplers.RandomSampler()
    if create:
        return optuna.create_study(study_name="engine", storage=storage, sampler=sampler)
    return optuna.load_study(study_name="engine", storage=storage, sampler=sampler)


def optuna_worker(address, trials, threads):
    def objective(trial):
        return trial.suggest_float("x1", -5, 10) ** 2 + trial.suggest_float("x2", 0, 15) ** 2

    optuna_study(address).optimize(objective, n_trials=trials, n_jobs=threads)


def main():
    if sys.argv[1:2] == ["--optuna"]:
        return optuna_worker(sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--ansatz", required=True, help="the program, of a release build")
    parser.add_argument("--folder", help="where to keep stores: on the disk to measure")
    parser.add_argument("--only", help="what has this in its name")
    parser.add_argument("--rounds", type=int, default=3)
    bench = Bench(parser.parse_args())
    try:
        bench.run()
    finally:
        if bench.server:
            bench.server.stop()
        shutil.rmtree(bench.folder, ignore_errors=True)


if __name__ == "__main__":
    main()
