#!/usr/bin/env bash
# A real Slurm on this one machine, with several nodes, for tests; no accounting database, no systemd, no cgroups.
#
#   apt-get install -y --no-install-recommends slurmctld slurmd slurm-client munge     (tried: Debian 12, Slurm 22.05)
#   tests/cluster/local-slurm.sh start [NODES]      a controller and NODES slurmd: n1, n2, ... (3); the last has a pretended gpu:1
#   tests/cluster/local-slurm.sh node stop|kill|start N     one slurmd; kill is -9, which leaves its jobs' processes alone
#   tests/cluster/local-slurm.sh stop               everything that start started
#   eval "$(tests/cluster/local-slurm.sh env)"      SLURM_CONF for this shell
#
# All files are in $SLURM_LOCAL_DIR (./.slurm-local).  A node has $SLURM_LOCAL_CPUS cores (2), whatever the machine has, and a
# share of its memory.  The jobs of Snakemake's Slurm executor forget SLURM_CONF, so that /etc/slurm has to answer: two links
# are put there, and only where there is nothing; where there is something, the script does not start.
set -eu
DIR=$(realpath -m "${SLURM_LOCAL_DIR:-$PWD/.slurm-local}")
CPUS=${SLURM_LOCAL_CPUS:-2}
export SLURM_CONF=$DIR/slurm.conf

fail() { echo "$*" >&2; exit 3; }

start_node() { mkdir -p "$DIR/spool-n$1"; slurmd -c -N "n$1"; }

alive() { [ -f "$1" ] && kill -0 "$(cat "$1")" 2>/dev/null; }

# not a zombie that nobody has collected
running() { [ -d "/proc/$1" ] && ! grep -q '^State:.Z' "/proc/$1/status"; }

# wait_for SECONDS COMMAND...: until it succeeds
wait_for() {
  local end=$((SECONDS + $1)); shift
  until "$@" >/dev/null 2>&1; do [ $SECONDS -lt $end ] || return 1; sleep .2; done
}

write_configuration() {
  local nodes=$1 memory gres n
  memory=$(awk -v n="$nodes" '/MemTotal/ {print int($2/1024*0.9/n)}' /proc/meminfo)
  cat > "$DIR/slurm.conf" <<CONF
ClusterName=local
SlurmctldHost=localhost
SlurmUser=$(id -un)
SlurmdUser=$(id -un)
AuthType=auth/munge
CredType=cred/munge
StateSaveLocation=$DIR/state
SlurmdSpoolDir=$DIR/spool-%n
SlurmctldLogFile=$DIR/log/slurmctld.log
SlurmdLogFile=$DIR/log/slurmd-%n.log
SlurmctldPidFile=$DIR/slurmctld.pid
SlurmdPidFile=$DIR/slurmd-%n.pid
SlurmdParameters=config_overrides
ProctrackType=proctrack/linuxproc
MpiDefault=none
MailProg=/bin/true
JobAcctGatherType=jobacct_gather/linux
JobAcctGatherFrequency=task=1
JobAcctGatherParams=OverMemoryKill
AccountingStorageType=accounting_storage/none
MinJobAge=3600
SlurmdTimeout=20
KillWait=5
ReturnToService=2
SchedulerParameters=batch_sched_delay=0
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
GresTypes=gpu
CONF
  : > "$DIR/gres.conf"
  for n in $(seq "$nodes"); do
    gres=; if [ "$n" = "$nodes" ]; then gres="Gres=gpu:1"; echo "NodeName=n$n Name=gpu File=/dev/null" > "$DIR/gres.conf"; fi
    echo "NodeName=n$n NodeHostname=localhost Port=$((17000 + n)) CPUs=$CPUS RealMemory=$memory $gres State=UNKNOWN" >> "$DIR/slurm.conf"
  done
  echo "PartitionName=main Nodes=n[1-$nodes] Default=YES MaxTime=INFINITE DefMemPerCPU=500 State=UP" >> "$DIR/slurm.conf"
}

