"""scikit-optimize: an Optimizer with its defaults, a Gaussian process and the portfolio gp_hedge."""

import skopt
from peer import Flat
from skopt.space import Categorical, Integer, Real


class Skopt(Flat):
    def __init__(self, space, seed, trial_count):
        super().__init__(space, seed, trial_count)
        dimensions = []
        for axis in self.axes:
            prior = "log-uniform" if axis.log else "uniform"
            if axis.kind == "choice":
                dimensions.append(Categorical([str(choice) for choice in range(axis.count)]))
            elif axis.kind == "int":
                dimensions.append(Integer(axis.low, axis.high, prior=prior))
            else:
                dimensions.append(Real(axis.low, axis.high, prior=prior))
        self.optimizer = skopt.Optimizer(dimensions, base_estimator="GP", random_state=seed)

    def propose(self):
        values = self.optimizer.ask()
        return self.point(values), values

    def learn(self, x, loss, handle):
        if handle is None:
            handle = [str(v) if axis.kind == "choice" else v for axis, v in zip(self.axes, self.values(x))]
        self.optimizer.tell(handle, loss)
