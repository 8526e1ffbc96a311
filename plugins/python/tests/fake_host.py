"""A host for tests: starts the program of a plugin folder and speaks the protocol with it, strictly.

What comes back is checked as a host would: one answer per request, JSON without NaN, points inside the space. Faults
become `FaultAnswer`.
"""

from __future__ import annotations

import json
import os
import re
import select
import signal
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
PLUGINS = os.path.dirname(os.path.dirname(HERE))
sys.path.insert(0, os.path.join(PLUGINS, "python"))

from ansatz_plugin import Space  # noqa: E402

ANSWER_TIME_S_MAX = 60.0


class FaultAnswer(Exception):
    """The plugin answered with a fault."""

    def __init__(self, fault: dict) -> None:
        super().__init__(f"{fault['kind']}: {fault['message']}")
        self.kind, self.message, self.location = fault["kind"], fault["message"], fault.get("location")


class Died(Exception):
    """The program ended, or did not answer in time."""


def read_plugin_toml(folder: str) -> dict:
    """The keys of a plugin.toml; by hand, because tomllib came with Python 3.11."""
    with open(os.path.join(folder, "plugin.toml"), encoding="utf-8") as file:
        text = file.read()
    values = {}
    for line in text.splitlines():
        match = re.match(r"^(\w+)\s*=\s*(.+?)\s*(?:#.*)?$", line)
        if match:
            values[match.group(1)] = json.loads(match.group(2))
    return values


def no_constants(word: str):
    raise AssertionError(f"the plugin wrote {word}, which is no JSON")


class Host:
    """One process of a plugin. `python` replaces a `python3` in its command: the interpreter that runs the tests."""

    def __init__(self, folder: str, command: list | None = None) -> None:
        self.folder, self.manifest = folder, read_plugin_toml(folder)
        command = list(command or self.manifest["command"])
        if command[0] == "python3":
            command[0] = sys.executable
        elif "/" in command[0]:
            command[0] = os.path.join(folder, command[0])
        self.errors = tempfile.TemporaryFile()
        self.process = subprocess.Popen(
            command,
            cwd=folder,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.errors,
            start_new_session=True,
            # tests that a shell runs in the background ignore Ctrl-C, and so would the program
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
            bufsize=0,
        )
        self.rest = b""
        self.logs: list = []
        self.reports: list = []
        self.space: Space | None = None

    def __enter__(self) -> Host:
        return self

    def __exit__(self, *_) -> None:
        if self.process.poll() is None:
            self.process.stdin.close()
            try:
                self.process.wait(5)
            except subprocess.TimeoutExpired:
                self.kill()
        for pipe in (self.process.stdin, self.process.stdout, self.errors):
            pipe.close()

    def kill(self) -> None:
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def error_text(self) -> str:
        self.errors.seek(0)
        return self.errors.read().decode(errors="replace")

    def send(self, message: dict) -> None:
        self.send_raw(json.dumps(message, allow_nan=False).encode() + b"\n")

    def send_raw(self, line: bytes) -> None:
        try:
            self.process.stdin.write(line)
        except BrokenPipeError:
            raise Died(self.error_text()) from None

    def receive(self, time_s_max: float = ANSWER_TIME_S_MAX) -> dict:
        while b"\n" not in self.rest:
            if not select.select([self.process.stdout], [], [], time_s_max)[0]:
                raise Died(f"no answer in {time_s_max} s; {self.error_text()}")
            chunk = os.read(self.process.stdout.fileno(), 1 << 16)
            if not chunk:
                raise Died(self.error_text())
            self.rest += chunk
        line, self.rest = self.rest.split(b"\n", 1)
        message = json.loads(line, parse_constant=no_constants)
        assert isinstance(message, dict) and len(message) == 1, f"not a message: {line!r}"
        return message

    def request(self, verb: str, body: dict, verdict=lambda report: "continue") -> dict:
        """Sends a request and gives its answer; `verdict` answers reports."""
        self.send({verb: body})
        while True:
            message = self.receive()
            if "log" in message:
                self.logs.append(message["log"])
            elif "report" in message and verb == "evaluate":
                self.reports.append(message["report"])
                self.send({"verdict": verdict(message["report"])})
            elif "fault" in message:
                raise FaultAnswer(message["fault"])
            else:
                return message

    def hello(self) -> dict:
        return self.request("hello", {"protocol": 1, "host": "fake 0"})["hello"]

    def create(self, problem: dict, options: dict | None = None, seed: int = 0, name: str | None = None) -> None:
        body = {
            "role": self.manifest["kind"],
            "name": name or self.manifest["name"],
            "problem": problem,
            "options": options or {},
            "surroundings": {"manifest_folder": self.folder, "study": "test"},
            "seed": seed,
        }
        assert self.request("create", body) == {"ok": {}}
        self.space = Space(problem["space"])

    def ask(self, count: int = 1, pending: list = ()) -> list:
        suggestions = self.request("ask", {"count": count, "pending": list(pending)})["suggestions"]
        assert len(suggestions) <= count, f"{len(suggestions)} suggestions for {count}"
        for suggestion in suggestions:
            wrong = self.space.check(suggestion["x"])
            assert wrong is None, f"{suggestion}: {wrong}"
            assert 0 <= suggestion.get("tag", 0) < 2**64, f"{suggestion}: a tag has 64 bits and no sign"
        return suggestions

    def tell(self, observations: list) -> None:
        assert self.request("tell", {"observations": observations}) == {"ok": {}}

    def snapshot(self):
        return self.request("snapshot", {})["snapshot"]["state"]

    def restore(self, state: str) -> None:
        assert self.request("restore", {"state": state}) == {"ok": {}}

    def evaluate(self, values: dict, verdict=lambda report: "continue", **more) -> dict:
        x = self.space.point(values)
        body = {"trial": 0, "attempt": 1, "seed": 2**64 - 1, "x": x, "parameters": values, **more}
        measurement = self.request("evaluate", body, verdict)["measurement"]
        assert measurement.pop("trial", body["trial"]) == body["trial"]
        return measurement

    def end(self) -> int:
        """Closes the pipe, and gives the exit code."""
        self.process.stdin.close()
        return self.process.wait(5)


