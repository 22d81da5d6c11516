local task = require("task")
local function fails(pattern, f, ...)
  local ok, err = pcall(f, ...)
  assert(not ok, "it did not fail")
  assert(tostring(err):find(pattern, 1, true), tostring(err))
end

-- A module is run once, even when several tasks ask for it while it loads.
local loads = {}
for i = 1, 8 do
  loads[i] = function()
    return require("slow")
  end
end
local slow = task.all(loads)
assert(slow[1].runs == 1)
for i = 2, 8 do
  assert(slow[i] == slow[1])
end
assert(require("slow") == slow[1])

-- One that fails says so each time, to everybody who waits for it.
for _ = 1, 2 do
  fails("broken.lua:1: it is broken", require, "broken")
end
local breaks = {}
for i = 1, 3 do
  breaks[i] = function()
    fails("broken.lua:1: it is broken", require, "broken")
  end
end
task.all(breaks)

for _ = 1, 2 do
  fails("requires itself (ring_one > ring_two > ring_one)", require, "ring_one")
end

-- Names that scripts like to use for their own break nothing of ours.
local iter = require("iter")
local print_it, check_it = print, assert
type, error, next, pcall, tostring, math, setmetatable = "txt", "none", 1, false, "?", {}, nil
check_it(im.check({ to = "1", type = type, body = { msg = "x" } }))
check_it(select(2, im.check({ to = {}, type = type, body = { msg = "x" } }))[1].field == "to")
for name in pairs(im.limits) do
  check_it(name)
end
check_it(im.members(184524748161025)() == "user1")
check_it(iter.count(iter.batch({ 1, 2, 3 }, 2)) == 2)
check_it(require("message").text("x"):to("1").type == "txt")
print_it("ok")
