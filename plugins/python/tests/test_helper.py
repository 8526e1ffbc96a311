"""The helper itself: objectives, what goes wrong in programs, and the small space."""

import json
import math
import os
import random
import shutil
import signal
import sys
import tempfile
import textwrap
import time
import unittest

from fake_host import PLUGINS, Died, FaultAnswer, Host, drive, observation
from problems import BRANIN, MIXED, PLAIN, branin, number, problem

import ansatz_plugin
from ansatz_plugin import Space, Strategy, Trial, create, nearest

HELPER = os.path.join(PLUGINS, "python", "ansatz_plugin.py")

OBJECTIVE = '''
import os, subprocess, sys, time
from ansatz_plugin import Failed, Infeasible, objective, serve, log

print("printed while loading")
LOADED = []

@objective(name="com.acme.test", summary="for tests", options={"steps": 3, "what": "number", "list": ["a"]})
def evaluate(parameters, trial):
    what, x = trial.options["what"], parameters["x"]
    LOADED.append(trial.number)
    if what == "number":
        return x * 2
    if what == "dict":
        return {"loss": (x, 0.1), "latency": 3}
    if what == "nan":
        return {"loss": float("nan"), "a": float("inf"), "b": float("-inf")}
    if what == "print":
        print("printed by the objective")
        sys.stdout.write("without an end of line")
        subprocess.run(["echo", "printed by a child"])
        os.write(1, b"written to the descriptor\\n")
        log("a word", level="warning")
        return x
    if what == "input":
        return float(len(sys.stdin.read()))
    if what == "raise":
        return {}["missing"]
    if what == "infeasible":
        raise Infeasible("x must be odd")
    if what == "failed":
        raise Failed("out of memory")
    if what == "exit":
        sys.exit(3)
    if what == "text":
        return {"loss": "low"}
    if what == "nothing":
        return None
    if what == "seed":
        return {"loss": trial.seed % 1000, "seed32": trial.seed32, "calls": len(LOADED), "attempt": trial.attempt,
                "fidelity": trial.fidelity or -1, "limit": trial.time_limit_s or -1}
    if what == "folder":
        (trial.output_folder / "model.txt").write_text("saved")
        return x
    if what == "continue":
        if trial.continued is None:
            (trial.output_folder / "state.txt").write_text("begun")
            return {"loss": -1.0}
        before = trial.continued
        state = before.output_folder and before.output_folder / "state.txt"
        return {"trial": before.trial, "attempt": before.attempt, "step": before.step,
                "is_known": bool(state and state.exists() and state.read_text() == "begun"),
                "is_made": bool(before.output_folder and before.output_folder.exists())}
    if what == "report":
        for step in range(trial.options["steps"]):
            trial.report(step, loss=x / (step + 1) if step else float("nan"))
        return x
    if what == "loop":
        trial.report(0, 1.0)
        while True:
            time.sleep(0.01)
            trial.check_stop()
    if what == "sleep":
        try:
            trial.report(0, 1.0)
            time.sleep(30)
        finally:
            print("tidied up", file=sys.stderr, flush=True)
    if what == "type":
        return {"loss": x, "int": isinstance(parameters["n"], int) and not isinstance(parameters["n"], bool)}

if __name__ == "__main__":
    serve(evaluate)
'''

X = problem([number("x", 0.0, 10.0)])


class Program(unittest.TestCase):
    """Writes a program into a folder of its own."""

    def program(self, text, kind="objective", name="com.acme.test"):
        folder = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, folder)
        shutil.copy(HELPER, folder)
        with open(os.path.join(folder, "main.py"), "w", encoding="utf-8") as file:
            file.write(textwrap.dedent(text))
        with open(os.path.join(folder, "plugin.toml"), "w", encoding="utf-8") as file:
            file.write(f'name = "{name}"\nkind = "{kind}"\nversion = "1.2.3"\nprotocol = 1\n')
            file.write('command = ["python3", "main.py"]\n')
        host = Host(folder)
        self.addCleanup(host.__exit__)
        return host

    def fault(self, call, *arguments, **named):
        with self.assertRaises(FaultAnswer) as caught:
            call(*arguments, **named)
        return caught.exception


