#!/usr/bin/env bash
# A private Slurm of several nodes on this machine, by its loopback address: no systemd, no cgroups, a key and a socket of
# its own. Runs until its standard input closes, and ends what it started.
#
# usage: loopback.sh FOLDER NODES CPUS_PER_NODE FIRST_PORT; prints "ready" when jobs can be submitted with
# SLURM_CONF=FOLDER/slurm.conf. Needs the Debian packages slurmctld slurmd slurm-client munge.
set -euo pipefail
folder=$1 nodes=$2 cpus=$3 port=$4
host=$(hostname -s) user=$(id -un)
mkdir -p "$folder/munge" "$folder/state"
chmod 700 "$folder/munge"
started=()
end() { for process in "${started[@]}"; do kill "$process" 2>/dev/null || true; done; wait || true; }
trap end EXIT

(umask 077 && dd if=/dev/urandom of="$folder/munge/key" bs=128 count=1 status=none)
/usr/sbin/munged --foreground --force --key-file="$folder/munge/key" --socket="$folder/munge/socket" \
    --pid-file="$folder/munge/pid" --log-file="$folder/munge/log" --seed-file="$folder/munge/seed" \
    >"$folder/munge/out" 2>&1 </dev/null &
started+=($!)
{
    cat <<CONF
ClusterName=loopback
SlurmctldHost=$host(127.0.0.1)
SlurmctldPort=$port
SlurmUser=$user
SlurmdUser=$user
AuthType=auth/munge
CredType=cred/munge
AuthInfo=socket=$folder/munge/socket
StateSaveLocation=$folder/state
SlurmdSpoolDir=$folder/spool.%n
SlurmctldPidFile=$folder/slurmctld.pid
SlurmdPidFile=$folder/slurmd.%n.pid
SlurmctldLogFile=$folder/slurmctld.log
SlurmdLogFile=$folder/slurmd.%n.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
SchedulerType=sched/backfill
SchedulerParameters=sched_min_interval=100000,sched_interval=1,bf_interval=1,batch_sched_delay=0,default_queue_depth=1000
SlurmdParameters=config_overrides
MaxArraySize=10001
SlurmctldTimeout=10
SlurmdTimeout=15
KillWait=2
ReturnToService=2
MpiDefault=none
CONF
    for node in $(seq 1 "$nodes"); do
        mkdir -p "$folder/spool.node$node"
        echo "NodeName=node$node NodeHostname=$host NodeAddr=127.0.0.1 Port=$((port + node)) CPUs=$cpus RealMemory=1000"
    done
    echo "PartitionName=main Nodes=node[1-$nodes] Default=YES MaxTime=INFINITE State=UP OverSubscribe=NO"
} >"$folder/slurm.conf"
export SLURM_CONF="$folder/slurm.conf"
slurmctld -D -i >"$folder/slurmctld.out" 2>&1 </dev/null &
started+=($!)
for node in $(seq 1 "$nodes"); do
    slurmd -D -N "node$node" >"$folder/slurmd.node$node.out" 2>&1 </dev/null &
    started+=($!)
    echo $! >"$folder/slurmd.node$node.process"
done
for _ in $(seq 1 300); do
    if [ "$(sinfo -h -N -t idle -o %N 2>/dev/null | wc -l)" -ge "$nodes" ]; then
        echo ready
        cat >/dev/null
        exit 0
    fi
    sleep 0.1
done
echo "the nodes do not come up: see $folder/*.out" >&2
exit 1