start_munge() {
  munge -n >/dev/null 2>&1 && return
  [ "$(id -u)" = 0 ] || fail "munged is not running, and only root can start it: start it, and run this again."
  install -d -o munge -g munge -m 0755 /run/munge
  runuser -u munge -- /usr/sbin/munged
  touch "$DIR/munged-is-ours"
}

# The default place answers with our files; somebody else's are left alone.
link_defaults() {
  local file target
  for file in slurm.conf gres.conf; do
    target=/etc/slurm/$file
    if [ "$(readlink "$target" 2>/dev/null)" = "$DIR/$file" ]; then continue; fi
    if [ -e "$target" ] || [ -L "$target" ]; then fail "$target is there already: this machine has a Slurm of its own, which is left alone."; fi
  done
  if [ ! -d /etc/slurm ]; then
    mkdir /etc/slurm 2>/dev/null || fail "/etc/slurm cannot be made: the jobs of a local Slurm look for their configuration there; run this as root."
    touch "$DIR/etc-is-ours"
  fi
  for file in slurm.conf gres.conf; do ln -sfn "$DIR/$file" /etc/slurm/$file; done
}

unlink_defaults() {
  local file
  for file in slurm.conf gres.conf; do
    if [ "$(readlink /etc/slurm/$file 2>/dev/null)" = "$DIR/$file" ]; then rm /etc/slurm/$file; fi
  done
  if [ -f "$DIR/etc-is-ours" ]; then rmdir /etc/slurm 2>/dev/null || true; rm "$DIR/etc-is-ours"; fi
}

stop_all() {
  local pid pids=()
  # a slurmd outlives its end while a job runs on it
  scancel --signal=KILL --full --user="$(id -un)" 2>/dev/null || true
  scancel --user="$(id -un)" 2>/dev/null || true
  wait_for 30 eval '[ -z "$(squeue --noheader)" ]' || true
  for pid in "$DIR"/slurmd-n*.pid "$DIR/slurmctld.pid"; do if alive "$pid"; then pids+=("$(cat "$pid")"); fi; done
  for pid in "${pids[@]}"; do kill "$pid"; done
  # their pid files go before they do
  for pid in "${pids[@]}"; do wait_for 20 eval "! running $pid" || kill -9 "$pid"; done
  rm -f "$DIR"/*.pid
  unlink_defaults
  if [ -f "$DIR/munged-is-ours" ]; then kill "$(cat /run/munge/munged.pid)" || true; rm "$DIR/munged-is-ours"; fi
}

case "${1:-}" in
start)
  nodes=${2:-3}
  for program in slurmctld slurmd sbatch munge; do
    command -v $program >/dev/null || fail "$program is not installed: apt-get install slurmctld slurmd slurm-client munge."
  done
  if alive "$DIR/slurmctld.pid"; then fail "A Slurm of $DIR is running already: stop it first."; fi
  mkdir -p "$DIR"/{state,log}
  trap 'stop_all' ERR
  link_defaults
  write_configuration "$nodes"
  start_munge
  slurmctld -c
  for n in $(seq "$nodes"); do start_node "$n"; done
  wait_for 60 timeout 10 srun --immediate=5 --nodes="$nodes" --mem=50 true || { stop_all; fail "The nodes did not answer within a minute: see $DIR/log."; }
  sinfo -N -o '%N %P %T %c %m %G'
  ;;
node)
  pid=$DIR/slurmd-n$3.pid
  case "$2" in
  stop) kill "$(cat "$pid")" ;;
  kill) kill -9 "$(cat "$pid")" ;;
  start) start_node "$3" ;;
  esac
  ;;
stop) stop_all ;;
env) echo "export SLURM_CONF=$SLURM_CONF" ;;
*) sed -n 2,12p "$0"; exit 2 ;;
esac