def observation(trial: int, suggestion: dict, losses: list, **more) -> dict:
    return {
        "trial": trial,
        "own": True,
        "tag": suggestion.get("tag", 0),
        "status": "completed",
        "x": suggestion["x"],
        "losses": losses,
        **more,
    }


def drive(host: Host, loss, rounds: int, first: int = 0, batch: int = 1, history: list | None = None) -> list:
    """Asks and tells in turn; gives the points. `loss` takes values by name; `None` is a failed trial. What was said
    goes to `history`, for `replay`."""
    points = []
    for number in range(rounds):
        suggestions = host.ask(batch)
        assert suggestions, "nothing was suggested, and nothing is pending"
        told = []
        for offset, suggestion in enumerate(suggestions):
            value = loss(host.space.values(suggestion["x"]))
            entry = observation(first + number * batch + offset, suggestion, [value])
            if value is None:
                entry["status"] = "failed"
                del entry["losses"]
            told.append(entry)
        host.tell(told)
        points += [suggestion["x"] for suggestion in suggestions]
        if history is not None:
            history.append((batch, suggestions, told))
    return points


def replay(host: Host, history: list) -> None:
    """Says everything again; each suggestion must be the one of before."""
    for count, suggestions, told in history:
        again = host.ask(count)
        assert again == suggestions, f"{again} instead of {suggestions}"
        host.tell(told)


def round_trip_us(host: Host, loss, rounds: int) -> float:
    """Mean time of an ask and a tell, in microseconds, on the wire and with the check of the point left out."""
    total = 0.0
    for number in range(rounds):
        began = time.perf_counter()
        (suggestion,) = host.request("ask", {"count": 1, "pending": []})["suggestions"]
        asked = time.perf_counter()
        told = [observation(number, suggestion, [loss(host.space.values(suggestion["x"]))])]
        telling = time.perf_counter()
        host.request("tell", {"observations": told})
        total += time.perf_counter() - telling + asked - began
    return 1e6 * total / rounds
