---@meta http

-- Requests to hosts that `[permissions] net` grants. Private addresses must be named themselves. Redirects are not
-- followed, proxies are not used, secrets travel over https or to this machine only. Answers are up to 16 MiB.

---@class http
local http = {}

---A text for a header or a body.
---@alias http.value string|number|env.secret

---@class http.get_options
---@field headers? table<string, http.value>
---@field timeout? number|string  seconds, or a text like "5m"; 30 by default

---@class http.post_options: http.get_options
---@field json? any  sent as JSON in place of a body

---@class http.request_options: http.post_options
---@field url string
---@field method? string  "GET" by default
---@field body? http.value

---@class http.response
---@field status integer
---@field ok boolean  whether the status is 200 to 299
---@field headers table<string, string>  looked up in any case; several values of one name are joined with ", "
---@field body string
---@field json fun(): any  the body read as JSON

---Asks for what is at an address. No status raises an error; no answer does (`unreachable`).
---@param url string
---@param options? http.get_options
---@return http.response
function http.get(url, options) end

---Sends a body to an address. No status raises an error; no answer does: `unreachable` when nothing was sent,
---`in_doubt` when it may have arrived.
---@param url string
---@param body? http.value
---@param options? http.post_options
---@return http.response
function http.post(url, body, options) end

---Makes any request.
---@param options http.request_options
---@return http.response
function http.request(options) end

---What a hook's function is given of a request.
---@class http.hook_request
---@field method string
---@field query table<string, string>  what stands after the `?`; of several values of one name, the last
---@field headers table<string, string>  looked up in any case, without the signature, `authorization` and `cookie`
---@field body string
---@field json fun(): any  the body read as JSON

---@class http.hook_options
---@field secret env.secret  `env.secret("NAME")`: who posts has it too
---@field scheme? "hmac-sha256"|"token"  the header has the body's HMAC-SHA256 in hexadecimal (by default), or the secret
---@field header? string  by default "x-signature-256", with "token" "authorization" (`Bearer` before it or not)
---@field id? string  the header with the delivery's id, of which each runs once; without it each request is a new one
---@field timeout? string|number  the longest that a run may take
---@field overlap? "queue"|"skip"|"cancel"  what a request does that finds the last one's run going on; "queue" by default
---@field rerun? boolean  whether a run that was killed half-way is entered again whatever it had sent

---Declares a hook at the top level of a script: a job that `mooncast serve` runs for each `POST /hooks/NAME` that has
---the secret, where `[serve] listen` says that it listens. Granted by `[permissions] hooks`. The answer, 202, says that
---the request is in the ledger and will be run; run by hand, the request is an empty one.
---@param name string  unique in the project: letters, digits, `-`, `_` and `.`
---@param options http.hook_options
---@param fn fun(request: http.hook_request, context: schedule.Context)
function http.hook(name, options, fn) end

return http
