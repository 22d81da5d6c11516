-- flags: --allow-env=MOONCAST_TEST_VARIABLE --allow-env=MOONCAST_TEST_UNSET --allow-secret=MOONCAST_TEST_SECRET
-- The harness sets MOONCAST_TEST_VARIABLE and MOONCAST_TEST_SECRET.
local env = require "env"
local json = require "json"

local function fails(kind, pattern, f, ...)
  local ok, err = pcall(f, ...)
  assert(not ok, "it did not fail")
  assert(err.kind == kind, tostring(err))
  assert(tostring(err):find(pattern, 1, true), tostring(err))
end

assert(env.get("MOONCAST_TEST_VARIABLE") == "a value")
assert(env.get("MOONCAST_TEST_VARIABLE", "Rome") == "a value")
assert(env.get("MOONCAST_TEST_UNSET") == nil)
assert(env.get("MOONCAST_TEST_UNSET", "Rome") == "Rome")
fails("denied", "--allow-env=HOME", env.get, "HOME")
fails("denied", "HOME", env.get, "HOME", "/root")
fails("denied", "env.secret", env.get, "MOONCAST_TEST_SECRET")
fails("denied", "is a variable of Mooncast itself", env.get, "MOONCAST_TOKEN")
fails("denied", "is a variable of Mooncast itself", env.secret, "MOONCAST_CLIENT_SECRET")
fails("denied", "secrets", env.secret, "MOONCAST_TEST_VARIABLE")
fails("invalid", "letters", env.get, "A=B")
fails("invalid", "expected a string", env.get)

local key = env.secret("MOONCAST_TEST_SECRET")
assert(tostring(key) == "secret MOONCAST_TEST_SECRET")
local bearer = "Bearer " .. key
assert(type(bearer) == "userdata" and tostring(bearer) == "Bearer secret MOONCAST_TEST_SECRET")
assert(tostring(key .. ":" .. key .. 1) == "secret MOONCAST_TEST_SECRET:secret MOONCAST_TEST_SECRET1")
assert(not pcall(function() return key .. {} end))
assert(not pcall(function() return #key end))
assert(not pcall(function() return key.value end))
fails("invalid", "userdata", json.encode, { key = key })
