--- In the virtual machine: a disk (dm-flakey) whose writes begin to fail, so that a sync reports EIO.
local cli = require "support.cli"
local hosts = require "support.hosts"
local storage = require "support.storage"
local torture = require "support.torture"

local CYCLES = tonumber(arg[1])
local DISK, ROOT = "/dev/dm-0", "/srv/artifact"
local RECORD = ROOT .. hosts.STAGE .. "/" .. storage.RECORD
local GOOD = "0 %d linear /dev/vda 0"
local BAD = "0 %d flakey /dev/vda 0 0 3600 1 error_writes"

local sectors = tonumber(cli.shell "cat /sys/block/vda/size")

local function load(table_line)
	cli.shell(("dmsetup suspend --nolockfs flaky && dmsetup load flaky --table '%s' && dmsetup --noudevsync resume flaky")
		:format(table_line:format(sectors)))
end

local function append(steps)
	local _, _, status = os.execute(hosts.record({ root = ROOT }, steps) .. " >/run/out 2>/run/err")
	print(steps, status, storage.read("/run/err"))
	return status
end

cli.shell(("modprobe -a ext4 dm-mod dm-flakey; dmsetup --noudevsync create flaky --table '%s' && mkfs.ext4 -q -F %s")
	:format(GOOD:format(sectors), DISK))
cli.shell(("mkdir -p /srv && mount %s /srv && THHOST_ROOT=%s %s exp new exp_1"):format(DISK, ROOT, cli.thhost))
local status, refused = {}, 0
for i = 1, CYCLES do
	status[2 * i] = append(2 * i)
	load(BAD)
	status[2 * i + 1] = append(2 * i + 1)
	refused = refused + (status[2 * i + 1] ~= 0 and 1 or 0)
	load(GOOD)
	-- The journal of ext4 has given up; and what the page cache says is not what the disk has.
	cli.shell(("umount /srv; echo 3 >/proc/sys/vm/drop_caches; e2fsck -fp %s; mount %s /srv"):format(DISK, DISK)
		.. " && mountpoint -q /srv")
	assert(storage.read(RECORD), "the record is gone")
	print(table.concat(storage.steps(ROOT .. hosts.STAGE), " "))
end
local wrong = hosts.violations({}, storage.steps(ROOT .. hosts.STAGE), status)
torture.figure("hosts", "dm-flakey: a disk that takes no more writes", CYCLES,
	wrong + CYCLES - refused, "ext4")
