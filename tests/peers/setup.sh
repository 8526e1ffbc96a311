#!/usr/bin/env bash
# Makes the Python environments of the peers: one for all, one for HEBO, which needs numpy 1, one for Rustuna and one for
# botorch-rust. About 7 GB, because the wheel of torch brings its CUDA libraries along. The samplers of the crate
# optimizer are built with cargo.
#   ANSATZ_PEERS_VENV   where; default .venv beside this file. the others are beside it, with -hebo, -rustuna, -botorch-rust
#                       and -optimizer after its name
#   PYTHON              which interpreter; the pinned versions are for 3.11
#   HEBO=0              without HEBO
#   OPTIMIZER=0         without the crate optimizer, which needs cargo
#   ONLY=name           nothing but one of the small ones: rustuna, botorch-rust, optimizer
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

only=${ONLY:-}
case $only in
"" | rustuna | botorch-rust | optimizer) ;;
*) echo "ONLY=$only: there are rustuna, botorch-rust, optimizer" >&2 && exit 2 ;;
esac
wants() { [ "${only:-$1}" = "$1" ]; }

if wants rustuna; then make "$venv-rustuna" requirements-rustuna.txt; fi
if wants botorch-rust; then make "$venv-botorch-rust" requirements-botorch-rust.txt; fi
if wants optimizer && [ "${OPTIMIZER:-1}" = 0 ]; then
    [ -z "$only" ] || { echo "ONLY=optimizer and OPTIMIZER=0 leave nothing to do" >&2 && exit 2; }
elif wants optimizer && ! command -v cargo >/dev/null; then
    echo "there is no cargo: the peers of the crate optimizer are left out" >&2
elif wants optimizer; then
    # not into its folder, whose files are the plugin's fingerprint
    cargo build --quiet --release --locked --manifest-path plugins/optimizer/Cargo.toml --target-dir "$venv-optimizer"
fi
[ -z "$only" ] || exit 0
make "$venv" requirements.txt
if [ "${HEBO:-1}" != 0 ]; then
    make "$venv-hebo" requirements-hebo.txt --no-deps
    # its own packages come first; torch and gpytorch are those of the other environment
    echo "$("$venv/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')" \
        >"$("$venv-hebo/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/zz-peers.pth"
fi
echo "ready: $venv"
