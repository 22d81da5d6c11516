---@meta

-- The types of the arguments and results of `im`. Scripts do not require this file.

---The fields of every message.
---@class im.message.common
---@field to string|integer|(string|integer)[]  one id, or a list: up to 3 groups for group_send, 1 for targeted_send, 600 users for user_send, 10 rooms for room_send
---@field from? string  the sender's user id, not empty; "admin" by default
---@field ext? table<string, any>  your own fields; `em_ignore_notification = true` sends without a push notification
---@field env? string  the route of the message's callbacks: 1 to 8 letters and digits
---@field sync_device? boolean  also delivers to the sender's own devices
---@field allow_empty? boolean  permits an empty or blank text, which Mooncast refuses otherwise

---Further fields of messages to whole groups.
---@class im.message.group: im.message.common
---@field need_group_ack? boolean  requests read receipts
---@field roam_ignore_users? string[]  up to 20 members who do not find the message in their history
---@field routetype? "ROUTE_ONLINE"  delivers only to members who are online

---Further fields of targeted messages.
---@class im.message.targeted: im.message.common
---@field users string[]  the members who see the message, up to 20

---@class im.message.txt: im.message.group
---@field type "txt"
---@field body im.body.txt

---@class im.message.img: im.message.group
---@field type "img"
---@field body im.body.img

---@class im.message.audio: im.message.group
---@field type "audio"
---@field body im.body.audio

---@class im.message.video: im.message.group
---@field type "video"
---@field body im.body.video

---@class im.message.file: im.message.group
---@field type "file"
---@field body im.body.file

---@class im.message.loc: im.message.group
---@field type "loc"
---@field body im.body.loc

---@class im.message.cmd: im.message.group
---@field type "cmd"
---@field body im.body.cmd

---@class im.message.custom: im.message.group
---@field type "custom"
---@field body im.body.custom

---A message for `im.group_send`. Its `type` determines the fields of its `body`.
---@alias im.message
---| im.message.txt
---| im.message.img
---| im.message.audio
---| im.message.video
---| im.message.file
---| im.message.loc
---| im.message.cmd
---| im.message.custom

---A message for `im.targeted_send`.
---@class im.targeted_message: im.message.targeted
---@field type "txt"|"img"|"audio"|"video"|"file"|"loc"|"cmd"|"custom"
---@field body im.body.txt|im.body.img|im.body.audio|im.body.video|im.body.file|im.body.loc|im.body.cmd|im.body.custom

---A message for `im.user_send`.
---@class im.user_message: im.message.common
---@field type "txt"|"img"|"audio"|"video"|"file"|"loc"|"cmd"|"custom"
---@field body im.body.txt|im.body.img|im.body.audio|im.body.video|im.body.file|im.body.loc|im.body.cmd|im.body.custom
---@field roam_ignore_users? string[]  up to 20 users who do not find the message in their history
---@field routetype? "ROUTE_ONLINE"  delivers only to users who are online

---A message for `im.room_send`.
---@class im.room_message: im.user_message
---@field chatroom_msg_level? "high"|"normal"|"low"  under load the service drops messages of a lower level first

---A message for `im.announce`.
---@class im.announcement
---@field to "all"|"online"  all users of the app, or the users who are online at that moment
---@field from? string  the sender's user id, not empty; "admin" by default
---@field type "txt"|"img"|"audio"|"video"|"file"|"loc"|"cmd"|"custom"
---@field body im.body.txt|im.body.img|im.body.audio|im.body.video|im.body.file|im.body.loc|im.body.cmd|im.body.custom
---@field ext? table<string, any>  your own fields
---@field allow_empty? boolean  permits an empty or blank text, which Mooncast refuses otherwise

---The body of a text message.
---@class im.body.txt
---@field msg string

---The common fields of the bodies of image, voice, video and file messages: `file`, or `url` and its fields.
---@class im.body.uploaded
---@field file? im.file  the result of im.upload, which sets the other fields
---@field url? string  the address of an uploaded file, if there is no `file`
---@field secret? string  the file's share-secret
---@field filename? string  the file name that readers see

---The body of an image message.
---@class im.body.img: im.body.uploaded
---@field size? { width: integer, height: integer }  in pixels
---@field file_length? integer  bytes

---The body of a voice message.
---@class im.body.audio: im.body.uploaded
---@field length? integer  seconds
---@field file_length? integer  bytes

