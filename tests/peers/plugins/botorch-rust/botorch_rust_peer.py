"""botorch-rust put together as the peer `botorch` is: SingleTaskGP with the default priors, standardised values,
qLogNoisyExpectedImprovement optimised from 10 of 512 starts. First come max(5, 2 d) Sobol points, 20 at most. Numbers
are places in the unit interval, choices are relaxed one-hot and the largest wins. It takes lists: no torch, no numpy."""

import warnings

from ansatz_plugin import Unsupported, serve
from peer import Peer, Relaxed


def botorch_rust():
    warnings.simplefilter("ignore")
    from botorch_rs.acquisition import qLogNoisyExpectedImprovement
    from botorch_rs.fit import fit_gpytorch_mll
    from botorch_rs.mlls import ExactMarginalLogLikelihood
    from botorch_rs.models import SingleTaskGP
    from botorch_rs.models.transforms import Standardize
    from botorch_rs.optim import optimize_acqf
    from botorch_rs.sampling.normal import SobolQMCNormalSampler
    from botorch_rs.utils.sampling import draw_sobol_samples

    class BotorchRust(Relaxed):
        def __init__(self, space, seed, trial_count):
            super().__init__(space, seed, trial_count)
            count, self.asked = len(self.axes), 0
            first_count = min(20, max(5, 2 * count))
            first = draw_sobol_samples([[0.0] * count, [1.0] * count], n=first_count, q=1, seed=seed)
            self.first = [point[0] for point in first]
            self.rows, self.gains = [], []

        def propose(self):
            self.asked += 1
            if self.asked <= len(self.first) or not self.rows:
                return self.placed(self.first[(self.asked - 1) % len(self.first)]), True
            # each of these would draw a seed of its own, and nothing would repeat
            seed = (self.seed + 1_000_003 * self.asked) % 2**31
            model = SingleTaskGP(self.rows, self.gains, outcome_transform=Standardize(m=1))
            fit_gpytorch_mll(ExactMarginalLogLikelihood(model.likelihood, model), seed=seed)
            sampler = SobolQMCNormalSampler(sample_shape=[512], seed=seed)
            acquisition = qLogNoisyExpectedImprovement(
                model, X_baseline=self.rows, sampler=sampler, prune_baseline=True
            )
            width = sum(self.widths)
            best, _ = optimize_acqf(
                acquisition,
                bounds=[[0.0] * width, [1.0] * width],
                q=1,
                num_restarts=10,
                raw_samples=512,
                options={"seed": seed},
            )
            return self.decode(best[0]), True

        def learn(self, x, loss, handle):
            self.rows.append(self.encode(x))
            self.gains.append([-loss])

    return BotorchRust


class BotorchRustPeer(Peer):
    name = "peers.botorch-rust"
    summary = "botorch-rust: a Gaussian process and qLogNoisyExpectedImprovement"

    def adapter(self):
        try:
            return botorch_rust()
        except ImportError as error:
            raise Unsupported(f"botorch-rust is not installed: {error}; run tests/peers/setup.sh") from None


if __name__ == "__main__":
    serve(BotorchRustPeer)
