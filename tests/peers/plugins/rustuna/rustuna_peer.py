"""Rustuna's TPE with its defaults, define-by-run: an inactive parameter is not suggested, so that conditions are native."""

from ansatz_plugin import Unsupported, serve
from peer import Adapter, Peer


def rustuna_tpe():
    import rustuna
    from rustuna.trial import TrialState

    def suggest(trial, parameter):
        name = parameter.name
        if parameter.choices is not None:
            if parameter.kind == "ordinal":
                return trial.suggest_int(name, 0, parameter.count - 1)
            return trial.suggest_categorical(name, list(range(parameter.count)))
        if parameter.kind == "int":
            step = 1 if parameter.log else int(parameter.step)
            return trial.suggest_int(name, parameter.lower, parameter.upper, log=parameter.log, step=step)
        if parameter.log or parameter.step is None or parameter.count == 1:
            return trial.suggest_float(name, parameter.lower, parameter.upper, log=parameter.log)
        return trial.suggest_float(name, parameter.lower, parameter.upper, step=parameter.step)

    class Tpe(Adapter):
        is_sequential = False

        def __init__(self, space, seed, trial_count):
            super().__init__(space, seed, trial_count)
            self.study = rustuna.create_study(sampler=rustuna.samplers.TPESampler(seed=seed))

        def propose(self):
            trial = self.study.ask()
            x = [None] * len(self.space)
            for index in self.space.parents_first:
                if self.space.is_active(index, x):
                    parameter = self.space.parameters[index]
                    x[index] = parameter.snap(suggest(trial, parameter))
            return x, trial

        def learn(self, x, loss, handle):
            # what others found is left out
            if handle is not None:
                self.study.tell(handle.number, loss)

        def fail(self, x, handle):
            if handle is not None:
                self.study.tell(handle.number, state=TrialState.FAIL)

    return Tpe


class RustunaPeer(Peer):
    name = "peers.rustuna"
    summary = "Rustuna's TPE with its defaults"

    def adapter(self):
        try:
            return rustuna_tpe()
        except ImportError as error:
            raise Unsupported(f"Rustuna is not installed: {error}; run tests/peers/setup.sh") from None


if __name__ == "__main__":
    serve(RustunaPeer)