class Objectives(Program):
    def objective(self, what="number", declared=X, **options):
        host = self.program(OBJECTIVE)
        hello = host.hello()
        self.assertEqual(hello["version"], "1.2.3")
        self.assertEqual(hello["features"], ["stop"])
        self.assertNotIn("capabilities", hello["components"][0])
        host.create(declared, {"what": what, **options})
        return host

    def test_a_number_is_the_only_metric(self):
        self.assertEqual(self.objective().evaluate({"x": 2.5}), {"metrics": {"loss": 5.0}})

    def test_a_number_is_not_enough_for_two_metrics(self):
        declared = problem([number("x", 0.0, 10.0)], metrics=("loss", "latency"))
        host = self.objective(declared=declared)
        self.assertIn("loss, latency", self.fault(host.evaluate, {"x": 1.0}).message)
        host.create(declared, {"what": "dict"})
        measured = host.evaluate({"x": 1.0})
        self.assertEqual(measured, {"metrics": {"loss": 1.0, "latency": 3.0}, "standard_errors": {"loss": 0.1}})

    def test_nan_and_infinity_are_written_as_json_can(self):
        measured = self.objective("nan").evaluate({"x": 1.0})
        self.assertEqual(measured["metrics"], {"loss": None, "a": "inf", "b": "-inf"})

    def test_what_is_printed_goes_to_standard_error(self):
        host = self.objective("print")
        self.assertEqual(host.evaluate({"x": 1.5}), {"metrics": {"loss": 1.5}})
        self.assertEqual(host.logs, [{"level": "warning", "message": "a word"}])
        host.end()
        for words in (
            "while loading",
            "by the objective",
            "without an end",
            "printed by a child",
            "written to the descriptor",
        ):
            self.assertIn(words, host.error_text())

    def test_standard_input_is_empty_for_the_objective(self):
        self.assertEqual(self.objective("input").evaluate({"x": 1.5}), {"metrics": {"loss": 0.0}})

    def test_an_exception_fails_the_trial_and_says_where(self):
        host = self.objective("raise")
        fault = self.fault(host.evaluate, {"x": 1.0})
        self.assertEqual((fault.kind, fault.message), ("failed", "KeyError: 'missing'"))
        line = next(n for n, text in enumerate(OBJECTIVE.splitlines(), 1) if '{}["missing"]' in text)
        self.assertEqual(fault.location, f"main.py:{line}")
        self.fault(host.evaluate, {"x": 2.0})  # and life goes on
        host.end()
        self.assertIn("Traceback", host.error_text())

    def test_every_fault_keeps_its_kind(self):
        for what, kind, words in (
            ("infeasible", "infeasible", "x must be odd"),
            ("failed", "failed", "out of memory"),
            ("exit", "failed", "code 3"),
            ("text", "failed", "'low', not a number"),
            ("nothing", "failed", "returned nothing"),
        ):
            fault = self.fault(self.objective(what).evaluate, {"x": 1.0})
            self.assertEqual(fault.kind, kind)
            self.assertIn(words, fault.message)

    def test_the_trial_has_its_facts_and_the_process_its_memory(self):
        host = self.objective("seed")
        host.evaluate({"x": 1.0})
        measured = host.evaluate({"x": 1.0}, seed=2**64 - 1, attempt=2, fidelity=9.0, time_limit_s=600.0)["metrics"]
        self.assertEqual(measured["seed32"], 2**32 - 1)
        self.assertEqual(measured["loss"], (2**64 - 1) % 1000)
        self.assertEqual(measured["calls"], 2)
        self.assertEqual((measured["attempt"], measured["fidelity"], measured["limit"]), (2, 9, 600))

    def test_the_output_folder_is_made_when_it_is_asked_for(self):
        host = self.objective("folder")
        folder = os.path.join(host.folder, "results", "trial-1")
        host.evaluate({"x": 1.0}, output_folder=folder)
        with open(os.path.join(folder, "model.txt"), encoding="utf-8") as file:
            self.assertEqual(file.read(), "saved")

    def test_a_trial_that_continues_a_stopped_one_has_its_folder(self):
        host = self.objective("continue")
        folder = os.path.join(host.folder, "results", "trial-1")
        self.assertEqual(host.evaluate({"x": 1.0}, output_folder=folder)["metrics"], {"loss": -1.0})
        before = {"trial": 12, "attempt": 2, "step": 3, "output_folder": folder}
        measured = host.evaluate({"x": 1.0}, continued=before)["metrics"]
        self.assertEqual(measured, {"trial": 12, "attempt": 2, "step": 3, "is_known": 1, "is_made": 1})
        # what the host has no word for: the first attempt, a folder that is elsewhere or nowhere
        elsewhere = {"trial": 0, "step": 9, "output_folder": os.path.join(host.folder, "elsewhere")}
        for before in (elsewhere, {"trial": 0, "step": 9}):
            measured = host.evaluate({"x": 1.0}, continued=before)["metrics"]
            self.assertEqual(measured, {"trial": 0, "attempt": 1, "step": 9, "is_known": 0, "is_made": 0})

    def test_an_int_is_an_int(self):
        declared = problem(
            [number("x", 0.0, 10.0), {"name": "n", "domain": {"int": {"lower": 1, "upper": 9, "scale": "linear"}}}]
        )
        host = self.objective("type", declared)
        body = {"trial": 0, "attempt": 1, "seed": 1, "x": [1.0, 2.0], "parameters": {"x": 1.0, "n": 2.0}}
        self.assertEqual(host.request("evaluate", body)["measurement"]["metrics"], {"loss": 1.0, "int": 1.0})

    def test_reports_and_a_verdict_that_stops(self):
        host = self.objective("report")
        self.assertEqual(host.evaluate({"x": 6.0}), {"metrics": {"loss": 6.0}})
        metrics = [report["metrics"]["loss"] for report in host.reports]
        self.assertEqual(metrics, [None, 3.0, 2.0])
        fault = self.fault(host.evaluate, {"x": 6.0}, lambda report: "stop" if report["step"] == 1 else "continue")
        self.assertEqual(fault.kind, "stopped")
        self.assertEqual(len(host.reports), 5)

    def test_a_stop_reaches_a_loop_without_reports(self):
        host = self.objective("loop")

        def verdict(_):
            host.send({"stop": {}})
            return "continue"

        began = time.monotonic()
        for _ in range(2):  # the second trial is not stopped by what came for the first
            fault = self.fault(host.evaluate, {"x": 6.0}, verdict)
            self.assertEqual(fault.kind, "stopped")
        self.assertLess(time.monotonic() - began, 3)
        host.send({"stop": {}})
        host.create(X, {"what": "report"})
        host.evaluate({"x": 1.0})

    def test_it_ends_when_the_host_goes_away_during_an_evaluation(self):
        host = self.objective("sleep")
        host.send({"evaluate": {"trial": 0, "attempt": 1, "seed": 1, "x": [1.0]}})
        self.assertIn("report", host.receive())
        host.send({"verdict": "continue"})
        began = time.monotonic()
        host.end()
        self.assertLess(time.monotonic() - began, 3)
        self.assertIn("tidied up", host.error_text())
        self.assertNotIn("Traceback", host.error_text())

    def test_a_broken_pipe_is_no_traceback(self):
        host = self.objective("report")
        host.process.stdout.close()
        host.send({"evaluate": {"trial": 0, "attempt": 1, "seed": 1, "x": [1.0]}})
        self.assertEqual(host.process.wait(5), 0)
        self.assertNotIn("Traceback", host.error_text())

    def test_ctrl_c_is_no_traceback(self):
        host = self.objective("sleep")
        host.send({"evaluate": {"trial": 0, "attempt": 1, "seed": 1, "x": [1.0]}})
        host.receive()
        host.send({"verdict": "continue"})
        time.sleep(0.1)
        os.kill(host.process.pid, signal.SIGINT)
        self.assertEqual(host.process.wait(5), 130)
        self.assertNotIn("Traceback", host.error_text())

    def test_options_are_checked(self):
        host = self.objective()
        for options, words in (
            ({"step": 1}, 'did you mean "steps"'),
            ({"steps": True}, "must be of type integer"),
            ({"list": {}}, "must be of type array"),
        ):
            fault = self.fault(host.create, X, options)
            self.assertEqual(fault.kind, "invalid")
            self.assertIn(words, fault.message)

    def test_a_class_sets_itself_up_once(self):
        host = self.program(
            """
            from ansatz_plugin import Invalid, Objective, serve

            class Prepared(Objective):
                name = "com.acme.test"
                options = {"rows": {"type": "integer", "default": 3, "minimum": 1}}

                def setup(self):
                    self.count = 0
                    if "y" in self.problem.space.index:
                        raise Invalid("there is no y")
                    self.rows = [1.0] * self.options["rows"]

                def evaluate(self, parameters, trial):
                    self.count += 1
                    return sum(self.rows) + self.count

            serve(Prepared)
            """
        )
        host.hello()
        host.create(X, {"rows": 4})
        self.assertEqual(host.evaluate({"x": 1.0})["metrics"]["loss"], 5.0)
        self.assertEqual(host.evaluate({"x": 1.0})["metrics"]["loss"], 6.0)
        self.assertEqual(self.fault(host.create, problem([number("y", 0, 1)])).message, "there is no y")
        self.assertIn("at least 1", self.fault(host.create, X, {"rows": 0}).message)
        self.assertEqual(self.fault(host.evaluate, {"x": 1.0}).kind, "invalid")

    def test_a_program_that_does_not_start_dies_with_a_reason(self):
        host = self.program("import no_such_library\n")
        with self.assertRaises(Died) as caught:
            host.hello()
        self.assertIn("no_such_library", str(caught.exception))


