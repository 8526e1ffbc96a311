#!/usr/bin/env bash
# Sets the peers up and runs the arena, or the part of it that the arguments of `ansatz bench` select:
#   ./run.sh --strategies bayesian,optuna-tpe,hebo --problems training --seeds 3
# What is done is kept in results/ (--output names another folder), so stop it and run it again as you like. It begins
# with what recorded/ has of the peers; delete recorded/results.jsonl to measure them all yourself.
#   ANSATZ              the host; default what cargo built (release), else the one in the PATH
#   ANSATZ_PEERS_VENV   see setup.sh
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
export ANSATZ_PEERS_VENV=${ANSATZ_PEERS_VENV:-$here/.venv}
"$here/setup.sh" >&2
built=$here/../../target/release/ansatz
host=${ANSATZ:-$([ -x "$built" ] && echo "$built" || echo ansatz)}
# neither the thread of the host that decides nor a library of ours should have more than the peers
export RAYON_NUM_THREADS=1
if [ ! -e "$here/results" ] && [ -e "$here/recorded/results.jsonl" ]; then
    mkdir "$here/results" && cp "$here/recorded/results.jsonl" "$here/results/"
fi
case " $* " in
*" --output"* | *" -o"*) exec nice "$host" bench "$here/arena.toml" "$@" ;;
*) exec nice "$host" bench "$here/arena.toml" --output "$here/results" "$@" ;;
esac
