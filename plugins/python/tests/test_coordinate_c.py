"""The example in C, compiled into a folder of its own."""

import os
import shutil
import subprocess
import tempfile
import unittest

from fake_host import FaultAnswer, drive, observation
from problems import BRANIN, MIXED, PLAIN, branin, mixed, number, problem
from test_strategies import EXAMPLES, StrategyCases

COMPILER = os.environ.get("CC") or shutil.which("cc")


@unittest.skipUnless(COMPILER, "there is no C compiler")
class Coordinate(StrategyCases, unittest.TestCase):
    problems = [(BRANIN, branin), (PLAIN, mixed)]
    snapshots = False

    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.mkdtemp()
        cls.addClassCleanup(shutil.rmtree, cls.folder)
        source = os.path.join(EXAMPLES, "coordinate-c")
        shutil.copy(os.path.join(source, "plugin.toml"), cls.folder)
        program = os.path.join(cls.folder, "coordinate")
        # with every check that the compiler has, where it has them
        words = [COMPILER, "-std=c11", "-O2", "-Wall", "-Wextra", "-o", program, os.path.join(source, "coordinate.c")]
        checked = subprocess.run(
            [*words, "-g", "-fsanitize=address,undefined", "-fno-sanitize-recover=all", "-lm"],
            stderr=subprocess.DEVNULL,
            check=False,
        )
        if checked.returncode != 0:
            subprocess.run([*words, "-Werror", "-lm"], check=True)

    def test_it_finds_the_valley(self):
        losses = []
        for seed in range(9):
            host = self.host(BRANIN, seed)
            losses.append(min(branin(host.space.values(x)) for x in drive(host, branin, 60)))
        self.assertLess(sorted(losses)[4], 0.397887 + 0.3)

    def test_what_it_cannot_do_is_refused(self):
        for declared, words in (
            (MIXED, "constraints between parameters"),
            (problem(MIXED["space"]["parameters"]), "conditional parameters"),
            (problem([number("x", 0, 1)], metrics=("a", "b")), "more than one metric"),
            (
                {**BRANIN, "outcome_constraints": [{"metric": "c", "side": "at_most", "bound": 1.0}]},
                "bounds on metrics",
            ),
            (problem([{"name": "c", "domain": {"complex": {}}}]), "parameters of this kind"),
        ):
            with self.assertRaises(FaultAnswer) as caught:
                self.host(declared)
            self.assertEqual(caught.exception.kind, "unsupported")
            self.assertIn(words, caught.exception.message)

    def test_options_are_checked(self):
        host = self.host()
        for options in ({"step": 0}, {"step": "big"}, {"random_share": 1.5}, {'quo"te\\': 1}):
            with self.assertRaises(FaultAnswer) as caught:
                host.create(BRANIN, options)
            self.assertEqual(caught.exception.kind, "invalid")
            with self.assertRaises(FaultAnswer):
                host.ask(1)

    def test_odd_lines_are_no_trap(self):
        host = self.host(BRANIN)
        odd = [b"{", b'{"a', b'{"ask":{"count":', b"[" * 1000, b'{"a":"\\u00', b"nul", b"{}", b"[]", b"1", b'"', b"}"]
        odd += [b'{"a":1}x', b'{"ask"}', b'{"a":tru}', b'{"a":[1,]}', b'{"a":"\\']
        for line in odd:
            host.send_raw(line + b"\n")
            self.assertIn("fault", host.receive(5), line)
        many = {"trial": 0, "own": True, "tag": 10**9, "status": "completed", "x": [0.0] * 3000, "losses": [1.0]}
        host.tell([many] * 50)
        host.tell([{**many, "tag": -1, "x": []}, {**many, "losses": [], "tag": 2}, {**many, "losses": [None]}])
        host.ask(3)

    def test_steps_are_hit_exactly(self):
        declared = problem([number("a", 0.1, 7.3, step=0.1), number("b", -1e3, 1e3, step=1 / 3)])
        host = self.host(declared)
        for trial in range(200):
            (suggestion,) = host.ask(1)  # the point is checked there
            host.tell([observation(trial, suggestion, [sum(suggestion["x"])])])


if __name__ == "__main__":
    unittest.main()