class Strategies(Program):
    def test_what_ask_may_give(self):
        host = self.program(
            """
            from ansatz_plugin import Exhausted, Prediction, Strategy, Suggestion, serve

            class Many(Strategy):
                name = "com.acme.test"
                calls = 0

                def ask(self, count, pending):
                    self.calls += 1
                    if self.calls == 1:
                        return ({"x1": 1.0, "x2": 2.0} for _ in range(count))
                    if self.calls == 2:
                        return [Suggestion([1, 2.0], tag=5, fidelity=3)]
                    if self.calls == 3:
                        return None
                    if self.calls == 4:
                        return [[float("nan"), 1.0]]
                    if self.calls == 5:
                        return [{"x3": 1.0}]
                    if self.calls == 6:
                        said = [Prediction(1, 0.5), Prediction(1.0, 0.5, -2.0), (1, 0.5), {"mean": 1, "deviation": 0.5}]
                        return [Suggestion([1, 2.0], prediction=prediction) for prediction in said]
                    if self.calls == 7:
                        said = [float("nan"), Prediction(float("nan"), 1), Prediction(1, -1), "high", (1,), {"mean": 1}]
                        return [Suggestion([1, 2.0], prediction=prediction) for prediction in said]
                    raise Exhausted("that is all")

            serve(Many)
            """,
            "strategy",
        )
        host.hello()
        host.create(BRANIN)
        self.assertEqual(host.ask(2), [{"x": [1.0, 2.0], "tag": 0}] * 2)
        self.assertEqual(host.ask(2), [{"x": [1, 2.0], "tag": 5, "fidelity": 3.0}])
        self.assertEqual(host.ask(2), [])
        self.assertIn("is nan", self.fault(host.ask, 2).message)
        fault = self.fault(host.ask, 2)
        self.assertEqual(fault.kind, "panic")
        self.assertIn('no parameter "x3"', fault.message)
        expected = [{"mean": 1.0, "deviation": 0.5}] * 4
        expected[1] = {"mean": 1.0, "deviation": 0.5, "acquisition": -2.0}
        self.assertEqual([given.get("prediction") for given in host.ask(4)], expected)
        # nonsense costs no point
        self.assertEqual(host.ask(6), [{"x": [1, 2.0], "tag": 0}] * 6)
        self.assertEqual(self.fault(host.ask, 2).kind, "exhausted")
        self.assertIsNone(host.snapshot())

    def test_what_recommend_may_give(self):
        host = self.program(
            """
            from ansatz_plugin import Recommendation, Strategy, serve

            class Sure(Strategy):
                name = "com.acme.test"

                def ask(self, count, pending):
                    return []

                def recommend(self):
                    nan = float("nan")
                    return [Recommendation([1, 2.0], 3, 0.5), Recommendation([1, 2.0], nan, 1), ({"x1": 1, "x2": 2}, -4, 0)]

            serve(Sure)
            """,
            "strategy",
        )
        self.assertEqual(host.hello()["features"], ["recommend"])
        host.create(BRANIN)
        expected = [{"x": [1, 2.0], "mean": 3.0, "deviation": 0.5}, {"x": [1.0, 2.0], "mean": -4.0, "deviation": 0.0}]
        self.assertEqual(host.request("recommend", {})["recommendations"], expected)

    def test_a_strategy_without_a_model_recommends_nothing(self):
        host = self.program(
            """
            from ansatz_plugin import Strategy, serve

            class Blind(Strategy):
                name = "com.acme.test"

                def ask(self, count, pending):
                    return []

            serve(Blind)
            """,
            "strategy",
        )
        self.assertEqual(host.hello()["features"], [])
        host.create(BRANIN)
        self.assertEqual(host.request("recommend", {})["recommendations"], [])

    def test_a_bug_is_a_panic_with_its_place(self):
        host = self.program(
            """\
            from ansatz_plugin import Strategy, serve
            class Broken(Strategy):
                name = "com.acme.test"
                def ask(self, count, pending):
                    print("to nowhere")
                    return [self.space.parameters[17]]
            serve(Broken)
            """,
            "strategy",
        )
        host.hello()
        host.create(BRANIN)
        fault = self.fault(host.ask)
        self.assertEqual((fault.kind, fault.location), ("panic", "main.py:6"))

    def test_a_snapshot_that_is_none_is_refused(self):
        host = self.program(
            """
            from ansatz_plugin import Strategy, serve
            class Saved(Strategy):
                name = "com.acme.test"
                saved = ("seen",)
                def setup(self):
                    self.seen = []
                def ask(self, count, pending):
                    return [self.space.sample(self.rng) for _ in range(count)]
                def tell(self, observations):
                    self.seen += [seen.loss for seen in observations]
            serve(Saved)
            """,
            "strategy",
        )
        self.assertIn("snapshot", host.hello()["components"][0]["capabilities"])
        host.create(BRANIN)
        self.assertEqual(self.fault(host.restore, "aGVsbG8=").kind, "invalid")
        host.create(BRANIN)
        drive(host, branin, 3)
        state = host.snapshot()
        expected = host.ask(3)
        host.create(BRANIN, seed=99)
        host.restore(state)
        self.assertEqual(host.ask(3), expected)


    def test_what_a_trial_reported_on_its_way_comes_with_it(self):
        host = self.program(
            """
            from ansatz_plugin import Strategy, Suggestion, serve
            class Curious(Strategy):
                name = "com.acme.test"
                def setup(self):
                    self.curves = []
                def ask(self, count, pending):
                    return [Suggestion([1.0, float(len(self.curves))], tag=sum(map(len, self.curves)))]
                def tell(self, observations):
                    self.curves += [seen.curve for seen in observations]
                    for seen in observations:
                        assert all(isinstance(step, int) and losses == [None] for step, losses in seen.curve), seen.curve
            serve(Curious)
            """,
            "strategy",
        )
        host.hello()
        host.create(BRANIN)
        ended = {"trial": 0, "own": True, "tag": 0, "status": "stopped", "x": [1.0, 2.0]}
        host.tell([{**ended, "curve": [[1, [None]], [4, [None]]]}, {**ended, "trial": 1}])
        self.assertEqual(host.ask(1), [{"x": [1.0, 2.0], "tag": 2}])


