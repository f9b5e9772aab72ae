#!/bin/sh
# needs.sh GROUP...: fail and name the Debian packages if something of GROUP (build, test, cov, torture, torture-vm) is missing.
# needs.sh install GROUP...: install them, saying which.
# A line: what to look for (pkg:NAME by pkg-config, cmd:NAME in PATH or sbin, file:PATTERN, lua:MODULE,
# py:MODULE, rt:NAME of clang), Debian package, group.
set -eu

list='
cmd:cc            gcc              build
cmd:make          make             build
cmd:pkg-config    pkg-config       build
pkg:lua5.4        liblua5.4-dev    build
pkg:lua5.4-cjson  lua-cjson-dev    build
pkg:inih          libinih-dev      build
pkg:yaml-0.1      libyaml-dev      build
pkg:nettle        nettle-dev       build
pkg:sqlite3       libsqlite3-dev   build
cmd:lua5.4        lua5.4           build
cmd:git           git              build
lua:cjson         lua-cjson        test
cmd:busted        lua-busted       test
cmd:luacheck      lua-check        test
cmd:jq            jq               test
cmd:strace        strace           test
cmd:mandoc        mandoc           test
cmd:cppcheck      cppcheck         test
cmd:clang         clang            test
cmd:clang-format  clang-format     test
cmd:python3       python3          test
py:jsonschema     python3-jsonschema test
cmd:slurmctld     slurm-wlm        test
cmd:munged        munge            test
cmd:slurmdbd      slurmdbd         test
cmd:mariadbd      mariadb-server   test
file:/usr/lib/*/slurm-wlm/accounting_storage_mysql.so slurm-wlm-mysql-plugin test
cmd:gcovr         gcovr            cov
cmd:mkfs.ext4     e2fsprogs        torture
cmd:xfs_io        xfsprogs         torture
cmd:clang         clang            torture
rt:fuzzer         libclang-rt-dev  torture
cmd:bindfs        bindfs           torture
cmd:qemu-system-x86_64 qemu-system-x86 torture-vm
cmd:busybox       busybox-static   torture-vm
'

found() {
	case $1 in
	pkg:*) pkg-config --exists "${1#pkg:}" 2>/dev/null ;;
	cmd:*) PATH=$PATH:/usr/sbin command -v "${1#cmd:}" >/dev/null 2>&1 ;;
	file:*) ls ${1#file:} >/dev/null 2>&1 ;;
	lua:*) command -v lua5.4 >/dev/null 2>&1 && lua5.4 -e "require '${1#lua:}'" >/dev/null 2>&1 ;;
	rt:*) ls "$(clang -print-runtime-dir 2>/dev/null)/libclang_rt.${1#rt:}"* >/dev/null 2>&1 ;;
	py:*) /usr/bin/python3 -c "import ${1#py:}" >/dev/null 2>&1 ;;
	esac
}

install=no
if [ "${1-}" = install ]; then
	install=yes
	shift
fi

missing=
for group; do
	while read -r what package of; do
		[ "$of" = "$group" ] || continue
		found "$what" || missing="$missing $package"
	done <<END
$list
END
done
[ -n "$missing" ] || exit 0

if [ $install = no ]; then
	echo "missing Debian packages:$missing" >&2
	echo "hint: apt-get install$missing     (or 'make deps')" >&2
	exit 1
fi
echo "installing Debian packages:$missing"
if ! command -v apt-get >/dev/null 2>&1; then
	echo "no apt-get here: install what these packages hold by other means" >&2
	exit 1
fi
run=
[ "$(id -u)" = 0 ] || run=sudo
$run apt-get update -qq
# shellcheck disable=SC2086
DEBIAN_FRONTEND=noninteractive $run apt-get install -y -qq --no-install-recommends $missing >/dev/null
