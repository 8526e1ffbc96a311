"""BoTorch put together as its introduction does: SingleTaskGP with the default priors, standardised values,
qLogNoisyExpectedImprovement optimised from 10 of 512 starts. First come max(5, 2 d) Sobol points, 20 at most. Numbers
are places in the unit interval, choices are relaxed one-hot and the largest wins."""

import numpy
import torch
from botorch.acquisition import qLogNoisyExpectedImprovement
from botorch.fit import fit_gpytorch_mll
from botorch.models import SingleTaskGP
from botorch.models.transforms import Standardize
from botorch.optim import optimize_acqf
from gpytorch.mlls import ExactMarginalLogLikelihood
from peer import Flat

torch.set_num_threads(1)


class BoTorch(Flat):
    def __init__(self, space, seed, trial_count):
        super().__init__(space, seed, trial_count)
        self.widths = [axis.count if axis.kind == "choice" else 1 for axis in self.axes]
        self.first_count = min(20, max(5, 2 * len(self.axes)))
        self.sobol = torch.quasirandom.SobolEngine(len(self.axes), scramble=True, seed=seed)
        self.rows, self.losses, self.asked = [], [], 0

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
        coordinates = [parameter.lower for parameter in self.space.parameters]
        begin = 0
        for axis, width in zip(self.axes, self.widths):
            if axis.kind == "choice":
                coordinates[axis.index] = int(numpy.argmax(row[begin : begin + width]))
            else:
                coordinates[axis.index] = axis.parameter.from_unit(float(row[begin]))
            begin += width
        return self.space.assemble(coordinates)

    def propose(self):
        self.asked += 1
        if self.asked <= self.first_count or not self.rows:
            coordinates = [parameter.lower for parameter in self.space.parameters]
            for axis, unit in zip(self.axes, self.sobol.draw(1)[0].tolist()):
                coordinates[axis.index] = axis.parameter.from_unit(unit)
            return self.space.assemble(coordinates), True
        torch.manual_seed(self.seed + 1_000_003 * self.asked)
        numpy.random.seed((self.seed + 1_000_003 * self.asked) % 2**32)
        rows = torch.tensor(self.rows, dtype=torch.float64)
        gains = -torch.tensor(self.losses, dtype=torch.float64).unsqueeze(-1)
        model = SingleTaskGP(rows, gains, outcome_transform=Standardize(m=1))
        fit_gpytorch_mll(ExactMarginalLogLikelihood(model.likelihood, model))
        acquisition = qLogNoisyExpectedImprovement(model, X_baseline=rows, prune_baseline=True)
        width = sum(self.widths)
        bounds = torch.stack([torch.zeros(width), torch.ones(width)]).double()
        best, _ = optimize_acqf(acquisition, bounds=bounds, q=1, num_restarts=10, raw_samples=512)
        return self.decode(best.detach().numpy()[0]), True

    def learn(self, x, loss, handle):
        self.rows.append(self.encode(x))
        self.losses.append(loss)
