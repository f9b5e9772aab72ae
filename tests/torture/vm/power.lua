--- In the virtual machine: appends to /dev/vda for ever, each told to the host once it is acknowledged.
local cli = require "support.cli"
local hosts = require "support.hosts"
local file = require("unit").file

local ROOT = "/srv/artifact"
-- /out is the host's: what is written there outlives this machine.
local LOOP = "i=%d; while :; do i=$((i + 1)); %s && echo $i >>/out/acks.%d; done"

cli.shell(("modprobe ext4; mkdir -p /srv; mount /dev/vda /srv; test -d %s || THHOST_ROOT=%s %s exp new exp_1")
	:format(ROOT, ROOT, cli.thhost))
local writers = {}
for i = 1, 2 do
	local from = tonumber(arg[1]) + i * 1000
	local command = LOOP:format(from, hosts.record({ root = ROOT }, "$i"), i)
	writers[i] = file.spawn { "sh", "-c", command, out = "/dev/null" }
end
for _, pid in ipairs(writers) do
	file.wait(pid, 3600000)
end
