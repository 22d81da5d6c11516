-- Repeats a call that failed in a way which may pass: the quota was refused, the service could not be reached.
--
--   local retry = require("retry")
--   local receipts = retry.call(function() return im.group_send(notice) end, { attempts = 3 })
--
-- Only an error whose `retryable` is true is repeated, because then nothing was sent. What is `in_doubt` may have
-- been sent, and is never repeated.

local task = require("task")

---@class retry
local retry = {}

---@class retry.options
---@field attempts? integer  calls at most, the first included; 5 by default
---@field delay? number  seconds before the second call; 1 by default, doubled for each further one
---@field max_delay? number  seconds between two calls at most; 60 by default
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
    error("retry.call: " .. name .. " must be a number from " .. least .. " on, got " .. tostring(value), 3)
  end
  return value
end

---Calls `body` until it succeeds, fails for good, or has been called `attempts` times. Gives its results, or raises its
---last error.
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
    -- A random wait between half of the time and all of it, so that calls which failed together do not repeat
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
