--- left.lua KIND SIZE >FILE: what a training left, seeded, for the bench.
--
--   state BYTES   a trainer_state.json of about that size (a record of the log has some 200 bytes)
--   log BYTES     a console log: bars, dict lines, and what libraries say in between
math.randomseed(20261123)

local function write_state(bytes)
	local records = bytes // 190
	io.write(('{\n  "best_metric": null,\n  "best_model_checkpoint": null,\n  "epoch": %.6f,\n')
		:format(records / 50))
	io.write(('  "global_step": %d,\n  "max_steps": %d,\n  "num_train_epochs": %d,\n')
		:format(records * 10, records * 10, records // 50 + 1))
	io.write('  "log_history": [')
	for index = 1, records do
		io.write(index > 1 and "," or "", ("\n    {\n      \"epoch\": %.4f,\n"):format(index / 50))
		io.write(('      "grad_norm": %.15f,\n      "learning_rate": %.12e,\n      "loss": %.4f,\n')
			:format(math.random() * 3, 5e-5 * (1 - index / records), 3 * math.random()))
		io.write(('      "step": %d\n    }'):format(index * 10))
	end
	io.write("\n  ]\n}\n")
end

local NOISE = {
	"/usr/lib/python3/dist-packages/torch/utils/checkpoint.py:61: UserWarning: None of the inputs\n",
	"INFO:datasets.arrow_dataset:Loading cached processed dataset at /data/cache/part-%d\n",
	"[2025-12-11 10:%02d:00,123] [INFO] [logging.py:96:log_dist] [Rank 0] step time 0.21\n",
}

--- One line in a hundred counts.
local function write_log(bytes)
	local written, step = 0, 0
	while written < bytes do
		local parts = {}
		for _ = 1, 33 do
			step = step + 1
			parts[#parts + 1] = ("\r %2d%%|####      | %d/900000 [10:12<30:21,  3.21it/s]")
				:format(step % 100, step)
			parts[#parts + 1] = "\n" .. NOISE[math.random(#NOISE)]:format(step % 60)
		end
		parts[#parts + 1] = ("{'loss': %.4f, 'learning_rate': 4e-05, 'epoch': %.2f}\n")
			:format(math.random(), step / 1e5)
		local text = table.concat(parts)
		io.write(text)
		written = written + #text
	end
end

local WRITERS = { state = write_state, log = write_log }
WRITERS[arg[1]](tonumber(arg[2]))
