"""Plugins for Ansatz in Python: an objective is a decorated function, a strategy and an early-stopping rule are small
classes.

One file without dependencies, Python 3.9 or later: copy it next to your program.

    from ansatz_plugin import objective, serve

    @objective(name="com.acme.svm", summary="an SVM on our data", options={"folds": 5})
    def evaluate(parameters, trial):
        return train(parameters["c"], folds=trial.options["folds"])

    if __name__ == "__main__":
        serve(evaluate)

`serve` speaks the plugin protocol (docs/plugin-protocol.md) on standard input and output. Starting, watching and
killing the program is the host's job; so is judging whether a suggestion lies in the space.
"""

from __future__ import annotations

import json
import math
import operator
import os
import platform
import random
import re
import sys
import traceback
from typing import Any, Callable, Iterable, NamedTuple, Optional, Sequence, Union

__version__ = "0.1.0"
__all__ = [
    "ANY_SPACE", "Continued", "EarlyStopping", "Exhausted", "Failed", "Fault", "Infeasible", "Invalid", "Metric",
    "NoFeasiblePoint", "Objective", "Observation", "OutcomeConstraint", "Parameter", "Pending", "Prediction", "Problem",
    "Promotion", "Recommendation", "Report", "Space", "Stopped", "Strategy", "Suggestion", "Trial", "Unsupported", "create",
    "log", "nearest", "objective", "serve",
]

PROTOCOL = 1

#: The capabilities that `Space` gives every strategy that uses it.
ANY_SPACE = ("float", "int", "categorical", "ordinal", "conditional", "constraints")

#: One number per parameter in the order of the space, `None` where a parameter is inactive.
Point = Sequence[Optional[float]]


# -- Faults ----------------------------------------------------------------------------------------------------------


class Fault(Exception):
    """An answer that is no result. Raise one of the kinds below; the text is for the person who runs the study."""

    kind = "other"


class Invalid(Fault):
    """The options or the request make no sense."""

    kind = "invalid"


class Unsupported(Fault):
    """A problem that this plugin cannot serve."""

    kind = "unsupported"


class Exhausted(Fault):
    """From `ask`: there will never be another suggestion."""

    kind = "exhausted"


class Infeasible(Fault):
    """From `evaluate`: this point cannot be judged, and never could."""

    kind = "infeasible"


class Failed(Fault):
    """From `evaluate`: the evaluation broke; another attempt may succeed."""

    kind = "failed"


class Stopped(Fault):
    """Raised by `Trial.report` when the host wants no more of this trial. Let it pass."""

    kind = "stopped"


class NoFeasiblePoint(Fault):
    """Raised by `Space.sample`: the constraints probably contradict each other."""


def nearest(name: str, known: Iterable[str]) -> str:
    """`' (did you mean "x"?)'` for the nearest of `known`, or nothing where none is near."""
    import difflib  # only needed for mistakes

    lower = {str(candidate).lower(): candidate for candidate in known}
    found = difflib.get_close_matches(str(name).lower(), list(lower), n=1, cutoff=0.6)
    return f' (did you mean "{lower[found[0]]}"?)' if found else ""


# -- The space -------------------------------------------------------------------------------------------------------


class Parameter:
    """One dimension of the space. A coordinate is its value as one number: floats and ints as they are, categorical
    and ordinal values by their index, bools 0 or 1."""

    __slots__ = ("name", "kind", "lower", "upper", "log", "step", "choices", "count", "conditions", "_edges")

    def __init__(self, declaration: dict) -> None:
        domain = declaration["domain"]
        kind, body = (domain, {}) if isinstance(domain, str) else next(iter(domain.items()))
        self.name: str = declaration["name"]
        #: "float", "int", "categorical", "ordinal" or "bool"
        self.kind: str = kind
        self.conditions: list = declaration.get("conditions") or []
        self.log = body.get("scale") == "log"
        #: Distance of neighbouring values; `None` for a float without gaps.
        self.step = body.get("step")
        #: The values of a categorical, ordinal or bool; `None` for numbers.
        self.choices: Optional[list] = None
        #: How many values there are; `None` for a float without gaps.
        self.count: Optional[int] = None
        if kind == "float":
            self.lower, self.upper = float(body["lower"]), float(body["upper"])
            if self.lower == self.upper:
                self.count = 1
            elif self.step is not None:
                self.count = math.floor((self.upper - self.lower) / self.step * (1 + 1e-12)) + 1
                self.upper = min(self.lower + (self.count - 1) * self.step, self.upper)
        elif kind == "int":
            self.lower, self.step = int(body["lower"]), int(self.step or 1)
            self.count = (int(body["upper"]) - self.lower) // self.step + 1
            self.upper = self.lower + (self.count - 1) * self.step
        elif kind in ("categorical", "ordinal", "bool"):
            self.choices = [False, True] if kind == "bool" else body["choices" if kind == "categorical" else "values"]
            self.lower, self.count, self.step = 0, len(self.choices), 1
            self.upper = self.count - 1
        else:
            raise Unsupported(f"parameter {self.name}: this plugin does not know the domain {kind}")
        self._edges = self._log_edges() if self.log else (self.lower, self.upper)

    @property
    def is_numeric(self) -> bool:
        """Whether the coordinate is a size."""
        return self.choices is None

    @property
    def is_ordered(self) -> bool:
        """Whether near coordinates mean similar things."""
        return self.kind not in ("categorical", "bool")

    def _log_edges(self) -> tuple:
        if self.count is None:
            return math.log(self.lower), math.log(self.upper)
        # half a step beyond the bounds, so that the first and last value have cells like the others
        half = 0.5 * (self.step or 1.0)
        return math.log(max(self.lower - half, 0.5 * self.lower)), math.log(self.upper + half)

    def nth(self, index: int) -> float:
        """The coordinate of the `index`-th value of a domain with a count, from the lowest."""
        index = max(0, min(index, self.count - 1))
        if self.kind == "float":
            return min(self.lower + index * (self.step or 0.0), self.upper)
        return self.lower + index * self.step

    def snap(self, coordinate: float) -> float:
        """The nearest allowed coordinate; NaN becomes the lower end."""
        if not self.lower < coordinate < self.upper:
            return self.upper if coordinate >= self.upper else self.lower
        if self.count is None:
            return coordinate
        if self.count == 1:
            return self.lower
        return self.nth(math.floor((coordinate - self.lower) / self.step + 0.5))

    def contains(self, coordinate: Optional[float]) -> bool:
        """Whether the coordinate is one of the values, exactly."""
        return coordinate is not None and self.snap(coordinate) == coordinate

    def to_unit(self, coordinate: float) -> float:
        """Where a coordinate lies in [0, 1]; discrete values lie at the centre of their cell."""
        if self.count is not None:
            if self.count == 1:
                return 0.5
            if not self.log:
                return ((coordinate - self.lower) / self.step + 0.5) / self.count
        lower, upper = self._edges
        position = math.log(coordinate) if self.log else coordinate
        return min(max((position - lower) / (upper - lower), 0.0), 1.0)

    def from_unit(self, unit: float) -> float:
        """The coordinate at a place in [0, 1]; places outside are clamped."""
        unit = 0.5 if unit != unit else min(max(unit, 0.0), 1.0)
        if self.count is not None:
            if self.count == 1:
                return self.lower
            if not self.log:
                return self.nth(int(unit * self.count))
        lower, upper = self._edges
        position = lower * (1.0 - unit) + upper * unit
        return self.snap(math.exp(position) if self.log else position)

    def value(self, coordinate: float) -> Any:
        """The value of a coordinate, as people see it."""
        if self.choices is not None:
            return self.choices[int(coordinate)]
        return int(coordinate) if self.kind == "int" else float(coordinate)

    def written(self, number: float, otherwise: Optional[float] = None) -> Optional[float]:
        """The coordinate that a number written by a person stands for. The levels of a float with a step are sums that a
        decimal differs from by rounding: 0 + 3 * 0.1 is not 0.3."""
        slack = 1e-9 * self.step if self.kind == "float" and self.step is not None else 0.0
        snapped = self.snap(number)
        return snapped if abs(snapped - number) <= slack else otherwise

    def coordinate(self, value: Any) -> float:
        """The coordinate of a value; ValueError where it is none of this parameter."""
        if self.choices is not None:
            for index, choice in enumerate(self.choices):
                # True == 1 in Python, but not here
                if choice == value and isinstance(choice, bool) == isinstance(value, bool):
                    return index
        elif not isinstance(value, (bool, str)):
            coordinate = self.written(float(value))
            if coordinate is not None:
                return int(coordinate) if self.kind == "int" else coordinate
        raise ValueError(f"{value!r} is not a value of {self.name} ({self.kind} parameter)")

    def move(self, coordinate: float, rng: random.Random, distance: float) -> float:
        """Another coordinate: a step of about `distance` (in the unit interval), at least one level; any other choice
        where there is no order."""
        if self.count == 1:
            return coordinate
        if not self.is_ordered:
            other = rng.randrange(self.count - 1)
            return other + (other >= coordinate)
        step = rng.gauss(0.0, distance)
        unit = self.to_unit(coordinate) + step
        # reflected, because a clamped step would pile up points at the bounds
        unit = abs(unit) % 2.0
        moved = self.from_unit(2.0 - unit if unit > 1.0 else unit)
        if moved == coordinate and self.count is not None:
            moved = self.snap(coordinate + math.copysign(self.step, step))
            if moved == coordinate:
                moved = self.snap(coordinate - math.copysign(self.step, step))
        return moved


