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

return http