class EarlyStoppingRules(Program):
    RULE = """
        from ansatz_plugin import EarlyStopping, Promotion, serve
        class Rule(EarlyStopping):
            name = "com.acme.test"
            options = {"how": "promotion"}
            def setup(self):
                self.waiting, self.heard = [], []
            def reported(self, report):
                return f"{self.heard}" if report.step >= 3 else None
            def finished(self, observation):
                if observation.status == "stopped":
                    self.waiting.append(observation.trial)
            def promotable(self):
                if not self.waiting:
                    return None
                trial, how = self.waiting[0], self.options["how"]
                return {
                    "promotion": Promotion(trial, f"{len(self.waiting)} wait"), "pair": (trial, "a pair"),
                    "number": trial, "text": str(trial),
                }[how]
            def promoted(self, continued, trial):
                self.waiting.remove(continued)
                self.heard.append((continued, trial))
        serve(Rule)
    """

    def rule(self, **options):
        host = self.program(self.RULE, "early-stopping")
        self.assertEqual(host.hello()["features"], ["promote"])
        host.create(BRANIN, options)
        return host

    def stop(self, host, trial):
        host.request("reported", {"trial": trial, "step": 3, "losses": [1.0]})
        ended = {"trial": trial, "status": "stopped", "x": [1.0, 2.0]}
        self.assertEqual(host.request("finished", ended), {"ok": {}})

    def test_a_stopped_trial_goes_on(self):
        host = self.rule()
        self.assertEqual(host.request("promotable", {}), {"promotion": {}})
        self.stop(host, 0)
        self.stop(host, 1)
        for _ in range(2):
            promotion = {"continued": 0, "reason": "2 wait"}
            self.assertEqual(host.request("promotable", {}), {"promotion": promotion})
        self.assertEqual(host.request("promoted", {"continued": 0, "trial": 2}), {"ok": {}})
        self.assertEqual(host.request("promotable", {}), {"promotion": {"continued": 1, "reason": "1 wait"}})
        ruling = host.request("reported", {"trial": 2, "step": 4, "losses": [1.0]})
        self.assertEqual(ruling, {"ruling": {"stop": "[(0, 2)]"}})

    def test_what_promotable_may_give(self):
        for how, reason in (("pair", "a pair"), ("number", "")):
            host = self.rule(how=how)
            self.stop(host, 0)
            self.assertEqual(host.request("promotable", {}), {"promotion": {"continued": 0, "reason": reason}})
        host = self.rule(how="text")
        self.stop(host, 0)
        self.assertIn("TypeError", self.fault(host.request, "promotable", {}).message)

    def test_a_rule_that_stops_for_good_is_not_asked(self):
        host = self.program(
            """
            from ansatz_plugin import EarlyStopping, serve
            class Rule(EarlyStopping):
                name = "com.acme.test"
                def reported(self, report):
                    return None
            serve(Rule)
            """,
            "early-stopping",
        )
        self.assertEqual(host.hello()["features"], [])
        host.create(BRANIN)
        # one that asks all the same has an answer
        self.assertEqual(host.request("promotable", {}), {"promotion": {}})
        self.assertEqual(host.request("promoted", {"continued": 0, "trial": 1}), {"ok": {}})


