-- Tests of a project's scripts, run by `mooncast test`. Each test has its own service, ledger and clock. Tests send
-- nothing outside the machine and change files only in memory, and the clock is simulated.
--
-- ```lua
-- local test = require("test")
-- test("the greeting reaches its group", function(t)
--   t.run("scripts/hello.lua")
--   test.expect(t.sent("184524748161025")).to_have_length(1)
-- end)
-- ```
--
-- The clock starts at 2026-01-05T09:00:00Z, a Monday. It stands still while code computes, and advances while scripts
-- wait: for the quota, for `task.sleep`, for the service (20 ms for a round trip). To inspect a run before it finishes,
-- start it in another task: `task.spawn(t.run, "scripts/campaign.lua")`, then `t.advance("10m")`.

local host = require("test.host")
local json = require("json")

local test = {}

---The result of a run.
---@class test.run
---@field ok boolean  whether the script finished without an error
---@field delivered boolean  whether every message was delivered: none was rejected, in doubt or not sent
---@field sent integer  groups that received their message
---@field rejected integer
---@field in_doubt integer
---@field not_sent integer
---@field throttled integer  calls that the service refused as too many
---@field output string  what the script printed and logged
---@field error? string
---@field job? string  the job's name, if a job ran
---@field run? string  the scheduled time as text, if a job ran
---@field scheduled_at? number  the scheduled time in seconds since 1970, if a job ran

---The argument of a test's function.
---@class test.t
---@field run fun(script: string, args?: string[]): test.run  runs a script as `mooncast run` does; raises its error
---@field load fun(script: string): string[]  loads a script as the daemon does; returns the names of its jobs
---@field trigger fun(job: string): test.run  runs a job of a loaded script now; raises its error
---@field post fun(hook: string, request?: { body?: string, headers?: table<string, string>, query?: table<string, string> }): test.run  runs a hook of a loaded script, without a signature; raises its error
---@field callback fun(event: test.event): test.run[]  runs the jobs of loaded scripts that take an event of the chat service (`im.on`); raises their errors
---@field advance fun(time: number|string): test.run[]  advances the clock; runs the jobs of loaded scripts that are due meanwhile
---@field clock fun(time: number|string)  sets the wall clock: seconds since 1970, or "2026-11-23T09:00Z"
---@field fault fun(rules: string|string[])  makes the service fail from now on, by rules as for `mooncast sim --fault`
---@field sent fun(group?: string): table  returns the messages of a group in order; without a group, a table of all groups' messages
---@field count fun(group?: string): integer  returns how many messages a group received; without a group, all groups together
---@field reply fun(url: string, answer?: { status?: integer, body?: string })  sets the answer that `http` gets from an address; a `*` at the end matches any rest
---@field requests fun(): table[]  returns the requests that scripts made with `http`: method, url, headers, body

---An event for `t.callback`. What is left out gets a value. The same `id` again starts nothing, and neither does a message
---from a user as which the test has sent a message.
---@class test.event
---@field event "message"|"joined"|"left"|"read"|"recalled"|"edited"
---@field group string|integer
---@field from? string  the user who acts: the sender, the reader, the one who recalls or edits, the member
---@field user? string  another name of `from`
---@field users? string[]  the members who joined or left, instead of `from`
---@field text? string  the text of a text message
---@field body? table  another body, with its `type`
---@field ext? table
---@field message_id? string
---@field id? string  the id of the callback
---@field app? string  the NAME of `[apps.NAME]`; the default app by default

-- Showing values ------------------------------------------------------------------------------------------------------

local LONGEST = 600

local function key_shown(key)
  if type(key) == "string" and key:find("^[%a_][%w_]*$") then
    return key
  end
  return "[" .. (type(key) == "string" and ("%q"):format(key) or tostring(key)) .. "]"
end

