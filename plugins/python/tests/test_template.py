"""What `ansatz plugins new` makes works at once."""

import os
import shutil
import tempfile
import unittest

from fake_host import PLUGINS, Host
from problems import BRANIN, MIXED
from test_strategies import StrategyCases


def rendered(case, kind):
    folder = tempfile.mkdtemp()
    case.addClassCleanup(shutil.rmtree, folder)
    source = os.path.join(PLUGINS, "python", "template", kind)
    for name in os.listdir(source):
        with open(os.path.join(source, name), encoding="utf-8") as file:
            text = file.read().replace("{{component}}", "com.acme.walk").replace("{{name}}", "walk")
        assert "{{" not in text, name
        with open(os.path.join(folder, name), "w", encoding="utf-8") as file:
            file.write(text)
    shutil.copy(os.path.join(PLUGINS, "python", "ansatz_plugin.py"), folder)
    return folder


class StrategyTemplate(StrategyCases, unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = rendered(cls, "strategy")


class ObjectiveTemplate(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = rendered(cls, "objective")

    def test_it_evaluates(self):
        with Host(self.folder) as host:
            self.assertEqual(host.hello()["components"][0]["name"], "com.acme.walk")
            host.create(BRANIN)
            self.assertEqual(host.evaluate({"x1": 2.0, "x2": 1.0}), {"metrics": {"loss": 1.0}})
            self.assertEqual(len(host.reports), 3)
            host.create(MIXED)


class EarlyStoppingTemplate(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = rendered(cls, "early-stopping")

    def test_it_judges(self):
        with Host(self.folder) as host:
            offer = host.hello()["components"][0]
            self.assertEqual((offer["role"], offer["name"]), ("early-stopping", "com.acme.walk"))
            host.create(BRANIN, options={"margin": 0.25})
            for step, loss in ((1, 3.0), (2, 2.0)):
                self.assertEqual(host.request("reported", {"trial": 0, "step": step, "losses": [loss]}), {"ruling": {}})
            ended = {"trial": 0, "status": "completed", "x": [1.0, 2.0], "losses": [2.0]}
            self.assertEqual(host.request("finished", ended), {"ok": {}})
            self.assertEqual(host.request("reported", {"trial": 1, "step": 1, "losses": [3.25]}), {"ruling": {}})
            self.assertEqual(host.request("reported", {"trial": 1, "step": 2, "losses": [None]}), {"ruling": {}})
            verdict = host.request("reported", {"trial": 2, "step": 2, "losses": [2.5]})
            self.assertEqual(verdict, {"ruling": {"stop": "its loss is 2.5, the best trial had 2"}})


if __name__ == "__main__":
    unittest.main()
