#!/bin/sh
# prepare.sh DIR: what the virtual machine boots from, made once in DIR: Debian's kernel and the NFS
# and device-mapper programs that the host need not have installed (DIR/root, laid over the host's own
# root in the guest), and an initramfs (DIR/initramfs) that finds both.
set -eu
dir=$1
here=$(dirname "$(readlink -f "$0")")
boot_modules='virtio_pci virtio_blk 9p 9pnet_virtio overlay'

[ -e "$dir/initramfs" ] && [ "$dir/initramfs" -nt "$here/init" ] && exit 0
mkdir -p "$dir/debs" "$dir/root"
cd "$dir"

programs='kmod nfs-kernel-server nfs-common rpcbind netbase keyutils dmsetup'
if [ ! -e debs/complete ]; then
	kernel=$(apt-cache depends linux-image-amd64 | sed -n 's/.*Depends: \(linux-image-[^ ]*\)/\1/p' | head -n 1)
	# shellcheck disable=SC2086
	libs=$(apt-cache depends $programs | sed -n 's/.*Depends: \(lib[^ ]*\)$/\1/p' | sort -u | grep -vx libc6)
	# shellcheck disable=SC2086
	(cd debs && apt-get download -qq "$kernel" $programs $libs libtirpc-common libk5crypto3 libkrb5support0 \
		2>../download.log) || {
		cat download.log >&2
		exit 1
	}
	touch debs/complete
fi

rm -rf root initramfs.d
mkdir root
for deb in debs/*.deb; do
	dpkg-deb -x "$deb" root
done
# The packages still say /lib and /sbin, which would hide the host's links of these names.
for name in bin sbin lib; do
	[ -d root/$name ] || continue
	mkdir -p root/usr/$name
	cp -a root/$name/. root/usr/$name/
	rm -r root/$name
	ln -s usr/$name root/$name
done
release=$(ls root/usr/lib/modules)
LD_LIBRARY_PATH=$dir/root/usr/lib/x86_64-linux-gnu
export LD_LIBRARY_PATH
ln -sf root/usr/bin/kmod depmod
ln -sf root/usr/bin/kmod modprobe
./depmod -b root "$release"

mkdir -p initramfs.d/bin initramfs.d/modules
cp "$(command -v busybox)" initramfs.d/bin/busybox
cp "$here/init" initramfs.d/init
for module in $boot_modules; do
	./modprobe -d root -S "$release" --show-depends "$module"
done | sed -n 's/^insmod \([^ ]*\).*/\1/p' | awk '!seen[$0]++' >initramfs.d/modules/order
while read -r path; do
	cp "$path" initramfs.d/modules/
done <initramfs.d/modules/order
(cd initramfs.d && find . | busybox cpio -o -H newc 2>/dev/null) | gzip -1 >initramfs.new
mv initramfs.new initramfs