local function sorted_keys(of)
  local keys = {}
  for key in pairs(of) do
    keys[#keys + 1] = key
  end
  table.sort(keys, function(left, right)
    if type(left) == type(right) and (type(left) == "number" or type(left) == "string") then
      return left < right
    end
    return type(left) .. tostring(left) < type(right) .. tostring(right)
  end)
  return keys
end

local function show(value, depth)
  if type(value) == "string" then
    return (("%q"):format(value):gsub("\\\n", "\\n"))
  elseif value == json.null then
    return "json.null"
  elseif type(value) ~= "table" then
    return tostring(value)
  elseif depth > 8 then
    return "{…}"
  end
  local parts, length = {}, 0
  local count = #value
  for index = 1, count do
    parts[#parts + 1] = show(value[index], depth + 1)
  end
  for _, key in ipairs(sorted_keys(value)) do
    local in_list = math.type(key) == "integer" and key >= 1 and key <= count
    if not in_list then
      parts[#parts + 1] = key_shown(key) .. " = " .. show(value[key], depth + 1)
    end
    length = length + #(parts[#parts] or "")
    if length > LONGEST then
      parts[#parts + 1] = "…"
      break
    end
  end
  return #parts == 0 and "{}" or "{ " .. table.concat(parts, ", ") .. " }"
end

local function shown(value)
  local text = show(value, 0)
  if #text > LONGEST then
    -- Do not cut inside a character.
    text = text:sub(1, (utf8.offset(text, 0, LONGEST) or LONGEST) - 1) .. "…"
  end
  return text
end

-- Comparing -----------------------------------------------------------------------------------------------------------

local function place_of(path)
  local text = table.concat(path)
  return text == "" and "" or (text:gsub("^%.", ""))
end

local function step(key)
  local name = key_shown(key)
  return name:sub(1, 1) == "[" and name or "." .. name
end

-- Returns where two values differ: the place, the expected value and the actual value; nil if they are equal. With
-- `partly`, fields that are not expected are ignored, and a text may be described by a pattern.
local function difference(expected, got, partly, path)
  if rawequal(expected, got) then
    return nil
  end
  if partly and type(expected) == "string" and type(got) == "string" then
    if got:find(expected) or got == expected then
      return nil
    end
  elseif type(expected) == "table" and type(got) == "table" then
    for _, key in ipairs(sorted_keys(expected)) do
      path[#path + 1] = step(key)
      local place, want, have = difference(expected[key], got[key], partly, path)
      if place then
        return place, want, have
      end
      path[#path] = nil
    end
    for _, key in ipairs(partly and {} or sorted_keys(got)) do
      if expected[key] == nil then
        path[#path + 1] = step(key)
        return place_of(path), nil, got[key]
      end
    end
    return nil
  elseif type(expected) == type(got) and expected == got then
    return nil
  elseif math.type(expected) and math.type(got) and expected == got then
    return nil
  end
  return place_of(path), expected, got
end

local function equal(expected, got, partly)
  return difference(expected, got, partly, {}) == nil
end

-- Expectations --------------------------------------------------------------------------------------------------------

-- Each returns whether the expectation holds, the expected value in words, and an optional remark.
local holds = {}

local function compared(got, expected, partly)
  local place, want, have = difference(expected, got, partly, {})
  if not place then
    return true, shown(expected)
  end
  local more = place ~= ""
    and ("they differ at %s: expected %s, got %s"):format(place, shown(want), shown(have)) or nil
  return false, shown(expected), more
end

function holds.to_equal(got, expected)
  return compared(got, expected, false)
end

function holds.to_match(got, expected)
  local ok, words, more = compared(got, expected, true)
  return ok, "something that matches " .. words, more
end

function holds.to_be_nil(got)
  return got == nil, "nil"
end

function holds.to_have_length(got, length)
  local kind = type(got)
  if kind ~= "table" and kind ~= "string" then
    return false, ("a length of %s"):format(length)
  end
  return #got == length, ("a length of %s"):format(length), ("its length is %d"):format(#got)
end

function holds.to_contain(got, part)
  if type(got) == "string" then
    return type(part) == "string" and got:find(part, 1, true) ~= nil, "a text with " .. shown(part) .. " in it"
  end
  for _, item in ipairs(type(got) == "table" and got or {}) do
    if type(part) == "string" and item == part or type(part) ~= "string" and equal(part, item, true) then
      return true, "a list without " .. shown(part)
    end
  end
  return false, "a list with " .. shown(part) .. " in it"
end

function holds.to_be_at_least(got, least)
  return type(got) == type(least) and got >= least, "at least " .. shown(least)
end

function holds.to_be_at_most(got, most)
  return type(got) == type(most) and got <= most, "at most " .. shown(most)
end

function holds.to_fail(got, pattern)
  local ok, problem = pcall(got)
  local text = tostring(problem)
  if ok then
    return false, "an error", "it raised none"
  end
  local fits = pattern == nil or text:find(pattern, 1, true) or text:find(pattern)
  return fits and true or false, "an error" .. (pattern and " with " .. shown(pattern) or ""), "the error is: " .. text
end

local function expectation(got, wanted)
  local words = {}
  for name, check in pairs(holds) do
    words[name] = function(...)
      local ok, expected, more = check(got, ...)
      if ok ~= wanted then
        local text = "expected: %s%s\n     got: %s"
        text = text:format(wanted and "" or "anything but ", expected, shown(got))
        error(more and wanted and text .. "\n          " .. more or text, 2)
      end
    end
  end
  return words
end

---The expectations for a value.
---@class test.expectation
---@field to_equal fun(expected: any)  an equal value; tables are compared by content
---@field to_match fun(expected: any)  a table with at least these fields, which match in the same way; a string that matches this Lua pattern
---@field to_contain fun(part: any)  a list with an item that matches; a string that contains this string
---@field to_have_length fun(length: integer)
---@field to_be_nil fun()
---@field to_be_at_least fun(least: number|string)
---@field to_be_at_most fun(most: number|string)
---@field to_fail fun(text?: string)  a function that raises an error; the error contains this text or matches this pattern
---@field never test.expectation  the negated expectations

---Starts an expectation: `test.expect(value).to_equal(expected)`. The test fails at the first expectation that does not
---hold.
---@param value any
---@return test.expectation
function test.expect(value)
  local words = expectation(value, true)
  words.never = expectation(value, false)
  return setmetatable(words, {
    __index = function(_, name)
      error(("there is no expectation `%s`; the expectations are: %s"):format(tostring(name), table.concat(sorted_keys(holds), ", ")), 2)
    end,
  })
end

-- Tests ---------------------------------------------------------------------------------------------------------------

local function came(run, what)
  if not run.ok then
    error(("%s failed: %s"):format(what, run.error), 3)
  end
  return run
end

local t = {
  load = host.load,
  clock = host.clock,
  fault = host.fault,
  sent = host.sent,
  count = host.count,
  reply = host.reply,
  requests = host.requests,
}

function t.run(script, args)
  return (came(host.run(script, args), tostring(script)))
end

function t.trigger(job)
  return (came(host.trigger(job), ("the job `%s`"):format(job)))
end

function t.post(hook, request)
  return (came(host.post(hook, request), ("the hook `%s`"):format(hook)))
end

function t.callback(event)
  local runs = host.callback(event)
  for _, run in ipairs(runs) do
    came(run, ("the job `%s`"):format(run.job))
  end
  return runs
end

function t.advance(time)
  local runs = host.advance(time)
  for _, run in ipairs(runs) do
    came(run, ("the job `%s` of %s"):format(run.job, run.run))
  end
  return runs
end

setmetatable(t, {
  __index = function(_, name)
    error(("there is no t.%s; there are: t.%s"):format(tostring(name), table.concat(sorted_keys(t), ", t.")), 2)
  end,
})

return setmetatable(test, {
  __call = function(_, name, body)
    host.declare(name, body)
    host.bodies["test " .. name] = function()
      body(t)
    end
  end,
})
