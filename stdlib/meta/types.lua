---@meta

-- The tables that go into `im` and come out of it. Only types: there is nothing to require here.

---What every message has.
---@class im.message.common
---@field to string|integer|(string|integer)[]  one group id or a list: up to 3 for group_send, 1 for targeted_send
---@field from? string  the sender's user id; "admin" when left out, never empty
---@field ext? table<string, any>  your own fields; `em_ignore_notification = true` sends without a push notification
---@field allow_empty? boolean  sends a text that is empty or blank, which is refused otherwise

---What messages to whole groups can have besides.
---@class im.message.group: im.message.common
---@field need_group_ack? boolean  ask for read receipts
---@field roam_ignore_users? string[]  up to 20 members who will not find it in their history
---@field routetype? "ROUTE_ONLINE"  only to members who are online

---What targeted messages have besides.
---@class im.message.targeted: im.message.common
---@field users string[]  the members who see it, up to 20

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

---A message for `im.group_send`: its `type` says what its `body` holds.
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

---Text.
---@class im.body.txt
---@field msg string

---What the bodies of image, voice, video and file messages share: `file`, or `url` and what belongs to it.
---@class im.body.uploaded
---@field file? im.file  what im.upload returned; it fills in the other fields
---@field url? string  address of an uploaded file, where there is no `file`
---@field secret? string  the file's share-secret
---@field filename? string  the name that readers see

---An image.
---@class im.body.img: im.body.uploaded
---@field size? { width: integer, height: integer }  in pixels

---A voice message.
---@class im.body.audio: im.body.uploaded
---@field length? integer  seconds

---A video.
---@class im.body.video: im.body.uploaded
---@field length? integer  seconds
---@field file_length? integer  bytes
---@field thumb? string|im.file  the picture shown before it plays: an address, or what im.upload returned
---@field thumb_secret? string  the picture's share-secret

---Any other file.
---@class im.body.file: im.body.uploaded

---A place.
---@class im.body.loc
---@field lat string|number  latitude in degrees
---@field lng string|number  longitude in degrees
---@field addr string  the place in words

---A command for the members' clients; nothing is shown.
---@class im.body.cmd
---@field action string

---A message that your own clients define.
---@class im.body.custom
---@field customEvent? string  1 to 32 letters, digits, `-`, `_`, `/` and `.`
---@field customExts? table<string, string>  up to 16 entries

---How a message is sent.
---@class im.send_options
---@field once? string  a key: the message that has it is sent at most once to this app, across runs; a second call gets the first receipts
---@field priority? "high"|"normal"|"low"  its place among those that wait for the quota
---@field timeout? number|string  give up after so long: seconds, or a text like "5m"

---A message of a broadcast: any message without `to` and `users`.
---@class im.broadcast_message
---@field type "txt"|"img"|"audio"|"video"|"file"|"loc"|"cmd"|"custom"
---@field body im.body.txt|im.body.img|im.body.audio|im.body.video|im.body.file|im.body.loc|im.body.cmd|im.body.custom
---@field from? string  the sender's user id; "admin" when left out
---@field ext? table<string, any>  your own fields
---@field need_group_ack? boolean  ask for read receipts; not with `users`
---@field roam_ignore_users? string[]  up to 20 members who will not find it in their history; not with `users`
---@field routetype? "ROUTE_ONLINE"  only to members who are online; not with `users`
---@field allow_empty? boolean  sends a text that is empty or blank, which is refused otherwise

---A recipient with fields of its own, which are for the message function.
---@class im.recipient
---@field group_id string|integer
---@field users? string|string[]  the members who see it; as a text separated by `;` or `；`
---@field [string] any

---What `im.broadcast` is to do.
---@class im.broadcast
---@field name string  by which it is known; the same name and run goes on, or gives the report of what was done
---@field run? string|integer  which run of that name; by default "1", and inside a job the instant that it runs for
---@field to string|(string|integer|im.recipient)[]|fun(): any  a .csv, .xlsx, .json or .jsonl file, a list, or an iterator
---@field message im.broadcast_message|fun(recipient: any): im.broadcast_message?  nil skips the recipient
---@field pack? integer  groups a call, 1 to 3; 1 by default
---@field in_doubt? "hold"|"resend"  what becomes of those that may have been delivered; "hold" by default
---@field rate? number  a cap of its own, in messages a second
---@field window? { from: string, to: string, tz: string }  hours of the day outside which it waits
---@field priority? "high"|"normal"|"low"  its share of the quota
---@field exclude? { broadcast: string, run?: string|integer, states?: string|string[] }  leaves out who got an earlier one
---@field stop_after_failures? integer  pauses after so many failures in a row
---@field max_recipients? integer  refuses a plan with more
---@field on_progress? fun(progress: im.progress)  called about once a second
---@field skip_bad? boolean  leaves out bad lines of a file; each is a skipped row of the plan, with its number and reason
---@field id_column? string  the column or field that holds the group's id; "group_id" by default
---@field encoding? string  of a file, such as "gb18030"; recognised where it is left out
---@field separator? string  of a CSV file's columns, one character; recognised where it is left out
---@field sheet? string  of a workbook; the first one by default
---@field allow_empty? boolean  sends texts that are empty or blank, which are refused otherwise
---@field on_change? "refuse"|"continue"|"replan"  what becomes of an unfinished one whose inputs changed; "refuse" by default