---The body of a video message.
---@class im.body.video: im.body.uploaded
---@field length? integer  seconds
---@field file_length? integer  bytes
---@field thumb? string|im.file  the picture that clients show before the video plays: an address, or the result of im.upload
---@field thumb_secret? string  the picture's share-secret

---The body of a file message.
---@class im.body.file: im.body.uploaded
---@field file_length? integer  bytes

---The body of a location message.
---@class im.body.loc
---@field lat string|number  latitude in degrees
---@field lng string|number  longitude in degrees
---@field addr string  the address as text

---The body of a command message. The members' clients act on it and show nothing.
---@class im.body.cmd
---@field action string
---@field param? table<string, any>  the command's own fields

---The body of a custom message, which your own clients define.
---@class im.body.custom
---@field customEvent? string  1 to 32 letters, digits, `-`, `_`, `/` and `.`
---@field customExts? table<string, string>  up to 16 entries

---Options for sending a message.
---@class im.send_options
---@field once? string  a key: Mooncast sends the message with this key at most once through this app, across runs; a second call returns the first receipts
---@field override? boolean  also sends to recipients on the suppression list; needs the permission `override_suppression`
---@field priority? "high"|"normal"|"low"  the priority among calls that wait for the quota
---@field timeout? number|string  cancels the call after this time: seconds, or a text like "5m"

---Options of `im.suppress`.
---@class im.suppress_options
---@field kind? "group"|"user"|"room"  what the ids are; "group" by default
---@field reason? string  why, for people
---@field expires? number|string  how long they stay on the list: seconds, or a text like "30d"; without it, until an operator removes them

---Options of `im.announce`.
---@class im.announce_options
---@field once? string  a key: Mooncast makes the announcement with this key at most once through this app, across runs; a second call returns the first id
---@field timeout? number|string  cancels the call after this time: seconds, or a text like "5m"
---@field wait? boolean  waits until the limits allow the announcement, for half an hour or until the next day

---A message of a broadcast: any message without `to` and `users`.
---@class im.broadcast_message
---@field type "txt"|"img"|"audio"|"video"|"file"|"loc"|"cmd"|"custom"
---@field body im.body.txt|im.body.img|im.body.audio|im.body.video|im.body.file|im.body.loc|im.body.cmd|im.body.custom
---@field from? string  the sender's user id; "admin" by default
---@field ext? table<string, any>  your own fields
---@field env? string  the route of the message's callbacks: 1 to 8 letters and digits
---@field sync_device? boolean  also delivers to the sender's own devices
---@field need_group_ack? boolean  requests read receipts; not with `users`
---@field roam_ignore_users? string[]  up to 20 members who do not find the message in their history; not with `users`
---@field routetype? "ROUTE_ONLINE"  delivers only to members who are online; not with `users`
---@field chatroom_msg_level? "high"|"normal"|"low"  to rooms: under load the service drops messages of a lower level first
---@field allow_empty? boolean  permits an empty or blank text, which Mooncast refuses otherwise

---A recipient. Its other fields are for the message function.
---@class im.recipient
---@field group_id? string|integer  of a broadcast to groups, and to members of groups
---@field user_id? string|integer  of a broadcast of the kind "user"
---@field room_id? string|integer  of a broadcast of the kind "room"
---@field users? string|string[]  the members who see the message: a list, or a string with `;` or `；` between them
---@field [string] any

---The hours and days in which a broadcast is sent. A recipient outside its hours waits.
---@class im.window
---@field from string  such as "09:00"
---@field to string  such as "21:00"; "24:00" is the end of the day
---@field tz string|{ column: string }|fun(recipient: any): string  the time zone, or the column that has each recipient's, or a function that returns it
---@field days? string  the days of the week, such as "mon-fri" or "sat,sun"; all by default
---@field except? string  a calendar: its holidays are left out, and its workdays are added. A name is of `calendars/NAME.csv` or `.ics`; otherwise it is the path of such a file

