-- The functions that must be in Lua: waiting (only Lua can yield across a `pcall`), and raising (only Lua knows its
-- own stack). Runs once in every new state, before the sandbox closes, and returns the functions that Rust needs.

local native = ...

local coroutine, error, getmetatable, rawget, select, setmetatable, tostring, type, xpcall =
  coroutine, error, getmetatable, rawget, select, setmetatable, tostring, type, xpcall
local create, resume, running, status, close, yield, isyieldable =
  coroutine.create, coroutine.resume, coroutine.running, coroutine.status, coroutine.close, coroutine.yield,
  coroutine.isyieldable
local concat, insert, pack, remove, unpack = table.concat, table.insert, table.pack, table.remove, table.unpack
local ipairs, raw_load, show = ipairs, load, native.show

-- A coroutine yields this value when it waits for an event. Scripts never see it.
local WAIT = {}
-- The coroutines that are tasks: their yields go to the scheduler.
local roots = setmetatable({}, { __mode = "k" })
-- The coroutines with a wait inside them: suspended for Lua, running for the script.
local busy = setmetatable({}, { __mode = "k" })

-- Errors ------------------------------------------------------------------------------------------------------------

local error_metatable = {
  __name = "im.error",
  __metatable = "im.error",
  __tostring = function(self)
    local text = tostring(rawget(self, "kind")) .. ": " .. tostring(rawget(self, "message"))
    local where = rawget(self, "where")
    return type(where) == "string" and where .. ": " .. text or text
  end,
  __concat = function(left, right)
    return tostring(left) .. tostring(right)
  end,
}

local function throw(fault)
  local where = native.whereabouts()
  if type(fault) == "string" then
    error(where and where .. ": " .. fault or fault, 0)
  end
  fault.where = where
  error(setmetatable(fault, error_metatable), 0)
end

local function settle(ok, ...)
  if ok == true then
    return ...
  elseif ok then
    -- In a rehearsal `ok` is a number, under which the host notes the failure that this call would have had.
    native.noted(ok, native.whereabouts())
    return ...
  end
  throw((...))
end

-- Waiting -----------------------------------------------------------------------------------------------------------

local function await(id)
  if isyieldable() then
    return settle(yield(WAIT, id))
  end
  return settle(native.block(id))
end

local function begun(ok, id)
  if ok then
    return await(id)
  end
  throw(id)
end

-- Turns a native function that returns at once into a function that raises error values.
local function lift(call)
  return function(...)
    return settle(call(...))
  end
end

-- Turns a native function that starts something into a function that waits for its end.
local function waiting(start)
  return function(...)
    return begun(start(...))
  end
end

-- Coroutines --------------------------------------------------------------------------------------------------------

-- Returns what a coroutine did. If it waits, the coroutine that resumed it waits instead.
local function advance(thread, ok, first, ...)
  if not (ok and first == WAIT) then
    busy[thread] = nil
    return ok, first, ...
  end
  busy[thread] = true
  if isyieldable() then
    return advance(thread, resume(thread, yield(WAIT, (...))))
  end
  return advance(thread, resume(thread, native.block((...))))
end

local function resume_waiting(thread, ...)
  if busy[thread] or roots[thread] then
    return false, "cannot resume non-suspended coroutine"
  end
  return advance(thread, resume(thread, ...))
end

local function unwrap(ok, ...)
  if ok then
    return ...
  end
  error((...), 0)
end

local function is_task()
  return roots[running()]
end

local coroutines = {
  create = create,
  running = function()
    local thread = running()
    return thread, roots[thread] or false
  end,
  resume = resume_waiting,
  wrap = function(body)
    local thread = create(body)
    return function(...)
      return unwrap(resume_waiting(thread, ...))
    end
  end,
  yield = function(...)
    if is_task() then
      error("attempt to yield from outside a coroutine", 2)
    end
    return yield(...)
  end,
  isyieldable = function()
    return not is_task() and isyieldable()
  end,
  status = function(thread)
    return busy[thread] and "normal" or status(thread)
  end,
  close = function(thread)
    if busy[thread] or roots[thread] then
      error("cannot close a running coroutine", 2)
    end
    return close(thread)
  end,
}

-- Tasks -------------------------------------------------------------------------------------------------------------

-- Failed tasks that no other task has waited for: their errors must not be lost.
local unseen = {}

local task_methods = {}
local task_metatable = { __index = task_methods, __name = "task", __metatable = "task" }

-- Waits until the list is released.
local function wait_in(waiters)
  local event = native.event()
  insert(waiters, event)
  await(event)
end

local function release(waiters)
  for _, event in ipairs(waiters) do
    native.complete(event)
  end
end

local function finish(handle, ok, ...)
  handle.results, handle.done, handle.failed = pack(...), true, not ok
  if not ok then
    insert(unseen, handle)
  end
  release(handle.waiters)
