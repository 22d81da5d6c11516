---@meta http

-- HTTP requests to hosts that `[permissions] net` grants. A private address needs a grant of its own. The module does not
-- follow redirects and uses no proxy. It sends secrets only over https or to this machine. A response has at most 16 MiB.

---@class http
local http = {}

---A value of a query, a header or a body.
---@alias http.value string|number|env.secret

---@class http.get_options
---@field query? table<string, http.value>  is added to the URL, percent-encoded; no log and no error shows it
---@field headers? table<string, http.value>
---@field timeout? number|string  seconds, or a text like "5m"; 30 by default

---@class http.post_options: http.get_options
---@field json? any  a value to send as JSON instead of a body

---@class http.request_options: http.post_options
---@field url string
---@field method? string  "GET" by default
---@field body? http.value

---@class http.response
---@field status integer
---@field ok boolean  whether the status is 200 to 299
---@field headers table<string, string>  by name, case-insensitive; several values of one name are joined with ", "
---@field body string
---@field json fun(): any  parses the body as JSON

---Makes a GET request. A status such as 404 raises no error. If no response comes, it raises `unreachable`.
---@param url string
---@param options? http.get_options
---@return http.response
function http.get(url, options) end

---Makes a POST request. A status such as 404 raises no error. If no response comes, it raises `unreachable` when nothing
---was sent, and `in_doubt` when the request may have arrived.
---@param url string
---@param body? http.value
---@param options? http.post_options
---@return http.response
function http.post(url, body, options) end

---Makes any request.
---@param options http.request_options
---@return http.response
function http.request(options) end

---The request that a hook's function receives.
---@class http.hook_request
---@field method string
---@field query table<string, string>  the query parameters; the last value if a name has several
---@field headers table<string, string>  by name, case-insensitive; without the signature, `authorization` and `cookie`
---@field body string
---@field json fun(): any  parses the body as JSON

---@class http.hook_options
---@field secret env.secret  `env.secret("NAME")`: the secret that the sender shares
---@field scheme? "hmac-sha256"|"token"|"easemob"  the header contains the body's HMAC-SHA256 in hexadecimal (the default) or the secret; with "easemob", the body is a callback of the chat service and contains its own signature
---@field header? string  "x-signature-256" by default; with "token", "authorization" (with or without `Bearer`)
---@field id? string  the header that contains the delivery's id; each id runs once; without it, every request counts as a new one; with "easemob", the body's `callId` is the id
---@field timeout? string|number  the maximum duration of a run
---@field overlap? "queue"|"skip"|"cancel"  what to do with a request that arrives while a run is active; "queue" by default
---@field rerun? boolean  true restarts a run that was killed, whatever it had sent

---Declares a hook at the top level of a script. A hook is a job that `mooncast serve` runs for each `POST /hooks/NAME` with
---the secret, at the address of `[serve] listen`. It needs a grant in `[permissions] hooks`. The response 202 means that the
---request is in the ledger and will run. A run that you start by hand has an empty request.
---@param name string  unique in the project: letters, digits, `-`, `_` and `.`
---@param options http.hook_options
---@param fn fun(request: http.hook_request, context: schedule.Context)
function http.hook(name, options, fn) end

return http
