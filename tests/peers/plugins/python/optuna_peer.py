"""Optuna, define-by-run: an inactive parameter is not suggested, so that conditions are native. TPE models them;
GP and CMA-ES model the parameters that every trial had, and draw the others at random."""

import optuna
from peer import Adapter

optuna.logging.set_verbosity(optuna.logging.ERROR)
DISTRIBUTIONS = optuna.distributions


def distribution(parameter):
    if parameter.choices is not None:
        if parameter.kind == "ordinal":
            return DISTRIBUTIONS.IntDistribution(0, parameter.count - 1)
        return DISTRIBUTIONS.CategoricalDistribution(list(range(parameter.count)))
    if parameter.kind == "int":
        step = 1 if parameter.log else parameter.step
        return DISTRIBUTIONS.IntDistribution(parameter.lower, parameter.upper, log=parameter.log, step=step)
    step = None if parameter.log or parameter.count == 1 else parameter.step
    return DISTRIBUTIONS.FloatDistribution(parameter.lower, parameter.upper, log=parameter.log, step=step)


class Optuna(Adapter):
    is_sequential = False

    def __init__(self, space, seed, trial_count):
        super().__init__(space, seed, trial_count)
        self.distributions = [distribution(parameter) for parameter in space.parameters]
        self.study = optuna.create_study(sampler=self.sampler(seed))

    def propose(self):
        trial = self.study.ask()
        x = [None] * len(self.space)
        for index in self.space.parents_first:
            if self.space.is_active(index, x):
                parameter = self.space.parameters[index]
                x[index] = parameter.snap(trial._suggest(parameter.name, self.distributions[index]))
        return x, trial

    def learn(self, x, loss, handle):
        if handle is not None:
            self.study.tell(handle, loss)
            return
        known = [index for index, coordinate in enumerate(x) if coordinate is not None]
        parameters = self.space.parameters
        self.study.add_trial(
            optuna.trial.create_trial(
                params={
                    parameters[i].name: float(x[i]) if parameters[i].kind == "float" else int(x[i]) for i in known
                },
                distributions={parameters[i].name: self.distributions[i] for i in known},
                value=loss,
            )
        )

    def fail(self, x, handle):
        if handle is not None:
            self.study.tell(handle, state=optuna.trial.TrialState.FAIL)


class Tpe(Optuna):
    @staticmethod
    def sampler(seed):
        return optuna.samplers.TPESampler(seed=seed)


class Gp(Optuna):
    @staticmethod
    def sampler(seed):
        # what the sampler would load in its first asks
        import optuna._gp.gp  # noqa: F401
        import optuna._gp.optim_mixed  # noqa: F401
        import torch

        torch.set_num_threads(1)
        return optuna.samplers.GPSampler(seed=seed)


class Cma(Optuna):
    @staticmethod
    def sampler(seed):
        import cmaes  # noqa: F401

        return optuna.samplers.CmaEsSampler(seed=seed, warn_independent_sampling=False)