---The specification of a broadcast.
---@class im.broadcast
---@field name string  identifies the broadcast together with `run`; the same name and run continues it, or returns its report if it has finished
---@field run? string|integer  the run of that name; "1" by default, and the scheduled time in a job
---@field kind? "group"|"targeted"|"user"|"room"  what the recipients are; by default groups, or members of groups if the first recipient names `users`
---@field to string|(string|integer|im.recipient)[]|fun(): any  a .csv, .xlsx, .json or .jsonl file, a list, or an iterator
---@field message im.broadcast_message|fun(recipient: any): im.broadcast_message?  the message, or a function that returns it, or nil to skip the recipient
---@field pack? integer  recipients in one call: 1 to 3 groups, 600 users or 10 rooms; 1 by default. All recipients of a call are in doubt together
---@field in_doubt? "hold"|"resend"|"reconcile"  what to do with recipients that may have received the message; "hold" by default
---@field rate? number  the broadcast's own limit, in messages a second
---@field window? im.window  the hours and days in which it sends
---@field priority? "high"|"normal"|"low"  its share of the quota when other calls wait too
---@field exclude? { broadcast: string, run?: string|integer, states?: string|string[] }  excludes the recipients that an earlier broadcast has reached
---@field override? boolean  also sends to recipients on the suppression list; needs the permission `override_suppression`
---@field tag? string  what kind of messages it sends, such as "marketing": caps count the messages of a tag
---@field cap? { per_group: integer, within: string, tag?: string }  skips groups that got this many messages of broadcasts within a time such as "7d"; with a tag, only messages with that tag count, and it is also the tag of this broadcast
---@field ramp? { [integer]: integer|string, pause?: string }  sends to few recipients first: how many, or which part like "10%", are sent to by the end of each stage; after each it pauses, for "5m" by default
---@field stop_if? string  pauses the broadcast when a condition holds, such as "rejected > 2% of 200": more than 2 % of the recipients, once 200 are settled; or "in_doubt > 10". Counts are rejected, in_doubt and missing; " or " stands between conditions
---@field approval? boolean|{ over: integer }  sends nothing until another person has approved the plan: always, or if it has more recipients; `mooncast runs approve`, the page and the API approve it. It cannot lift what `[approval]` demands
---@field stop_after_failures? integer  pauses the broadcast after this many failures in a row; 20 by default
---@field max_recipients? integer  refuses a plan with more recipients
---@field preflight? boolean  looks up every group before the plan is fixed: a group that does not exist or is disabled refuses the plan, and muted groups, groups too large for receipts or for push notifications are a warning
---@field on_progress? fun(progress: im.progress)  a function that Mooncast calls about once a second
---@field skip_bad? boolean  skips bad lines of a file; each becomes a skipped row of the plan, with its line number and the reason
---@field id_column? string  the column or field that contains the recipient's id; by default "group_id", and "user_id" or "room_id" for users or rooms
---@field encoding? string  the encoding of a file, such as "gb18030"; detected by default
---@field separator? string  the column separator of a CSV file, one character; detected by default
---@field sheet? string  the sheet of a workbook; the first one by default
---@field allow_empty? boolean  permits empty or blank texts, which Mooncast refuses otherwise
---@field on_change? "refuse"|"continue"|"replan"  what to do if the inputs of an unfinished broadcast changed; "refuse" by default

---The progress of a broadcast: the number of recipients in each state.
---@class im.progress
---@field total integer
---@field pending integer
---@field sending integer
---@field sent integer
---@field rejected integer
---@field in_doubt integer
---@field skipped integer
---@field cancelled integer

---The report of a broadcast.
---@class im.report
---@field name string
---@field run string
---@field total integer  all recipients, including skipped ones
---@field sent integer
---@field rejected integer
---@field in_doubt integer  recipients that may have the message or not
---@field skipped integer  recipients that the message function, `exclude` or `skip_bad` skipped, those on the suppression list, and those at the cap
---@field cancelled integer
---@field duplicates integer  recipients that were listed more than once
---@field bad_lines? integer  lines that `skip_bad` skipped
---@field empty_rows? integer  rows of the file without any text
---@field no_recipients? true  there were no recipients; the ledger keeps nothing of the broadcast
---@field elapsed number  seconds
---@field rate number  messages a second
---@field already? true  the broadcast had finished before, and this call sent nothing

---Options for uploading a file.
---@class im.upload_options
---@field filename? string  the file name that readers see; the file's own name by default
---@field restrict_access? boolean  whether readers need the file's secret; true by default
---@field thumbnail? { width: integer, height: integer }  pixels, 1 to 10000
---@field priority? "high"|"normal"|"low"  the priority among calls that wait for the quota
---@field reuse? boolean  false uploads the file even if the service has the same content; true by default
---@field force? boolean  true uploads the file unchecked, even if it is empty or its content does not match its name; the result has no `media`

---Options for recalling messages.
---@class im.recall_options
---@field kind? "group"|"targeted"|"user"|"room"  what the receipts are of; "group" by default. A broadcast has its own kind
---@field force? boolean  true also recalls messages older than the service's limit of two minutes
---@field from? string  the user id that recalls; the app's admin by default
---@field note? string  a text for the members' clients
---@field with_attachments? boolean  true also recalls messages whose files other messages use; the service deletes these files