class _Condition:
    """A statement about one parameter by index; it never holds where that parameter is inactive."""

    __slots__ = ("index", "among", "lower", "upper")

    def __init__(self, declaration: dict, space: Space) -> None:
        self.index = space.index[declaration["parameter"]]
        parameter, test = space.parameters[self.index], declaration["test"]
        self.among, self.lower, self.upper = None, -math.inf, math.inf
        if "equals" in test:
            self.among = frozenset([parameter.coordinate(test["equals"])])
        elif "one_of" in test or "among" in test:
            values = test["one_of"] if "one_of" in test else test["among"]
            self.among = frozenset(parameter.coordinate(value) for value in values)
        elif "within" in test:
            # an open side may be null
            lower, upper = test["within"].get("lower"), test["within"].get("upper")
            self.lower = -math.inf if lower is None else parameter.written(float(lower), float(lower))
            self.upper = math.inf if upper is None else parameter.written(float(upper), float(upper))
        else:
            raise Unsupported(f"a condition on {parameter.name} has a test that this plugin does not know: {test}")

    def holds(self, x: Point) -> bool:
        coordinate = x[self.index]
        if coordinate is None:
            return False
        return self.lower <= coordinate <= self.upper if self.among is None else coordinate in self.among


class _Linear:
    """`sum of coefficient * parameter <= bound`, or `<`. Holds where any of the parameters is inactive."""

    __slots__ = ("terms", "bound", "strict")

    def __init__(self, declaration: dict, space: Space) -> None:
        self.terms = [(space.index[name], float(coefficient)) for name, coefficient in declaration["terms"]]
        self.bound, self.strict = float(declaration["bound"]), bool(declaration.get("strict"))

    def holds(self, x: Point) -> bool:
        total = magnitude = 0.0
        for index, coefficient in self.terms:
            if x[index] is None:
                return True
            total += coefficient * x[index]
            magnitude += abs(coefficient * x[index])
        if self.strict:
            return total < self.bound
        # a sum of floats may miss a bound that it should meet by a rounding error of this size
        return total <= self.bound + 1e-12 * (magnitude + abs(self.bound))

    def mend(self, x: list, space: Space, rng: random.Random) -> None:
        """Moves its parameters, in random order, as far as needed."""
        magnitude = sum(abs(coefficient * x[index]) for index, coefficient in self.terms)
        excess = sum(coefficient * x[index] for index, coefficient in self.terms) - self.bound
        excess += 1e-9 * (magnitude + abs(self.bound) + 1e-300) if self.strict else 0.0
        terms = list(self.terms)
        rng.shuffle(terms)
        while terms and excess > 0.0:
            index, coefficient = terms.pop()
            # only a part of the way for all but the last, so that mended points do not crowd the corners
            share = rng.random() if terms else 1.0
            parameter, before = space.parameters[index], x[index]
            target = before - share * excess / coefficient
            after = parameter.snap(target)
            if parameter.count is not None and parameter.count > 1 and coefficient * (after - target) > 0.0:
                after = parameter.snap(after - math.copysign(parameter.step, coefficient))
            x[index] = after
            excess += coefficient * (after - before)


class _Forbidden:
    """The combination in which all of these conditions hold is not allowed."""

    __slots__ = ("conditions",)

    def __init__(self, declaration: list, space: Space) -> None:
        self.conditions = [_Condition(condition, space) for condition in declaration]

    def holds(self, x: Point) -> bool:
        return not all(condition.holds(x) for condition in self.conditions)

    def mend(self, x: list, space: Space, rng: random.Random) -> None:
        """Gives one of its parameters another value."""
        condition = rng.choice(self.conditions)
        parameter = space.parameters[condition.index]
        others = [parameter.from_unit(rng.random()) for _ in range(16)]
        if condition.among is None:  # a wide range may leave only a sliver outside: its edges
            step = parameter.step or 1e-9 * max(1.0, abs(parameter.upper - parameter.lower))
            others += [parameter.snap(condition.lower - step), parameter.snap(condition.upper + step)]
        for other in others:
            before, x[condition.index] = x[condition.index], other
            if not condition.holds(x):
                return
            x[condition.index] = before


