-- Lazy iterators for long lists, so that a list of the service is never held in memory as a whole.
--
--   local iter = require("iter")
--   for ids in iter.batch(iter.map(im.groups(), function(group) return group.group_id end), 3) do … end
--
-- A source is a list or an iterator: a function that returns the next item, and nil at the end, such as `im.groups()`.
-- An item can have several values, as in `im.members`. Functions receive all of them.

local task = require("task")

---@class iter
local iter = {}

---@alias iter.source any[]|fun(): any

---Returns an iterator over a source. Also accepts the results of `pairs`: `iter.from(pairs(table))`.
---@param source iter.source
---@param state? any
---@param control? any
---@return fun(): any
function iter.from(source, state, control)
  if type(source) == "table" then
    local index = 0
    return function()
      index = index + 1
      return source[index]
    end
  elseif type(source) ~= "function" then
    error("iter: expected a list or an iterator, got " .. type(source), 2)
  elseif state == nil then
    return source
  end
  local function advance(first, ...)
    control = first
    return first, ...
  end
  return function()
    return advance(source(state, control))
  end
end

---Returns an iterator over the results of `change` for each item. It skips an item if the result is nil.
---@param source iter.source
---@param change fun(...): any
---@return fun(): any
function iter.map(source, change)
  local next_item = iter.from(source)
  local step
  local function pass(...)
    if (...) ~= nil then
      return ...
    end
    return step(next_item())
  end
  function step(...)
    if (...) ~= nil then
      return pass(change(...))
    end
  end
  return function()
    return step(next_item())
  end
end

---Returns an iterator over the items for which `keep` returns true.
---@param source iter.source
---@param keep fun(...): any
---@return fun(): any
function iter.filter(source, keep)
  local next_item = iter.from(source)
  local function pick(...)
    if (...) == nil or keep(...) then
      return ...
    end
    return pick(next_item())
  end
  return function()
    return pick(next_item())
  end
end

---Returns an iterator over the first `count` items.
---@param source iter.source
---@param count integer
---@return fun(): any
function iter.take(source, count)
  local next_item, left = iter.from(source), count
  return function()
    if left > 0 then
      left = left - 1
      return next_item()
    end
  end
end

---Returns an iterator over lists of `size` items each; the last list may be shorter. It takes the first value of each item.
---@param source iter.source
---@param size integer
---@return fun(): any[]?
function iter.batch(source, size)
  if math.type(size) ~= "integer" or size < 1 then
    error("iter.batch: the size must be an integer of at least 1, got " .. tostring(size), 2)
  end
  local next_item, over = iter.from(source), false
  return function()
    local batch = {}
    while not over and #batch < size do
      local item = next_item()
      over = item == nil
      batch[#batch + 1] = item
    end
    return batch[1] ~= nil and batch or nil
  end
end

---Returns an iterator over all items of the sources, one source after the other.
---@param ... iter.source
---@return fun(): any
function iter.chain(...)
  local sources, index = { ... }, 1
  local next_item
  local function pick(...)
    if (...) ~= nil then
      return ...
    end
    index, next_item = index + 1, nil
    if sources[index] == nil then
      return nil
    end
    next_item = iter.from(sources[index])
    return pick(next_item())
  end
  return function()
    if sources[index] == nil then
      return nil
    end
    next_item = next_item or iter.from(sources[index])
    return pick(next_item())
  end
end

---Returns all items as a list. It takes the first value of each item.
---@param source iter.source
---@return any[]
function iter.collect(source)
  local items = {}
  for item in iter.from(source) do
    items[#items + 1] = item
  end
  return items
end

---Returns the number of items.
---@param source iter.source
---@return integer
function iter.count(source)
  local count = 0
  for _ in iter.from(source) do
    count = count + 1
  end
  return count
end

-- Returns an iterator that several tasks can call. Each call waits for the one before, since the iterator may itself
-- wait for the service.
local function in_turn(next_item)
  local last, over = nil, false
  local function note(...)
    over = (...) == nil
    return ...
  end
  return function()
    local before = last
    last = task.spawn(function()
      if before then
        before:wait()
        before = nil
      end
      if not over then
        return note(next_item())
      end
    end)
    return last:wait()
  end
end

---Calls `act` with each item, for up to `concurrency` items at once (1 by default). After an error, it starts no further
---item, waits for the active ones and raises the error. Returns the number of items.
---@param source iter.source
---@param act fun(...)
---@param options? { concurrency?: integer }
---@return integer
function iter.each(source, act, options)
  local concurrency = options and options.concurrency or 1
  if math.type(concurrency) ~= "integer" or concurrency < 1 then
    error("iter.each: concurrency must be an integer of at least 1, got " .. tostring(concurrency), 2)
  end
  local next_item, done, stopped = iter.from(source), 0, false
  local function step(...)
    if (...) == nil then
      return false
    end
    act(...)
    done = done + 1
    return not stopped
  end
  if concurrency == 1 then
    while step(next_item()) do end
    return done
  end
  next_item = in_turn(next_item)
  local failure
  local function work()
    local ok, problem = pcall(function()
      while not stopped and step(next_item()) do end
    end)
    if not ok and not failure then
      stopped, failure = true, { problem = problem }
    end
  end
  local workers = {}
  for index = 1, concurrency do
    workers[index] = work
  end
  task.all(workers)
  if failure then
    error(failure.problem, 0)
  end
  return done
end

return iter
