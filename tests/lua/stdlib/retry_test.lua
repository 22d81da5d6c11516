-- Repeating what failed: only what may pass, never what may have been sent.

local retry = require("retry")

local function failing(times, problem)
  local calls = 0
  return function()
    calls = calls + 1
    if calls <= times then
      error(problem, 0)
    end
    return "done", calls, nil
  end, function()
    return calls
  end
end

local function raised(body, options)
  local ok, problem = pcall(retry.call, body, options)
  assert(not ok)
  return problem
end

local quick = { delay = 0.001 }
local passing = { kind = "throttled", retryable = true }

local results = table.pack(retry.call((failing(0))))
assert(results.n == 3 and results[1] == "done" and results[2] == 1)
assert(select(2, retry.call(failing(3, passing), quick)) == 4)

-- The last error is raised, after as many calls as are allowed.
local body, calls = failing(99, passing)
assert(raised(body, { delay = 0, attempts = 3 }) == passing and calls() == 3)
body, calls = failing(99, passing)
assert(raised(body, { delay = 0 }) == passing and calls() == 5)

-- What is not to be repeated is not.
for _, problem in ipairs({
  { kind = "in_doubt", retryable = true },
  { kind = "invalid", retryable = false },
  { kind = "throttled", retryable = true, receipts = { ["1"] = "m" } },
  { kind = "other" },
  "a text",
  false,
}) do
  body, calls = failing(99, problem)
  assert(raised(body, quick) == problem and calls() == 1)
end

-- The waits double, up to the longest, each between half of it and the whole.
local waits = {}
body = failing(4, passing)
retry.call(body, {
  delay = 0.002,
  max_delay = 0.004,
  on = function(problem, attempt, wait)
    assert(problem == passing and attempt == #waits + 1)
    waits[attempt] = wait
  end,
})
for attempt, full in ipairs({ 0.002, 0.004, 0.004, 0.004 }) do
  assert(waits[attempt] >= full / 2 and waits[attempt] <= full, waits[attempt])
end

-- A message that breaks a limit is not sent twice to be refused twice.
local tries = 0
local problem = raised(function()
  tries = tries + 1
  return im.group_send({ to = {}, type = "txt", body = { msg = "x" } })
end, quick)
assert(problem.kind == "invalid" and tries == 1)

assert(raised(print, { attempts = 0 }):find("attempts", 1, true))
assert(raised(print, { delay = "1s" }):find("delay", 1, true))
assert(raised(print, print):find("must be a table", 1, true))
