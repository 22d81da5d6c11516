-- flags: --allow-net=127.0.0.1 --allow-env=MOONCAST_TEST_URL --allow-secret=MOONCAST_TEST_SECRET
-- The harness sets MOONCAST_TEST_SECRET. Where it sets MOONCAST_TEST_URL too, a server there answers with JSON of
-- "method", "path", "headers" (names in lower case) and "body" of what it received: 404 under /missing, a 302 with a
-- location under /moved, else 200.
local http = require "http"
local env = require "env"

local function fails(kind, pattern, f, ...)
  local ok, err = pcall(f, ...)
  assert(not ok, "it did not fail")
  assert(err.kind == kind, tostring(err))
  assert(tostring(err):find(pattern, 1, true), tostring(err))
  return err
end

local url = env.get("MOONCAST_TEST_URL")
if url then
  local response = http.get(url .. "/a?b=1", { headers = { ["X-Shop"] = "one", ["X-Count"] = 2 } })
  assert(response.ok and response.status == 200)
  assert(response.headers["Content-Type"] == response.headers["content-type"])
  local seen = response.json()
  assert(seen.method == "GET" and seen.path == "/a?b=1")
  assert(seen.headers["x-shop"] == "one" and seen.headers["x-count"] == "2")
  assert(response:json().method == "GET")

  seen = http.post(url, "text").json()
  assert(seen.method == "POST" and seen.body == "text")
  seen = http.post(url, nil, { json = { list = { 1, 2 } } }).json()
  assert(seen.body == '{"list":[1,2]}' and seen.headers["content-type"] == "application/json")
  seen = http.request { method = "put", url = url, body = "b", headers = { ["Content-Type"] = "x/y" } }.json()
  assert(seen.method == "PUT" and seen.headers["content-type"] == "x/y")

  local key = env.secret("MOONCAST_TEST_SECRET")
  seen = http.get(url, { headers = { Authorization = "Bearer " .. key } }).json()
  assert(seen.headers.authorization == "Bearer a secret")
  seen = http.post(url, "key=" .. key).json()
  assert(seen.body == "key=a secret")

  response = http.get(url .. "/missing")
  assert(not response.ok and response.status == 404)
  response = http.get(url .. "/moved")
  assert(not response.ok and response.status == 302 and response.headers.location)
end

fails("denied", "--allow-net=example.com", http.get, "http://example.com/")
fails("denied", "169.254.169.254", http.get, "http://169.254.169.254/latest/meta-data/")
fails("unreachable", "127.0.0.1:1", http.get, "http://127.0.0.1:1/")
local err = fails("unreachable", "127.0.0.1:1", http.post, "http://127.0.0.1:1/", "x")
assert(err.retryable)
fails("invalid", "https and http", http.get, "file:///etc/passwd")
fails("invalid", "expected a string, got nil", http.get)
fails("invalid", "timeout", http.get, "http://127.0.0.1:1/", { timeout = "soon" })
fails("invalid", "unknown `header`", http.get, "http://127.0.0.1:1/", { header = {} })
fails("invalid", "json = TABLE", http.post, "http://127.0.0.1:1/", {})
fails("invalid", "one body", http.request, { url = "http://127.0.0.1:1/", body = "a", json = {} })
fails("invalid", "needs one", http.request, {})
err = fails("invalid", "`host`", http.get, "http://127.0.0.1:1/", { headers = { host = "x" } })
assert(err.field == "headers.host")
fails("invalid", "headers.a", http.get, "http://127.0.0.1:1/", { headers = { a = {} } })