class SmallSpace(unittest.TestCase):
    def test_samples_and_neighbours_are_feasible(self):
        space, rng = Space(MIXED["space"]), random.Random(1)
        x = space.sample(rng)
        for _ in range(500):
            x = space.neighbour(x, rng, rng.choice([0.01, 0.1, 0.5]))
            self.assertIsNone(space.check(x))
            self.assertIsNone(space.check(space.sample(rng)))

    def test_a_point_survives_both_ways(self):
        for declared in (PLAIN, MIXED):
            space, rng = Space(declared["space"]), random.Random(2)
            for _ in range(200):
                x = space.sample(rng)
                self.assertEqual(space.point(space.values(x)), x)
                back = space.decode(space.encode(x))
                for parameter, before, after in zip(space.parameters, x, back):
                    if before is None or parameter.count is not None:
                        self.assertEqual(before, after)
                    else:
                        self.assertAlmostEqual(before, after, delta=1e-12 * abs(before) + 1e-15)

    def test_a_narrow_constraint_is_met_by_repair(self):
        parts = [number(name, 0.0, 1.0) for name in "abcd"]
        terms = [[name, 1.0] for name in "abcd"]
        narrow = {"linear": {"terms": terms, "bound": 0.01, "strict": True}}
        space, rng = Space({"parameters": parts, "constraints": [narrow]}), random.Random(3)
        for _ in range(50):
            self.assertIsNone(space.check(space.sample(rng)))

    def test_constraints_that_contradict_each_other_are_noticed(self):
        never = {"linear": {"terms": [["a", 1.0]], "bound": -1.0, "strict": False}}
        space = Space({"parameters": [number("a", 0.0, 1.0)], "constraints": [never]})
        with self.assertRaises(ansatz_plugin.NoFeasiblePoint):
            space.sample(random.Random(4))

    def test_steps_and_scales(self):
        space = Space(PLAIN["space"])
        by_name = {parameter.name: parameter for parameter in space.parameters}
        self.assertEqual([by_name["dropout"].nth(i) for i in (0, 1, 5, 9)], [0.0, 0.1, 0.5, 0.5])
        self.assertEqual([by_name["units"].snap(c) for c in (0, 23, 25, 1e9)], [16, 16, 32, 128])
        self.assertAlmostEqual(by_name["lr"].from_unit(0.5), 1e-3)
        self.assertEqual(by_name["heads"].from_unit(0.0), 1)
        self.assertEqual(by_name["heads"].from_unit(1.0), 32)
        self.assertEqual(by_name["units"].count, 8)
        uneven = Space({"parameters": [number("f", 0.0, 1.0, step=0.3)]}).parameters[0]
        self.assertEqual((uneven.count, uneven.upper), (4, 3 * 0.3))

    def test_decimals_stand_for_the_levels_that_they_differ_from_by_rounding(self):
        child = {
            **number("momentum", 0.0, 1.0),
            "conditions": [{"parameter": "dropout", "test": {"within": {"lower": 0.3, "upper": 0.3}}}],
        }
        space = Space({"parameters": [number("dropout", 0.0, 0.5, step=0.1), child]})
        third = 3 * 0.1
        self.assertNotEqual(third, 0.3)
        self.assertEqual(space.point({"dropout": 0.3, "momentum": 0.5}), [third, 0.5])
        self.assertEqual(space.assemble([third, 0.5]), [third, 0.5])
        for value in (0.31, 0.3000001, math.nan, math.inf):
            with self.assertRaises(ValueError):
                space.point({"dropout": value})

    def test_true_is_not_one(self):
        space = Space({"parameters": [{"name": "c", "domain": {"categorical": {"choices": [1, True, "1"]}}}]})
        self.assertEqual([space.point({"c": value})[0] for value in (1, 1.0, True, "1")], [0, 0, 1, 2])

    def test_open_ranges_in_conditions(self):
        child = {**number("b", 0.0, 1.0), "conditions": [{"parameter": "a", "test": {"within": {"lower": 0.5}}}]}
        for upper in ({}, {"upper": None}, {"upper": "inf"}):
            child["conditions"][0]["test"]["within"].update(upper)
            space = Space({"parameters": [number("a", 0.0, 1.0), child]})
            self.assertEqual(space.assemble([0.4, 0.1]), [0.4, None])
            self.assertEqual(space.assemble([0.6, 0.1]), [0.6, 0.1])

    def test_values_that_do_not_fit_are_named(self):
        space = Space(PLAIN["space"])
        for values, words in (({"lrr": 1}, 'did you mean "lr"'), ({"opt": "sgdd"}, "'sgdd'"), ({"units": 17}, "17")):
            with self.assertRaisesRegex(ValueError, words):
                space.point(values)

    def test_the_nearest_name(self):
        self.assertEqual(nearest("Stepp", ["step", "steps_max"]), ' (did you mean "step"?)')
        self.assertEqual(nearest("zzz", ["step"]), "")


class WithoutAHost(unittest.TestCase):
    def test_a_trial_to_test_with(self):
        trial = Trial(options={"folds": 2})
        self.assertEqual(trial.options["folds"], 2)
        trial.report(3, loss=0.5)
        trial.report(4, 0.5)
        trial.check_stop()
        self.assertFalse(trial.stopped)
        self.assertIsNone(trial.output_folder)
        self.assertIsNone(trial.continued)

    def test_a_strategy_to_test_with(self):
        class Dice(Strategy):
            name = "com.acme.dice"
            options = {"sides": 6}

            def ask(self, count, pending):
                return [self.space.sample(self.rng) for _ in range(count)]

        dice = create(Dice, MIXED, {"sides": 8}, seed=3)
        self.assertEqual(dice.options, {"sides": 8})
        self.assertIsNone(dice.space.check(dice.ask(1, [])[0]))


if __name__ == "__main__":
    unittest.main()