class Space:
    """Parameters with conditions and constraints; answers every question about a point."""

    def __init__(self, declaration: dict) -> None:
        self.parameters = [Parameter(parameter) for parameter in declaration["parameters"]]
        #: From a name to the place in a point.
        self.index = {parameter.name: index for index, parameter in enumerate(self.parameters)}
        self._conditions = [[_Condition(c, self) for c in parameter.conditions] for parameter in self.parameters]
        self.is_conditional = any(self._conditions)
        #: Indices of the parameters with every parameter after those that its conditions look at.
        self.parents_first = self._parents_first()
        self._conditionals = [index for index in self.parents_first if self._conditions[index]]
        self._rules: list = []
        for constraint in declaration.get("constraints") or []:
            if "linear" in constraint:
                self._rules.append(_Linear(constraint["linear"], self))
            elif "forbidden" in constraint:
                self._rules.append(_Forbidden(constraint["forbidden"], self))
            else:
                raise Unsupported(f"this plugin does not know the constraint {json.dumps(constraint)}")
        self.is_constrained = bool(self._rules)

    def __len__(self) -> int:
        return len(self.parameters)

    def _parents_first(self) -> list:
        order: list = []
        waiting = list(range(len(self.parameters)))
        while waiting:
            ready = [i for i in waiting if all(c.index in order for c in self._conditions[i])]
            if not ready:
                raise Invalid("the conditions go in a circle")
            order += ready
            waiting = [i for i in waiting if i not in ready]
        return order

    def is_active(self, index: int, x: Point) -> bool:
        """Whether a parameter is active, given the coordinates of those before it in `parents_first`."""
        return all(condition.holds(x) for condition in self._conditions[index])

    def assemble(self, coordinates: Sequence[float]) -> list:
        """The point with these coordinates, one per parameter: snapped, inactive ones dropped. Constraints are not
        looked at: see `repair`."""
        return self._without_inactive([p.snap(c) for p, c in zip(self.parameters, coordinates)])

    def _without_inactive(self, x: list) -> list:
        for index in self._conditionals:
            if not self.is_active(index, x):
                x[index] = None
        return x

    def is_feasible(self, x: Point) -> bool:
        """Whether the point keeps every constraint. Domains are not looked at: see `check`."""
        return all(rule.holds(x) for rule in self._rules)

    def check(self, x: Point) -> Optional[str]:
        """Why a point is not in the space, in words; `None` if it is."""
        if len(x) != len(self.parameters):
            return f"it has {len(x)} coordinates, the space has {len(self.parameters)} parameters"
        for index, parameter in enumerate(self.parameters):
            if not self.is_active(index, x):
                if x[index] is not None:
                    return f"{parameter.name} is inactive and has a value"
            elif x[index] is None:
                return f"{parameter.name} is active and has no value"
            elif not parameter.contains(x[index]):
                return f"{parameter.name} = {x[index]} is not a value of this {parameter.kind} parameter"
        return None if self.is_feasible(x) else "it violates a constraint"

    def draw(self, rng: random.Random) -> list:
        """A point that is uniform in the unit cube; constraints are not looked at."""
        return self._without_inactive([parameter.from_unit(rng.random()) for parameter in self.parameters])

    def sample(self, rng: random.Random) -> list:
        """A feasible point, uniform in the unit cube where that is possible: by rejection first, and where the
        constraints leave little room by repairing draws."""
        for _ in range(100):
            x = self.draw(rng)
            if self.is_feasible(x):
                return x
        for _ in range(50):
            repaired = self.repair(self.draw(rng), rng)
            if repaired is not None:
                return repaired
        raise NoFeasiblePoint("no point was found that keeps all constraints; do they contradict each other?")

    def repair(self, x: Point, rng: random.Random) -> Optional[list]:
        """A feasible point near `x`, which must lie in the domains: itself if it is feasible. `None` if that did not
        succeed."""
        if self.is_feasible(x):
            return list(x)
        # a change may activate what was inactive, so everything needs a value
        full = [p.from_unit(rng.random()) if known is None else known for p, known in zip(self.parameters, x)]
        for _ in range(200):
            candidate = self._without_inactive(full[:])
            broken = next((rule for rule in self._rules if not rule.holds(candidate)), None)
            if broken is None:
                return candidate
            broken.mend(full, self, rng)
        return None

    def neighbour(self, x: Point, rng: random.Random, distance: float = 0.1, share: float = 0.5) -> Optional[list]:
        """A feasible point near `x` that differs from it: each active parameter moves with probability `share`, at
        least one does. What becomes active is drawn. `None` if nothing was found in 30 tries."""
        movable = [i for i, c in enumerate(x) if c is not None and self.parameters[i].count != 1]
        if not movable:
            return None
        before = list(x)
        for _ in range(30):
            chosen = [i for i in movable if rng.random() < share] or [rng.choice(movable)]
            full = before[:]
            for index in chosen:
                full[index] = self.parameters[index].move(before[index], rng, distance)
            for index in self._conditionals:
                if not self.is_active(index, full):
                    full[index] = None
                elif full[index] is None:
                    full[index] = self.parameters[index].from_unit(rng.random())
            if self._rules:
                full = self.repair(full, rng)
            if full is not None and full != before:
                return full
        return None

    def values(self, x: Point) -> dict:
        """The active parameters by name."""
        return {p.name: p.value(c) for p, c in zip(self.parameters, x) if c is not None}

    def point(self, values: dict) -> list:
        """The point with these values; ValueError says which name or value does not fit. Constraints and conditions
        are not looked at: see `check`."""
        x: list = [None] * len(self.parameters)
        for name, value in values.items():
            if name not in self.index:
                raise ValueError(f'there is no parameter "{name}"{nearest(name, self.index)}')
            x[self.index[name]] = self.parameters[self.index[name]].coordinate(value)
        return x

    def encode(self, x: Point) -> list:
        """The row of a point in the unit cube, one number per parameter; inactive parameters sit at 0.5."""
        return [0.5 if c is None else p.to_unit(c) for p, c in zip(self.parameters, x)]

    def decode(self, row: Sequence[float]) -> list:
        """The point of a row: inside its domains whatever the numbers. Constraints are not looked at: see `repair`."""
        return self._without_inactive([p.from_unit(unit) for p, unit in zip(self.parameters, row)])


# -- What is to be solved --------------------------------------------------------------------------------------------


class Metric(NamedTuple):
    name: str
    goal: str  #: "minimise" or "maximise"; losses are minimised whatever it is


