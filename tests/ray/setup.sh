#!/usr/bin/env bash
# Makes an environment with Ray for tests/it/ray.rs: setup.sh FOLDER. About 400 MB.
set -euo pipefail
[ -x "$1/bin/python" ] || "${PYTHON:-python3}" -m venv "$1"
"$1/bin/pip" install --quiet --no-cache-dir "ray[default]==2.60.0"
