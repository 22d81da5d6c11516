---@meta im

-- The global `im` sends messages. Every call waits for its answer. A failed call raises an `im.error`.

---@class im
im = {}

---The limits of this app, by the service and `[app.limits]`. Read-only.
---@type im.limits
im.limits = {}

---Sends a message to up to three groups. The call waits for the quota.
---@param message im.message
---@param options? im.send_options
---@return im.receipts receipts  { [group_id] = message_id }
function im.group_send(message, options) end

---Sends a message that only the named members of one group see.
---@param message im.targeted_message
---@param options? im.send_options
---@return im.receipts receipts  { [group_id] = message_id }
function im.targeted_send(message, options) end

---Sends a message to any number of groups, once to each. It stores the plan before the first send. A call with the same
---`name` and `run` continues where the broadcast stopped.
---@param spec im.broadcast
---@return im.report
function im.broadcast(spec) end

---Uploads a file of the project and returns the value for the field `file` of a message's body. It uses an upload of the
---same content again if the upload is at most six days old.
---@param path string  relative to the project's folder
---@param options? im.upload_options
---@return im.file
function im.upload(path, options) end

---Checks a message against every documented limit and sends nothing.
---@param message im.message|im.targeted_message
---@return true|nil ok  nil if there are problems
---@return im.problem[]? problems
function im.check(message) end

---Returns an iterator over the app's groups: `for group in im.groups() do … end`.
---@return fun(): im.group?
function im.groups() end

---Returns an iterator over a group's members: `for user_id, role in im.members(id) do … end`.
---@param group_id string|integer
---@return fun(): string?, "owner"|"admin"|"member"|nil
function im.members(group_id) end

---Recalls sent messages, or the messages of a broadcast: `im.recall { broadcast = NAME, run = RUN }`.
---@param receipts im.receipts  as the sending call returned them
---@param options? im.recall_options
---@return im.recalled
---@overload fun(broadcast: im.recall_broadcast, options?: im.recall_options): im.broadcast_recalled
function im.recall(receipts, options) end

---Returns the same functions for another app of mooncast.toml: the NAME of `[apps.NAME]`, or "default".
---@param name string
---@return im
function im.app(name) end

return im
