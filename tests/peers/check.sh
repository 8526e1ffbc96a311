#!/usr/bin/env bash
# Do the adapters do what a strategy should? The quick cases of `ansatz plugins check`, for the peers that are named or
# for all:
#   ./check.sh optuna-tpe hebo
# It takes minutes for the slow ones. The environment is that of run.sh.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
export ANSATZ_PEERS_VENV=${ANSATZ_PEERS_VENV:-$here/.venv}
built=$here/../../target/release/ansatz
host=${ANSATZ:-$([ -x "$built" ] && echo "$built" || echo ansatz)}
cases=(float-log-parameters float-step-parameters int-log-parameters int-step-parameters categorical-parameters
    bool-parameters ordinal-parameters one-value-parameters conditional-parameters ask-counts waiting finite-space
    failed-trials nothing-but-failures foreign-observations told-twice losses-not-finite equal-losses same-seed every-process replay)
[ $# -gt 0 ] || set -- $(sed -n 's/^    "\(.*\)": ".*_peer:.*/\1/p' "$here/plugins/python/peers.py") hebo rustuna botorch-rust \
    optimizer-tpe optimizer-tpe-multivariate optimizer-gp optimizer-cma
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
status=0
for peer in "$@"; do
    plugin=python strategy="plugin = \"peers.python\", options = { peer = \"$peer\" }"
    # these have a plugin of their own
    case $peer in
    hebo | rustuna | botorch-rust) plugin=$peer strategy="plugin = \"peers.$peer\"" ;;
    optimizer-*)
        plugin=optimizer strategy="plugin = \"peers.optimizer\", options = { peer = \"${peer#optimizer-}\" }"
        ;;
    esac
    # a manifest says which peer is meant
    sed "s/^plugin = \"random\"/$strategy/; s/, options = /\noptions = /" "$here/problems/svm-wine.toml" |
        sed "s|\.\./plugins|$here/plugins|" >"$folder/$peer.toml"
    echo "== $peer"
    "$host" plugins check "$here/plugins/$plugin" --problem "$folder/$peer.toml" --timeout 600 \
        "${cases[@]/#/--only=}" || status=$?
done
exit $status
