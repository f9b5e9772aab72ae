--- What is told about a machine and a working tree, and what is kept back.

local cjson = require "cjson"
local unit = require("unit")
local capture, setenv = unit.capture, unit.conf.setenv

local CC = os.getenv("CC") or "cc"

-- Stands for the driver's library; which behaviour is chosen by a variable.
local NVML = [[
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
static const char *mode(void) { const char *m = getenv("THHOST_FAKE_NVML"); return m ? m : ""; }
int nvmlInit_v2(void);
int nvmlInit_v2(void)
{
	if (!strcmp(mode(), "hang"))
		for (;;)
			pause();
	if (!strcmp(mode(), "crash"))
		_exit(11);
	return !strcmp(mode(), "broken") ? 9 : 0;
}
int nvmlSystemGetDriverVersion(char *out, unsigned size);
int nvmlSystemGetDriverVersion(char *out, unsigned size)
{
	snprintf(out, size, "535.104.05");
	return 0;
}
int nvmlSystemGetCudaDriverVersion_v2(int *out);
int nvmlSystemGetCudaDriverVersion_v2(int *out) { *out = 12020; return 0; }
int nvmlDeviceGetCount_v2(unsigned *out);
int nvmlDeviceGetCount_v2(unsigned *out) { *out = !strcmp(mode(), "none") ? 0 : 2; return 0; }
int nvmlDeviceGetHandleByIndex_v2(unsigned i, void **out);
int nvmlDeviceGetHandleByIndex_v2(unsigned i, void **out) { *out = (char *)0 + i + 1; return 0; }
int nvmlDeviceGetName(void *dev, char *out, unsigned size);
int nvmlDeviceGetName(void *dev, char *out, unsigned size)
{
	int odd = !strcmp(mode(), "mixed") && (char *)dev == (char *)0 + 2;
	snprintf(out, size, odd ? "NVIDIA T4" : "NVIDIA A100");
	return 0;
}
int nvmlDeviceGetMemoryInfo(void *dev, unsigned long long *out);
int nvmlDeviceGetMemoryInfo(void *dev, unsigned long long *out)
{
	(void)dev;
	out[0] = 85899345920ULL;
	out[1] = out[2] = 0;
	return 0;
}
]]

local function write(path, text, mode)
	local file = assert(io.open(path, "wb"))
	assert(file:write(text))
	assert(file:close())
	if mode then
		assert(os.execute(("/bin/chmod %s '%s'"):format(mode, path)))
	end
end

--- Its own tools, whatever PATH a test has set.
local function shell(format, ...)
	local pipe = assert(io.popen('PATH="/usr/bin:/bin:$PATH"; ' .. format:format(...)))
	local text = pipe:read("a")
	assert(pipe:close(), "failed: " .. format:format(...))
	return (text:gsub("\n$", ""))
end

local function has(list, text)
	for _, line in ipairs(list) do
		if line:find(text, 1, true) then
			return true
		end
	end
	return false
end

