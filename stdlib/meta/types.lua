---@meta

-- The types of the arguments and results of `im`. Scripts do not require this file.

---The fields of every message.
---@class im.message.common
---@field to string|integer|(string|integer)[]  one group id, or a list: up to 3 for group_send, 1 for targeted_send
---@field from? string  the sender's user id, not empty; "admin" by default
---@field ext? table<string, any>  your own fields; `em_ignore_notification = true` sends without a push notification
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

---The body of a voice message.
---@class im.body.audio: im.body.uploaded
---@field length? integer  seconds

---The body of a video message.
---@class im.body.video: im.body.uploaded
---@field length? integer  seconds
---@field file_length? integer  bytes
---@field thumb? string|im.file  the picture that clients show before the video plays: an address, or the result of im.upload
---@field thumb_secret? string  the picture's share-secret

---The body of a file message.
---@class im.body.file: im.body.uploaded

---The body of a location message.
---@class im.body.loc
---@field lat string|number  latitude in degrees
---@field lng string|number  longitude in degrees
---@field addr string  the address as text

---The body of a command message. The members' clients act on it and show nothing.
---@class im.body.cmd
---@field action string

---The body of a custom message, which your own clients define.
---@class im.body.custom
---@field customEvent? string  1 to 32 letters, digits, `-`, `_`, `/` and `.`
---@field customExts? table<string, string>  up to 16 entries

---Options for sending a message.
---@class im.send_options
---@field once? string  a key: Mooncast sends the message with this key at most once through this app, across runs; a second call returns the first receipts
---@field priority? "high"|"normal"|"low"  the priority among calls that wait for the quota
---@field timeout? number|string  cancels the call after this time: seconds, or a text like "5m"

---A message of a broadcast: any message without `to` and `users`.
---@class im.broadcast_message
---@field type "txt"|"img"|"audio"|"video"|"file"|"loc"|"cmd"|"custom"
---@field body im.body.txt|im.body.img|im.body.audio|im.body.video|im.body.file|im.body.loc|im.body.cmd|im.body.custom
---@field from? string  the sender's user id; "admin" by default
---@field ext? table<string, any>  your own fields
---@field need_group_ack? boolean  requests read receipts; not with `users`
---@field roam_ignore_users? string[]  up to 20 members who do not find the message in their history; not with `users`
---@field routetype? "ROUTE_ONLINE"  delivers only to members who are online; not with `users`
---@field allow_empty? boolean  permits an empty or blank text, which Mooncast refuses otherwise

---A recipient. Its other fields are for the message function.
---@class im.recipient
---@field group_id string|integer
---@field users? string|string[]  the members who see the message: a list, or a string with `;` or `；` between them
---@field [string] any

---The specification of a broadcast.
---@class im.broadcast
---@field name string  identifies the broadcast together with `run`; the same name and run continues it, or returns its report if it has finished
---@field run? string|integer  the run of that name; "1" by default, and the scheduled time in a job
---@field to string|(string|integer|im.recipient)[]|fun(): any  a .csv, .xlsx, .json or .jsonl file, a list, or an iterator
---@field message im.broadcast_message|fun(recipient: any): im.broadcast_message?  the message, or a function that returns it, or nil to skip the recipient
---@field pack? integer  groups in one call, 1 to 3; 1 by default
---@field in_doubt? "hold"|"resend"  what to do with recipients that may have received the message; "hold" by default
---@field rate? number  the broadcast's own limit, in messages a second
---@field window? { from: string, to: string, tz: string }  the hours of the day in which it sends
---@field priority? "high"|"normal"|"low"  its share of the quota when other calls wait too
---@field exclude? { broadcast: string, run?: string|integer, states?: string|string[] }  excludes the recipients that an earlier broadcast has reached
---@field stop_after_failures? integer  pauses the broadcast after this many failures in a row; 20 by default
---@field max_recipients? integer  refuses a plan with more recipients
---@field on_progress? fun(progress: im.progress)  a function that Mooncast calls about once a second
---@field skip_bad? boolean  skips bad lines of a file; each becomes a skipped row of the plan, with its line number and the reason
---@field id_column? string  the column or field that contains the group id; "group_id" by default
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
---@field skipped integer  recipients that the message function, `exclude` or `skip_bad` skipped
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
---@field force? boolean  true also recalls messages older than the service's limit of two minutes
---@field from? string  the user id that recalls; the app's admin by default

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

---The message ids of the groups that received a message, by group id.
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
---@field in_doubt integer  recipients in doubt, whose message ids are unknown

---The limits of an app.
---@class im.limits
---@field group_per_second number  group messages, and group calls, a second
---@field targeted_per_second number  targeted calls a second
---@field upload_per_second number  uploads a second
---@field read_per_second number  reads of lists a second
---@field message_bytes integer  bytes of `body` and `ext` together
---@field upload_bytes integer  bytes of one uploaded file
---@field share number  Mooncast's share of each quota, up to 1
---@field groups_per_call integer  groups in one group message
---@field users_per_call integer  users in one targeted message
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
