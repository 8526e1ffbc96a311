"""Keeps workers of a study as tasks of Ray. Submitted by `ansatz run --on ray`, beside a file orders.json that says how many, what
each is, and how many processors it takes. Ray places them; what they run is for the study's board to say.

Also usable by hand: python ansatz_ray.py, where Ray can be reached and orders.json is.
"""

import ctypes
import json
import signal
import subprocess
import sys

import ray

# a worker that breaks is started anew, so often in all; one that is gone with its node does not count
BREAKS_MAX = 100


def end_with_us():
    """A worker whose process of Ray is gone is told to end: it hands back what it runs."""
    try:
        ctypes.CDLL(None).prctl(1, signal.SIGTERM)  # PR_SET_PDEATHSIG
    except (AttributeError, OSError):
        pass  # only Linux has it; elsewhere the lease ends


def work(command):
    """One worker, until it ends by itself: its exit code."""
    return subprocess.run(command, stdin=subprocess.DEVNULL, preexec_fn=end_with_us).returncode


def main():
    with open("orders.json", encoding="utf-8") as file:
        orders = json.load(file)
    ray.init()
    # retried for ever where the node is gone
    task = ray.remote(num_cpus=orders["cpus"], max_retries=-1)(work)
    running = [task.remote(orders["command"]) for _ in range(orders["workers"])]
    break_count = 0
    while running:
        ended, running = ray.wait(running)
        code = ray.get(ended[0])
        if code == 0:
            continue
        break_count += 1
        print(f"a worker ended with exit code {code} ({break_count} of {BREAKS_MAX})", file=sys.stderr)
        if break_count < BREAKS_MAX:
            running.append(task.remote(orders["command"]))
    sys.exit(1 if break_count >= BREAKS_MAX else 0)


if __name__ == "__main__":
    main()
