-- Campaigns: a message or a template is tested in a few groups and then sent once to each recipient of an audience.
--
--   require("campaign").run({
--     name = "spring-sale",
--     to = "groups.csv",
--     text = "Hello {{ name }}, the sale begins on Monday.",
--     from = "shop",
--     window = { from = "09:00", to = "21:00", tz = "Asia/Shanghai" },
--     test = { "184524748161025" },
--     test_as = { name = "Morning runners" },
--   })
--
-- The campaign reads the whole audience, makes all messages and checks them before it sends the test. If the script runs
-- again, the campaign continues where it stopped. It repeats the test only if the test message has changed.
-- `mooncast run FILE --test-only` sends only the test.

local fs = require("fs")
local hash = require("hash")
local json = require("json")
local schedule = require("schedule")
local template = require("template")

---@class campaign
local campaign = {}

---The fields of a campaign: those of `im.broadcast`, and the fields below. Set either `text` or `message`.
---@class campaign.spec: im.broadcast
---@field message? im.broadcast_message|fun(recipient: any): im.broadcast_message?  the message, or a function that returns it, or nil to skip the recipient
---@field text? string  a text message instead of `message`: a template such as `Hello {{ name }}` that is filled from each recipient's fields
---@field from? string  the sender's user id, for messages that set none
---@field ext? table<string, any>  your own fields, for messages that set none
---@field app? string  another app of mooncast.toml
---@field test? (string|integer|im.recipient)[]  at most 20 groups, or users or rooms of a campaign of that `kind`, that get the message first; if one fails, the audience gets nothing
---@field test_as? table  fields for the test groups, in place of the fields of the audience's file
---@field test_only? boolean  stops after the test

---The report of a campaign: the report of `im.broadcast`, and the test. With `test_only` there is no broadcast.
---@class campaign.report: im.report
---@field tested im.receipts  the message ids of the test groups

-- The fields that `im.broadcast` does not have.
-- The most test groups. More are an audience of their own, which may need an approval.
local MOST_TESTS = 20

local OWN = { "text", "from", "ext", "app", "test", "test_as", "test_only" }

-- Marks errors of the campaign's own checks. `campaign.run` raises them at the line of the script that called it.
local refusal = {}

local function refuse(problem, title)
  error(setmetatable({ text = (title or "campaign.run") .. ": " .. problem }, refusal), 0)
end

-- Returns a message with the sender and the fields that all messages of the campaign have. The given message is
-- unchanged.
local function complete(message, own)
  if type(message) ~= "table" then
    return message -- nil skips the recipient; any other value is refused with its place
  end
  local completed = {}
  for name, value in pairs(message) do
    completed[name] = value
  end
  completed.from = completed.from or own.from
  completed.ext = completed.ext or own.ext
  if completed.allow_empty == nil then
    completed.allow_empty = own.allow_empty
  end
  return completed
end

-- What the recipients of each kind of broadcast are, the field of their ids, and the function that sends one message.
local GROUPS = { noun = "group", id = "group_id", send = "group_send" }
local KINDS = {
  user = { noun = "user", id = "user_id", send = "user_send" },
  room = { noun = "room", id = "room_id", send = "room_send" },
}

local function kind_of(fields)
  return KINDS[fields.kind] or GROUPS
end

local function named(recipient, kind)
  return kind.noun .. " " .. tostring(type(recipient) == "table" and recipient[kind.id] or recipient)
end

-- Returns a function that fills in the text for a recipient.
local function from_text(text, own, kind)
  local compiled = template.compile(text)
  return function(recipient)
    local values = type(recipient) == "table" and recipient or { [kind.id] = recipient }
    return {
      type = "txt",
      body = { msg = compiled:render(values) },
      from = own.from,
      ext = own.ext,
      allow_empty = own.allow_empty,
    }
  end
end

-- Returns the same function. Its errors name the recipient whose text could not be filled in.
local function located(make, kind)
  return function(recipient)
    local ok, made = pcall(make, recipient)
    if not ok then
      if type(made) == "table" and type(made.message) == "string" then
        made.message = named(recipient, kind) .. ": " .. made.message
      end
      error(made, 0)
    end
    return made
  end
end

-- Returns what the broadcast sends: a message, or a function that makes one.
local function message_of(message, own, kind)
  if own.text ~= nil then
    if message ~= nil then
      refuse("set either `text` or `message`, not both")
    elseif type(own.text) ~= "string" then
      refuse("`text` must be a text, got a " .. type(own.text))
    end
    -- Full-width braces would be sent unchanged, so they are refused here.
    template.compile(own.text)
    -- A text without placeholders is one message, which is stored once.
    return own.text:find("{[{%%#]") and from_text(own.text, own, kind)
      or { type = "txt", body = { msg = own.text }, from = own.from, ext = own.ext, allow_empty = own.allow_empty }
  elseif type(message) == "function" then
    return function(recipient)
      return complete(message(recipient), own)
    end
  end
  return complete(message, own)
