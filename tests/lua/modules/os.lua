-- flags:
local function fails(pattern, f, ...)
  local ok, err = pcall(f, ...)
  assert(not ok, "it did not fail")
  assert(tostring(err):find(pattern, 1, true), tostring(err))
end

local now = os.time()
assert(math.type(now) == "integer" and now > 1700000000)
assert(os.time({ year = 2023, month = 11, day = 14, hour = 22, min = 13, sec = 20 }) == 1700000000)
assert(os.time({ year = 1970, month = 1, day = 1 }) == 12 * 3600)
local fields = { year = 2026, month = 14, day = 1, hour = 0 }
os.time(fields)
assert(fields.year == 2027 and fields.month == 2 and fields.day == 1 and fields.isdst == false)

assert(os.date("!%Y-%m-%d %H:%M:%S", 1700000000) == "2023-11-14 22:13:20")
assert(os.date("%Y", 0) == "1970")
assert(os.date(nil, 0) == "Thu Jan  1 00:00:00 1970")
assert(os.date():find("%d%d:%d%d:%d%d"))
local t = os.date("*t", 1700000000)
assert(t.year == 2023 and t.month == 11 and t.day == 14 and t.hour == 22 and t.min == 13 and t.sec == 20)
assert(t.wday == 3 and t.yday == 318 and t.isdst == false)
assert(os.time(os.date("!*t", 1700000000)) == 1700000000)
assert(os.date("%d", 86400.0) == "02")

fails("field 'day' missing", os.time, { year = 2026, month = 1 })
fails("whole number", os.time, { year = "x", month = 1, day = 1 })
fails("years", os.time, { year = 1 << 40, month = 1, day = 1 })
fails("format", os.date, "%!", 0)
fails("whole number", os.date, "%Y", "x")
assert(os.execute == nil and os.getenv == nil and os.remove == nil and os.exit == nil)
assert(require("os") == os and type(os.clock()) == "number")