---The details of a group, as the service has them.
---@class im.group_details
---@field group_id string
---@field name? string
---@field description? string  nil if it is empty
---@field owner? string  the owner's user id
---@field members? integer  the number of members, with the owner
---@field max_members? integer
---@field muted boolean  whether all members are muted
---@field disabled boolean

---Another call of the service's REST API.
---@class im.request
---@field method "GET"|"POST"|"PUT"|"DELETE"
---@field path string  the path below the app's address, from its first slash, without percent-encoding: "/chatgroups/1/users"
---@field query? table<string, string|number|boolean>  the names and values after the `?`; 8 KiB at most
---@field body? table  the body, sent as JSON; 1 MiB at most. A GET has none
---@field quota? "read"|{ per_second: integer }  the quota that it waits for: the app's quota of reads by default, or one of its own for all calls by the same grant, of 1 to 10000 calls a second
---@field idempotent? boolean  true says that the call made twice has the effect of one, so it is repeated when no answer comes
---@field timeout? number|string  gives up after this time, including the wait for the quota: seconds, or a text like "5m"

---The answer to `im.request`.
---@class im.answer
---@field status integer  200 to 299
---@field body any  the JSON of the answer, 1 MiB at most; nil for an empty one
---@field rehearsed? true  the call was listed by a rehearsal and not made

---An uploaded file: the value for `body.file`.
---@class im.file
---@field uuid string
---@field url string
---@field secret? string
---@field filename string
---@field size integer  bytes
---@field width? integer  the displayed width of an image or a video, in pixels
---@field height? integer  the displayed height of an image or a video, in pixels
---@field duration? number  the duration of audio or video, in seconds
---@field media? "image"|"audio"|"video"|"other"  the kind of content, if known

---The message ids of the groups, users or rooms that received a message, by their id.
---@alias im.receipts table<string, string>

---A problem of a message.
---@class im.problem
---@field field string  the field, such as `body.msg` or `to[2]`
---@field message string  what is wrong, the limit and the value

---A group of the app.
---@class im.group
---@field group_id string
---@field name? string
---@field owner? string
---@field affiliations? integer  the number of members
---@field type? string  the group's type, as the service reports it
---@field last_modified? integer  milliseconds since 1970

---The result of a recall.
---@class im.recalled
---@field recalled integer  the number of recalled messages
---@field failed { group_id: string, message_id: string, reason: string }[]  the messages that were not recalled
---@field attachments { url: string, path?: string, used_by: string[] }[]  the files that the service deletes with the messages, as far as the ledger knows these

---The broadcast whose messages to recall.
---@class im.recall_broadcast
---@field broadcast string  its name
---@field run? string|integer  the run of that name; "1" by default, and the scheduled time in a job

---The result of recalling a broadcast.
---@class im.broadcast_recalled
---@field recalled integer  messages recalled now
---@field before integer  messages that an earlier recall has recalled
---@field too_late integer  messages sent more than two minutes ago, which only `force` recalls
---@field refused { [string]: integer }  messages that the service refused to recall, by its reason
---@field commands integer  command messages, which the service cannot recall
---@field in_doubt integer  recipients in doubt, whose message ids are unknown
---@field attachments { url: string, path?: string, used_by: string[] }[]  the files that the service deletes with the messages

---What an edit changes.
---@class im.edit
---@field body? { msg?: string, customEvent?: string, customExts?: { [string]: string } }  the new text, or the new event
---@field ext? table  merged into the message's `ext`
---@field allow_empty? boolean  permits a text without visible characters

---Options for editing messages.
---@class im.edit_options
---@field from? string  the user id that edits; the app's admin by default
---@field priority? "high"|"normal"|"low"  the priority among calls that wait for the quota

---The broadcast whose messages to edit.
---@class im.edit_broadcast
---@field broadcast string  its name
---@field run? string|integer  the run of that name; "1" by default, and the scheduled time in a job

---Options for editing a broadcast.
---@class im.edit_broadcast_options
---@field from? string  the user id that edits; the app's admin by default
---@field rate? number  its own rate limit in messages a second
---@field window? im.window  the hours of the day in which it edits; with one time zone for all
---@field priority? "high"|"normal"|"low"  the priority among calls that wait for the quota
---@field stop_after_failures? integer  pauses after so many failures in a row; 20 by default
---@field max_recipients? integer
---@field on_progress? fun(progress: im.progress)  a function that Mooncast calls about once a second
---@field on_change? "refuse"|"continue"|"replan"  what to do if the inputs of an unfinished edit changed

