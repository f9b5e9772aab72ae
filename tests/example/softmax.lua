--- A linear classifier with softmax and cross entropy, trained by plain SGD.
-- Rows are sparse (parallel lists of index and value), which serves dense vectors as well.

local M = {}

---@class example.Row
---@field index integer[]
---@field value number[]

---@class example.Example
---@field row example.Row
---@field class integer
---@field weight? number of this example in the loss; 1 if absent

---@class example.Model
---@field weights number[][] one list per class

---@param classes integer
---@param dimensions integer
---@param generator? example.Random starts from small random weights; without, from zero
---@return example.Model
function M.new(classes, dimensions, generator)
	local weights = {}
	for k = 1, classes do
		weights[k] = {}
		for j = 1, dimensions do
			weights[k][j] = generator and 0.02 * generator:normal() or 0.0
		end
	end
	return { weights = weights }
end

--- Turn scores into probabilities, in place. The largest score is taken off first: exp() of
-- a large one would be infinite.
---@param scores number[]
---@return number[]
function M.normalize(scores)
	local top = scores[1]
	for k = 2, #scores do
		top = scores[k] > top and scores[k] or top
	end
	local sum = 0.0
	for k = 1, #scores do
		scores[k] = math.exp(scores[k] - top)
		sum = sum + scores[k]
	end
	for k = 1, #scores do
		scores[k] = scores[k] / sum
	end
	return scores
end

--- The inner product of a weight vector and a row.
---@param weights number[]
---@param row example.Row
---@return number
function M.dot(weights, row)
	local index, value = row.index, row.value
	local sum = 0.0
	for j = 1, #index do
		sum = sum + weights[index[j]] * value[j]
	end
	return sum
end

---@param model example.Model
---@param row example.Row
---@return number[] probabilities one per class
function M.probabilities(model, row)
	local scores = {}
	for k, weights in ipairs(model.weights) do
		scores[k] = M.dot(weights, row)
	end
	return M.normalize(scores)
end

--- The place of the largest value.
---@param values number[]
---@return integer
function M.argmax(values)
	local best = 1
	for k = 2, #values do
		best = values[k] > values[best] and k or best
	end
	return best
end

--- Cross entropy, bounded as in float32 training: one hopeless example is not an infinite loss.
---@param probability number
---@return number
function M.cross_entropy(probability)
	if probability < 1e-30 then
		probability = 1e-30
	end
	return -math.log(probability)
end

local function accumulate(model, gradient, example)
	local probabilities = M.probabilities(model, example.row)
	local weight = example.weight or 1.0
	local index, value = example.row.index, example.row.value
	for k, slope in ipairs(gradient.weights) do
		local delta = weight * (probabilities[k] - (k == example.class and 1.0 or 0.0))
		for j = 1, #index do
			slope[index[j]] = slope[index[j]] + delta * value[j]
		end
	end
	return weight * M.cross_entropy(probabilities[example.class]), M.argmax(probabilities)
end

local function descend(model, gradient, rate)
	for k, weights in ipairs(model.weights) do
		local slope = gradient.weights[k]
		for j = 1, #weights do
			weights[j] = weights[j] - rate * slope[j]
		end
	end
end

--- One step of gradient descent on a batch.
---@param model example.Model changed
---@param batch example.Example[]
---@param rate number
---@return number loss mean over the batch, before the step
---@return integer[] predictions one per example, before the step
function M.step(model, batch, rate)
	local gradient = M.new(#model.weights, #model.weights[1])
	local loss, predictions = 0.0, {}
	for i, example in ipairs(batch) do
		local term, predicted = accumulate(model, gradient, example)
		loss = loss + term
		predictions[i] = predicted
	end
	descend(model, gradient, rate / #batch)
	return loss / #batch, predictions
end

return M
