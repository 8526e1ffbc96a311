"""Any sampler of Optuna as a strategy: an in-memory study, driven by ask and tell.

Each suggestion is a trial of Optuna's from `study.ask`, with one `suggest_...` call per active parameter, parents
before children; the tag is its number. What others found is added with `study.add_trial`. Optuna itself is imported
when a strategy is created, so that listing plugins takes no second.
"""

import importlib
import inspect
import warnings

from ansatz_plugin import ANY_SPACE, Exhausted, Invalid, Strategy, Suggestion, Unsupported, nearest, serve

# Points in a row that may break constraints between parameters before one of them is repaired.
REJECTION_MAX = 100


class Optuna(Strategy):
    name = "com.example.optuna"
    summary = "any sampler of Optuna"
    capabilities = ANY_SPACE + ("multi-objective", "outcome-constraints", "pending")
    options = {
        "sampler": {
            "type": "string",
            "default": "TPESampler",
            "description": "a class of optuna.samplers, or the dotted name of any other sampler",
        },
        "sampler_options": {
            "type": "object",
            "default": {},
            "description": "its keyword arguments; its seed is the study's unless given here",
        },
    }

    def setup(self):
        try:
            import optuna
        except ImportError as error:
            raise Unsupported(f"Optuna is not installed for this Python: {error}; pip install optuna") from None
        self.optuna = optuna
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        self.distributions = [self.distribution(parameter) for parameter in self.space.parameters]
        directions = ["minimize"] * len(self.problem.metrics)
        self.study = optuna.create_study(sampler=self.sampler(), directions=directions)
        self.exhausted = False
        # grid-like samplers stop the study when everything was tried, which Optuna allows in `optimize` only
        self.study.stop = self.note_exhaustion
        self.open = {}  # Optuna's trials that have not ended, by number

    def note_exhaustion(self):
        self.exhausted = True

    # -- The sampler -------------------------------------------------------------------------------------------------

    def sampler_class(self):
        name = self.options["sampler"]
        if "." not in name:
            found = getattr(self.optuna.samplers, name, None)
            if found is None:
                raise Invalid(f"optuna.samplers has no {name}{nearest(name, self.optuna.samplers.__all__)}")
        else:
            module, _, attribute = name.rpartition(".")
            try:
                found = getattr(importlib.import_module(module), attribute)
            except (ImportError, AttributeError) as error:
                raise Invalid(f"sampler {name}: {error}") from None
        if not (isinstance(found, type) and issubclass(found, self.optuna.samplers.BaseSampler)):
            raise Invalid(f"{name} is no sampler of Optuna")
        return found

    def sampler(self):
        kind = self.sampler_class()
        known = inspect.signature(kind.__init__).parameters
        takes_anything = any(p.kind is p.VAR_KEYWORD for p in known.values())
        given = dict(self.options["sampler_options"])
        for name in given:
            if name not in known and not takes_anything:
                raise Invalid(f"{kind.__name__} has no option {name}{nearest(name, known)}")
        if "seed" in known or takes_anything:
            given.setdefault("seed", self.seed % 2**32)
        if "search_space" in known and known["search_space"].default is inspect.Parameter.empty:
            given.setdefault("search_space", self.grid())
        if self.problem.outcome_constraints:
            if "constraints_func" not in known:
                raise Unsupported(f"{kind.__name__} does not know bounds on metrics; TPESampler and NSGAIISampler do")
            if not hasattr(self.optuna.Trial, "set_constraint"):  # before Optuna 5
                given["constraints_func"] = lambda trial: trial.user_attrs.get("excesses", self.unknown_excesses())
        try:
            return kind(**given)
        except ImportError as error:
            raise Unsupported(f"{kind.__name__} needs another package: {error}") from None
        except (TypeError, ValueError) as error:
            raise Invalid(f"{kind.__name__} does not take these options: {error}") from None

    def unknown_excesses(self):
        return [0.0] * len(self.problem.outcome_constraints)

    def grid(self):
        if self.space.is_conditional or any(parameter.count is None for parameter in self.space.parameters):
            raise Unsupported(f"{self.options['sampler']} needs parameters with a step and without conditions")
        return {
            parameter.name: [self.to_optuna(index, parameter.nth(n)) for n in range(parameter.count)]
            for index, parameter in enumerate(self.space.parameters)
        }

    # -- The space ---------------------------------------------------------------------------------------------------

    def distribution(self, parameter):
        """Optuna has no steps on a log scale: there we ask without the step, and snap."""
        kinds = self.optuna.distributions
        if parameter.kind == "float":
            step = None if parameter.log or parameter.count == 1 else parameter.step
            return kinds.FloatDistribution(parameter.lower, parameter.upper, log=parameter.log, step=step)
        if parameter.kind == "int":
            step = 1 if parameter.log else parameter.step
            return kinds.IntDistribution(parameter.lower, parameter.upper, log=parameter.log, step=step)
        if parameter.kind == "ordinal":
            return kinds.IntDistribution(0, parameter.count - 1)
        # choices that Python takes for equal, such as 1 and True, go by index
        distinct = len(set(parameter.choices)) == parameter.count
        return kinds.CategoricalDistribution(parameter.choices if distinct else list(range(parameter.count)))

    def to_optuna(self, index, coordinate):
        parameter, distribution = self.space.parameters[index], self.distributions[index]
        if parameter.choices is None:
            return parameter.value(coordinate)
        if parameter.kind == "ordinal":
            return int(coordinate)
        return distribution.choices[int(coordinate)]

    def parameters_of(self, x):
        return {
            parameter.name: self.to_optuna(index, x[index])
            for index, parameter in enumerate(self.space.parameters)
            if x[index] is not None
        }

    def suggest(self, trial):
        x = [None] * len(self.space)
        for index in self.space.parents_first:
            if not self.space.is_active(index, x):
                continue
            parameter, distribution = self.space.parameters[index], self.distributions[index]
            name, kinds = parameter.name, self.optuna.distributions
            if isinstance(distribution, kinds.FloatDistribution):
                limits = {"log": distribution.log, "step": distribution.step}
                x[index] = parameter.snap(trial.suggest_float(name, distribution.low, distribution.high, **limits))
            elif isinstance(distribution, kinds.IntDistribution):
                limits = {"log": distribution.log, "step": distribution.step}
                x[index] = parameter.snap(trial.suggest_int(name, distribution.low, distribution.high, **limits))
            else:
                x[index] = distribution.choices.index(trial.suggest_categorical(name, distribution.choices))
        return x

    # -- Ask and tell ------------------------------------------------------------------------------------------------

    def ask(self, count, pending):
        """Pending trials are known to Optuna as its running trials."""
        suggestions = []
        while len(suggestions) < count and not self.exhausted:
            try:
                found = self.propose()
            except ImportError as error:  # some samplers look for their packages as late as this
                raise Unsupported(f"{self.options['sampler']} needs another package: {error}") from None
            if found is not None:
                suggestions.append(found)
        if not suggestions and self.exhausted and not self.open:
            raise Exhausted("every point was tried")
        return suggestions

    def propose(self):
        for _ in range(REJECTION_MAX):
            trial = self.study.ask()
            x = self.suggest(trial)
            if self.space.is_feasible(x):
                self.open[trial.number] = trial, x
                return Suggestion(x, tag=trial.number)
            # failed: no sampler learns from it, nor counts it among its random first trials
            self.study.tell(trial, state=self.optuna.trial.TrialState.FAIL)
            if self.exhausted:
                return None
        repaired = self.space.repair(x, self.rng)
        if repaired is None:
            repaired = self.space.sample(self.rng)
        self.study.enqueue_trial(self.parameters_of(repaired))
        trial = self.study.ask()
        x = self.suggest(trial)
        self.open[trial.number] = trial, x
        return Suggestion(x, tag=trial.number)

    def tell(self, observations):
        for seen in observations:
            if seen.own and seen.tag in self.open:
                trial, x = self.open.pop(seen.tag)
                if seen.x == x:
                    self.tell_own(trial, seen)
                    continue
                # the study took another point in its place, because this one had been asked for before
                self.study.tell(trial, state=self.optuna.trial.TrialState.FAIL)
            self.study.add_trial(self.stranger(seen))

    def state_of(self, seen):
        states = self.optuna.trial.TrialState
        return {"completed": states.COMPLETE, "stopped": states.PRUNED}.get(seen.status, states.FAIL)

    def tell_own(self, trial, seen):
        state = self.state_of(seen)
        if seen.excesses:
            if hasattr(trial, "set_constraint"):
                for number, excess in enumerate(seen.excesses):
                    trial.set_constraint(str(number), excess)
            else:
                trial.set_user_attr("excesses", seen.excesses)
        if state == self.optuna.trial.TrialState.PRUNED and seen.losses and len(seen.losses) == 1:
            # the value of a pruned trial is its last report
            trial.report(seen.losses[0], step=0)
        completed = state == self.optuna.trial.TrialState.COMPLETE
        self.study.tell(trial, values=seen.losses if completed else None, state=state)

    def stranger(self, seen):
        """A trial that another strategy proposed."""
        state = self.state_of(seen)
        parameters = self.parameters_of(seen.x)
        distributions = {
            parameter.name: distribution
            for parameter, distribution in zip(self.space.parameters, self.distributions)
            if parameter.name in parameters
        }
        more = {}
        if state == self.optuna.trial.TrialState.COMPLETE:
            more["values"] = seen.losses
        elif state == self.optuna.trial.TrialState.PRUNED and seen.losses and len(seen.losses) == 1:
            more["value"], more["intermediate_values"] = seen.losses[0], {0: seen.losses[0]}
        if self.problem.outcome_constraints and state != self.optuna.trial.TrialState.FAIL:
            more["system_attrs"] = {"constraints": seen.excesses or self.unknown_excesses()}
        return self.optuna.trial.create_trial(state=state, params=parameters, distributions=distributions, **more)


if __name__ == "__main__":
    serve(Optuna)