end

-- Checks the types before anything is sent. The broadcast checks its own fields.
local function check(own)
  for name, kind in pairs({ from = "string", ext = "table", test = "table", test_as = "table", test_only = "boolean" }) do
    if own[name] ~= nil and type(own[name]) ~= kind then
      refuse(("`%s` must be a %s, got a %s"):format(name, kind, type(own[name])))
    end
  end
  if own.test and own.test[1] == nil then
    refuse("`test` must be a list of recipients, like { \"184524748161025\" }")
  end
  if own.test and #own.test > MOST_TESTS then
    refuse(("`test` has %d recipients, and may have %d; send to more by a broadcast of its own"):format(#own.test, MOST_TESTS))
  end
  for key in pairs(own.test or {}) do
    if math.type(key) ~= "integer" or key < 1 or key > 1 and own.test[key - 1] == nil then
      refuse(("`test` must be a list of recipients, but it has a gap or a field before `%s`; is a variable nil?"):format(key))
    end
  end
  if not own.test and (own.test_as or own.test_only) then
    refuse("`test_as` and `test_only` need `test`, the list of recipients that get the message first; it is missing")
  end
end

-- Returns a test group as a row of the audience's file: the fields of `test_as`, overridden by its own.
local function as_recipient(group, fields, kind)
  if type(group) ~= "table" then
    if not fields then
      return group
    end
    group = { [kind.id] = group }
  end
  local recipient = {}
  for _, part in ipairs({ fields or {}, group }) do
    for name, value in pairs(part) do
      recipient[name] = value
    end
  end
  return recipient
end

-- Returns a message with the address of a recipient.
local function addressed(message, group_id, users)
  local copy = complete(message, {})
  copy.to, copy.users = { group_id }, users
  return copy
end

-- Returns the addressed and checked messages for one test group, so that either all tests are valid or none is sent.
-- A group of the audience gets its message of the plan.
local function test_messages(app, message, recipient, planned, kind)
  local group_id = type(recipient) == "table" and recipient[kind.id] or recipient
  local messages = {}
  for _, row in ipairs(planned(tostring(group_id))) do
    messages[#messages + 1] = addressed(row.message, group_id, row.users[1] and row.users or nil)
  end
  if messages[1] then
    return messages
  end
  local made = message
  if type(message) == "function" then
    made = message(recipient)
  end
  if type(made) ~= "table" then
    return nil, "there is no message for it: the function returned a " .. type(made)
  end
  local users = kind == GROUPS and type(recipient) == "table" and recipient.users
  if type(users) == "string" then
    local list = {}
    for user in users:gsub("；", ";"):gmatch("[^;%s]+") do
      list[#list + 1] = user
    end
    users = list
  end
  local whole = addressed(made, group_id, users or nil)
  local ok, problems = app.check(whole, kind ~= GROUPS and kind.noun or nil)
  return ok and { whole }, not ok and problems[1].field .. ": " .. problems[1].message
end

local function failed_test(title, failures)
  refuse("the test failed, so the audience got nothing: " .. table.concat(failures, "; "), title)
end

-- Sends the test. Messages that were sent before are not sent again; the receipts of both are returned. `planned`
-- returns the plan's message for a group.
local function run_test(title, app, fields, own, planned)
  local messages, failures, kind = {}, {}, kind_of(fields)
  for _, group in ipairs(own.test) do
    local recipient = as_recipient(group, own.test_as, kind)
    local ok, made, problem = pcall(test_messages, app, fields.message, recipient, planned, kind)
    if not ok then
      made, problem = nil, type(made) == "table" and made.message or tostring(made)
      if own.text and not own.test_as then
        problem = problem .. " (`test_as` sets such fields for the test groups)"
      end
    end
    if not made then
      failures[#failures + 1] = named(recipient, kind) .. ": " .. problem
    end
    for _, message in ipairs(made or {}) do
      messages[#messages + 1] = message
    end
  end
  if failures[1] then
    failed_test(title, failures)
  end
  local tested = {}
  for _, message in ipairs(messages) do
    local send = message.users and app.targeted_send or app[kind.send]
    -- The key contains the message, so a changed message is tested again.
    local once = "campaign test " .. hash.sha256(json.encode({ fields.name, fields.run or schedule.run, message }))
    local ok, receipts = pcall(send, message, { once = once, priority = fields.priority })
    if ok then
      for group_id, message_id in pairs(receipts) do
        tested[group_id] = message_id
      end
    else
      local problem = type(receipts) == "table" and receipts.kind .. ": " .. receipts.message or tostring(receipts)
      failures[#failures + 1] = named(message.to[1], kind) .. ": " .. problem
    end
  end
  if failures[1] then
    failed_test(title, failures)
  end
  return tested
end

local function counted(count)
  return count == 1 and "1 recipient" or count .. " recipients"
end

-- Prints the report, and the next command if recipients are left.
local function show(title, report, known_as)
  if report.already and report.cancelled > 0 then
    print(("%s: rejected or cancelled before, when it was sent to %d of %s; nothing was sent now. To send it, correct it and set `run` to a new value, for example `run = \"2\"`."):format(
      title, report.sent, counted(report.total)))
  elseif report.already then
    print(("%s: sent before, to %d of %s; nothing was sent now. To send it again, set `run` to a new value, for example `run = \"2\"`."):format(
      title, report.sent, counted(report.total)))
  else
    print(("%s: sent to %d of %s in %.1f s"):format(title, report.sent, counted(report.total), report.elapsed))
  end
  if report.no_recipients then
    print("  there are no recipients; add some and run this script again")
  end
  -- A broadcast without recipients is not stored.
  local bad = report.skipped == report.total and not report.already
      and "bad lines skipped; the first ones are listed above. Nothing of this broadcast is stored: correct the lines and run this script again"
    or "bad lines skipped; to see which and why:  mooncast runs export %s --state skipped"
  for _, line in ipairs({
    { report.skipped - (report.bad_lines or 0), "skipped" },
    { report.cancelled, "cancelled" },
    { report.duplicates, "listed more than once, and sent to once" },
    { report.bad_lines or 0, bad },
    { report.empty_rows or 0, "rows without any text" },
    { report.rejected, "rejected; to see why:  mooncast runs export %s --state rejected\n"
      .. "     to retry them:  mooncast runs retry %s  and run this script again" },
    { report.in_doubt, "in doubt: they may have the message or not:  mooncast runs export %s --state in_doubt\n"
      .. "     to settle them:  mooncast runs settle %s --as-sent  (or --again)" },
  }) do
    local count, text = line[1], line[2]
    if count > 0 then
      print(("  %d %s"):format(count, (text:gsub("%%s", function() return known_as end))))
    end
  end
end

-- Returns the name of the broadcast quoted for a shell.
local function quoted(name)
  return name:find("^[%w._/:-]+$") and name or "'" .. name:gsub("'", "'\\''") .. "'"
end

local function run(spec)
  if type(spec) ~= "table" then
    refuse("expected a table of fields, got a " .. type(spec))
  end
  local fields, own = {}, {}
  for name, value in pairs(spec) do
    fields[name] = value
  end
  for _, name in ipairs(OWN) do
    own[name], fields[name] = fields[name], nil
  end
  -- The test's messages also need it, since they are not part of the broadcast.
  own.allow_empty = fields.allow_empty
  local app = im
  if own.app ~= nil then
    app = im.app(own.app)
  end
  check(own)
  if own.text == nil and fields.message == nil then
    refuse("`text` or `message` is missing")
  end
  fields.message = message_of(fields.message, own, kind_of(fields))
  -- Check everything before the test is sent.
  app._check_broadcast("campaign.run", fields, OWN)
  if type(fields.to) == "string" and not fs.exists(fields.to) then
    refuse("`to`: there is no file " .. fields.to)
  end

  local title = ("%s (run %s)"):format(fields.name, fields.run or schedule.run)
  if own.text and type(fields.message) == "function" then
    own.message = fields.message
    fields.message = located(fields.message, kind_of(fields))
  end
  local tested = {}
  local before
  if own.test then
    before = function(planned)
      local unlocated = { name = fields.name, run = fields.run, kind = fields.kind, priority = fields.priority }
      unlocated.message = own.message or fields.message
      tested = run_test(title, app, unlocated, own, planned)
      local noun = kind_of(fields).noun
      print(("%s: tested in %s"):format(title, #own.test == 1 and "1 " .. noun or #own.test .. " " .. noun .. "s"))
    end
  end
  local known_as = quoted(fields.name .. "/" .. (fields.run or schedule.run))
  local ok, report = pcall(app._campaign, fields, before, own.test_only or false)
  if not ok then
    if type(report) == "table" and report.kind == "cancelled" then
      print(("%s: not finished; to continue, run this script again, or:  mooncast runs resume %s"):format(title, known_as))
    end
    error(report, 0)
  end
  if not report then
    return { name = fields.name, run = tostring(fields.run or schedule.run), tested = tested }
  end
  show(title, report, known_as)
  report.tested = tested
  return report
end

---Reads the audience, makes and checks all messages, sends the test, and then sends the broadcast. Prints the report and
---returns it. If the test fails, the audience gets nothing.
---@param spec campaign.spec
---@return campaign.report
function campaign.run(spec)
  local ok, result = pcall(run, spec)
  if ok then
    return result
  elseif getmetatable(result) == refusal then
    error(result.text, 2)
  end
  error(result, 0)
end

return campaign