class OutcomeConstraint(NamedTuple):
    metric: str
    side: str  #: "at_most" or "at_least"
    bound: float


class Fidelity(NamedTuple):
    name: str
    lower: float
    upper: float


class Problem:
    """What the manifest says of the study."""

    def __init__(self, declaration: dict) -> None:
        self.space = Space(declaration["space"])
        self.metrics = [Metric(m["name"], m.get("goal", "minimise")) for m in declaration.get("metrics") or []]
        self.outcome_constraints = [
            OutcomeConstraint(c["metric"], c["side"], float(c["bound"]))
            for c in declaration.get("outcome_constraints") or []
        ]
        fidelity = declaration.get("fidelity")
        self.fidelity = fidelity and Fidelity(fidelity["name"], float(fidelity["lower"]), float(fidelity["upper"]))
        #: How many trials the study will have, if that is known.
        self.trial_count: Optional[int] = declaration.get("trial_count")
        #: As it came.
        self.declaration = declaration

    @property
    def metric_names(self) -> list:
        """Every metric that the study needs, goals first, each once."""
        return list(dict.fromkeys([m.name for m in self.metrics] + [c.metric for c in self.outcome_constraints]))

    def requirements(self) -> list:
        """The capabilities that a strategy needs here."""
        kinds = {"categorical" if p.kind == "bool" else p.kind for p in self.space.parameters}
        needs = [kind for kind in ANY_SPACE if kind in kinds]
        needs += ["conditional"] if self.space.is_conditional else []
        needs += ["constraints"] if self.space.is_constrained else []
        needs += ["multi-objective"] if len(self.metrics) > 1 else []
        return needs + (["outcome-constraints"] if self.outcome_constraints else [])


class Pending(NamedTuple):
    """A trial that was begun and has not ended."""

    trial: int
    x: list


class Prediction(NamedTuple):
    """What a model expects of the first metric at a point, as a loss (always minimised): mean, standard deviation of the
    value that will be observed, and the natural logarithm of the acquisition value."""

    mean: float
    deviation: float
    acquisition: Optional[float] = None


class Suggestion(NamedTuple):
    """A proposed point. `tag` comes back in the observation; `fidelity` is for strategies that choose it; `prediction`
    is kept beside the trial, for `ansatz explain` and `ansatz show`."""

    x: Union[list, dict]
    tag: int = 0
    fidelity: Optional[float] = None
    prediction: Optional[Prediction] = None


class Recommendation(NamedTuple):
    """A point that a strategy would choose for good: what its model expects there of the first metric, as a loss, and the
    standard deviation of that loss, without the noise of a measurement."""

    x: Union[list, dict]
    mean: float
    deviation: float


class Observation:
    """How a trial ended."""

    __slots__ = ("trial", "own", "tag", "status", "x", "losses", "standard_errors", "excesses", "fidelity", "curve")

    def __init__(self, message: dict) -> None:
        self.trial: int = message["trial"]
        #: Whether this strategy proposed it; only then `tag` means something.
        self.own: bool = message.get("own", False)
        self.tag: int = message.get("tag", 0)
        status = message.get("status")
        #: "completed", "infeasible", "failed" or "stopped"
        self.status: str = status if status in ("completed", "infeasible", "stopped") else "failed"
        self.x: list = message["x"]
        #: One per metric, always minimised; `None` where nothing was measured. A stopped trial has its last report's.
        self.losses: Optional[list] = message.get("losses") or None
        self.standard_errors: Optional[list] = message.get("standard_errors") or None
        #: One per outcome constraint, kept at or below 0.
        self.excesses: Optional[list] = message.get("excesses") or None
        self.fidelity: Optional[float] = message.get("fidelity")
        #: What it reported on its way, in a study that ends trials early: pairs of a step and its losses, one per metric,
        #: `None` where it was not measured or is not finite.
        self.curve: list = [(step, [_finite(loss) for loss in losses]) for step, losses in message.get("curve") or ()]

    @property
    def loss(self) -> Optional[float]:
        """The loss of the first metric if the trial completed, else `None`."""
        return self.losses[0] if self.status == "completed" and self.losses else None


# -- Objectives ------------------------------------------------------------------------------------------------------


class Continued:
    """A trial of the same point and seed that was stopped, and that another one continues. Whoever kept its state goes on
    from there; whoever did not begins at the first step: what was reported before is not judged again."""

    __slots__ = ("trial", "attempt", "step", "_output_folder")

    def __init__(self, message: dict) -> None:
        self.trial: int = message["trial"]
        #: Its last attempt, from 1.
        self.attempt: int = message.get("attempt", 1)
        #: The step at which it was stopped.
        self.step: int = message["step"]
        self._output_folder = message.get("output_folder")

    @property
    def output_folder(self):
        """The folder that it had for its files, as a `pathlib.Path`; may not exist, as on another machine. `None` if the
        host has none."""
        import pathlib

        return pathlib.Path(self._output_folder) if self._output_folder else None


class Trial:
    """One evaluation, as the objective sees it. `Trial(options={...})` is one to test with: its reports go nowhere."""

    def __init__(
        self,
        message: Optional[dict] = None,
        context: Optional[Objective] = None,
        channel: Any = None,
        options: Optional[dict] = None,
    ) -> None:
        message = message or {}
        self.number: int = message.get("trial", 0)
        #: 1 for the first attempt.
        self.attempt: int = message.get("attempt", 1)
        #: 64 bits; see `seed32`.
        self.seed: int = message.get("seed", 0)
        #: How much of a full evaluation to do; `None` in a study without fidelity.
        self.fidelity: Optional[float] = message.get("fidelity")
        #: After this many seconds the host ends the program; `None` without a limit.
        self.time_limit_s: Optional[float] = message.get("time_limit_s")
        self.options: dict = context.options if context else options or {}
        self.problem: Optional[Problem] = context.problem if context else None
        self.surroundings: dict = context.surroundings if context else {}
        self._output_folder = message.get("output_folder")
        continued = message.get("continued")
        #: The stopped trial that this one continues; `None` for most.
        self.continued: Optional[Continued] = Continued(continued) if continued else None
        self._channel = channel

    @property
    def seed32(self) -> int:
        """The seed in 32 bits, which is what NumPy and scikit-learn take."""
        return self.seed % 2**32

    @property
    def output_folder(self):
        """The folder for files of this trial, as a `pathlib.Path`; made when it is first asked for. `None` if the
        host has none."""
        import pathlib

        if self._output_folder is None:
            return None
        path = pathlib.Path(self._output_folder)
        path.mkdir(parents=True, exist_ok=True)
        return path

    @property
    def stopped(self) -> bool:
        """Whether the host wants no more of this trial: for loops that do not report."""
        return self._channel is not None and self._channel.stop.is_set()

    def check_stop(self) -> None:
        """Raises `Stopped` when told to stop: for loops that do not report."""
        if self.stopped:
            raise Stopped("stopped by the host")

    def report(self, step: int, metrics: Union[None, float, dict] = None, **named: float) -> None:
        """An intermediate measurement: `report(3, loss=0.5)`, `report(3, {"top-1": 0.5})`, or `report(3, 0.5)` where
        the study has one metric. Raises `Stopped` when told to stop."""
        readings = _readings(metrics if metrics is not None else named, self.problem)
        if metrics is not None and named:
            readings.update(_readings(named, self.problem))
        if self._channel is None:
            return
        body = {"step": int(step), "metrics": {name: _number(value) for name, (value, _) in readings.items()}}
        self._channel.write({"report": body})
        while True:
            answer = self._channel.read()
            if answer is None:
                raise SystemExit(0)
            if "verdict" in answer:
                break
        if answer["verdict"] == "stop" or self.stopped:
            raise Stopped(f"stopped after step {step}")


