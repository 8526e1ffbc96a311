#!/usr/bin/env bash
# Makes the Python environments of the peers: one for all, one for HEBO, which needs numpy 1, and one for Rustuna. About 7 GB, because
# the wheel of torch brings its CUDA libraries along.
#   ANSATZ_PEERS_VENV   where; default .venv beside this file. the others are beside it, with -hebo and -rustuna after its name
#   PYTHON              which interpreter; the pinned versions are for 3.11
#   HEBO=0              without HEBO
#   ONLY=rustuna        nothing but Rustuna, which is small
set -euo pipefail
cd "$(dirname "$0")"
venv=${ANSATZ_PEERS_VENV:-$PWD/.venv}
mkdir -p "$(dirname "$venv")"
venv=$(cd "$(dirname "$venv")" && pwd)/$(basename "$venv")

# environment, requirements, and more for pip. Done once for each content of the requirements.
make() {
    local folder=$1 list=$2
    shift 2
    if cmp -s "$list" "$folder/requirements.txt"; then return; fi
    [ -x "$folder/bin/python" ] || "${PYTHON:-python3.11}" -m venv "$folder"
    # some packages build themselves with what newer ones have removed
    "$folder/bin/pip" install --quiet --no-cache-dir "setuptools<80" wheel packaging
    "$folder/bin/pip" install --quiet --no-cache-dir "$@" -r "$list"
    cp "$list" "$folder/requirements.txt"
}

make "$venv-rustuna" requirements-rustuna.txt
[ "${ONLY:-}" != rustuna ] || exit 0
make "$venv" requirements.txt
if [ "${HEBO:-1}" != 0 ]; then
    make "$venv-hebo" requirements-hebo.txt --no-deps
    # its own packages come first; torch and gpytorch are those of the other environment
    echo "$("$venv/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')" \
        >"$("$venv-hebo/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/zz-peers.pth"
fi
echo "ready: $venv"
