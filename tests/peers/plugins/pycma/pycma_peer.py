"""pycma, the implementation by the author of CMA-ES, with its defaults in the unit cube: `CMAEvolutionStrategy` from the
middle of the space with the first step of `cmaes`. When it says that it is done, it starts again at a random point with
twice the population, as its own `fmin` does with `restarts` and `incpopsize = 2`. Numbers only."""

from ansatz_plugin import Unsupported, serve
from peer import Flat, Peer

#: The first standard deviation, as a share of each range.
INITIAL_STEP = 1 / 6


class Adapter(Flat):
    is_sequential = False

    def __init__(self, space, seed, trial_count):
        super().__init__(space, seed, trial_count)
        import numpy

        if any(axis.kind == "choice" for axis in self.axes):
            raise Unsupported("pycma has no choices: use the peer optuna-cma, or cmaes")
        self.random = numpy.random.default_rng(seed)
        self.population_size = None
        self.begin([0.5] * len(self.axes))

    def begin(self, mean):
        import cma

        options = {"bounds": [0, 1], "seed": int(self.random.integers(1, 2**31)), "verbose": -9}
        if self.population_size:
            options["popsize"] = 2 * self.population_size
        self.search = cma.CMAEvolutionStrategy(mean, INITIAL_STEP, options)
        self.population_size = self.search.popsize
        self.fresh, self.told = [], []

    def propose(self):
        if not self.fresh:
            self.fresh = list(self.search.ask())
        row = self.fresh.pop(0)
        values = [axis.parameter.from_unit(float(u)) for axis, u in zip(self.axes, row)]
        coordinates = [parameter.lower for parameter in self.space.parameters]
        for axis, value in zip(self.axes, values):
            coordinates[axis.index] = value
        return self.space.assemble(coordinates), (self.search, row)

    def learn(self, x, loss, handle):
        if handle is None or handle[0] is not self.search:
            return
        self.told.append((handle[1], loss))
        if len(self.told) == self.population_size:
            rows, losses = zip(*self.told)
            self.told = []
            self.search.tell(list(rows), list(losses))
            if self.search.stop():
                self.begin(self.random.random(len(self.axes)))


class Pycma(Peer):
    name = "peers.pycma"
    summary = "pycma with restarts, each with twice the population"
    capabilities = ("float", "int")

    def adapter(self):
        try:
            import cma  # noqa: F401
        except ImportError as error:
            raise Unsupported(f"pycma is not installed: {error}; run tests/peers/setup.sh") from None
        return Adapter


if __name__ == "__main__":
    serve(Pycma)