class Objective:
    """An objective with something to prepare: set the attributes, load data in `setup`, judge in `evaluate`."""

    name = ""
    summary = ""
    #: Defaults by name, or property schemas, or a whole JSON Schema; in an instance the values of the study.
    options: Any = {}
    problem: Problem
    surroundings: dict

    def setup(self) -> None:
        """Called once per study and process, with `problem` and `options` known. Raise `Invalid` or `Unsupported`."""

    def evaluate(self, parameters: dict, trial: Trial) -> Any:
        """Gives a number where the study has one metric, else a dict of numbers or (value, standard error) pairs."""
        raise NotImplementedError


class _FunctionObjective(Objective):
    def __init__(self, function: Callable) -> None:
        self.evaluate = function  # type: ignore[method-assign]


def objective(name: str, summary: str = "", options: Any = None) -> Callable[[Callable], Callable]:
    """Makes a function `(parameters, trial)` an objective. It stays a function: call it as you like."""

    def declare(function: Callable) -> Callable:
        about = summary or (function.__doc__ or "").strip().split("\n")[0]
        function.ansatz_objective = {"name": name, "summary": about, "options": options or {}}  # type: ignore
        return function

    return declare


def _readings(result: Any, problem: Optional[Problem]) -> dict:
    """A result as name -> (value, standard error or None)."""
    if not isinstance(result, dict):
        names = problem.metric_names if problem else ["loss"]
        if result is None:
            raise Failed(f"the objective returned nothing; the study needs {', '.join(names)}")
        if len(names) != 1:
            raise Failed(f"the objective returned one number; the study needs a dict with {', '.join(names)}")
        result = {names[0]: result}
    readings = {}
    for metric, value in result.items():
        error = None
        if isinstance(value, (tuple, list)) and len(value) == 2:
            value, error = value
        try:
            readings[str(metric)] = (float(value), None if error is None else float(error))
        except (TypeError, ValueError):
            raise Failed(f"metric {metric} is {value!r}, not a number") from None
    return readings


def _number(value: float) -> Union[None, float, str]:
    """A float as the protocol writes it."""
    if value != value:
        return None
    if value in (math.inf, -math.inf):
        return "inf" if value > 0 else "-inf"
    return value


def _prediction(said: Any) -> Optional[dict]:
    """A prediction as the protocol writes it; `None` for one that is none: no point is lost for what was said of it."""
    try:
        values = Prediction(**said) if isinstance(said, dict) else Prediction(*said or ())
        mean, deviation = float(values.mean), float(values.deviation)
        acquisition = None if values.acquisition is None else float(values.acquisition)
    except (TypeError, ValueError):
        return None
    if not (math.isfinite(mean) and math.isfinite(deviation) and deviation >= 0.0):
        return None
    prediction = {"mean": mean, "deviation": deviation}
    if acquisition is not None and math.isfinite(acquisition):
        prediction["acquisition"] = acquisition
    return prediction


# -- Strategies ------------------------------------------------------------------------------------------------------


class Strategy:
    """A strategy: set the attributes, say in `ask` what to try, learn in `tell`. The same seed and the same calls must
    give the same suggestions: take all randomness from `self.rng`, and do not iterate over sets of texts."""

    name = ""
    summary = ""
    #: Defaults by name, or property schemas, or a whole JSON Schema; in an instance the values of the study.
    options: Any = {}
    #: What it can do; a problem that needs more is refused before `setup`.
    capabilities: Sequence[str] = ANY_SPACE
    #: Names of attributes that JSON can hold: what a snapshot consists of. Tuples come back as lists, keys as texts.
    saved: Sequence[str] = ()
    problem: Problem
    space: Space
    surroundings: dict
    rng: random.Random
    #: 64 bits, for random generators of other libraries.
    seed: int

    def setup(self) -> None:
        """Called once, with `problem`, `space`, `options` and `rng` known. Raise `Invalid` or `Unsupported`."""

    def ask(self, count: int, pending: list) -> Iterable:
        """Up to `count` points (lists of coordinates, dicts of values, or `Suggestion`). Fewer is fine; none means
        that it waits for results. Raise `Exhausted` if there will never be more."""
        raise NotImplementedError

    def tell(self, observations: list) -> None:
        """Every finished trial of the study, each once."""

    def recommend(self) -> Iterable:
        """Each a `Recommendation`, best first: the points that it would choose for good. None where it has no model, or
        knows too little. Must not change what it suggests afterwards."""
        return ()

    def state(self) -> Any:
        """Everything that JSON can hold and `restore` needs; `self.rng` is saved for you."""
        return {name: getattr(self, name) for name in self.saved}

    def restore(self, state: Any) -> None:
        """Called right after `setup` with what `state` gave."""
        for name in self.saved:
            setattr(self, name, state[name])


# -- Early stopping --------------------------------------------------------------------------------------------------


class Report:
    """What a running trial measured at a step."""

    __slots__ = ("trial", "step", "losses", "excesses", "fidelity")

    def __init__(self, message: dict) -> None:
        self.trial: int = message["trial"]
        #: Epoch, iteration; increasing within a trial.
        self.step: int = message["step"]
        #: One per metric, always minimised; `None` where it was not measured or is not finite.
        self.losses: list = [_finite(loss) for loss in message["losses"]]
        #: One per outcome constraint, kept at or below 0; `None` as for losses.
        self.excesses: list = [_finite(excess) for excess in message.get("excesses") or ()]
        self.fidelity: Optional[float] = message.get("fidelity")


def _finite(number: Any) -> Optional[float]:
    return float(number) if isinstance(number, (int, float)) and math.isfinite(number) else None


class Promotion(NamedTuple):
    """A stopped trial that is to go on."""

    #: Its number.
    trial: int
    #: What was compared with what. The host puts the rule's name before it.
    reason: str = ""