---How a broadcast stands: recipients by state.
---@class im.progress
---@field total integer
---@field pending integer
---@field sending integer
---@field sent integer
---@field rejected integer
---@field in_doubt integer
---@field skipped integer
---@field cancelled integer

---What a broadcast has come to.
---@class im.report
---@field name string
---@field run string
---@field total integer  all recipients, those left out included
---@field sent integer
---@field rejected integer
---@field in_doubt integer  they may have it, or not
---@field skipped integer  left out by the message function or by `exclude`
---@field cancelled integer
---@field duplicates integer  named more than once
---@field bad_lines? integer  left out by `skip_bad`
---@field empty_rows? integer  rows of the file without any text, which were passed over
---@field no_recipients? true  there were none: nothing is kept of it, and the same name and run begins anew
---@field elapsed number  seconds
---@field rate number  messages a second
---@field already? true  it was done before, and nothing was sent now

---How a file is uploaded.
---@class im.upload_options
---@field filename? string  the name that readers see; the file's own by default
---@field restrict_access? boolean  whether readers need the file's secret; true by default
---@field thumbnail? { width: integer, height: integer }  pixels, 1 to 10000
---@field priority? "high"|"normal"|"low"  its place among those that wait for the quota
---@field reuse? boolean  false uploads also what the service has already; true by default
---@field force? boolean  true uploads also an empty file and one that is not what its name says, and says nothing of its kind

---How messages are recalled.
---@class im.recall_options
---@field force? boolean  also what is older than the service's window
---@field from? string  who recalls, where it is not the app's admin

---An uploaded file: the value for `body.file`.
---@class im.file
---@field uuid string
---@field url string
---@field secret? string
---@field filename string
---@field size integer  bytes
---@field width? integer  pixels, of an image or a video, as it is shown
---@field height? integer  pixels, of an image or a video, as it is shown
---@field duration? number  seconds, of audio and video
---@field media? "image"|"audio"|"video"|"other"  what is in the file, where that is known

---What was delivered: message ids by group id.
---@alias im.receipts table<string, string>

---One thing that is wrong with a message.
---@class im.problem
---@field field string  where: `body.msg`, `to[2]`
---@field message string  what is wrong, the limit and the value

---One group of the app.
---@class im.group
---@field group_id string
---@field name? string
---@field owner? string
---@field affiliations? integer  how many members it has
---@field type? string  the service's word for its kind
---@field last_modified? integer  milliseconds since 1970

---What came of a recall.
---@class im.recalled
---@field recalled integer  how many messages were recalled
---@field failed { group_id: string, message_id: string, reason: string }[]  those that were not

---A broadcast to recall: what it has sent.
---@class im.recall_broadcast
---@field broadcast string  its name
---@field run? string|integer  which run of that name; by default "1", and inside a job the instant that it runs for

---What became of the recall of a broadcast.
---@class im.broadcast_recalled
---@field recalled integer  messages recalled now
---@field before integer  messages that an earlier recall has recalled
---@field too_late integer  messages sent over two minutes ago, which only `force` recalls
---@field refused { [string]: integer }  messages that the service would not recall, by its reason
---@field in_doubt integer  recipients in doubt: the ids of their messages are not known

---What this app is allowed.
---@class im.limits
---@field group_per_second number  group messages, and group calls, a second
---@field targeted_per_second number  targeted calls a second
---@field upload_per_second number  uploads a second
---@field read_per_second number  reads of lists a second
---@field message_bytes integer  bytes of `body` and `ext` together
---@field upload_bytes integer  bytes of one uploaded file
---@field share number  our part of each quota, up to 1
---@field groups_per_call integer  groups of one group message
---@field users_per_call integer  users of one targeted message
---@field roam_ignore_users integer  entries of `roam_ignore_users`
---@field custom_exts integer  entries of `customExts`

---What every failure of a call raises; `pcall` gives it, `tostring` says it in one line.
---@class im.error
---@field kind "invalid"|"rejected"|"throttled"|"auth"|"in_doubt"|"unreachable"|"denied"|"cancelled"
---@field message string  what happened and what to do
---@field retryable boolean  whether the same call may work later, with nothing sent twice
---@field field? string  the field or argument at fault
---@field status? integer  the service's HTTP status
---@field code? string  the service's word for the error
---@field where? string  script and line
---@field receipts? im.receipts  the groups that did get the message
---@field problems? im.problem[]  every problem of an invalid message
