"""The strategy {{component}}: for now, random points and steps around the best of them."""

from ansatz_plugin import Strategy, serve


class Plugin(Strategy):
    name = "{{component}}"
    summary = "random points, then steps around the best"
    options = {
        "step": {
            "type": "number",
            "default": 0.1,
            "exclusiveMinimum": 0,
            "description": "How far a step goes, where 1 is the whole range of a parameter.",
        },
        "start_points": {"type": "integer", "default": 10, "minimum": 1, "description": "Random points at first."},
    }
    saved = ("best", "best_loss", "asked")  # what a snapshot consists of

    def setup(self):
        self.best, self.best_loss, self.asked = None, None, 0

    def ask(self, count, pending):
        """Points to try: lists with one number per parameter."""
        return [self.propose() for _ in range(count)]

    def propose(self):
        self.asked += 1
        if self.best is None or self.asked <= self.options["start_points"]:
            return self.space.sample(self.rng)
        # None where a point has no neighbour
        return self.space.neighbour(self.best, self.rng, self.options["step"]) or self.space.sample(self.rng)

    def tell(self, observations):
        """Every trial that ended. Losses are minimised; those of failed trials are None."""
        for seen in observations:
            if seen.loss is not None and (self.best is None or seen.loss < self.best_loss):
                self.best, self.best_loss = seen.x, seen.loss


if __name__ == "__main__":
    serve(Plugin)
