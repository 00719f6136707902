#!/usr/bin/env bash
# Start Slurm on this machine as a cluster of one node, run a command, and stop Slurm:  tests/slurm/one_node.sh COMMAND...
# For root on Debian, in a container or a virtual machine of its own: it writes /etc/slurm/. Its GPUs are empty
# files, which Slurm counts and hands out as it does with devices.
set -euo pipefail

[ $# -gt 0 ] || { echo "usage: $0 COMMAND..." >&2; exit 2; }
[ "$(id -u)" = 0 ] || { echo "$0: only root can start Slurm: run it in a container" >&2; exit 2; }
if [ -e /etc/slurm/slurm.conf ] && ! grep -q '^ClusterName=one_node$' /etc/slurm/slurm.conf; then
    echo "$0: /etc/slurm/slurm.conf is that of another cluster: use a machine that belongs to none" >&2
    exit 2
fi
command -v slurmctld slurmd munged >/dev/null ||
    { apt-get update -qq && apt-get install --yes -qq --no-install-recommends slurm-wlm munge; } >&2

state=$(mktemp -d)
mkdir -p "$state/state" "$state/spool" /etc/slurm
touch "$state"/gpu{0..15}
echo "Name=gpu File=$state/gpu[0-15]" >/etc/slurm/gres.conf
cat >/etc/slurm/slurm.conf <<CONF
ClusterName=one_node
SlurmctldHost=localhost(127.0.0.1)
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
CommunicationParameters=NoInAddrAny,NoCtldInAddrAny
StateSaveLocation=$state/state
SlurmdSpoolDir=$state/spool
SlurmctldPidFile=$state/slurmctld.pid
SlurmdPidFile=$state/slurmd.pid
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SwitchType=switch/none
MpiDefault=none
ReturnToService=2
SchedulerType=sched/backfill
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
MinJobAge=300
KillWait=5
GresTypes=gpu
NodeName=localhost NodeAddr=127.0.0.1 CPUs=$(nproc) RealMemory=$(free --mebi | awk '/^Mem/ {print $2}') Gres=gpu:16
PartitionName=test Nodes=localhost Default=YES MaxTime=INFINITE State=UP
CONF

daemons=()
# Called by the trap.
# shellcheck disable=SC2317
stop() {
    scancel --user root || true
    kill "${daemons[@]}" || true
    wait
    rm -r "$state"
}
trap stop EXIT

if ! munge --no-input >/dev/null 2>&1; then
    install --directory --owner munge --group munge /run/munge
    runuser --user munge -- munged --foreground 2>"$state/munged.log" &
    daemons+=($!)
fi
slurmctld -D >"$state/slurmctld.log" 2>&1 &
daemons+=($!)
slurmd -D -N localhost >"$state/slurmd.log" 2>&1 &
daemons+=($!)
for _ in $(seq 60); do
    [ "$(sinfo --noheader --format %T 2>/dev/null)" = idle ] && break
    sleep 1
done
if [ "$(sinfo --noheader --format %T)" != idle ]; then
    tail -n 20 "$state"/*.log >&2
    exit 1
fi

"$@"
