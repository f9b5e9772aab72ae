--- Confusion matrices and what follows from them.

local softmax = require "softmax"

local M = {}

---@alias example.Confusion integer[][] rows: the truth; columns: what was predicted

---@class example.Score
---@field precision number
---@field recall number
---@field f1 number
---@field gt integer how many there are
---@field pred integer how many were predicted

---@param classes integer
---@return example.Confusion
function M.confusion(classes)
	local matrix = {}
	for i = 1, classes do
		matrix[i] = {}
		for j = 1, classes do
			matrix[i][j] = 0
		end
	end
	return matrix
end

---@param matrix example.Confusion changed
---@param truth integer
---@param predicted integer
function M.count(matrix, truth, predicted)
	matrix[truth][predicted] = matrix[truth][predicted] + 1
end

--- Division as scikit-learn does it for a class that never occurs.
---@param part number
---@param whole number
---@return number
function M.ratio(part, whole)
	return whole == 0 and 0.0 or part / whole
end

---@param matrix example.Confusion
---@return example.Score[] # one per class
function M.scores(matrix)
	local scores = {}
	for k = 1, #matrix do
		local gt, pred = 0, 0
		for j = 1, #matrix do
			gt, pred = gt + matrix[k][j], pred + matrix[j][k]
		end
		local hit = matrix[k][k]
		scores[k] = {
			precision = M.ratio(hit, pred), recall = M.ratio(hit, gt),
			f1 = M.ratio(2 * hit, gt + pred), gt = gt, pred = pred,
		}
	end
	return scores
end

---@param matrix example.Confusion
---@return number accuracy
---@return integer total
function M.accuracy(matrix)
	local hits, total = 0, 0
	for i, row in ipairs(matrix) do
		hits = hits + row[i]
		for _, count in ipairs(row) do
			total = total + count
		end
	end
	return M.ratio(hits, total), total
end

--- The plain mean of one field over all classes, or over those that occur at all.
---@param scores example.Score[]
---@param field "precision"|"recall"|"f1"
---@param only_occurring? boolean
---@return number
function M.macro(scores, field, only_occurring)
	local sum, n = 0.0, 0
	for _, score in ipairs(scores) do
		if not only_occurring or score.gt + score.pred > 0 then
			sum, n = sum + score[field], n + 1
		end
	end
	return M.ratio(sum, n)
end

--- The mean of one field, each class counted as often as it occurs.
---@param scores example.Score[]
---@param field "precision"|"recall"|"f1"
---@return number
function M.weighted(scores, field)
	local sum, n = 0.0, 0
	for _, score in ipairs(scores) do
		sum, n = sum + score[field] * score.gt, n + score.gt
	end
	return M.ratio(sum, n)
end

--- Run a model over examples.
---@param model example.Model
---@param examples example.Example[]
---@param tick? fun(done: integer) called after each example
---@return number loss mean
---@return example.Confusion
function M.evaluate(model, examples, tick)
	local matrix, loss = M.confusion(#model.weights), 0.0
	for i, example in ipairs(examples) do
		local probabilities = softmax.probabilities(model, example.row)
		local term = softmax.cross_entropy(probabilities[example.class])
		loss = loss + (example.weight or 1.0) * term
		M.count(matrix, example.class, softmax.argmax(probabilities))
		if tick then
			tick(i)
		end
	end
	return loss / #examples, matrix
end

return M
