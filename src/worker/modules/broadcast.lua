-- `im.broadcast`: draws each recipient and makes its message once, and passes both to the host in batches.

local read, read_edit, ask, new_batch, add, append, can_wait, throw = ...
local error, getmetatable, ipairs, next, pcall, rawset, setmetatable, type =
  error, getmetatable, ipairs, next, pcall, rawset, setmetatable, type

-- The most recipients in one batch.
local BATCH = 500

-- Calls `add_next` to fill batches, until it adds nothing more.
local function in_batches(handle, options, add_next)
  local more = true
  while more do
    local batch, full = new_batch(options.id_column, options.kind), false
    repeat
      more, full = add_next(batch)
    until not more or full
    append(handle, batch)
  end
end

-- Adds the recipients of a list or an iterator.
local function build_from(handle, to, options, make, zone_of)
  local number = 0
  local next_recipient = to
  if type(to) == "table" then
    next_recipient = function()
      return to[number + 1]
    end
  end
  in_batches(handle, options, function(batch)
    local recipient = next_recipient()
    if recipient == nil then
      return false
    end
    number = number + 1
    local message = make and make(recipient)
    local zone = zone_of and (not make or message ~= nil) and zone_of(recipient) or nil
    local size = add(batch, recipient, number, nil, make ~= nil, message, zone)
    return true, size >= BATCH
  end)
end

-- Adds the recipients of a file, or the sent messages that are edited. The host reads both. Without a message function the host does this alone.
local function build_from_file(handle, options, make, zone_of)
  if not make and not zone_of then
    repeat
      local done = ask.take(handle)
    until done
    return
  end
  local number = 0
  repeat
    local page, batch = ask.page(handle), new_batch(nil, options.kind)
    for index, recipient in ipairs(page.items) do
      number = number + 1
      local made = make and make(recipient, page.messages and page.messages[index])
      local zone = zone_of and (not make or made ~= nil) and zone_of(recipient) or nil
      if add(batch, recipient, number, page.lines[index], make ~= nil, made, zone) >= BATCH then
        append(handle, batch)
        batch = new_batch(nil, options.kind)
      end
    end
    append(handle, batch)
  until page.done
end

-- Returns a copy of the message that allows empty text, unless the message sets `allow_empty` itself.
local function allowing_empty(message)
  if type(message) ~= "table" or message.allow_empty ~= nil then
    return message
  end
  local allowed = setmetatable({ allow_empty = true }, getmetatable(message))
  for name, value in next, message do
    rawset(allowed, name, value)
  end
  return allowed
end

-- Adds all recipients without messages, so that the host can compare them with the stored plan. Returns them as a
-- list, because an iterator gives each only once and a new plan may be needed.
local function drawn_again(handle, to, options)
  local kept = to
  if type(to) == "function" then
    kept = {}
    for recipient in to do
      kept[#kept + 1] = recipient
    end
  end
  build_from(handle, kept, options, nil)
  return kept
end

-- Builds and sends a broadcast. `json` has its fields for the host, `make` makes the messages, and `zone_of` returns a recipient's
-- time zone. Calls `before`, if
-- given, once the plan is complete and checked, and before any of it can be sent. `before` gets a function that returns
-- the plan's messages for a group.
local function send(name, json, functions, to, make, options, before, zone_of)
  if functions and not can_wait() then
    throw({
      kind = "invalid",
      message = name .. " with functions cannot be called where Lua cannot wait, as inside string.gsub, table.sort or a metamethod; call it outside",
      retryable = false,
    })
  end
  local on_progress = options.on_progress
  local begun = ask.begin(json)
  if begun.state == "already" then
    return begun.report
  end
  local handle, state = begun.handle, begun.state
  local nothing_sent
  local ok, problem = pcall(function()
    if state == "compare" then
      to = drawn_again(handle, to, options)
      local compared = ask.compared(handle)
      state, nothing_sent = compared.state, compared.report
    end
    if state ~= "build" then
      return
    end
    if type(to) == "string" then
      build_from_file(handle, options, make, zone_of)
    else
      build_from(handle, to, options, make, zone_of)
    end
    if before then
      local plan = ask.check(handle)
      if plan.total > 0 then
        before(function(group_id)
          return ask.rows(handle, group_id)
        end)
      end
    end
    if begun.test_only then
      ask.abandon(handle)
    else
      nothing_sent = ask.fix(handle).report
    end
  end)
  if not ok then
    pcall(ask.abandon, handle)
    error(problem, 0)
  end
  if nothing_sent then
    return nothing_sent
  elseif begun.test_only then
    return nil
  end
  while true do
    local now = ask.wait(handle)
    if on_progress then
      on_progress(now.progress)
    end
    if now.done then
      return now.report
    end
  end
end

local function broadcast(spec, before, test_only)
  if not before then
    test_only = nil
  end
  local json, functions = read(spec, test_only)
  local message = spec.message
  local make = type(message) == "function" and message or nil
  if make and spec.allow_empty then
    make = function(recipient)
      return allowing_empty(message(recipient))
    end
  end
  local window = spec.window
  local zone_of = type(window) == "table" and type(window.tz) == "function" and function(recipient)
    local zone = window.tz(recipient)
    if zone == nil then
      throw({ kind = "invalid", field = "window.tz", retryable = false, message = "the function of `window.tz` gave no time zone for a recipient" })
    end
    return zone
  end or nil
  return send("im.broadcast", json, functions, spec.to, make, spec, before, zone_of)
end

local function edit(sent, change, options)
  local json, functions = read_edit(sent, change, options)
  local make = type(change) == "function" and change or nil
  return send("im.edit", json, functions, "the host reads the messages", make, options or {})
end

return { broadcast = broadcast, edit = edit }
