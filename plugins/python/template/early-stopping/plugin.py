"""The early-stopping rule {{component}}: for now, it compares with the best trial at the same step."""

from ansatz_plugin import EarlyStopping, serve


class Plugin(EarlyStopping):
    name = "{{component}}"
    summary = "ends what is worse than the best trial was at the same step"
    options = {
        "margin": {
            "type": "number",
            "default": 0.5,
            "minimum": 0,
            "description": "How much worse a trial may be, in the metric's unit.",
        },
    }

    def setup(self):
        self.running, self.best, self.best_loss = {}, None, None

    def reported(self, report):
        """Why the trial is to end, as a text; nothing lets it go on. Losses are minimised; None was not measured."""
        loss = report.losses[0]
        if loss is None:
            return None
        self.running.setdefault(report.trial, {})[report.step] = loss
        then = self.best and self.best.get(report.step)
        if then is not None and loss > then + self.options["margin"]:
            return f"its loss is {loss:g}, the best trial had {then:g}"
        return None

    def finished(self, seen):
        """Every trial that ended, each once."""
        curve = self.running.pop(seen.trial, None)
        if curve and seen.loss is not None and (self.best is None or seen.loss < self.best_loss):
            self.best, self.best_loss = curve, seen.loss


if __name__ == "__main__":
    serve(Plugin)
