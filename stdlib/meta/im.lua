---@meta im

-- `im` is a global: sending, and what goes with it. Every call waits for its answer; a failure raises an `im.error`.

---@class im
im = {}

---What the service and `[app.limits]` allow this app. Read-only.
---@type im.limits
im.limits = {}

---Sends a message to up to three groups, when the quota permits it.
---@param message im.message
---@param options? im.send_options
---@return im.receipts receipts  { [group_id] = message_id }
function im.group_send(message, options) end

---Sends a message that only the named members of one group see.
---@param message im.targeted_message
---@param options? im.send_options
---@return im.receipts receipts  { [group_id] = message_id }
function im.targeted_send(message, options) end

---Sends to any number of groups, each once: the plan is stored before the first send, and the same `name` and `run`
---goes on where it stopped.
---@param spec im.broadcast
---@return im.report
function im.broadcast(spec) end

---Uploads a file of the project. What it gives goes into a message's body as `file`. What the service has from an
---upload of the same content in the last six days is used again.
---@param path string  relative to the project's folder
---@param options? im.upload_options
---@return im.file
function im.upload(path, options) end

---Checks a message against every documented limit and sends nothing.
---@param message im.message|im.targeted_message
---@return true|nil ok  nil when there are problems
---@return im.problem[]? problems
function im.check(message) end

---Goes through the app's groups: `for group in im.groups() do … end`.
---@return fun(): im.group?
function im.groups() end

---Goes through a group's members: `for user_id, role in im.members(id) do … end`.
---@param group_id string|integer
---@return fun(): string?, "owner"|"admin"|"member"|nil
function im.members(group_id) end

---Recalls messages that were sent, or those of a broadcast: `im.recall { broadcast = NAME, run = RUN }`.
---@param receipts im.receipts  as the sending call returned them
---@param options? im.recall_options
---@return im.recalled
---@overload fun(broadcast: im.recall_broadcast, options?: im.recall_options): im.broadcast_recalled
function im.recall(receipts, options) end

---The same functions for another app of mooncast.toml: the NAME of `[apps.NAME]`, or "default".
---@param name string
---@return im
function im.app(name) end

return im
