-- Retries calls after temporary errors: the quota refused the call, or the service was unreachable.
--
--   local retry = require("retry")
--   local receipts = retry.call(function() return im.group_send(notice) end, { attempts = 3 })
--
-- It retries only errors whose `retryable` is true, because then nothing was sent. It never retries `in_doubt`, because
-- the message may have been sent.

local task = require("task")

---@class retry
local retry = {}

---@class retry.options
---@field attempts? integer  the maximum number of calls, including the first; 5 by default
---@field delay? number  seconds before the second call; 1 by default, doubled for each further call
---@field max_delay? number  the maximum delay between two calls in seconds; 60 by default
---@field on? fun(problem: im.error, attempt: integer, wait: number)  called before each wait

local function may_repeat(problem)
  return type(problem) == "table"
    and problem.retryable == true
    and problem.kind ~= "in_doubt"
    -- If some groups got the message, the same call would send it to them twice.
    and (problem.receipts == nil or next(problem.receipts) == nil)
end

local function number(options, name, default, least)
  local value = options[name]
  if value == nil then
    return default
  elseif type(value) ~= "number" or not (value >= least) then
    error("retry.call: " .. name .. " must be a number of at least " .. least .. ", got " .. tostring(value), 3)
  end
  return value
end

---Calls `body` until it succeeds, raises an error that is not retryable, or has been called `attempts` times. Returns
---its results, or raises its last error.
---@generic T
---@param body fun(): T
---@param options? retry.options
---@return T
function retry.call(body, options)
  options = options or {}
  if type(options) ~= "table" then
    error("retry.call: options must be a table, got " .. type(options), 2)
  end
  local attempts = number(options, "attempts", 5, 1)
  local delay = number(options, "delay", 1, 0)
  local max_delay = number(options, "max_delay", 60, 0)
  local attempt = 1
  while true do
    local results = table.pack(pcall(body))
    if results[1] then
      return table.unpack(results, 2, results.n)
    end
    local problem = results[2]
    if attempt >= attempts or not may_repeat(problem) then
      error(problem, 0)
    end
    -- Waits a random time between half of the delay and all of it, so that calls that failed together do not retry
    -- together.
    local wait = math.min(delay, max_delay) * (0.5 + math.random() / 2)
    if options.on then
      options.on(problem, attempt, wait)
    end
    task.sleep(wait)
    delay, attempt = delay * 2, attempt + 1
  end
end

return retry
