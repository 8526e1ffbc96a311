"""Ax with the strategy that its Client chooses: the centre, then Sobol points, then a Gaussian process of BoTorch."""

import logging

import numpy
import torch
from ax import ChoiceParameterConfig, Client, RangeParameterConfig
from ax.exceptions.core import DataRequiredError
from peer import Flat

logging.disable(logging.WARNING)
torch.set_num_threads(1)


class Ax(Flat):
    is_sequential = False

    def __init__(self, space, seed, trial_count):
        super().__init__(space, seed, trial_count)
        self.asked = 0
        self.client = Client(random_seed=seed)
        parameters = []
        for number, axis in enumerate(self.axes):
            name = f"x{number}"
            if axis.kind == "choice":
                names = [f"c{choice}" for choice in range(axis.count)]
                parameters.append(
                    ChoiceParameterConfig(name=name, values=names, parameter_type="str", is_ordered=False)
                )
            else:
                scaling = "log" if axis.log else "linear"
                parameters.append(
                    RangeParameterConfig(
                        name=name, bounds=(axis.low, axis.high), parameter_type=axis.kind, scaling=scaling
                    )
                )
        self.client.configure_experiment(parameters=parameters, name="peer")
        self.client.configure_optimization(objective="-loss")
        self.client.configure_generation_strategy(initialization_random_seed=seed)

    def propose(self):
        # the generators are global: seeded anew, what others draw in this process does not matter
        self.asked += 1
        torch.manual_seed(self.seed + 1_000_003 * self.asked)
        numpy.random.seed((self.seed + 1_000_003 * self.asked) % 2**32)
        try:
            ((trial, found),) = self.client.get_next_trials(max_trials=1).items()
        except DataRequiredError:  # several at a time: its first points are out, and the model wants to hear of them
            return None
        values = [found[f"x{number}"] for number in range(len(self.axes))]
        numbers = [int(v[1:]) if axis.kind == "choice" else v for axis, v in zip(self.axes, values)]
        return self.point(numbers), (trial,)

    def learn(self, x, loss, handle):
        if handle is None:
            values = [f"c{v}" if axis.kind == "choice" else v for axis, v in zip(self.axes, self.values(x))]
            handle = (self.client.attach_trial({f"x{number}": value for number, value in enumerate(values)}),)
        self.client.complete_trial(trial_index=handle[0], raw_data={"loss": loss})

    def fail(self, x, handle):
        if handle is not None:
            self.client.mark_trial_failed(trial_index=handle[0])