class EarlyStopping:
    """A rule that ends trials early: set the attributes, judge in `reported`, learn in `finished`. The same seed and the
    same reports must give the same verdicts: take all randomness from `self.rng`. One that has stopped trials go on after
    all overrides `promotable` and `promoted`."""

    name = ""
    summary = ""
    #: Defaults by name, or property schemas, or a whole JSON Schema; in an instance the values of the study.
    options: Any = {}
    #: `("multi-objective",)` if it judges several metrics; without it, it is not used where there are several.
    capabilities: Sequence[str] = ()
    problem: Problem
    surroundings: dict
    rng: random.Random
    #: 64 bits, for random generators of other libraries.
    seed: int

    def setup(self) -> None:
        """Called once, with `problem`, `options` and `rng` known. Raise `Invalid` or `Unsupported`."""

    def reported(self, report: Report) -> Optional[str]:
        """Why the trial is to end, as a text; `None` lets it go on. The host puts the rule's name and the step before."""
        raise NotImplementedError

    def finished(self, observation: Observation) -> None:
        """Every trial that ended, however it did, each once."""

    def promotable(self) -> Optional[Promotion]:
        """Which of the trials that this rule stopped is to go on after all: `Promotion(trial, reason)`, or `None`. It must
        have ended, as `finished` tells, and no other may continue it yet. Asked whenever a trial can be started and
        something was stopped; to be asked must change nothing, since `promoted` need not follow."""
        return None

    def promoted(self, continued: int, trial: int) -> None:
        """A stopped trial goes on as another one with the same point: `continued` stays as it ended, and `trial` reports
        the steps that come after."""


def create(
    component: type, problem: dict, options: Optional[dict] = None, seed: int = 0, surroundings: Optional[dict] = None
) -> Any:
    """A component without a host: for tests."""
    instance = component() if isinstance(component, type) else _FunctionObjective(component)
    schema = _schema(component)
    instance.problem = Problem(problem)
    if isinstance(instance, Strategy):
        capabilities = _describe(component)["capabilities"]
        missing = [need for need in instance.problem.requirements() if need not in capabilities]
        if missing:
            raise Unsupported(f"{component.name} cannot do what this study needs: {', '.join(missing)}")
        instance.space = instance.problem.space
        instance.seed, instance.rng = seed, random.Random(seed)
    if isinstance(instance, EarlyStopping):
        if len(instance.problem.metrics) > 1 and "multi-objective" not in component.capabilities:
            raise Unsupported(f"{component.name} cannot do what this study needs: multi-objective")
        instance.seed, instance.rng = seed, random.Random(seed)
    instance.options = _checked_options(options or {}, schema)
    instance.surroundings = surroundings or {}
    instance.setup()
    return instance


# -- Options ---------------------------------------------------------------------------------------------------------

_TYPES = {bool: "boolean", int: "integer", float: "number", str: "string", list: "array", dict: "object"}


def _declaration(component: Any) -> dict:
    if isinstance(component, type) and issubclass(component, (Strategy, Objective, EarlyStopping)):
        return {"name": component.name, "summary": component.summary, "options": component.options}
    declared = getattr(component, "ansatz_objective", None)
    if declared is None:
        raise TypeError(f"serve takes decorated functions and subclasses of its classes, not {component!r}")
    return declared


def _schema(component: Any) -> dict:
    """The JSON Schema of the options, from one or from defaults by name."""
    options = _declaration(component)["options"]
    if options.get("type") == "object" and isinstance(options.get("properties"), dict):
        return options
    properties = {}
    for name, default in options.items():
        if isinstance(default, dict) and ("type" in default or "enum" in default):
            properties[name] = default
        elif type(default) in _TYPES:
            properties[name] = {"type": _TYPES[type(default)], "default": default}
        else:
            raise TypeError(f"option {name}: give a default of type bool, int, float, str, list or dict, or a schema")
    return {"type": "object", "properties": properties, "additionalProperties": False}


def _checked_options(given: dict, schema: dict) -> dict:
    """The options with defaults filled in; unknown names and wrong values are refused."""
    known, options = schema["properties"], {}
    for name, value in given.items():
        if name in known:
            options[name] = _checked_value(f"option {name}", value, known[name])
        elif schema.get("additionalProperties", True) is False:
            raise Invalid(f'there is no option "{name}"{nearest(name, known)}; there are: {", ".join(known) or "none"}')
        else:
            options[name] = value
    for name, about in known.items():
        if name not in options:
            if name in schema.get("required", ()):
                raise Invalid(f"option {name} is missing")
            # a copy: a plugin that changes its options must not change the default
            options[name] = json.loads(json.dumps(about.get("default")))
    return options


def _checked_value(what: str, value: Any, about: dict) -> Any:
    types = about.get("type", [])
    types = [types] if isinstance(types, str) else types
    if "integer" in types and isinstance(value, float) and value.is_integer():
        value = int(value)
    found = "null" if value is None else _TYPES.get(type(value), type(value).__name__)
    if types and found not in types and not (found == "integer" and "number" in types):
        raise Invalid(f"{what} must be of type {' or '.join(types)}, found {json.dumps(value)}")
    if types == ["number"]:
        value = float(value)
    if "enum" in about and value not in about["enum"]:
        known = [str(choice) for choice in about["enum"]]
        raise Invalid(f"{what} must be one of {', '.join(known)}, found {json.dumps(value)}{nearest(value, known)}")
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        for key, words, keeps in (
            ("minimum", "at least", lambda bound: value >= bound),
            ("maximum", "at most", lambda bound: value <= bound),
            ("exclusiveMinimum", "above", lambda bound: value > bound),
            ("exclusiveMaximum", "below", lambda bound: value < bound),
        ):
            if key in about and not keeps(about[key]):
                raise Invalid(f"{what} must be {words} {about[key]}, found {json.dumps(value)}")
    if isinstance(value, list) and isinstance(about.get("items"), dict):
        return [_checked_value(f"{what}[{index}]", item, about["items"]) for index, item in enumerate(value)]
    return value


def _describe(component: Any) -> dict:
    """The component as `hello` has it."""
    declared = _declaration(component)
    about: dict = {"role": "objective", "name": declared["name"], "summary": declared["summary"]}
    if isinstance(component, type) and issubclass(component, Strategy):
        about["role"] = "strategy"
        about["capabilities"] = list(component.capabilities)
        keeps_state = component.saved or component.state is not Strategy.state
        if keeps_state and "snapshot" not in about["capabilities"]:
            about["capabilities"].append("snapshot")
    if isinstance(component, type) and issubclass(component, EarlyStopping):
        about["role"] = "early-stopping"
        about["capabilities"] = list(component.capabilities)
    about["options"] = _schema(component)
    return about


