#!/bin/sh
# boot.sh DIR OUT SECONDS JOB...: run the command JOB in the virtual machine that prepare.sh made in DIR.
# It runs in this working directory and environment, as root. What it says is in OUT/log, and /out is
# OUT there; the image OUT/disk is its /dev/vda. OUT/pid is QEMU's, for a power cut. Status: the job's, or
# 124 when it came to no end. There is no KVM in the places where this runs: TCG is slow but is everywhere.
set -eu
dir=$1 out=$2 seconds=$3
shift 3
rm -f "$out/status"
{
	export -p
	printf 'export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root TMPDIR=/tmp\n'
	printf 'export THHOST_PLUGIN_LOAD_LIMIT=60000 THHOST_PLUGIN_TIME_LIMIT=60000\n'
	printf "unset LD_LIBRARY_PATH LD_PRELOAD\ncd '%s' && exec" "$PWD"
	printf " '%s'" "$@"
	echo
} >"$out/job"

share() { echo "local,path=$1,mount_tag=$2,security_model=none,multidevs=remap"; }
timeout -k 5 "$seconds" qemu-system-x86_64 -accel tcg,thread=multi -cpu max -M q35 -m 1536 -smp 2 \
	-display none -serial "file:$out/console" -no-reboot -net none \
	-kernel "$(echo "$dir"/root/boot/vmlinuz-*)" -initrd "$dir/initramfs" \
	-append 'console=ttyS0 quiet panic=-1 mitigations=off' \
	-virtfs "$(share / host),readonly=on" -virtfs "$(share "$dir" vm),readonly=on" \
	-virtfs "$(share "$out" out)" \
	-drive "file=$out/disk,if=virtio,format=raw,cache=writeback" \
	-pidfile "$out/pid" || true
exit "$(cat "$out/status" 2>/dev/null || echo 124)"
