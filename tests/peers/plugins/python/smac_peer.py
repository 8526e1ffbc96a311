"""SMAC3 by ask and tell. Conditions are those of ConfigSpace. `deterministic` is set, noise or not: every point is
tried once, as by everybody else; SMAC would spend a part of the budget on repeats."""

import atexit
import logging
import shutil
import tempfile
from pathlib import Path

import ConfigSpace as cs
from ansatz_plugin import Exhausted
from peer import Adapter
from smac import BlackBoxFacade, HyperparameterOptimizationFacade, Scenario
from smac.main.exceptions import ConfigurationSpaceExhaustedException
from smac.runhistory.dataclasses import TrialInfo, TrialValue
from smac.runhistory.enumerations import StatusType

logging.disable(logging.WARNING)

#: A discrete parent with more values than these is compared by its ends.
VALUES_MAX = 1000
#: For SMAC, if the study has no number of trials: it makes a part of them its first design.
TRIAL_COUNT = 100


def hyperparameter(name, parameter):
    if parameter.count == 1:
        return cs.Constant(name, 0)
    if parameter.kind in ("categorical", "bool"):
        return cs.Categorical(name, list(range(parameter.count)))
    if parameter.kind == "int" and parameter.step == 1:
        return cs.Integer(name, (parameter.lower, parameter.upper), log=parameter.log)
    if parameter.count is not None and parameter.kind != "ordinal":
        return cs.Integer(name, (0, parameter.count - 1))
    if parameter.kind == "ordinal":
        return cs.Categorical(name, list(range(parameter.count)), ordered=True)
    return cs.Float(name, (parameter.lower, parameter.upper), log=parameter.log)


class Smac(Adapter):
    """Values are the coordinates here and in ConfigSpace, but for numbers with a step, which are counted."""

    facade = None

    def __init__(self, space, seed, trial_count):
        super().__init__(space, seed, trial_count)
        self.names = [f"x{index}" for index in range(len(space))]
        self.variables = [hyperparameter(n, p) for n, p in zip(self.names, space.parameters)]
        self.configurations = cs.ConfigurationSpace(seed=seed)
        self.configurations.add(self.variables)
        for index, parameter in enumerate(space.parameters):
            tests = [test for c in parameter.conditions for test in self.condition(self.variables[index], c)]
            if tests:
                self.configurations.add(tests[0] if len(tests) == 1 else cs.AndConjunction(*tests))
        folder = tempfile.mkdtemp(prefix="smac-")
        atexit.register(shutil.rmtree, folder, ignore_errors=True)
        scenario = Scenario(
            self.configurations,
            n_trials=trial_count or TRIAL_COUNT,
            seed=seed,
            deterministic=True,
            output_directory=Path(folder),
        )
        self.smac = self.facade(scenario, lambda configuration, seed=0: 0.0, overwrite=True, logging_level=False)

    # -- The space -------------------------------------------------------------------------------------------------

    def condition(self, child, condition):
        """What ConfigSpace makes of a condition: one or two tests that must hold."""
        index = self.space.index[condition["parameter"]]
        parent, parameter, test = self.variables[index], self.space.parameters[index], condition["test"]
        if "within" in test:
            lower, upper = test["within"].get("lower"), test["within"].get("upper")
            if parameter.count is None or parameter.count > VALUES_MAX:
                # ConfigSpace leaves the bounds themselves out
                tests = [] if lower is None else [cs.GreaterThanCondition(child, parent, lower)]
                return tests + ([] if upper is None else [cs.LessThanCondition(child, parent, upper)])
            every = [parameter.nth(number) for number in range(parameter.count)]
            lower, upper = (-float("inf") if lower is None else lower), (float("inf") if upper is None else upper)
            values = [self.value(index, c) for c in every if lower <= c <= upper]
        else:
            chosen = [test["equals"]] if "equals" in test else test.get("among", test.get("one_of"))
            values = [self.value(index, parameter.coordinate(value)) for value in chosen]
        if len(values) == 1:
            return [cs.EqualsCondition(child, parent, values[0])]
        return [cs.InCondition(child, parent, values)]

    def is_counted(self, parameter):
        is_whole = parameter.kind == "int" and parameter.step == 1
        return parameter.choices is None and parameter.count is not None and not is_whole

    def value(self, index, coordinate):
        parameter = self.space.parameters[index]
        if parameter.count == 1:
            return 0
        if self.is_counted(parameter):
            return round((coordinate - parameter.lower) / parameter.step)
        return float(coordinate) if parameter.kind == "float" else int(coordinate)

    def coordinate(self, index, value):
        parameter = self.space.parameters[index]
        if parameter.count == 1:
            return parameter.lower
        return parameter.nth(int(value)) if self.is_counted(parameter) else parameter.snap(float(value))

    def configuration(self, x):
        values = {self.names[i]: self.value(i, c) for i, c in enumerate(x) if c is not None}
        return cs.Configuration(self.configurations, values=values)

    # -- Ask and tell ----------------------------------------------------------------------------------------------

    def propose(self):
        try:
            info = self.smac.ask()
        except (ConfigurationSpaceExhaustedException, StopIteration):  # the second if it is asked again
            raise Exhausted("SMAC has tried every point") from None
        found = dict(info.config)
        coordinates = [
            self.coordinate(index, found[name]) if name in found else self.space.parameters[index].from_unit(0.5)
            for index, name in enumerate(self.names)
        ]
        return self.space.assemble(coordinates), info

    def learn(self, x, loss, handle):
        self.smac.tell(handle or TrialInfo(self.configuration(x), seed=0), TrialValue(cost=loss, time=0.1))

    def fail(self, x, handle):
        if handle is not None:
            self.smac.tell(handle, TrialValue(cost=float("inf"), time=0.1, status=StatusType.CRASHED))


class Forest(Smac):
    facade = HyperparameterOptimizationFacade


class BlackBox(Smac):
    facade = BlackBoxFacade