end

local function run_task(handle, body, ...)
  finish(handle, xpcall(body, native.describe, ...))
end

local function start_task(body, ...)
  local thread = create(run_task)
  local handle = setmetatable({ thread = thread, waiters = {}, done = false }, task_metatable)
  roots[thread] = true
  settle(native.start(thread, handle, body, ...))
  return handle
end

local function check_handle(handle)
  if getmetatable(handle) ~= "task" then
    error("a task expected (as task.spawn gives it), got " .. type(handle), 3)
  end
end

local function see(handle)
  for i = #unseen, 1, -1 do
    if unseen[i] == handle then
      remove(unseen, i)
    end
  end
end

-- Waits for the task's end, and ignores its result.
local function join(handle)
  if not handle.done then
    if handle.thread == running() then
      error("a task cannot wait for itself", 3)
    end
    wait_in(handle.waiters)
  end
end

-- Raises the error of a failed task: from its report, or the bare error if there was no memory or stack for a report.
local function throw_left(handle)
  local left = handle.results[1]
  if type(left) == "table" then
    left = left.value
  end
  error(left, 0)
end

function task_methods.wait(handle)
  check_handle(handle)
  join(handle)
  if handle.failed then
    see(handle)
    throw_left(handle)
  end
  return unpack(handle.results, 1, handle.results.n)
end

function task_methods.cancel(handle)
  check_handle(handle)
  return not handle.done and native.cancel(handle.thread)
end

-- Waits for all functions or tasks of a list. Returns the list of their first results, or raises the first error once
-- all have ended.
local function all(list)
  if type(list) ~= "table" then
    error("bad argument #1 to 'all' (a list of functions or tasks expected, got " .. type(list) .. ")", 2)
  end
  local handles, results = {}, {}
  for i = 1, #list do
    handles[i] = type(list[i]) == "function" and start_task(list[i]) or list[i]
    check_handle(handles[i])
  end
  for i = 1, #handles do
    join(handles[i])
  end
  local failed
  for i = 1, #handles do
    local handle = handles[i]
    if handle.failed then
      see(handle)
      failed = failed or handle
    else
      results[i] = handle.results[1]
    end
  end
  if failed then
    throw_left(failed)
  end
  return results
end

-- Sandbox -----------------------------------------------------------------------------------------------------------

local function safe_setmetatable(value, metatable)
  if type(metatable) == "table" and rawget(metatable, "__gc") ~= nil then
    error("__gc is not available to scripts; use a local with <close> instead", 2)
  end
  return setmetatable(value, metatable)
end

local function safe_load(chunk, name, mode, ...)
  if type(chunk) == "function" then
    local pieces = {}
    while true do
      local piece = chunk()
      if piece == nil or piece == "" then
        break
      elseif type(piece) ~= "string" then
        return nil, "reader function must return a string"
      end
      insert(pieces, piece)
    end
    chunk = concat(pieces)
    name = name or "=(load)"
  end
  if type(chunk) ~= "string" then
    error("bad argument #1 to 'load' (string expected, got " .. type(chunk) .. ")", 2)
  elseif mode ~= nil and mode ~= "t" and mode ~= "bt" then
    return nil, "attempt to load a text chunk (mode is '" .. tostring(mode) .. "')"
  end
  return raw_load(chunk, name or "=" .. native.chunk_name(chunk), "t", ...)
end

local rep, huge = string.rep, native.longest
local function safe_rep(text, count, separator)
  if type(text) == "number" then
    text = tostring(text)
  end
  local number = type(count) == "number" and count or math.tointeger(count)
  if type(text) == "string" and number and (separator == nil or type(separator) == "string") then
    local unit = #text + #(separator or "")
    if unit == 0 then
      return ""
    elseif number * unit > huge then
      error("string.rep: the result would be larger than the script's memory limit", 2)
    end
  end
  return rep(text, count, separator)
end

-- Returns a string as it is, a table with its content, and `json.null` as its name.
local function shown(value)
  local kind = type(value)
  return (kind == "table" or kind == "userdata") and show(value) or tostring(value)
end

local function print_line(...)
  local parts = {}
  for i = 1, select("#", ...) do
    parts[i] = shown((select(i, ...)))
  end
  native.print(concat(parts, "\t"))
end

return {
  wait = WAIT,
  lift = lift,
  waiting = waiting,
  await = await,
  throw = throw,
  wait_in = wait_in,
  release = release,
  can_wait = isyieldable,
  task = { spawn = start_task, all = all },
  main = start_task,
  unseen = unseen,
  coroutine = coroutines,
  globals = { setmetatable = safe_setmetatable, load = safe_load, print = print_line },
  string_rep = safe_rep,
  show = show,
  shown = shown,
}
