"""Public optimisers as one strategy with an option: `peer`. Each has an adapter in a file of its own, which is
imported, with the library, when a strategy is made."""

import importlib
import warnings

from ansatz_plugin import Unsupported, serve
from peer import Peer

#: Where each adapter is.
ADAPTERS = {
    "optuna-tpe": "optuna_peer:Tpe",
    "optuna-gp": "optuna_peer:Gp",
    "optuna-cma": "optuna_peer:Cma",
    "skopt": "skopt_peer:Skopt",
    "smac-hpo": "smac_peer:Forest",
    "smac-blackbox": "smac_peer:BlackBox",
    "ax": "ax_peer:Ax",
    "botorch": "botorch_peer:BoTorch",
    "egobox": "egobox_peer:Egobox",
    "hyperopt": "hyperopt_peer:Hyperopt",
}


class Peers(Peer):
    name = "peers.python"
    summary = "a public optimiser of the Python world with its defaults"
    options = {
        "peer": {
            "type": "string",
            "enum": list(ADAPTERS),
            "default": "optuna-tpe",
            "description": "which; HEBO is a plugin of its own, because it needs an older numpy",
        }
    }

    def adapter(self):
        warnings.simplefilter("ignore")
        module, name = ADAPTERS[self.options["peer"]].split(":")
        try:
            return getattr(importlib.import_module(module), name)
        except ImportError as error:
            raise Unsupported(f"{self.options['peer']} is not installed: {error}; run tests/peers/setup.sh") from None


if __name__ == "__main__":
    serve(Peers)
