-- Builders for the eight message types. Each returns a message for `im.group_send` or `im.targeted_send`:
--
--   local message = require("message")
--   im.group_send(message.text("hello"):to("184524748161025"):silent())
--
-- You can send a message several times: `notice:to(id)` replaces its recipients.

---@class message
local message = {}

-- The methods are in the metatable, so that a message has only the fields that are sent.
---@class message.builder
---@field type string
---@field body table
local builder = {}
local metatable = { __index = builder, __name = "message" }

-- `to`, `users` and `ext` are methods and, once set, also fields. A field that is called acts as its method.
local recallable = {}
for _, name in ipairs({ "to", "users", "ext" }) do
  recallable[name] = {
    __call = function(_, self, ...)
      return builder[name](self, ...)
    end,
  }
end

local function set(self, name, value)
  rawset(self, name, setmetatable(value, recallable[name]))
  return self
end

local function list(...)
  local given = ...
  return type(given) == "table" and table.move(given, 1, #given, 1, {}) or { ... }
end

---Sets the groups that receive the message, and replaces earlier ones.
---@param ... string|integer|(string|integer)[]  ids, or a list of them
---@return message.builder
function builder:to(...)
  return set(self, "to", list(...))
end

---Sets the members who see the message, for `im.targeted_send`.
---@param ... string|string[]  user ids, or a list of them
---@return message.builder
function builder:users(...)
  return set(self, "users", list(...))
end

---Sets the sender.
---@param user_id string
---@return message.builder
function builder:from(user_id)
  rawset(self, "from", user_id)
  return self
end

---Adds fields of your own.
---@param fields table<string, any>
---@return message.builder
function builder:ext(fields)
  local ext = {}
  for name, value in pairs(rawget(self, "ext") or {}) do
    ext[name] = value
  end
  for name, value in pairs(fields) do
    ext[name] = value
  end
  return set(self, "ext", ext)
end

---Delivers the message only to members who are online.
---@return message.builder
function builder:online_only()
  rawset(self, "routetype", "ROUTE_ONLINE")
  return self
end

---Requests read receipts.
---@return message.builder
function builder:ack()
  rawset(self, "need_group_ack", true)
  return self
end

---Sends the message without a push notification.
---@return message.builder
function builder:silent()
  return builder.ext(self, { em_ignore_notification = true })
end

local function make(kind, body)
  return setmetatable({ type = kind, body = body }, metatable)
end

-- Returns the body of a message with a file: the result of `im.upload`, or the fields themselves, and additional
-- fields.
local function uploaded(kind, file, more)
  if type(file) ~= "table" then
    local expected = "message: expected what im.upload returned, or a table of body fields, got "
    error(expected .. type(file), 3)
  end
  local body = {}
  if file.uuid then
    body.file = file
  else
    for name, value in pairs(file) do
      body[name] = value
    end
  end
  for name, value in pairs(more or {}) do
    body[name] = value
  end
  return make(kind, body)
end

---Makes a text message.
---@param msg string
---@return message.builder
function message.text(msg)
  return make("txt", { msg = msg })
end

---Makes an image message.
---@param file im.file|im.body.img
---@param more? im.body.img  fields to add or replace
---@return message.builder
function message.image(file, more)
  return uploaded("img", file, more)
end

---Makes a voice message.
---@param file im.file|im.body.audio
---@param more? im.body.audio  fields to add or replace
---@return message.builder
function message.audio(file, more)
  return uploaded("audio", file, more)
end

---Makes a video message. To set its preview picture: `message.video(file, { thumb = im.upload("picture.png") })`.
---@param file im.file|im.body.video
---@param more? im.body.video  fields to add or replace
---@return message.builder
function message.video(file, more)
  return uploaded("video", file, more)
end

---Makes a file message.
---@param file im.file|im.body.file
---@param more? im.body.file  fields to add or replace
---@return message.builder
function message.file(file, more)
  return uploaded("file", file, more)
end

---Makes a location message: `message.location({ lat = "39.966", lng = "116.322", addr = "Beijing" })`.
---@param place im.body.loc
---@return message.builder
function message.location(place)
  return make("loc", { lat = place.lat, lng = place.lng, addr = place.addr })
end

---Makes a command for the members' clients, which show nothing.
---@param action string
---@return message.builder
function message.command(action)
  return make("cmd", { action = action })
end

---Makes a message that your own clients define.
---@param event string
---@param exts? table<string, string>
---@return message.builder
function message.custom(event, exts)
  return make("custom", { customEvent = event, customExts = exts })
end

return message
