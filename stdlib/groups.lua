-- Creates groups, adds and removes members, mutes, and sets announcements, with calls of `im.request`.
--
--   local groups = require("groups")
--   local id = groups.create({ name = "Orders", owner = "boss", members = { "ann", "bob" } })
--   groups.add(id, { "carol" })
--
-- Each function needs the grant that its documentation names, in `[permissions] requests`. The module is also an example of
-- how to write one over `im.request`: it checks what the service limits before the call, splits what is too long for one
-- call, and says `idempotent = true` only where the call made twice has the effect of one.

---@class groups
local groups = {}

---A new group.
---@class groups.new
---@field name string  at most 128 characters
---@field owner string  the user id of its owner
---@field description? string  at most 512 characters
---@field members? string[]  up to 100 user ids beside the owner
---@field max_members? integer  the most members, including the owner; the service's own default is 200
---@field public? boolean  whether users can find it; false by default

-- The most users that one call adds, removes or mutes.
local USERS = 60

-- The longest mute with an end, in seconds: ten years. A longer number is most likely one of milliseconds.
local LONGEST_MUTE = 10 * 365 * 24 * 3600

-- The most members that a new group can have beside its owner.
local NEW_MEMBERS = 100

-- The fields of a new group.
local NEW_FIELDS = { name = true, owner = true, description = true, members = true, max_members = true, public = true }

local function text(name, value, most)
  if type(value) ~= "string" or value == "" then
    error("groups: " .. name .. " must be a text, got " .. (value == "" and "an empty one" or type(value)), 3)
  end
  local length = utf8.len(value)
  if not length or length > most then
    error("groups: " .. name .. " has " .. (length or "bytes that are not UTF-8, and no") .. " characters; at most " .. most .. " are taken", 3)
  end
  return value
end

-- Refuses ids that no message could be sent to, by the check of a message: blanks inside, words such as NULL.
local function check_ids(app, kind, field, ids)
  local ok, problems = app.check({ to = ids, type = "txt", body = { msg = "-" } }, kind)
  if not ok then
    error("groups: " .. problems[1].message:gsub("`to", "`" .. field), 4)
  end
end

local function group_path(app, id, ...)
  if math.type(id) == "integer" then
    id = tostring(id)
  end
  if type(id) ~= "string" then
    error("groups: group_id must be a text or a whole number, got " .. type(id), 3)
  end
  check_ids(app, "group", "group_id", id)
  return table.concat({ "/chatgroups", id, ... }, "/")
end

