#!/bin/sh
# slurm.sh up DIR [accounting] | down DIR: a whole Slurm of its own on this machine, for tests.
#
# Munge, slurmctld and slurmd (with "accounting" also MariaDB and slurmdbd, for sacct) run from DIR with
# keys, sockets and free ports of their own; nothing in /etc is read or written. "up" waits until the
# node is idle, prints the path of slurm.conf for $SLURM_CONF, and ends with 1 and the reason on stderr
# where it cannot be started; "down" stops all of it, and is right to call after a failed "up" too. Root only.
#
# Partition "main" (the default) takes the node from jobs of "spare", which are put back into the queue.
# Where cgroup v1 can be written, memory is limited, so that a job can really run out of it; it has two
# GPUs that are none. Its job ids are its own, or two Slurms at once would share the cgroups of a number.
# CPUS, more than there may really be, bounds what runs at once. MORE is lines for slurm.conf,
# MIN_JOB_AGE the seconds for which a job is known that is over.
set -eu
what=$1 dir=$2 accounting=${3-}
host=$(hostname -s)
cpus=${CPUS:-4}
daemons='slurmd slurmctld slurmdbd mariadbd munged'

give_up() {
	echo "no Slurm: $*" >&2
	[ ! -d "$dir/log" ] || tail -n 3 "$dir"/log/*.log >&2 2>/dev/null || true
	exit 1
}

# Free now; that somebody takes one before the daemon does makes "up" fail, which says so.
free_ports() {
	python3 -c '
import socket, sys
held = [socket.socket() for _ in range(int(sys.argv[1]))]
for s in held: s.bind(("127.0.0.1", 0))
print(*[s.getsockname()[1] for s in held])' 3
}

# until COMMAND: within ten seconds
until_true() {
	tries=100
	while ! "$@" >/dev/null 2>&1; do
		tries=$((tries - 1))
		[ $tries -gt 0 ] || return 1
		sleep 0.1
	done
}

limits_memory() {
	mkdir "/sys/fs/cgroup/memory/thhost-test-$$" 2>/dev/null &&
		rmdir "/sys/fs/cgroup/memory/thhost-test-$$"
}

write_conf() {
	read -r ctld_port d_port dbd_port <<-END
		$(free_ports)
	END
	if limits_memory; then
		track=proctrack/cgroup task=task/cgroup
	else
		track=proctrack/linuxproc task=task/none
	fi
	cat >"$dir/cgroup.conf" <<-END
		CgroupPlugin=cgroup/v1
		CgroupMountpoint=/sys/fs/cgroup
		ConstrainRAMSpace=yes
		ConstrainSwapSpace=yes
		AllowedSwapSpace=0
	END
	echo "NodeName=$host Name=gpu File=/dev/zero,/dev/full" >"$dir/gres.conf"
	cat >"$dir/slurm.conf" <<-END
		ClusterName=thhost
		SlurmctldHost=$host(127.0.0.1)
		SlurmUser=root
		SlurmdUser=root
		FirstJobId=$((ctld_port * 1000))
		SlurmctldPort=$ctld_port
		SlurmdPort=$d_port
		AuthType=auth/munge
		AuthInfo=socket=$dir/run/munge.sock
		CredType=cred/munge
		StateSaveLocation=$dir/state
		SlurmdSpoolDir=$dir/spool
		SlurmctldPidFile=$dir/run/slurmctld.pid
		SlurmdPidFile=$dir/run/slurmd.pid
		SlurmctldLogFile=$dir/log/slurmctld.log
		SlurmdLogFile=$dir/log/slurmd.log
		ProctrackType=$track
		TaskPlugin=$task
		SlurmdParameters=config_overrides
		SwitchType=switch/none
		MpiDefault=none
		ReturnToService=2
		SchedulerType=sched/backfill
		SchedulerParameters=sched_interval=1,bf_interval=1,batch_sched_delay=0
		SelectType=select/cons_tres
		SelectTypeParameters=CR_Core_Memory
		PreemptType=preempt/partition_prio
		PreemptMode=REQUEUE
		JobAcctGatherType=jobacct_gather/none
		JobCompType=jobcomp/none
		MinJobAge=${MIN_JOB_AGE:-300}
		KillWait=2
		InactiveLimit=0
		Waittime=0
		GresTypes=gpu
		NodeName=$host NodeAddr=127.0.0.1 CPUs=$cpus RealMemory=2000 Gres=gpu:2 State=UNKNOWN
		PartitionName=main Nodes=$host Default=YES MaxTime=INFINITE State=UP PriorityTier=2 DefMemPerCPU=200
		PartitionName=spare Nodes=$host MaxTime=INFINITE State=UP PriorityTier=1 DefMemPerCPU=200
	END
	[ -z "${MORE-}" ] || echo "$MORE" >>"$dir/slurm.conf"
	if [ -z "$accounting" ]; then
		echo "AccountingStorageType=accounting_storage/none" >>"$dir/slurm.conf"
		return
	fi
	cat >>"$dir/slurm.conf" <<-END
		AccountingStorageType=accounting_storage/slurmdbd
		AccountingStorageHost=localhost
		AccountingStoragePort=$dbd_port
		AccountingStoragePass=$dir/run/munge.sock
	END
	cat >"$dir/slurmdbd.conf" <<-END
		AuthType=auth/munge
		AuthInfo=socket=$dir/run/munge.sock
		DbdHost=localhost
		DbdPort=$dbd_port
		SlurmUser=root
		StorageType=accounting_storage/mysql
		StorageHost=localhost
		StorageUser=root
		StorageLoc=thhost_test
		LogFile=$dir/log/slurmdbd.log
		PidFile=$dir/run/slurmdbd.pid
	END
	chmod 600 "$dir/slurmdbd.conf"
}

start_munge() {
	dd if=/dev/urandom of="$dir/munge/key" bs=128 count=1 2>/dev/null
	chmod 600 "$dir/munge/key"
	munged --force --key-file="$dir/munge/key" --socket="$dir/run/munge.sock" \
		--pid-file="$dir/run/munged.pid" --log-file="$dir/log/munged.log" \
		--seed-file="$dir/munge/seed" >>"$dir/log/start.log" 2>&1 || give_up "munged did not start"
}

start_accounting() {
	mariadb-install-db --no-defaults --user=root --datadir="$dir/db" \
		--auth-root-authentication-method=normal --skip-test-db >"$dir/log/install-db.log" 2>&1 ||
		give_up "no database for its accounting"
	setsid mariadbd --no-defaults --user=root --datadir="$dir/db" --socket="$dir/run/my.sock" \
		--skip-networking --pid-file="$dir/run/mariadbd.pid" --innodb-buffer-pool-size=64M \
		--innodb-lock-wait-timeout=900 >"$dir/log/mariadbd.log" 2>&1 </dev/null &
	until_true test -S "$dir/run/my.sock" || give_up "mariadbd did not start"
	MYSQL_UNIX_PORT=$dir/run/my.sock slurmdbd >>"$dir/log/start.log" 2>&1 || give_up "slurmdbd did not start"
	until_true timeout 2 sacctmgr -i show cluster || give_up "slurmdbd does not answer"
	timeout 10 sacctmgr -i add cluster thhost >>"$dir/log/start.log" 2>&1 || true # slurmctld may have
}

is_idle() { timeout 2 sinfo -h -o %t 2>/dev/null | grep -q '^idle'; }

up() {
	[ "$(id -u)" = 0 ] || give_up "it wants root"
	for daemon in munged slurmctld slurmd sbatch; do
		command -v $daemon >/dev/null 2>&1 || give_up "there is no $daemon (packages slurm-wlm, munge)"
	done
	mkdir -p "$dir/munge" "$dir/state" "$dir/spool" "$dir/log" "$dir/run" "$dir/db"
	chmod 755 "$dir"
	chmod 700 "$dir/munge"
	write_conf
	export SLURM_CONF="$dir/slurm.conf"
	start_munge
	[ -z "$accounting" ] || start_accounting
	slurmctld -f "$SLURM_CONF" >>"$dir/log/start.log" 2>&1 || give_up "slurmctld did not start"
	slurmd -f "$SLURM_CONF" -N "$host" >>"$dir/log/start.log" 2>&1 || give_up "slurmd did not start"
	until_true is_idle || give_up "its node does not come up"
	echo "$SLURM_CONF"
}

each_pid() {
	for daemon in $daemons; do
		[ ! -s "$dir/run/$daemon.pid" ] || cat "$dir/run/$daemon.pid"
	done
}

is_down() {
	for pid in $pids; do
		! kill -0 "$pid" 2>/dev/null || return 1
	done
}

down() {
	pids=$(each_pid)
	export SLURM_CONF="$dir/slurm.conf"
	timeout 3 scancel --full -u root >/dev/null 2>&1 || true
	timeout 3 scancel --signal=KILL -u root >/dev/null 2>&1 || true
	for pid in $pids; do
		kill "$pid" 2>/dev/null || true
	done
	until_true is_down || for pid in $pids; do
		kill -9 "$pid" 2>/dev/null || true
	done
	rm -rf "$dir"
}

PATH=$PATH:/usr/sbin:/sbin
case $what in
up) up ;;
down) down ;;
*) give_up "'$what' is neither up nor down" ;;
esac