---The result of an edit.
---@class im.edited
---@field edited integer  the number of edited messages
---@field failed { group_id: string, message_id: string, reason: string }[]  the messages that were not edited

---The limits of an app.
---@class im.limits
---@field group_per_second number  group messages, and group calls, a second
---@field targeted_per_second number  targeted calls a second
---@field upload_per_second number  uploads a second
---@field read_per_second number  reads of lists a second
---@field edit_per_second number  edits of sent messages a second
---@field user_calls_per_second number  calls to users a second
---@field user_messages_per_minute number  messages to users a minute; a call to three users has three
---@field room_messages_per_second number  messages to rooms a second; a call to three rooms has three
---@field room_calls_per_second number  calls to rooms a second; 0 if only the messages are limited
---@field announce_all_per_day integer  announcements to all users a day, in UTC
---@field announce_online_per_day integer  announcements to the users who are online a day, in UTC
---@field announce_all_interval integer  seconds between two announcements to all users
---@field announce_online_interval integer  seconds between two announcements to the users who are online
---@field message_bytes integer  bytes of `body` and `ext` together
---@field upload_bytes integer  bytes of one uploaded file
---@field share number  Mooncast's share of each quota, up to 1
---@field groups_per_call integer  groups in one group message
---@field users_per_call integer  users in one targeted message
---@field user_messages_per_call integer  users in one message to users
---@field rooms_per_call integer  rooms in one room message
---@field roam_ignore_users integer  entries in `roam_ignore_users`
---@field custom_exts integer  entries in `customExts`

---The error that a failed call raises. `pcall` returns it, and `tostring` describes it in one line.
---@class im.error
---@field kind "invalid"|"rejected"|"throttled"|"auth"|"in_doubt"|"unreachable"|"denied"|"cancelled"
---@field message string  what happened and what to do
---@field retryable boolean  whether the same call may succeed later and sends nothing twice
---@field field? string  the invalid field or argument
---@field status? integer  the service's HTTP status
---@field code? string  the service's error code
---@field where? string  the script and the line
---@field receipts? im.receipts  the groups that received the message
---@field problems? im.problem[]  all problems of an invalid message

---@class im.on_options
---@field name? string  the job's name, unique in the project; by default the script's name, a dot and the event
---@field group? string|integer|(string|integer)[]  takes only events of this group or room, or of these; all by default
---@field from? string|string[]  takes only events of this user, or of these; all by default
---@field match? string  takes only text messages in which this Lua pattern finds something; only for "message"; without `%b`, `%f` and back-references
---@field timeout? string|number  the maximum duration of a run
---@field rerun? boolean  true restarts a run that was killed, whatever it had sent

---An event of the chat service: the argument of a function of `im.on`.
---@class im.event
---@field event "message"|"joined"|"left"|"read"|"recalled"|"edited"
---@field id string  the id of the callback, the same each time that the service tells the event
---@field app string  the NAME of `[apps.NAME]`, or "default"
---@field group string  the id of the group or room
---@field time number  when it happened by the service's clock, in seconds since 1970
---@field from? string  the user: the sender, the reader, the first of the members, the one who recalled or edited; nil if the service does not tell
---@field users? string[]  for "joined" and "left": the members, without those that the option `from` leaves out
---@field message_id? string  the message; nil for "joined" and "left"
---@field type? string  for "message" and "edited": the type of the message
---@field text? string  for "message" and "edited": the text of a text message
---@field body? table  for "message" and "edited": the body as the service tells it, with its `type`
---@field ext? table  for "message" and "edited": the extension fields

---An argument that a script declares: `args = { … }` at its top level is a list of these. The table is read without running
---the script, so its values are written out. `--- @arg` in the comment at the head declares the same.
---@class mooncast.argument
---@field name string  its name in `args.NAME` and in `NAME=VALUE`
---@field type "string"|"text"|"integer"|"number"|"boolean"|"date"|"time"|"datetime"|"choice"|"group"|"file"
---@field help? string  what it is, in one line
---@field default? string|number|boolean  the value if none is given
---@field optional? boolean  true if it may be left out
---@field choices? string[]  of a choice: its words
---@field extensions? string[]  of a file: how its name may end, such as ".csv"

---The arguments of `main(args)`: each text by its place, and the typed value of each argument that the script declares by its
---name.
---@class mooncast.arguments
---@field [integer] string
---@field [string] string|integer|number|boolean
