"""hyperopt: TPE with its defaults, asked as its own loop asks it. A parameter whose one condition is on a categorical
is under that choice; other conditions are flat."""

import logging
import math

import numpy
from hyperopt import JOB_STATE_DONE, STATUS_FAIL, STATUS_OK, Trials, hp, tpe
from hyperopt.base import Domain, spec_from_misc
from hyperopt.pyll.base import rec_eval
from peer import Axis, Adapter

logging.getLogger("hyperopt").setLevel(logging.ERROR)


class Hyperopt(Adapter):
    is_sequential = False

    def __init__(self, space, seed, trial_count):
        super().__init__(space, seed, trial_count)
        self.axes = [Axis(index, parameter) for index, parameter in enumerate(space.parameters)]
        self.nodes = {}
        roots = {f"x{i}": self.node(i) for i in range(len(self.axes)) if self.parent(i) is None}
        self.domain = Domain(lambda found: 0.0, roots)
        self.trials = Trials()
        self.rng = numpy.random.default_rng(seed)

    def parent(self, index):
        """The categorical that this parameter is under, and the choices that make it active."""
        conditions = self.space.parameters[index].conditions
        if len(conditions) != 1:
            return None
        above, test = self.space.index[conditions[0]["parameter"]], conditions[0]["test"]
        if self.axes[above].kind != "choice" or self.axes[above].count == 1 or "within" in test:
            return None
        values = [test["equals"]] if "equals" in test else test.get("among", test.get("one_of"))
        return above, [int(self.space.parameters[above].coordinate(value)) for value in values]

    def node(self, index):
        if index not in self.nodes:
            self.nodes[index] = self.make_node(index, self.axes[index])
        return self.nodes[index]

    def make_node(self, index, axis):
        name = f"x{index}"
        if axis.count == 1:
            return 0
        if axis.kind == "choice":
            under = [(i, self.parent(i)) for i in range(len(self.axes))]
            under = [(i, parent[1]) for i, parent in under if parent is not None and parent[0] == index]
            return hp.choice(
                name, [{"": c, **{f"x{i}": self.node(i) for i, of in under if c in of}} for c in range(axis.count)]
            )
        if axis.kind == "int" and axis.log:
            return hp.qloguniform(name, math.log(max(axis.low - 0.5, 0.5)), math.log(axis.high + 0.5), 1)
        if axis.kind == "int":
            return hp.uniformint(name, axis.low, axis.high)
        if axis.log:
            return hp.loguniform(name, math.log(axis.low), math.log(axis.high))
        return hp.uniform(name, axis.low, axis.high)

    def gather(self, found, coordinates):
        for name, value in found.items():
            if name:
                index = int(name[1:])
                axis = self.axes[index]
                if isinstance(value, dict):
                    coordinates[index] = value[""]
                    self.gather(value, coordinates)
                elif axis.count != 1:
                    low, high = axis.low, axis.high
                    coordinates[index] = axis.coordinate(min(max(float(value), low), high))

    def propose(self):
        identity = self.trials.new_trial_ids(1)
        self.trials.refresh()
        (document,) = tpe.suggest(identity, self.domain, self.trials, self.rng.integers(2**31 - 1))
        memo = self.domain.memo_from_config(spec_from_misc(document["misc"]))
        found = rec_eval(self.domain.expr, memo=memo, print_node_on_error=False)
        coordinates = [parameter.from_unit(0.5) for parameter in self.space.parameters]
        self.gather(found, coordinates)
        return self.space.assemble(coordinates), document

    def learn(self, x, loss, handle):
        if handle is None:
            handle = self.foreign(x)
        self.end(handle, {"status": STATUS_OK, "loss": loss})

    def fail(self, x, handle):
        if handle is not None:
            self.end(handle, {"status": STATUS_FAIL})

    def end(self, document, result):
        document["result"], document["state"] = result, JOB_STATE_DONE
        self.trials.insert_trial_docs([document])
        self.trials.refresh()

    def foreign(self, x):
        identity = self.trials.new_trial_ids(1)[0]
        values, indices = {}, {}
        for index, axis in enumerate(self.axes):
            if axis.count != 1:
                known = x[index] is not None
                values[f"x{index}"] = [axis.value(x[index])] if known else []
                indices[f"x{index}"] = [identity] if known else []
        misc = {"tid": identity, "cmd": self.domain.cmd, "workdir": None, "idxs": indices, "vals": values}
        return self.trials.new_trial_docs([identity], [None], [{}], [misc])[0]
