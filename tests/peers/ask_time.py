"""Processor time of an ask of Optuna's GPSampler, on the points and the function of `benches/ask.rs` (other random numbers).

OMP_NUM_THREADS=1 python ask_time.py [N ...]
"""

import math
import random
import statistics
import sys
import time
import warnings

import optuna

optuna.logging.set_verbosity(optuna.logging.WARNING)
warnings.simplefilter("ignore")
D = 10


def loss(x):
    w = [1 + (20 * (v - 0.43) - 1) / 4 for v in x]
    inner = sum((v - 1) ** 2 * (1 + 10 * math.sin(math.pi * v + 1) ** 2) for v in w[:-1])
    return math.sin(math.pi * w[0]) ** 2 + inner + (w[-1] - 1) ** 2 * (1 + math.sin(2 * math.pi * w[-1]) ** 2)


space = {f"x{k}": optuna.distributions.FloatDistribution(0.0, 1.0) for k in range(D)}
for n in [int(argument) for argument in sys.argv[1:]] or [50, 100, 200, 500]:
    rng = random.Random(8)
    study = optuna.create_study(sampler=optuna.samplers.GPSampler(seed=7))
    for trial in range(n):
        width = 1.0 if trial % 2 == 0 else 0.2
        x = {name: min(max(0.43 + width * (rng.random() - 0.5), 0.0), 1.0) for name in space}
        study.add_trial(
            optuna.trial.create_trial(params=x, distributions=space, value=loss(list(x.values())))
        )
    asks = []
    for _ in range(9):
        start = time.process_time()
        trial = study.ask(space)
        asks.append(time.process_time() - start)
        study.tell(trial, loss(list(trial.params.values())))
    print(f"n {n:5}: ask {1e3 * statistics.median(asks):8.1f} {1e3 * max(asks):8.1f} ms", flush=True)
