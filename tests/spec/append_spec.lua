--- Appending to a long record, of which an append reads most entries in passing (info_skim) and
--- writes the old text in pieces: the outcome must be that of a short one.
local unit = require "unit"
local storage = require "support.storage"

local info, json = unit.info, unit.json

local ENTRY = [[
{
      "dataset": "hrds",
      "steps": %d,
      "epochs": null,
      "metrics": {"f1": 0.85, "note": "a \"]}, {\" in a string"},
      "hyperparams": {},
      "start_time": "2025-12-11T10:30:00",
      "end_time": "2025-12-11T12:00:00"%s
    }]]

local NEW = [[{"dataset": "hrdh", "steps": 7, "metrics": {"f1": 0.82},
	"start_time": "2025-12-11T14:00:00", "end_time": "2025-12-11T15:20:00"%s}]]

--- A record of 'n' entries of 10 steps; 'more' goes to the end of some, 'top' to the end of all.
local function record_of(n, more, top)
	local entries = {}
	for i = 1, n do
		entries[i] = ENTRY:format(10, more and more[i] or "")
	end
	return ([[
{
  "model_name": "parent_finder",
  "stage": "stage3",
  "final_checkpoint": "checkpoint-1",
  "base_model": "scratch",
  "created_at": "2025-12-11T10:30:00",
  "last_updated": "2025-12-11T12:00:00",
  "total_steps": %d,
  "last_dataset": "hrds",
  "training_history": [
    %s
  ]%s
}
]]):format(10 * n, table.concat(entries, ",\n    "), top or "")
end

local function append(text, entry)
	return info.append(text, { model_name = "parent_finder", stage = "stage3",
		final_checkpoint = "checkpoint-7", entries = { entry or NEW:format("") } })
end

describe("a long record", function()
	for _, n in ipairs { 0, 1, 2, 3, 1000 } do
		it("grows by an entry and changes four values: " .. n .. " entries", function()
			local old = record_of(n)
			local new, summary = append(old)
			assert.equal(n + 1, summary.entries)
			assert.equal(10 * n + 7, summary.total_steps)
			assert.equal(n + 1, #info.read(new))
			assert.is_truthy(json.check(new))
			local head = old:gsub("checkpoint%-1", "checkpoint-7", 1):gsub("T12:00:00", "T15:20:00", 1)
				:gsub('"total_steps": %d+', '"total_steps": ' .. 10 * n + 7, 1)
				:gsub('"last_dataset": "hrds"', '"last_dataset": "hrdh"', 1)
			local kept = n == 0 and head:find("%[\n", 1) or head:find("\n  %]", 1)
			assert.equal(head:sub(1, kept - 1), new:sub(1, kept - 1))
		end)
	end

	it("is refused for a fault in any of its entries, as a short one is", function()
		for _, at in ipairs { 1, 2, 499, 999, 1000 } do
			for _, fault in ipairs { ', "steps": -1', ', "steps": "7"', ', "end_time": 5', ', "x": tru' } do
				local old = record_of(1000, { [at] = fault })
				local issues, summary = info.check(old)
				local new, message, code = append(old)
				assert.is_nil(new, fault)
				assert.equal("invalid", code)
				assert.is_false(summary.ok)
				assert.matches(("training_info.json:%d:"):format(issues[1]:match(" (%d+): ")), message, 1, true)
			end
		end
	end)

	it("is refused for what comes after its entries", function()
		for _, top in ipairs { ', "stage": "stage4"', ', "training_history": []', ', "schema_version": 9',
			', "parents": {}', ', "x": 1 2' } do
			assert.is_nil((append(record_of(50, nil, top))), top)
			assert.equal("invalid", select(3, append(record_of(50, nil, top))), top)
		end
	end)

	it("keeps the order of inherited entries", function()
		local mark = ', "inherited_from": "exp_1/stage3_hrds"'
		assert.is_truthy(append(record_of(50, { mark, mark })))
		assert.is_nil((append(record_of(50, { [2] = mark }))))
		assert.is_nil((append(record_of(50, { [50] = mark }))))
	end)

	it("takes a run once, wherever the run stands in it", function()
		for _, at in ipairs { 1, 2, 25, 49, 50 } do
			local old = record_of(50, { [at] = [[, "run_id": "r\u0031"]] })
			local new, summary = append(old, NEW:format(', "run_id": "r1"'))
			assert.is_true(summary.already)
			assert.equal(old, new)
			assert.equal(51, #info.read((append(old, NEW:format(', "run_id": "r2"')))))
		end
	end)

	it("keeps a repeated key's last value in mind", function()
		local old = record_of(50, { [7] = ', "run_id": "a", "run_id": "b"' })
		assert.equal(51, #info.read((append(old, NEW:format(', "run_id": "a"')))))
		assert.equal(old, (append(old, NEW:format(', "run_id": "b"'))))
	end)
end)

describe("store, a long record", function()
	it("writes what one text would be, however long the pieces are", function()
		local dir = storage.temp_dir()
		local record = dir .. "/" .. storage.RECORD
		for _, n in ipairs { 1, 150, 155, 160, 2000 } do -- around 64 KiB, and far above
			for _, pad in ipairs { "", (" "):rep(70000) } do
				storage.write(record, (record_of(n):gsub('"total_steps"', pad .. '"total_steps"', 1)))
				local before = storage.read(record)
				assert.equal("done", (storage.append(dir, 7)))
				local after = storage.read(record)
				assert.equal(n + 1, #info.read(after))
				assert.equal(7, info.read(after)[n + 1].steps)
				assert.equal(before, storage.read(dir .. "/.training_info.json.bak"))
				local first = before:find('"training_history"', 1, true)
				local last = before:find("\n  %]", first)
				assert.is_truthy(after:find(before:sub(first, last - 1), 1, true))
				assert.equal("\n  ]\n}\n", after:sub(-7))
			end
		end
		storage.remove(dir)
	end)
end)
