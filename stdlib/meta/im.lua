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

---Sends a message to up to 600 users, to each as a message of its own. The call waits for the quota of a minute, which
---counts the users, and for the quota of a second, which counts the calls.
---@param message im.user_message
---@param options? im.send_options
---@return im.receipts receipts  { [user_id] = message_id }
function im.user_send(message, options) end

---Sends a message to everyone in up to ten chat rooms. The call waits for the quota.
---@param message im.room_message
---@param options? im.send_options
---@return im.receipts receipts  { [room_id] = message_id }
function im.room_send(message, options) end

---Sends a message to all users of the app (`to = "all"`), or to the users who are online at that moment (`to = "online"`).
---It cannot be recalled or edited. Each of the two needs a permission: `[permissions] announce = ["all"]`. Two
---announcements to all users are at least 30 minutes apart, and a day in UTC has at most three; to the users who are
---online one minute, and 50. The ledger counts them for all processes and hosts that share it. A call that the limits do
---not allow sends nothing and raises an error of the kind "throttled", which says when the next one is possible. Where
---`[approval]` applies to the script, it is refused, unless `announcements = "permitted"` stands there.
---@param message im.announcement
---@param options? im.announce_options
---@return string? id  the service's id of the announcement; nil for a `once` key that an operator settled as sent
function im.announce(message, options) end

---Sends a message to any number of groups, once to each. It stores the plan before the first send. A call with the same
---`name` and `run` continues where the broadcast stopped.
---@param spec im.broadcast
---@return im.report
function im.broadcast(spec) end

---Puts groups, users or rooms on the app's suppression list: nothing is sent to them. Broadcasts skip them, also those
---that run now; a single message to one raises an error of the kind "denied". Needs the permission
---`[permissions] suppress = true`. Scripts only add; operators remove with `mooncast suppress remove` or on the page. Of an
---id that is on the list, the later end stays.
---@param ids string|integer|(string|integer)[]  one id, or a list of up to 10,000
---@param options? im.suppress_options
function im.suppress(ids, options) end

---Uploads a file of the project and returns the value for the field `file` of a message's body. It uses an upload of the
---same content again if the upload is at most six days old.
---@param path string  relative to the project's folder
---@param options? im.upload_options
---@return im.file
function im.upload(path, options) end

---Checks a message against every documented limit and sends nothing.
---@param message im.message|im.targeted_message|im.user_message|im.room_message|im.announcement
---@param kind? "group"|"targeted"|"user"|"room"|"announce"  by default "targeted" for a message with `users`, otherwise "group"
---@return true|nil ok  nil if there are problems
---@return im.problem[]? problems
function im.check(message, kind) end

---Returns an iterator over the app's groups: `for group in im.groups() do … end`.
---@return fun(): im.group?
function im.groups() end

---Returns an iterator over a group's members: `for user_id, role in im.members(id) do … end`.
---@param group_id string|integer
---@return fun(): string?, "owner"|"admin"|"member"|nil
function im.members(group_id) end

---Reads the details of a group, or of any number of groups, a hundred a call. For one id it returns the group, or nil if there
---is none. For a list it returns a table by id, without the groups that do not exist.
---@param ids string|integer|(string|integer)[]
---@return im.group_details|table<string, im.group_details>|nil
---@overload fun(group_id: string|integer): im.group_details?
---@overload fun(group_ids: (string|integer)[]): table<string, im.group_details>
function im.group(ids) end

---Recalls sent messages, or the messages of a broadcast: `im.recall { broadcast = NAME, run = RUN }`.
---@param receipts im.receipts  as the sending call returned them
---@param options? im.recall_options
---@return im.recalled
---@overload fun(broadcast: im.recall_broadcast, options?: im.recall_options): im.broadcast_recalled
function im.recall(receipts, options) end

---Edits sent messages: the texts of text messages, the event of custom messages, and `ext` of all types but commands. A
---new `ext` is merged into the old one.
---
---With receipts it edits those messages. With `{ broadcast = NAME, run = RUN }` it edits all sent messages of a broadcast,
---as a broadcast of its own, `NAME.edit`. There `change` can be a function of the recipient and its message, which returns
---the change, or nil to leave the message as it is. The same edit again resumes, or does nothing. An edit of a broadcast can
---wait for an approval; one by receipts is refused if `[approval]` demands an approval for so many messages.
---@param receipts im.receipts  as the sending call returned them
---@param change im.edit
---@param options? im.edit_options
---@return im.edited
---@overload fun(broadcast: im.edit_broadcast, change: im.edit|fun(recipient: table, message: im.message): im.edit?, options?: im.edit_broadcast_options): im.report
function im.edit(receipts, change, options) end

---Makes another call of the service's REST API with the app's token, if `[permissions] requests` or `--allow-request` grants
---it. A grant is a method and a path below the app's address, in which `*` stands for one segment:
---`"POST /chatgroups/*/users/*"`. Calls that have a function of their own are never made: `/messages/…`, `/chatfiles` and
---`/token`.
---
---An answer of 200 to 299 is returned; every other raises an `im.error` with its `status` and `code`. Every call but a GET is in
---the ledger before it is made. A GET is repeated when no answer comes; every other call is then in doubt, unless
---`idempotent` is true.
---
---A rehearsal lists the call and returns `{ status = 200, body = {}, rehearsed = true }`. With `--read-lists` it makes GETs.
---@param request im.request
---@return im.answer
function im.request(request) end

---Declares a job at the top level of a script, which `mooncast serve` runs for each event of the chat service that fits:
---
--- - "message": a user has sent a message to a group or a room;
--- - "joined", "left": users have become members of a group, or are no longer members;
--- - "read": a member has read a message of this project, sent with `need_group_ack`;
--- - "recalled", "edited": a message of another sender was recalled or edited. Without `group`, only events in which the
---   service names the group are taken.
---
---The service tells its events by callbacks, so the app needs a callback secret. Each callback starts the job once. Messages
---from users as which this project sends start nothing, in any case of letters; nor do recalls and edits of its messages or
---by these users. An event that is more than a day old starts nothing either.
---
---Runs for one group follow each other in the order of arrival; up to four groups have a run at the same time. The event is
---in the ledger before the service gets its answer, so it runs even after a crash. Up to 1000 events of a job wait. Then each
---new event drops the oldest one, with a warning in the log.
---@param event "message"|"joined"|"left"|"read"|"recalled"|"edited"
---@param options im.on_options
---@param fn fun(event: im.event, context: schedule.Context)
---@overload fun(event: string, fn: fun(event: im.event, context: schedule.Context))
function im.on(event, options, fn) end

---Returns the same functions for another app of mooncast.toml: the NAME of `[apps.NAME]`, or "default".
---@param name string
---@return im
function im.app(name) end

return im
