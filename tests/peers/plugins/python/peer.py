"""What the adapters of the public optimisers share.

An adapter drives one library: `propose` gives a point, `learn` hears its loss. Everything about the protocol, several
pending trials, failures and results of other strategies is here.
"""

import math

from ansatz_plugin import Invalid, Strategy, Suggestion

#: What the base class makes of every adapter: conditions are native in some libraries, and flat in the others.
CAPABILITIES = ("float", "int", "categorical", "ordinal", "conditional")


class Adapter:
    """One library on one space, minimising one loss."""

    #: Whether it is asked again only after it heard of its last proposal: for libraries that would say the same twice.
    is_sequential = True

    def __init__(self, space, seed, trial_count):
        #: `seed` has 31 bits; `trial_count` is `None` where the study has no such limit.
        self.space, self.seed, self.trial_count = space, seed, trial_count

    def propose(self):
        """A point (snapped and without inactive parameters, see `Space.assemble`) and whatever `learn` wants back; `None`
        where the library waits for results first."""
        raise NotImplementedError

    def learn(self, x, loss, handle):
        """How a point turned out; `handle` is `None` for a point of another strategy. Without `fail`, a failed trial
        comes here as well, as bad as the worst known."""
        raise NotImplementedError

    #: For libraries that know failures: `fail(x, handle)`.
    fail = None


class Peer(Strategy):
    """A strategy that leaves everything to an adapter."""

    capabilities = CAPABILITIES

    def adapter(self):
        """The class of the adapter, imported now: listing plugins should not load torch."""
        raise NotImplementedError

    def setup(self):
        count = self.problem.trial_count
        self.is_constant = all(parameter.count == 1 for parameter in self.space.parameters)
        self.driven = None if self.is_constant else self.adapter()(self.space, self.seed % 2**31, count)
        self.open, self.asked, self.heard = {}, 0, set()
        self.worst, self.waiting = None, []

    def ask(self, count, pending):
        if self.is_constant:
            return [self.space.assemble([parameter.lower for parameter in self.space.parameters])]
        found = []
        while len(found) < count and not (self.driven.is_sequential and self.open):
            proposal = self.driven.propose()
            if proposal is None:
                break
            x, handle = proposal
            self.asked += 1
            self.open[self.asked] = handle
            found.append(Suggestion(x, tag=self.asked))
        return found

    def tell(self, observations):
        for seen in observations:
            if seen.loss is not None and not math.isfinite(seen.loss):
                raise Invalid(f"trial {seen.trial} has a loss of {seen.loss}")
        for seen in observations:
            if seen.trial in self.heard or self.is_constant:
                continue
            self.heard.add(seen.trial)
            # `True` where a library has nothing to remember
            handle = (self.open.pop(seen.tag, None) or True) if seen.own else None
            if seen.loss is not None:
                self.worst = seen.loss if self.worst is None else max(self.worst, seen.loss)
                self.driven.learn(seen.x, seen.loss, handle)
            elif self.driven.fail is not None:
                self.driven.fail(seen.x, handle)
            else:
                self.waiting.append((seen.x, handle))
        if self.worst is not None:
            for x, handle in self.waiting:
                self.driven.learn(x, self.worst, handle)
            self.waiting.clear()


class Axis:
    """A parameter for a library that knows numbers and choices, without conditions: a "float" or an "int" between
    `low` and `high`, perhaps on a log scale, or a "choice" of `count`. Values with an order but no size, and numbers
    with a step, are ints that count them."""

    def __init__(self, index, parameter):
        self.index, self.parameter, self.name = index, parameter, parameter.name
        self.log, self.count = parameter.log, parameter.count
        self.low, self.high = parameter.lower, parameter.upper
        self.is_counted = False
        if parameter.kind in ("categorical", "bool"):
            self.kind = "choice"
        elif parameter.count is None:
            self.kind = "float"
        else:
            self.kind = "int"
            if parameter.kind != "int" or parameter.step != 1:
                self.is_counted, self.log, self.low, self.high = True, False, 0, parameter.count - 1

    def value(self, coordinate):
        """What the library is told."""
        if coordinate is None:  # inactive
            coordinate = self.parameter.from_unit(0.5)
        if self.is_counted:
            return round((coordinate - self.parameter.lower) / self.parameter.step)
        return float(coordinate) if self.kind == "float" else int(coordinate)

    def coordinate(self, value):
        """What the library said."""
        if self.is_counted:
            return self.parameter.nth(round(float(value)))
        return self.parameter.snap(float(value))


class Flat(Adapter):
    """For libraries without conditions: they propose values for all parameters, and those of inactive ones are
    dropped. They learn of their own points as they proposed them."""

    def __init__(self, space, seed, trial_count):
        super().__init__(space, seed, trial_count)
        axes = [Axis(index, parameter) for index, parameter in enumerate(space.parameters)]
        #: Those with more than one value.
        self.axes = [axis for axis in axes if axis.count != 1]

    def point(self, values):
        coordinates = [parameter.lower for parameter in self.space.parameters]
        for axis, value in zip(self.axes, values):
            coordinates[axis.index] = axis.coordinate(value)
        return self.space.assemble(coordinates)

    def values(self, x):
        return [axis.value(x[axis.index]) for axis in self.axes]


class Relaxed(Flat):
    """For libraries of real numbers only: numbers are places in the unit interval, choices are relaxed one-hot and the
    largest wins. An inactive parameter is in the middle, an inactive choice none."""

    def __init__(self, space, seed, trial_count):
        super().__init__(space, seed, trial_count)
        #: How many numbers each of the axes has.
        self.widths = [axis.count if axis.kind == "choice" else 1 for axis in self.axes]

    def encode(self, x):
        row = []
        for axis in self.axes:
            coordinate = x[axis.index]
            if axis.kind == "choice":
                row += [float(coordinate == choice) for choice in range(axis.count)]
            else:
                row.append(0.5 if coordinate is None else axis.parameter.to_unit(coordinate))
        return row

    def decode(self, row):
        """The point of a row of floats."""
        coordinates = [parameter.lower for parameter in self.space.parameters]
        begin = 0
        for axis, width in zip(self.axes, self.widths):
            places = row[begin : begin + width]
            choice = max(range(width), key=places.__getitem__)
            coordinates[axis.index] = choice if axis.kind == "choice" else axis.parameter.from_unit(places[0])
            begin += width
        return self.space.assemble(coordinates)

    def placed(self, units):
        """The point at one place in the unit interval for each of the axes."""
        coordinates = [parameter.lower for parameter in self.space.parameters]
        for axis, unit in zip(self.axes, units):
            coordinates[axis.index] = axis.parameter.from_unit(unit)
        return self.space.assemble(coordinates)
