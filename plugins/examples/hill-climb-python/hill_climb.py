"""Hill climbing: random steps around a point, longer after a success and shorter after a failure, with restarts.

A (1+1) evolution strategy with the one-fifth rule in the unit cube. Every kind of parameter, conditions and
constraints come from `Space`: this file only decides where to step from, how far, and when to start again.
"""

from ansatz_plugin import ANY_SPACE, Invalid, Strategy, Suggestion, serve

# A success makes steps longer by this factor; four failures undo it, so that one success in five keeps the length.
GROWTH = 1.5


class HillClimb(Strategy):
    name = "com.example.hill-climb"
    summary = "random steps around the best point, with adaptive length and restarts"
    capabilities = ANY_SPACE + ("pending",)
    options = {
        "step": {
            "type": "number",
            "default": 0.2,
            "exclusiveMinimum": 0,
            "maximum": 1,
            "description": "length of the first steps, where 1 is the whole range of a parameter",
        },
        "step_min": {
            "type": "number",
            "default": 0.001,
            "exclusiveMinimum": 0,
            "description": "a climb whose steps became shorter than this is over",
        },
        "start_points": {
            "type": "integer",
            "default": 5,
            "minimum": 1,
            "description": "random points before each climb, which begins at the best of them",
        },
        "patience": {
            "type": "integer",
            "default": 0,
            "minimum": 0,
            "description": "moves without success after which a climb is over; 0: 20, and 5 more per parameter",
        },
    }

    def setup(self):
        if self.options["step_min"] >= self.options["step"]:
            raise Invalid("step_min must be below step")
        self.patience = self.options["patience"] or 20 + 5 * len(self.space)
        self.best_loss = float("inf")  # of all climbs and strategies
        self.climb = 0  # tags tell late results of an earlier climb from those of this one
        self.begin()

    def begin(self):
        """A new climb: it forgets where it stood."""
        self.climb += 1
        self.step = self.options["step"]
        self.starts_left = self.options["start_points"]
        self.base, self.base_loss = None, float("inf")
        self.failures = 0
        self.tried = set()

    def ask(self, count, pending):
        waiting = [trial.x for trial in pending]
        return [Suggestion(self.propose(waiting), tag=self.climb) for _ in range(count)]

    def propose(self, waiting):
        if self.starts_left > 0 or self.base is None:
            self.starts_left -= 1
            return self.space.sample(self.rng)
        # conditionals and categoricals change too much to move many of them at once
        share = max(0.3, 1 / len(self.space))
        for _ in range(20):
            x = self.space.neighbour(self.base, self.rng, self.step, share)
            if x is not None and tuple(x) not in self.tried and x not in waiting:
                self.tried.add(tuple(x))
                return x
        # everything near was tried: somewhere else is worth more than a repetition
        return self.space.sample(self.rng)

    def tell(self, observations):
        for seen in observations:
            if seen.loss is not None and seen.loss < self.best_loss:
                # the best of all, whoever found it: go on from there
                self.best_loss = seen.loss
                self.move_to(seen)
            elif not seen.own or seen.tag != self.climb:
                continue
            elif seen.loss is not None and seen.loss < self.base_loss:
                self.move_to(seen)
            elif self.base is not None and self.starts_left <= 0:
                self.step *= GROWTH**-0.25
                self.failures += 1
                if self.failures >= self.patience or self.step < self.options["step_min"]:
                    self.begin()

    def move_to(self, seen):
        self.base, self.base_loss = seen.x, seen.loss
        self.failures = 0
        if self.starts_left <= 0:
            self.step = min(self.step * GROWTH, 0.5)

    saved = ("best_loss", "climb", "step", "starts_left", "base", "base_loss", "failures")

    def state(self):
        return {**super().state(), "tried": [list(x) for x in self.tried]}

    def restore(self, state):
        super().restore(state)
        self.tried = {tuple(x) for x in state["tried"]}


if __name__ == "__main__":
    serve(HillClimb)
