"""HEBO with its defaults: a warped Gaussian process and a front of three acquisition functions."""

import warnings

from ansatz_plugin import Unsupported, serve
from peer import Flat, Peer


def hebo():
    warnings.simplefilter("ignore")
    import numpy
    import pandas
    import torch
    from hebo.design_space.design_space import DesignSpace
    from hebo.optimizers.hebo import HEBO

    torch.set_num_threads(1)

    class Hebo(Flat):
        def __init__(self, space, seed, trial_count):
            super().__init__(space, seed, trial_count)
            self.asked = 0
            self.reseed()
            self.names = [f"x{number}" for number in range(len(self.axes))]
            about = []
            for name, axis in zip(self.names, self.axes):
                if axis.kind == "choice":
                    choices = [f"c{choice}" for choice in range(axis.count)]
                    about.append({"name": name, "type": "cat", "categories": choices})
                elif axis.log:
                    kind = "pow_int" if axis.kind == "int" else "pow"
                    about.append({"name": name, "type": kind, "lb": axis.low, "ub": axis.high, "base": 10})
                else:
                    kind = "int" if axis.kind == "int" else "num"
                    about.append({"name": name, "type": kind, "lb": axis.low, "ub": axis.high})
            self.optimizer = HEBO(DesignSpace().parse(about), scramble_seed=seed)

        def reseed(self):
            """Its generators are global: seeded anew, what others draw in this process does not matter."""
            torch.manual_seed(self.seed + 1_000_003 * self.asked)
            numpy.random.seed((self.seed + 1_000_003 * self.asked) % 2**32)

        def propose(self):
            self.asked += 1
            self.reseed()
            frame = self.optimizer.suggest(n_suggestions=1)
            row = [frame.iloc[0][name] for name in self.names]
            values = [int(v[1:]) if axis.kind == "choice" else v for axis, v in zip(self.axes, row)]
            return self.point(values), (frame,)

        def learn(self, x, loss, handle):
            if handle is None:
                values = [f"c{v}" if axis.kind == "choice" else v for axis, v in zip(self.axes, self.values(x))]
                handle = (pandas.DataFrame([values], columns=self.names),)
            self.optimizer.observe(handle[0], numpy.array([[loss]]))

    return Hebo


class HeboPeer(Peer):
    name = "peers.hebo"
    summary = "HEBO with its defaults"

    def adapter(self):
        try:
            return hebo()
        except ImportError as error:
            raise Unsupported(f"HEBO is not installed: {error}; run tests/peers/setup.sh") from None


if __name__ == "__main__":
    serve(HeboPeer)