describe("capture", function()
	local root
	local old = {}

	local function set(name, value)
		if old[name] == nil then
			old[name] = os.getenv(name) or false
		end
		setenv(name, value)
	end

	before_each(function()
		root = shell("mktemp -d")
		set("THHOST_TEST_NVML", root .. "/no-such-library.so")
		set("THHOST_TEST_SYSROOT", nil)
		set("THHOST_TEST_DEADLINE_MS", nil)
		set("THHOST_FAKE_NVML", nil)
		set("HOME", root)
		set("XDG_CACHE_HOME", nil)
	end)

	after_each(function()
		for name, value in pairs(old) do
			setenv(name, value or nil)
		end
		old = {}
		shell("rm -r '%s'", root)
	end)

	describe("git", function()
		local function git(words)
			return shell("cd '%s/repo' && GIT_CONFIG_GLOBAL=/dev/null GIT_CONFIG_SYSTEM=/dev/null " ..
				"git -c user.name=n -c user.email=e@x %s", root, words)
		end

		local function captured()
			local json, notes = capture.git(root .. "/repo")
			return json and cjson.decode(json), notes
		end

		before_each(function()
			shell("mkdir '%s/repo'", root)
			git("init -q -b trunk")
		end)

		it("tells commit, branch and changes", function()
			write(root .. "/repo/a", "1")
			git("add a")
			git("commit -q -m one")
			local commit = git("rev-parse HEAD")
			assert.same({ commit = commit, branch = "trunk", dirty = false, modified = 0, untracked = 0 },
				(captured()))
			write(root .. "/repo/a", "22")
			write(root .. "/repo/new", "")
			assert.same({ commit = commit, branch = "trunk", dirty = true, modified = 1, untracked = 1 },
				(captured()))
			git("checkout -q --detach")
			assert.is_nil((captured()).branch)
		end)

		it("has no commit before the first one", function()
			local answer = captured()
			assert.is_nil(answer.commit)
			assert.equal("trunk", answer.branch)
		end)

		it("tells the remote without its credentials", function()
			for url, shown in pairs {
				["https://me:secret@github.com/a/b.git"] = "https://***@github.com/a/b.git",
				["https://ghp_0123456789abcdef0123@github.com/a/b"] = "https://***@github.com/a/b",
				["git@github.com:a/b.git"] = "git@github.com:a/b.git",
				["ssh://git@github.com/a/b.git"] = "ssh://git@github.com/a/b.git",
				["https://github.com/a/b.git"] = "https://github.com/a/b.git",
			} do
				git("config remote.backup.url file:///elsewhere")
				git("config remote.origin.url " .. url)
				assert.equal(shown, (captured()).remote)
			end
		end)

		it("writes nothing to the repository", function()
			write(root .. "/repo/a", "1")
			git("add a")
			local before = shell("cd '%s/repo/.git' && find . -newer index | sort; stat -c %%y index", root)
			shell("touch -d 2020-01-01 '%s/repo/a'", root)
			captured()
			assert.equal(before,
				shell("cd '%s/repo/.git' && find . -newer index | sort; stat -c %%y index", root))
		end)

		it("is absent outside a repository and without git, and says so", function()
			local json, notes = capture.git(root)
			assert.is_nil(json)
			assert.is_true(has(notes, "git: fatal: not a git repository"))
			set("PATH", root)
			json, notes = capture.git(root)
			assert.is_nil(json)
			assert.matches("^git: ", notes[1])
		end)

		it("that fails or prints nonsense does no harm", function()
			write(root .. "/git", "#!/bin/sh\necho oops >&2\nexit 3\n", "755")
			set("PATH", root)
			local json, notes = capture.git(root)
			assert.is_nil(json)
			assert.same({ "git: oops" }, notes)
			write(root .. "/git", "#!/bin/sh\nprintf 'x\\n# branch.oid \\n1\\n\\377'\n", "755")
			assert.equal(1, cjson.decode((capture.git(root))).modified)
		end)

		it("that is too slow still tells the commit", function()
			write(root .. "/git", '#!/bin/sh\ncase "$*" in *status*) read line <"$0.fifo" ;;\n' ..
				'*rev-parse*) echo abc ;; *) exit 1 ;; esac\n', "755")
			shell("mkfifo '%s/git.fifo'", root)
			set("PATH", root .. ":" .. os.getenv("PATH"))
			set("THHOST_TEST_DEADLINE_MS", "200")
			local json, notes = capture.git(root)
			assert.same({ commit = "abc" }, cjson.decode(json))
			assert.is_true(has(notes, "only the commit is known"))
		end)
	end)

	describe("gpu", function()
		local function nvml(mode)
			write(root .. "/nvml.c", NVML)
			shell("%s -shared -fPIC -o '%s/libnvml.so' '%s/nvml.c'", CC, root, root)
			set("THHOST_TEST_NVML", root .. "/libnvml.so")
			set("THHOST_TEST_SYSROOT", root .. "/sys")
			set("THHOST_FAKE_NVML", mode)
			set("PATH", root .. "/bin")
		end

		it("asks the driver's library", function()
			nvml("")
			local json, notes = capture.gpu()
			assert.same({ source = "nvml", count = 2, model = "NVIDIA A100", memory_bytes = 85899345920,
				driver = "535.104.05", cuda = "12.2" }, cjson.decode(json))
			assert.same({}, notes)
		end)

		it("lists them where they are not alike", function()
			nvml("mixed")
			assert.same({ { model = "NVIDIA A100", memory_bytes = 85899345920 },
				{ model = "NVIDIA T4", memory_bytes = 85899345920 } },
				cjson.decode((capture.gpu())).devices)
		end)

		for mode, why in pairs { broken = "NVML error 9", crash = "gave no answer",
			hang = "gave no answer", none = "shows none" } do
			it("survives a library that is in state " .. mode, function()
				nvml(mode)
				set("THHOST_TEST_DEADLINE_MS", "300")
				local json, notes = capture.gpu()
				assert.is_nil(json)
				assert.matches(why, notes[1], 1, true)
			end)
		end

		it("falls back to /proc", function()
			set("THHOST_TEST_SYSROOT", root)
			set("PATH", root)
			shell("mkdir -p '%s/proc/driver/nvidia/gpus/0000:01:00.0'", root)
			write(root .. "/proc/driver/nvidia/version",
				"NVRM version: NVIDIA UNIX x86_64 Kernel Module  535.104.05  Sat Aug 19 01:15:15 UTC 2023\n")
			write(root .. "/proc/driver/nvidia/gpus/0000:01:00.0/information",
				"Model: \t\t NVIDIA H100 PCIe\nIRQ:   \t\t 10\n")
			assert.same({ source = "proc", count = 1, model = "NVIDIA H100 PCIe", driver = "535.104.05" },
				cjson.decode((capture.gpu())))
		end)

		it("falls back to nvidia-smi", function()
			set("THHOST_TEST_SYSROOT", root)
			set("PATH", root)
			write(root .. "/nvidia-smi", "#!/bin/sh\n" ..
				("echo 'Tesla V100-SXM2-32GB, 32768, 470.82.01'\n"):rep(2), "755")
			assert.same({ source = "nvidia-smi", count = 2, model = "Tesla V100-SXM2-32GB",
				memory_bytes = 34359738368, driver = "470.82.01" }, cjson.decode((capture.gpu())))
		end)

		it("is absent when nothing answers, with each reason", function()
			set("THHOST_TEST_SYSROOT", root)
			set("PATH", root)
			local json, notes = capture.gpu()
			assert.is_nil(json)
			assert.equal(3, #notes)
			assert.matches("no-such-library.so", notes[1], 1, true)
			write(root .. "/nvidia-smi", "#!/bin/sh\necho 'NVIDIA-SMI has failed'\nexit 9\n", "755")
			assert.is_true(has(select(2, capture.gpu()), "nvidia-smi failed: NVIDIA-SMI has failed"))
			write(root .. "/nvidia-smi", '#!/bin/sh\nread line <"$0.fifo"\n', "755")
			shell("mkfifo '%s/nvidia-smi.fifo'", root)
			set("THHOST_TEST_DEADLINE_MS", "200")
			assert.is_true(has(select(2, capture.gpu()), "did not answer in time"))
		end)
	end)

	describe("the environment", function()
		local function environment(env, allow, mask)
			local json, notes = capture.environment(nil, env or {}, allow or {}, mask or {}, false)
			return cjson.decode(json), notes, json
		end

		it("describes the machine", function()
			local e = environment()
			assert.equal(shell("uname -n"), e.host)
			assert.equal(shell("uname -s -r -m"), e.kernel)
			assert.equal(tonumber(shell("nproc")), e.cpus)
			assert.is_true(e.memory_bytes > 1e6)
			assert.is_nil(e.gpu)
			assert.is_nil(e.env)
			assert.is_nil(e.slurm)
		end)

		it("reads names, limits and the container from the system's files", function()
			set("THHOST_TEST_SYSROOT", root)
			set("KUBERNETES_SERVICE_HOST", nil)
			shell("mkdir -p '%s/etc' '%s/proc/self' '%s/sys/fs/cgroup/a/b' '%s/run'", root, root, root, root)
			write(root .. "/etc/os-release", 'NAME=x\nPRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\n')
			write(root .. "/proc/cpuinfo", "processor\t: 0\nmodel name\t: AMD EPYC 7763\n")
			write(root .. "/proc/meminfo", "MemTotal:       1024 kB\n")
			write(root .. "/proc/self/cgroup", "0::/a/b\n")
			write(root .. "/sys/fs/cgroup/a/memory.max", "500000\n")
			write(root .. "/sys/fs/cgroup/a/b/memory.max", "max\n")
			write(root .. "/sys/fs/cgroup/a/b/cpu.max", "150000 100000\n")
			write(root .. "/run/.containerenv", "")
			local e, notes = environment()
			assert.same({ "Debian GNU/Linux 12 (bookworm)", "AMD EPYC 7763", 1048576, "podman" },
				{ e.os, e.cpu, e.memory_bytes, e.container })
			assert.same({ memory_bytes = 500000, cpus = 1.5 }, e.limits)
			assert.same({}, notes)
		end)

		it("leaves out what the system does not tell, and says so", function()
			set("THHOST_TEST_SYSROOT", root)
			local e, notes = environment()
			assert.is_nil(e.os)
			assert.is_nil(e.cpu)
			assert.is_nil(e.limits)
			assert.equal(3, #notes)
		end)

		it("keeps allowed variables only, sorted, without secrets", function()
			local _, _, json = environment({ "OMP_NUM_THREADS=4", "HF_TOKEN=abc", "AWS_SECRET=x",
				"CUDA_VISIBLE_DEVICES=0,1", "OMP_URL=http://u:p@h/", "EMPTY=" },
				{ "OMP_*", "CUDA_VISIBLE_DEVICES", "HF_*", "EMPTY" }, { "*token" })
			assert.matches('"env":{"CUDA_VISIBLE_DEVICES":"0,1","EMPTY":"","HF_TOKEN":"***",' ..
				'"OMP_NUM_THREADS":"4","OMP_URL":"http://***@h/"}', json, 1, true)
		end)

		it("names the Slurm job", function()
			assert.same({ job_id = "4711", array_task_id = "3", nodelist = "gpu[01-02]", procid = "0" },
				environment({ "SLURM_JOB_ID=4711", "SLURM_ARRAY_TASK_ID=3", "SLURM_PROCID=0",
					"SLURM_JOB_NODELIST=gpu[01-02]", "SLURM_JWT=secret" }).slurm)
		end)

		it("is JSON whatever the variables hold", function()
			local e = environment({ 'A="\\\27\xff' }, { "A" })
			assert.equal('"\\\27\u{fffd}', e.env.A)
		end)
	end)

	describe("python", function()
		local function python(...)
			local json, notes = capture.python { ... }
			return json and cjson.decode(json), notes
		end

		local function venv(packages)
			shell("mkdir -p '%s/venv/bin' '%s/venv/lib/python3.10/site-packages'", root, root)
			write(root .. "/venv/pyvenv.cfg",
				"home = /usr/bin\ninclude-system-site-packages = false\nversion = 3.10.12\n")
			write(root .. "/python3.10", "#!/bin/sh\nexit 99\n", "755")
			shell("ln -s ../../python3.10 '%s/venv/bin/python'", root)
			for _, name in ipairs(packages) do
				shell("mkdir '%s/venv/lib/python3.10/site-packages/%s'", root, name)
			end
			return root .. "/venv"
		end

		it("is read from a virtual environment, without starting it", function()
			local dir = venv { "torch-2.1.0+cu118.dist-info", "Scikit_learn-1.3.2.dist-info",
				"transformers-4.5.1-py3.10.egg-info", "torchmetrics-1.0.dist-info", "torch" }
			local expected = { executable = dir .. "/bin/python", version = "3.10.12", venv = dir,
				packages = { torch = "2.1.0+cu118", scikit_learn = "1.3.2", transformers = "4.5.1" } }
			assert.same(expected, (python(dir .. "/bin/python", "train.py")))
			set("PATH", dir .. "/bin")
			assert.same(expected, (python("python", "-m", "train")))
			assert.same(expected, (python("env", "A=1", "python", "train.py")))
		end)

		it("is found behind a launcher's first line", function()
			local dir = venv {}
			write(dir .. "/bin/torchrun", "#!" .. dir .. "/bin/python -u\n", "755")
			write(dir .. "/bin/accelerate", "#!/usr/bin/env python\n", "755")
			set("PATH", dir .. "/bin")
			assert.equal("3.10.12", (python("torchrun", "--nproc", "2", "train.py")).version)
			assert.equal("3.10.12", (python("accelerate", "launch", "train.py")).version)
		end)

		it("is read from conda's metadata", function()
			shell("mkdir -p '%s/env/bin' '%s/env/conda-meta'", root, root)
			write(root .. "/env/bin/python", "", "755")
			for _, name in ipairs { "python-3.8.18-h955ad1f_0.json",
				"pytorch-1.10.0-py3.8_cuda11.3_cudnn8.2.0_0.json", "scikit-learn-1.3.2-py38_0.json",
				"history", "x.json" } do
				write(root .. "/env/conda-meta/" .. name, "{}")
			end
			local e = python(root .. "/env/bin/python")
			assert.same({ "3.8.18", root .. "/env" }, { e.version, e.conda })
			assert.same({ torch = "1.10.0", scikit_learn = "1.3.2" }, e.packages)
		end)

		it("takes the version from the interpreter's link", function()
			write(root .. "/python3.11", "", "755")
			shell("mkdir '%s/bin' && ln -s ../python3.11 '%s/bin/python3'", root, root)
			assert.equal("3.11", (python(root .. "/bin/python3")).version)
		end)

		it("is absent where the command shows none", function()
			for _, argv in ipairs { { "true" }, { "no-such-command" }, { "pythonic" }, {}, { "" },
				{ root .. "/absent/python" } } do
				local e, notes = python(table.unpack(argv))
				assert.is_nil(e)
				assert.same({ "python: the command starts none that can be seen" }, notes)
			end
		end)
	end)

	describe("secrets", function()
		local MASK = unit.conf.keys()
		for _, key in ipairs(MASK) do
			if key.name == "record.mask" then
				MASK = {}
				for pattern in key.preset:gmatch("[^,]+") do
					MASK[#MASK + 1] = pattern
				end
				break
			end
		end
		local HEX40 = ("0123456789abcdef"):rep(3):sub(1, 40)
		local HF, SK = "hf_" .. ("a1B2"):rep(8), "sk-proj-" .. ("x9"):rep(12)

		for _, case in ipairs {
			{ { "--api-key", "X", "--lr", "1" }, { "--api-key", "***", "--lr", "1" } },
			{ { "--api_key=X" }, { "--api_key=***" } },
			{ { "--use-auth-token", "--fp16" }, { "--use-auth-token", "--fp16" } },
			{ { "--api-key=", "x" }, { "--api-key=", "x" } },
			{ { "logger.api_key=X", "+hub.token=Y" }, { "logger.api_key=***", "+hub.token=***" } },
			{ { "env", "HF_TOKEN=abc", "python" }, { "env", "HF_TOKEN=***", "python" } },
			{ { "--pad_token", "<pad>", "--eos-token=</s>" },
				{ "--pad_token", "<pad>", "--eos-token=</s>" } },
			{ { "--max_tokens", "10", "--tokenizer", "t", "--token_type", "b" },
				{ "--max_tokens", "10", "--tokenizer", "t", "--token_type", "b" } },
			{ { HF, "--x=" .. SK, "a" .. HF }, { "***", "--x=***", "a" .. HF } },
			{ { "wandb", "login", HEX40 }, { "wandb", "login", "***" } },
			{ { "--commit", HEX40 }, { "--commit", HEX40 } },
			{ { "--db", "postgres://u:p@w@host/db?x=1" }, { "--db", "postgres://***@host/db?x=1" } },
			{ { "http://host/a@b", "me@host:dir" }, { "http://host/a@b", "me@host:dir" } },
			{ { "sh", "-c", "train --password hunter2 --lr 1 && x" },
				{ "sh", "-c", "train --password *** --lr 1 && x" } },
			{ { "--password", "a b c" }, { "--password", "***" } },
			{ { "SECRET=a b c" }, { "SECRET=***" } },
			{ { "-H", "Authorization: Bearer abcdefghijkl" }, { "-H", "Authorization: Bearer ***" } },
			{ { '{"api_key": "X", "lr": 1}' }, { '{"api_key": *** "lr": 1}' } },
			{ { "", "-", "--", "=", "训练" }, { "", "-", "--", "=", "训练" } },
		} do
			it("in " .. table.concat(case[1], " "):sub(1, 50), function()
				assert.same(case[2], capture.mask_argv(case[1], MASK))
			end)
		end

		it("in variables, by name and by value", function()
			assert.equal("***", capture.mask_value("WANDB_API_KEY", "abc", MASK))
			assert.equal("***", capture.mask_value("SLURM_JWT", "abc", MASK))
			assert.equal("", capture.mask_value("WANDB_API_KEY", "", MASK))
			assert.equal("http://***@proxy:3128", capture.mask_value("PROXY", "http://u:p@proxy:3128", MASK))
			assert.equal("a=*** b", capture.mask_value("X", "a=" .. HF .. " b", {}))
		end)
	end)

	describe("a digest", function()
		local function sha256(path)
			return shell("sha256sum '%s'", path):match("^%x+")
		end

		it("of a file is its SHA-256", function()
			write(root .. "/f", "abc")
			assert.same({ size = 3, files = 1,
				sha256 = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad" },
				capture.digest(root .. "/f"))
			write(root .. "/empty", "")
			assert.equal(sha256(root .. "/empty"), capture.digest(root .. "/empty").sha256)
			write(root .. "/large", ("x"):rep(3000001))
			assert.equal(sha256(root .. "/large"), capture.digest(root .. "/large").sha256)
		end)

		it("of a directory is that of its list, links to files included", function()
			shell("mkdir -p '%s/d/sub/deep' '%s/d/none'", root, root)
			write(root .. "/blob", "bb")
			write(root .. "/d/z", "1")
			write(root .. "/d/sub/a", "22")
			write(root .. "/d/sub/deep/B", "")
			write(root .. "/d/.hidden", "h")
			shell("cd '%s/d' && ln -s ../blob link && ln -s . loop && ln -s nowhere dangling && " ..
				"mkfifo pipe", root)
			local lines = {}
			for _, name in ipairs { ".hidden", "link", "sub/a", "sub/deep/B", "z" } do
				local text = assert(io.open(root .. "/d/" .. name)):read("a")
				lines[#lines + 1] = ("%s %d %s\n"):format(name, #text, sha256(root .. "/d/" .. name))
			end
			write(root .. "/list", table.concat(lines))
			assert.same({ sha256 = sha256(root .. "/list"), files = 5, size = 6 },
				capture.digest(root .. "/d"))
		end)

		it("of a model leaves out what is hidden, and records", function()
			shell("mkdir -p '%s/d/sub' '%s/d/.cache/deep'", root, root)
			write(root .. "/d/model.bin", "1")
			write(root .. "/d/sub/more.bin", "22")
			local plain = capture.digest(root .. "/d")
			assert.same(plain, capture.digest(root .. "/d", nil, true))
			for _, name in ipairs { ".hidden", ".cache/deep/x", "training_info.json", "sub/.hidden" } do
				write(root .. "/d/" .. name, "noise")
			end
			assert.same(plain, capture.digest(root .. "/d", nil, true))
			assert.not_equal(plain.sha256, capture.digest(root .. "/d").sha256)
			write(root .. "/d/sub/training_info.json.txt", "part of it")
			assert.not_equal(plain.sha256, capture.digest(root .. "/d", nil, true).sha256)
			write(root .. "/.file", "abc")
			assert.equal(sha256(root .. "/.file"), capture.digest(root .. "/.file", nil, true).sha256)
		end)

		it("is not made beyond the limit", function()
			write(root .. "/f", "abcd")
			assert.same({ sha256 = "", size = 4, files = 1 }, capture.digest(root .. "/f", 3))
			assert.not_equal("", capture.digest(root .. "/f", 4).sha256)
			shell("mkdir '%s/d' && cp '%s/f' '%s/d/a' && cp '%s/f' '%s/d/b'", root, root, root, root, root)
			assert.same({ sha256 = "", size = 8, files = 2 }, capture.digest(root .. "/d", 7))
		end)

		it("of what is no file or not there is an error", function()
			assert.equal("not_found", select(3, capture.digest(root .. "/absent")))
			assert.equal("invalid", select(3, capture.digest("/dev/null")))
		end)

		describe("of a large file", function()
			local entry

			--- A settled file of 1 MiB and the name of its cache entry.
			local function settled()
				write(root .. "/f", ("y"):rep(1 << 20))
				shell("touch -d 2020-01-01 '%s/f'", root)
				capture.digest(root .. "/f")
				entry = shell("ls -d '%s'/.cache/thhost/digest/*", root)
				return capture.digest(root .. "/f").sha256
			end

			--- Put another sum into the entry, to see whether it is used.
			local function forge()
				local text = assert(io.open(entry)):read("a")
				write(entry, (text:gsub("%x+\n$", ("0"):rep(64) .. "\n")))
			end

			it("is remembered", function()
				local sum = settled()
				assert.equal(sha256(root .. "/f"), sum)
				forge()
				assert.equal(("0"):rep(64), capture.digest(root .. "/f").sha256)
			end)

			it("is made again when the file has changed", function()
				settled()
				forge()
				write(root .. "/f", ("z"):rep(1 << 20))
				shell("touch -d 2020-01-01 '%s/f'", root)
				assert.equal(sha256(root .. "/f"), capture.digest(root .. "/f").sha256)
			end)

			it("is made again when the entry is damaged", function()
				local sum = settled()
				for _, text in ipairs { "", "junk", "thhost-digest 1 ", ("\0"):rep(200), ("x"):rep(10000) } do
					write(entry, text)
					assert.equal(sum, capture.digest(root .. "/f").sha256)
				end
			end)

			it("is not remembered while it may still be written", function()
				write(root .. "/f", ("y"):rep(1 << 20))
				capture.digest(root .. "/f")
				assert.is_nil(io.open(root .. "/.cache"))
			end)

			it("needs no cache", function()
				set("XDG_CACHE_HOME", "/proc/nowhere")
				write(root .. "/f", ("y"):rep(1 << 20))
				shell("touch -d 2020-01-01 '%s/f'", root)
				assert.equal(sha256(root .. "/f"), capture.digest(root .. "/f").sha256)
			end)
		end)
	end)
end)