# -- The conversation ------------------------------------------------------------------------------------------------

_encode = json.JSONEncoder(allow_nan=False, separators=(",", ":")).encode
_channel: Optional[_Channel] = None


def _claim() -> tuple:
    """Takes the pipes for the protocol. They move to descriptors of our own, which no child process inherits: what the
    program, a library or a child reads from 0 is empty, and what they print to 1 goes to standard error."""
    requests, answers = os.fdopen(os.dup(0), "rb"), os.dup(1)
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.close(null)
    os.dup2(2, 1)
    if hasattr(sys.stdout, "reconfigure"):
        sys.stdout.reconfigure(line_buffering=True)
    return requests, answers


def _is_plugin_program() -> bool:
    """Whether this process is the program of a plugin.toml rather than, say, a test that imports it."""
    try:
        with open("plugin.toml", encoding="utf-8") as file:
            named = os.path.basename(sys.argv[0] or "?") in file.read()
        return named and not os.isatty(0) and not os.isatty(1)
    except OSError:
        return False


# As early as possible: libraries print while they are loaded.
_claimed: Optional[tuple] = _claim() if _is_plugin_program() else None


class _Channel:
    """The two pipes to the host. Requests are read by the caller, until an objective is evaluated: from then on by a
    thread, because `stop` may come at any moment."""

    def __init__(self) -> None:
        import threading

        self._input, self._output = _claimed or _claim()
        self.stop = threading.Event()
        self._lock = threading.Lock()
        self._writing = threading.Lock()  # a thread of the plugin may log
        self._evaluating = False
        self._queue: Any = None

    def write(self, message: dict) -> None:
        data = _encode(message).encode() + b"\n"
        try:
            with self._writing:
                while data:
                    data = data[os.write(self._output, data) :]
        except (BrokenPipeError, ConnectionResetError):
            # the host is gone, and nobody is left to tell
            raise SystemExit(0) from None

    def _read_line(self) -> Optional[dict]:
        while True:
            line = self._input.readline()
            if not line:
                return None
            if line.strip():
                try:
                    message = json.loads(line)
                except ValueError:
                    message = None
                return message if isinstance(message, dict) else {"": line}

    def read(self) -> Optional[dict]:
        """The next message; `None` at the end of input."""
        return self._read_line() if self._queue is None else self._queue.get()

    def begin_evaluation(self) -> None:
        if self._queue is None:
            import queue
            import threading

            self._queue = queue.SimpleQueue()
            threading.Thread(target=self._read_ahead, daemon=True).start()
        self._evaluating = True

    def end_evaluation(self) -> None:
        with self._lock:
            self._evaluating = False

    def _read_ahead(self) -> None:
        import signal
        import threading
        import time

        while True:
            message = self._read_line()
            if message is not None and "stop" in message:
                self.stop.set()
                continue
            if message is not None and "evaluate" in message:
                self.stop.clear()
            self._queue.put(message)
            if message is None:
                break
        with self._lock:
            if not self._evaluating:
                return
            # the host is gone: a Ctrl-C lets the evaluation tidy up
            signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)
        time.sleep(2.0)
        os._exit(0)


def log(message: str, level: str = "info") -> None:
    """A line for the study's log, while a request is answered. Levels: "error", "warning", "info", "debug"."""
    if _channel is None:
        print(f"{level}: {message}", file=sys.stderr)
    else:
        _channel.write({"log": {"level": level, "message": str(message)}})