local function user_list(app, users, most)
  if type(users) == "string" then
    users = { users }
  end
  if type(users) ~= "table" or #users == 0 then
    error("groups: users must be a user id or a list of at least one", 3)
  end
  for index, user in ipairs(users) do
    if type(user) ~= "string" or user == "" or user:find("[,/]") then
      error("groups: users[" .. index .. "] must be a user id", 3)
    end
  end
  if most and #users > most then
    error("groups: " .. #users .. " users; at most " .. most .. " are taken", 3)
  end
  for _, user in ipairs(users) do
    check_ids(app, "user", "users", user)
  end
  return users
end

-- Calls `each` with up to 60 of the users at a time.
local function in_calls(users, each)
  for first = 1, #users, USERS do
    each(table.move(users, first, math.min(first + USERS - 1, #users), 1, {}))
  end
end

-- The functions for one app.
local function of(app)
  local own = {}

  function own.create(new)
    if type(new) ~= "table" then
      error("groups.create: expected a table, got " .. type(new), 2)
    end
    for field in pairs(new) do
      if not NEW_FIELDS[field] then
        error("groups.create: there is no field `" .. tostring(field) .. "`; the fields are name, owner, description, members, max_members and public", 2)
      end
    end
    local members, most, public = new.members, new.max_members, new.public
    if members ~= nil and type(members) ~= "table" then
      error("groups.create: members must be a list of user ids, got " .. type(members), 2)
    end
    members = members and #members > 0 and user_list(app, members, NEW_MEMBERS) or nil
    if most ~= nil and not (math.type(most) == "integer" and most > 0) then
      error("groups.create: max_members must be a whole number over 0, got " .. tostring(most), 2)
    end
    if public ~= nil and type(public) ~= "boolean" then
      error("groups.create: public must be true or false, got " .. type(public), 2)
    end
    check_ids(app, "user", "owner", text("owner", new.owner, 64))
    local answer = app.request({
      method = "POST",
      path = "/chatgroups",
      body = {
        groupname = text("name", new.name, 128),
        owner = text("owner", new.owner, 64),
        description = new.description and text("description", new.description, 512) or "",
        members = members,
        maxusers = most,
        public = public == true,
      },
    })
    if answer.rehearsed then
      -- A rehearsal makes no group, so it has no id.
      return "rehearsed-group"
    end
    local data = type(answer.body) == "table" and answer.body.data
    local id = type(data) == "table" and data.groupid
    if not id then
      error("groups.create: the service answered without a group id; look whether the group exists before you create it again", 2)
    end
    return id
  end

  function own.add(group_id, users)
    in_calls(user_list(app, users), function(some)
      app.request({ method = "POST", path = group_path(app, group_id, "users"), body = { usernames = some } })
    end)
  end

  function own.remove(group_id, users)
    local refused = {}
    in_calls(user_list(app, users), function(some)
      local answer = app.request({ method = "DELETE", path = group_path(app, group_id, "users", table.concat(some, ",")) })
      local results = answer.body and answer.body.data or {}
      for _, one in ipairs(#results > 0 and results or { results }) do
        if one.result == false then
          refused[one.user] = one.reason or "the service gave no reason"
        end
      end
    end)
    return refused
  end

  function own.mute(group_id, users, seconds)
    if seconds ~= nil and not (type(seconds) == "number" and seconds > 0 and seconds <= LONGEST_MUTE) then
      error("groups.mute: seconds must be a number over 0, and at most " .. LONGEST_MUTE .. ", got " .. tostring(seconds) .. "; leave it out to mute until they are unmuted", 2)
    end
    in_calls(user_list(app, users), function(some)
      app.request({
        method = "POST",
        path = group_path(app, group_id, "mute"),
        body = { usernames = some, mute_duration = seconds and math.ceil(seconds * 1000) or -1 },
        idempotent = true,
      })
    end)
  end

  function own.unmute(group_id, users)
    in_calls(user_list(app, users), function(some)
      local path = group_path(app, group_id, "mute", table.concat(some, ","))
      app.request({ method = "DELETE", path = path, idempotent = true })
    end)
  end

  function own.mute_all(group_id)
    app.request({ method = "POST", path = group_path(app, group_id, "ban"), idempotent = true })
  end

  function own.unmute_all(group_id)
    app.request({ method = "DELETE", path = group_path(app, group_id, "ban"), idempotent = true })
  end

  function own.announcement(group_id)
    local answer = app.request({ method = "GET", path = group_path(app, group_id, "announcement") })
    return answer.rehearsed and "" or answer.body.data.announcement or ""
  end

  function own.set_announcement(group_id, announcement)
    app.request({
      method = "POST",
      path = group_path(app, group_id, "announcement"),
      body = { announcement = text("announcement", announcement, 512) },
      idempotent = true,
    })
  end

  return own
end

local default = of(im)

---Creates a group and returns its id. Needs `"POST /chatgroups"`. In a rehearsal the id is `"rehearsed-group"`.
---@param new groups.new
---@return string group_id
function groups.create(new)
  return default.create(new)
end

---Adds users to a group, 60 a call. A user who is a member already is refused by the service, with the others of that
---call; users of the calls before it stay added. Needs `"POST /chatgroups/*/users"`.
---@param group_id string|integer
---@param users string|string[]
function groups.add(group_id, users)
  return default.add(group_id, users)
end

---Removes users from a group, 60 a call. Returns the users of a list that the service did not remove, with its reasons.
---Needs `"DELETE /chatgroups/*/users/*"`.
---@param group_id string|integer
---@param users string|string[]
---@return table<string, string> refused
function groups.remove(group_id, users)
  return default.remove(group_id, users)
end

---Mutes members of a group, for a time or until they are unmuted. Needs `"POST /chatgroups/*/mute"`.
---@param group_id string|integer
---@param users string|string[]
---@param seconds? number  at most ten years; by default until they are unmuted
function groups.mute(group_id, users, seconds)
  return default.mute(group_id, users, seconds)
end

---Lets muted members of a group write again. Needs `"DELETE /chatgroups/*/mute/*"`.
---@param group_id string|integer
---@param users string|string[]
function groups.unmute(group_id, users)
  return default.unmute(group_id, users)
end

---Mutes all members of a group. Needs `"POST /chatgroups/*/ban"`.
---@param group_id string|integer
function groups.mute_all(group_id)
  return default.mute_all(group_id)
end

---Lets the members of a group write again. Needs `"DELETE /chatgroups/*/ban"`.
---@param group_id string|integer
function groups.unmute_all(group_id)
  return default.unmute_all(group_id)
end

---Returns the announcement of a group; empty if it has none. Needs `"GET /chatgroups/*/announcement"`.
---@param group_id string|integer
---@return string
function groups.announcement(group_id)
  return default.announcement(group_id)
end

---Sets the announcement of a group. Needs `"POST /chatgroups/*/announcement"`.
---@param group_id string|integer
---@param text string  at most 512 characters
function groups.set_announcement(group_id, text)
  return default.set_announcement(group_id, text)
end

---Returns the same functions for another app: `groups.of(im.app("NAME"))`.
---@param app im
---@return groups
function groups.of(app)
  return of(app)
end

return groups
