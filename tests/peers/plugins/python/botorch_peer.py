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
from peer import Relaxed

torch.set_num_threads(1)


class BoTorch(Relaxed):
    def __init__(self, space, seed, trial_count):
        super().__init__(space, seed, trial_count)
        self.first_count = min(20, max(5, 2 * len(self.axes)))
        self.sobol = torch.quasirandom.SobolEngine(len(self.axes), scramble=True, seed=seed)
        self.rows, self.losses, self.asked = [], [], 0

    def propose(self):
        self.asked += 1
        if self.asked <= self.first_count or not self.rows:
            return self.placed(self.sobol.draw(1)[0].tolist()), True
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
        return self.decode(best.detach()[0].tolist()), True

    def learn(self, x, loss, handle):
        self.rows.append(self.encode(x))
        self.losses.append(loss)