class _Server:
    def __init__(self, components: Sequence, version: str, package: str, channel: _Channel) -> None:
        self.components = {_declaration(component)["name"]: component for component in components}
        self.version, self.package, self.channel = version, package, channel
        self.instance: Any = None
        self.ended = False

    def answer(self, message: dict) -> Optional[dict]:
        verb = next((verb for verb in message if verb in self._VERBS), None)
        try:
            if verb is None:
                if "stop" in message:  # it came too late
                    return None
                if "" in message:
                    raise Invalid(f"this is no JSON object: {message[''][:80]!r}")
                raise Unsupported(f"this plugin does not know the request {next(iter(message), '{}')}")
            return self._VERBS[verb](self, message[verb])
        except Fault as fault:
            if isinstance(fault, (Failed, Infeasible, Stopped)) and verb != "evaluate":
                return _fault("other", str(fault))
            return _fault(fault.kind, str(fault))
        except KeyboardInterrupt:
            raise
        except SystemExit as end:
            if self.ended or verb != "evaluate" or end.code in (0, None):
                raise
            return _fault("failed", f"the objective ended the program with code {end.code}", _location(end))
        except BaseException as error:  # nothing that a plugin does may end the conversation
            traceback.print_exc()
            # a state that a strategy stumbles over is a damaged one
            kinds = {"evaluate": "failed", "create": "other", "restore": "invalid"}
            kind = kinds.get(verb or "", "panic")
            return _fault(kind, f"{type(error).__name__}: {error}", _location(error))

    def hello(self, body: dict) -> dict:
        if body.get("protocol") != PROTOCOL:
            self.ended = True
            raise Unsupported(f"this plugin speaks protocol {PROTOCOL}, the host {body.get('protocol')}")
        described = [_describe(component) for component in self.components.values()]
        features = ["stop"] if any(about["role"] == "objective" for about in described) else []
        # whoever has the default is spared the question
        for feature, role, call in (("recommend", Strategy, "recommend"), ("promote", EarlyStopping, "promotable")):
            default = getattr(role, call)
            if any(getattr(component, call, default) is not default for component in self.components.values()):
                features.append(feature)
        build = f"{platform.python_implementation()} {platform.python_version()}"
        return {
            "hello": {
                "protocol": PROTOCOL,
                "package": self.package,
                "version": self.version,
                "build": build,
                "components": described,
                "features": features,
            }
        }

    def create(self, body: dict) -> dict:
        self.instance = None
        name = body.get("name", "")
        if name not in self.components:
            raise Invalid(f'there is no "{name}" here{nearest(name, self.components)}')
        self.instance = create(
            self.components[name], body["problem"], body.get("options"), body.get("seed") or 0, body.get("surroundings")
        )
        return {"ok": {}}

    def _created(self, kind: type) -> Any:
        if not isinstance(self.instance, kind):
            raise Invalid(f"no {kind.__name__.lower()} was created")
        return self.instance

    def ask(self, body: dict) -> dict:
        strategy = self._created(Strategy)
        pending = [Pending(entry["trial"], entry["x"]) for entry in body.get("pending") or ()]
        answers = []
        for suggestion in strategy.ask(body.get("count", 1), pending) or ():
            if not isinstance(suggestion, Suggestion):
                suggestion = Suggestion(suggestion)
            x = suggestion.x
            answer = {"x": _coordinates(strategy.space.point(x) if isinstance(x, dict) else x), "tag": suggestion.tag}
            if suggestion.fidelity is not None:
                answer["fidelity"] = float(suggestion.fidelity)
            prediction = _prediction(suggestion.prediction)
            if prediction is not None:
                answer["prediction"] = prediction
            answers.append(answer)
        return {"suggestions": answers}

    def tell(self, body: dict) -> dict:
        self._created(Strategy).tell([Observation(message) for message in body["observations"]])
        return {"ok": {}}

    def reported(self, body: dict) -> dict:
        stop = self._created(EarlyStopping).reported(Report(body))
        if stop is None or stop is False:
            return {"ruling": {}}
        return {"ruling": {"stop": stop if isinstance(stop, str) else "it says so"}}

    def finished(self, body: dict) -> dict:
        self._created(EarlyStopping).finished(Observation(body))
        return {"ok": {}}

    def promotable(self, _: dict) -> dict:
        promotion = self._created(EarlyStopping).promotable()
        if promotion is None:
            return {"promotion": {}}
        trial, reason = Promotion(*promotion) if isinstance(promotion, tuple) else Promotion(promotion)
        return {"promotion": {"continued": operator.index(trial), "reason": str(reason)}}

    def promoted(self, body: dict) -> dict:
        self._created(EarlyStopping).promoted(body["continued"], body["trial"])
        return {"ok": {}}

    def snapshot(self, _: dict) -> dict:
        strategy = self._created(Strategy)
        if not (strategy.saved or type(strategy).state is not Strategy.state):
            return {"snapshot": {"state": None}}
        import base64

        version, words, gauss = strategy.rng.getstate()
        packed = b"".join(word.to_bytes(4, "little") for word in words)
        state = {"rng": [version, base64.b64encode(packed).decode(), gauss], "state": strategy.state()}
        return {"snapshot": {"state": base64.b64encode(json.dumps(state, separators=(",", ":")).encode()).decode()}}

    def restore(self, body: dict) -> dict:
        strategy = self._created(Strategy)
        import base64

        try:
            state = json.loads(base64.b64decode(body["state"], validate=True))
            version, packed, gauss = state["rng"]
            packed = base64.b64decode(packed)
            words = tuple(int.from_bytes(packed[i : i + 4], "little") for i in range(0, len(packed), 4))
            strategy.rng.setstate((version, words, gauss))
        except (KeyError, TypeError, ValueError) as error:
            raise Invalid(f"this is no snapshot of {strategy.name}: {error}") from None
        strategy.restore(state["state"])
        return {"ok": {}}

    def recommend(self, _: dict) -> dict:
        strategy = self._created(Strategy)
        answers = []
        for x, mean, deviation in strategy.recommend() or ():
            mean, deviation = float(mean), float(deviation)
            if math.isfinite(mean) and math.isfinite(deviation):
                x = _coordinates(strategy.space.point(x) if isinstance(x, dict) else x)
                answers.append({"x": x, "mean": mean, "deviation": deviation})
        return {"recommendations": answers}

    def evaluate(self, body: dict) -> dict:
        instance = self._created(Objective)
        space = instance.problem.space
        # from the coordinates, so that an int is an int whatever JSON made of it
        parameters = space.values(body["x"]) if "x" in body else body["parameters"]
        self.channel.begin_evaluation()
        try:
            result = instance.evaluate(parameters, Trial(body, instance, self.channel))
            readings = _readings(result, instance.problem)
        finally:
            self.channel.end_evaluation()
        measurement: dict = {"metrics": {name: _number(value) for name, (value, _) in readings.items()}}
        errors = {name: _number(error) for name, (_, error) in readings.items() if error is not None}
        if errors:
            measurement["standard_errors"] = errors
        measurement["trial"] = body["trial"]
        return {"measurement": measurement}

    _VERBS = {
        "hello": hello,
        "create": create,
        "ask": ask,
        "tell": tell,
        "reported": reported,
        "finished": finished,
        "promotable": promotable,
        "promoted": promoted,
        "snapshot": snapshot,
        "restore": restore,
        "recommend": recommend,
        "evaluate": evaluate,
    }


def _coordinates(x: Iterable) -> list:
    """A point as JSON takes it: numbers of other libraries become plain ones."""
    plain = [c if c is None or type(c) is float or type(c) is int else float(c) for c in x]
    for index, coordinate in enumerate(plain):
        if coordinate is not None and not -math.inf < coordinate < math.inf:
            raise ValueError(f"coordinate {index} of a suggestion is {coordinate}")
    return plain


def _fault(kind: str, message: str, location: Optional[str] = None) -> dict:
    fault = {"kind": kind, "message": message}
    if location:
        fault["location"] = location
    return {"fault": fault}


def _location(error: BaseException) -> Optional[str]:
    """Where it happened, as file:line: the innermost place in the program's own folder, if there is one."""
    here, folder, found = os.path.abspath(__file__), os.getcwd() + os.sep, None
    for frame, line in traceback.walk_tb(error.__traceback__):
        path = os.path.abspath(frame.f_code.co_filename)
        if path == here:
            continue
        if path.startswith(folder) and os.sep + "site-packages" + os.sep not in path:
            found = (path[len(folder) :], line)
        elif found is None or os.path.isabs(found[0]):
            found = (path, line)
    return found and f"{found[0]}:{found[1]}"


def _version_of_folder() -> Optional[str]:
    """The version in the plugin.toml beside the program: one place is enough to state it."""
    try:
        with open("plugin.toml", encoding="utf-8") as file:
            found = re.search(r"""^\s*version\s*=\s*["']([^"']*)["']""", file.read(), re.MULTILINE)
    except OSError:
        return None
    return found and found.group(1)


def serve(*components: Any, version: Optional[str] = None, package: Optional[str] = None) -> None:
    """Answers the host until it closes the pipe. `components` are decorated functions and subclasses of `Strategy`,
    `Objective` and `EarlyStopping`; `version` is by default that of the plugin.toml."""
    global _channel
    for component in components:
        _describe(component)  # a mistake in a declaration is found now, not by the host
    if not components:
        raise TypeError("serve needs at least one component: serve(evaluate)")
    if sys.stdin is not None and sys.stdin.isatty():
        print("This program speaks with ansatz. To try it: ansatz plugins check .", file=sys.stderr)
    name = _declaration(components[0])["name"]
    _channel = channel = _Channel()
    server = _Server(components, version or _version_of_folder() or "0.0.0", package or name.replace(".", "-"), channel)
    try:
        while not server.ended:
            message = channel.read()
            if message is None:
                break
            reply = server.answer(message)
            if reply is not None:
                channel.write(reply)
    except KeyboardInterrupt:
        # Ctrl-C of a person, or ours because the host is gone: no traceback in either case
        raise SystemExit(130) from None
