#!/usr/bin/env python3
"""How one strategy does beside each other one, by all runs that both have, and the ranks where all have one.

    compare.py results/results.jsonl [more ...] [--of bayesian] [--budgets 30,60,100] [--without tpe,cmaes] [--slots 8]

Reads results of `ansatz bench`, of which later ones count, those with one trial at a time unless --slots says another number. Runs are paired by problem and seed, and ties count half. The
best measured value so far is what counts, so all problems must be minimised, as those of arena.toml are."""

import argparse
import collections
import json


def read(paths, slots):
    """Trace and processor seconds a trial, by strategy, then by problem and seed."""
    runs = collections.defaultdict(dict)
    for path in paths:
        with open(path) as lines:
            for line in lines:
                run = json.loads(line)
                if run.get("slots", 1) != slots:
                    continue
                cell = run["problem"], run["seed"]
                seconds = run["ask_seconds"]["cpu"] + run["tell_seconds"]["cpu"]
                runs[run["strategy"]][cell] = run["trace"], seconds, run["trial_count"]
    return runs


def pairs(runs, ours, theirs, budget):
    """Share of the runs in which ours is better, and how many there are."""
    score = count = 0
    for cell, (trace, *_) in runs[theirs].items():
        other = runs[ours].get(cell)
        if other is None or min(len(trace), len(other[0])) < budget:
            continue
        a, b = other[0][budget - 1], trace[budget - 1]
        count += 1
        score += 0.5 if a == b else a < b
    return (score / count if count else None), count


def ranks(runs, budget):
    """Mean rank of each strategy over the cells that all of them have, the mean rank of equals."""
    cells = set.intersection(*({c for c, (trace, *_) in of.items() if len(trace) >= budget} for of in runs.values()))
    totals = dict.fromkeys(runs, 0.0)
    for cell in cells:
        values = {name: of[cell][0][budget - 1] for name, of in runs.items()}
        for name, value in values.items():
            better = sum(other < value for other in values.values())
            equal = sum(other == value for other in values.values())
            totals[name] += better + (equal + 1) / 2
    return {name: total / len(cells) for name, total in totals.items()} if cells else {}, cells


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("results", nargs="+")
    parser.add_argument("--of", default="bayesian")
    parser.add_argument("--budgets", default="30,60,100")
    parser.add_argument("--without", default="")
    parser.add_argument("--slots", type=int, default=1)
    chosen = parser.parse_args()
    budgets = [int(budget) for budget in chosen.budgets.split(",")]
    left_out = chosen.without.split(",")
    runs = {name: of for name, of in read(chosen.results, chosen.slots).items() if name not in left_out}
    others = sorted(runs.keys() - {chosen.of})
    print(f"| {chosen.of} beside | runs | {' | '.join(f'{budget}' for budget in budgets)} | time |")
    print("|---|---|" + "---|" * (len(budgets) + 1))
    for name in others:
        found = [pairs(runs, chosen.of, name, budget) for budget in budgets]
        shares = " | ".join("" if share is None else f"{100 * share:.0f} %" for share, _ in found)
        seconds = sum(seconds for _, seconds, _ in runs[name].values())
        trials = sum(count for _, _, count in runs[name].values())
        print(f"| {name} | {max(count for _, count in found)} | {shares} | {1e3 * seconds / trials:,.{0 if seconds > 0.01 * trials else 2}f} ms |")
    for budget in budgets:
        able = {name: of for name, of in runs.items() if any(len(trace) >= budget for trace, *_ in of.values())}
        found, cells = ranks(able, budget)
        problems = {problem for problem, _ in cells}
        order = sorted(found.items(), key=lambda pair: pair[1])
        print(f"\nranks after {budget} trials, {len(cells)} runs each on {len(problems)} problems")
        print(", ".join(f"{name} {rank:.2f}" for name, rank in order))


if __name__ == "__main__":
    main()
