--- Calls all that a plugin may call: for the memory tier, where each allocation of it fails.
local M = {
	api = 1, kind = "stage", name = "every", version = "1.0.0", summary = "all of the API",
	dir = "every", model_name = "every", requires = { "stage1" }, command = { "train", "{dataset}" },
	inputs = {
		log = "log.txt", state = "*.json", settings = "config.yaml", table = "table.csv",
		none = "none.bin?", pointer = "pointer.json", bad = "bad.yaml",
	},
	metrics = {
		f1 = { goal = "max", min = 0, max = 1, primary = true, required = true, unit = "%" },
		loss = { goal = "min", max = 0.1 },
	},
	progress = { { find = "step ", match = "step (%d+)", set = { "step" } } },
}

-- What fails is asked for again, as an author who hides errors would do.
local function again(f, ...)
	local ok, value, problem = pcall(f, ...)
	if not ok then
		value, problem = f(...)
	end
	return value, problem
end

local function count_lines(ctx, ...)
	local count = 0
	for line, number in ctx:lines("log", ...) do
		count = count + #line + number
	end
	return count
end

function M.extract(ctx)
	local late = require("every.late")
	local state = again(ctx.json, ctx, "state")
	local settings = again(ctx.yaml, ctx, "settings")
	local rows = again(ctx.csv, ctx, "table")
	local _, none = ctx:read("none")
	local _, pointer = ctx:json("pointer")
	local _, bad = ctx:yaml("bad")
	local json, cjson = require("th.json"), require("cjson")
	ctx.log.info("read " .. ctx:list("state")[1].name)
	ctx.log.warn(("%s %d %5.2f %q"):format(ctx.stage, 3, 0.5, "x\n"))
	return {
		steps = state.steps, epochs = 1.5, final_checkpoint = ctx:list("state")[1].name,
		base_model = settings.model, outcome = "completed_early",
		metrics = {
			f1 = state.f1, loss = tonumber(settings.loss), lines = count_lines(ctx),
			found = count_lines(ctx, "step", "loss"), rows = rows and #rows or 0,
			per_class = { title = 0.5, text = 0.25 }, history = { 1, 2, 3 },
			size = #ctx:read("log"), twice = cjson.decode("[1,2]")[2] + json.decode("[3]")[1],
		},
		planned = { text = late.text(none.message, pointer.hint), code = bad.code, has = ctx:has("none") },
		sources = { steps = "state", exp = tostring(ctx.exp), now = type(ctx.now), goal = ctx.goals.f1.goal },
	}
end

function M.hyperparams(ctx, raw)
	return { lr = tonumber(raw.argv.lr), seed = raw.argv.seed, own = raw.config.own, argv = #ctx.argv }
end

function M.validate(_, entry)
	local issues = { { path = "entry.steps", code = "few", message = "too few", level = "warning" } }
	return entry.steps > 5 or nil, issues
end

return M
