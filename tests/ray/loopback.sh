#!/usr/bin/env bash
# A private Ray of a head and several nodes on this machine, on addresses of the loopback network. Runs until its standard input
# closes, and ends what it started.
#
# usage: loopback.sh RAY FOLDER NODES CPUS_PER_NODE FIRST_PORT; prints "ready" when jobs can be submitted with
# RAY_ADDRESS=http://127.0.0.2:FIRST_PORT. RAY is the program of an environment with ray[default] (tests/ray/setup.sh).
set -euo pipefail
ray=$1 folder=$2 nodes=$3 cpus=$4 port=$5
export RAY_USAGE_STATS_ENABLED=0 RAY_DISABLE_IMPORT_WARNING=1
# a node that is gone is noticed within seconds
export RAY_health_check_period_ms=1000 RAY_health_check_timeout_ms=2000 RAY_health_check_failure_threshold=3
# jobs find the interpreter of this environment
export PATH="$(dirname "$ray"):$PATH"
ours() { ps -eo pid,args | awk -v mark="$folder/t/" 'index($0, mark) && !/awk/ { print $1 }'; }
end() {
    # not `ray stop`, which ends every Ray of the machine
    local processes children
    processes=$(ours)
    children=$(for process in $processes; do ps -o pid= --ppid "$process" || true; done)
    kill $processes 2>/dev/null || true
    sleep 1
    kill -9 $processes $children 2>/dev/null || true
}
trap end EXIT
memory=(--object-store-memory=100000000 --disable-usage-stats)
"$ray" start --head --node-ip-address=127.0.0.2 --port=$((port + 1)) --num-cpus=0 "${memory[@]}" --include-dashboard=true \
    --dashboard-host=127.0.0.2 --dashboard-port="$port" --temp-dir="$folder/t" >"$folder/head.out" 2>&1 </dev/null
for node in $(seq 1 "$nodes"); do
    "$ray" start --address=127.0.0.2:$((port + 1)) --node-ip-address=127.0.0.$((node + 2)) --num-cpus="$cpus" "${memory[@]}" \
        >"$folder/node$node.out" 2>&1 </dev/null
done
for _ in $(seq 1 60); do
    if RAY_ADDRESS="http://127.0.0.2:$port" "$ray" job list >"$folder/jobs.out" 2>&1; then
        echo ready
        cat >/dev/null
        exit 0
    fi
    sleep 1
done
echo "the jobs server does not come up: see $folder/*.out" >&2
exit 1
