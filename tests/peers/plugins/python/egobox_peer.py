"""egobox, a Rust library through its Python binding: `Egor.suggest` with its defaults. It has no log scales: such
axes are places in the unit interval. First come max(5, d + 1) points of its own Latin hypercube."""

import egobox
import numpy
from peer import Flat


class Egobox(Flat):
    def __init__(self, space, seed, trial_count):
        super().__init__(space, seed, trial_count)
        kinds = egobox.XType
        self.specification = []
        for axis in self.axes:
            if axis.kind == "choice":
                self.specification.append(egobox.XSpec(kinds.ENUM, [axis.count]))
            elif axis.log:
                self.specification.append(egobox.XSpec(kinds.FLOAT, [0.0, 1.0]))
            else:
                kind = kinds.INT if axis.kind == "int" else kinds.FLOAT
                self.specification.append(egobox.XSpec(kind, [axis.low, axis.high]))
        self.optimizer = egobox.Egor(self.specification, seed=seed)
        first_count = max(5, len(self.axes) + 1)
        self.first = [list(row) for row in numpy.asarray(egobox.lhs(self.specification, first_count, seed=seed))]
        self.rows, self.losses = [], []

    def propose(self):
        if self.first or not self.rows:
            row = self.first.pop(0) if self.first else [0.0] * len(self.axes)
        else:
            row = numpy.asarray(self.optimizer.suggest(numpy.array(self.rows), numpy.array(self.losses)))[0]
        row = [float(value) for value in row]
        values = [axis.parameter.from_unit(v) if axis.log else v for axis, v in zip(self.axes, row)]
        return self.point(values), row

    def learn(self, x, loss, handle):
        if handle is None:
            units = self.space.encode(x)
            handle = [units[axis.index] if axis.log else v for axis, v in zip(self.axes, self.values(x))]
        self.rows.append([float(value) for value in handle])
        self.losses.append([loss])
