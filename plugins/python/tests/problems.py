"""Search spaces and losses that the tests share."""

import math


def number(name, lower, upper, **more):
    return {"name": name, "domain": {"float": {"lower": lower, "upper": upper, "scale": "linear", **more}}}


def problem(parameters, constraints=(), metrics=("loss",), **more):
    space = {"parameters": parameters}
    if constraints:
        space["constraints"] = list(constraints)
    return {"space": space, "metrics": [{"name": name, "goal": "minimise"} for name in metrics], **more}


BRANIN = problem([number("x1", -5.0, 10.0), number("x2", 0.0, 15.0)], trial_count=50)


def branin(values):
    x1, x2 = values["x1"], values["x2"]
    wave = x2 - 5.1 / (4 * math.pi**2) * x1**2 + 5 / math.pi * x1 - 6
    return wave**2 + 10 * (1 - 1 / (8 * math.pi)) * math.cos(x1) + 10


EVERY_KIND = [
    {"name": "lr", "domain": {"float": {"lower": 1e-5, "upper": 0.1, "scale": "log"}}},
    number("dropout", 0.0, 0.5, step=0.1),
    {"name": "units", "domain": {"int": {"lower": 16, "upper": 128, "scale": "linear", "step": 16}}},
    {"name": "heads", "domain": {"int": {"lower": 1, "upper": 32, "scale": "log", "step": 1}}},
    {"name": "opt", "domain": {"categorical": {"choices": ["sgd", "adam", 3]}}},
    {"name": "size", "domain": {"ordinal": {"values": [2, 4, 8]}}},
    {"name": "flag", "domain": "bool"},
]

#: Every kind of parameter, without conditions and constraints.
PLAIN = problem(EVERY_KIND)

MOMENTUM = {**number("momentum", 0.0, 0.99), "conditions": [{"parameter": "opt", "test": {"equals": "sgd"}}]}
NESTEROV = {
    "name": "nesterov",
    "domain": "bool",
    "conditions": [
        {"parameter": "opt", "test": {"one_of": ["sgd", "adam"]}},
        {"parameter": "momentum", "test": {"within": {"lower": 0.5, "upper": 0.99}}},
    ],
}

#: The same with conditions over two levels (the child first), a linear constraint and a forbidden combination.
MIXED = problem(
    [NESTEROV, *EVERY_KIND, MOMENTUM],
    [
        {"linear": {"terms": [["dropout", 1.0], ["momentum", 1.0]], "bound": 0.9, "strict": False}},
        {"linear": {"terms": [["heads", 4.0], ["units", -1.0]], "bound": 0.0, "strict": True}},
        {
            "forbidden": [
                {"parameter": "opt", "test": {"equals": "sgd"}},
                {"parameter": "flag", "test": {"equals": True}},
            ]
        },
    ],
)


def mixed(values):
    loss = abs(math.log10(values["lr"]) + 3) + values["dropout"] + abs(values["units"] - 64) / 64
    loss += 0.1 * values["heads"] + {"sgd": 0.0, "adam": 0.5, 3: 1.0}[values["opt"]] + values["size"] / 8
    loss += 0.3 * (not values["flag"])
    if "momentum" in values:
        loss += abs(values["momentum"] - 0.7)
    return loss - 0.2 * bool(values.get("nesterov"))
