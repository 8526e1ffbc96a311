"""The objective {{component}}: for now, how far the numbers of a point are from 1."""

from ansatz_plugin import Objective, serve


class Plugin(Objective):
    name = "{{component}}"
    summary = "the distance of all numbers from 1"
    options = {
        "steps": {"type": "integer", "default": 3, "minimum": 1, "description": "How often progress is reported."},
    }

    def setup(self):
        """Once per process: load data, import heavy libraries. Raise Invalid if the study makes no sense."""
        self.target = 1.0

    def evaluate(self, parameters, trial):
        """One trial. `parameters` has the active parameters by name."""
        numbers = [value for value in parameters.values() if isinstance(value, (int, float))]
        loss = sum((value - self.target) ** 2 for value in numbers)
        for step in range(self.options["steps"]):
            # tells the host how it goes; raises Stopped if the host has seen enough
            trial.report(step, {name: loss * (1 + 1 / (step + 1)) for name in self.problem.metric_names})
        return {name: loss for name in self.problem.metric_names}


if __name__ == "__main__":
    serve(Plugin)
