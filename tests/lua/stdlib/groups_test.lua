-- flags:
-- requests: "POST /chatgroups", "POST /chatgroups/*/users", "DELETE /chatgroups/*/users/*", "POST /chatgroups/*/mute", "DELETE /chatgroups/*/mute/*", "POST /chatgroups/*/ban", "DELETE /chatgroups/*/ban", "GET /chatgroups/*/announcement", "POST /chatgroups/*/announcement"
-- Groups of the simulator: created, with members added and removed, muted, and announced.

local groups = require("groups")

local id = groups.create({ name = "Orders", owner = "boss", description = "all orders", members = { "ann", "bob" } })
assert(id:match("^%d+$"), id)

local function members()
  local names = {}
  for user in im.members(id) do
    names[#names + 1] = user
  end
  return table.concat(names, " ")
end

assert(members() == "boss ann bob", members())
groups.add(id, "carol")
groups.add(id, { "dan", "eve" })
assert(members() == "boss ann bob carol dan eve", members())
local refused = groups.remove(id, { "ann", "nobody" })
assert(members() == "boss bob carol dan eve", members())
assert(refused.nobody:find("doesn't exist") and refused.ann == nil)
groups.remove(id, "bob")
assert(members() == "boss carol dan eve", members())

-- What the service refuses is an error with its fields.
local ok, problem = pcall(groups.add, id, "carol")
assert(not ok and problem.kind == "rejected" and problem.status == 403, tostring(problem))

-- More users than a call takes are split.
local many = {}
for i = 1, 130 do
  many[i] = "user" .. i
end
groups.add(id, many)
assert(select(2, members():gsub(" ", "")) == 133, members())
assert(next(groups.remove(id, many)) == nil)
assert(members() == "boss carol dan eve", members())

groups.mute(id, { "dan" }, 60)
groups.mute(id, "eve")
groups.unmute(id, { "dan", "eve" })
groups.mute_all(id)
groups.unmute_all(id)
assert(groups.announcement(id) == "")
groups.set_announcement(id, "closed today")
assert(groups.announcement(id) == "closed today")
assert(groups.of(im).announcement(id) == "closed today")

-- What is just within the limits is taken. Characters count, not bytes.
local full = {}
for i = 1, 100 do
  full[i] = "member" .. i
end
local largest = groups.create({ name = ("群"):rep(128), owner = "boss", description = ("说"):rep(512), members = full, max_members = 102, public = true })
assert(im.group(largest).members == 101, tostring(im.group(largest).members))
groups.add(largest, "last")
ok, problem = pcall(groups.add, largest, "one-more")
assert(not ok and problem.kind == "rejected" and tostring(problem):find("max users"), tostring(problem))
local alone = groups.create({ name = "x", owner = "boss", members = {} })
assert(alone ~= largest and im.group(alone).members == 1)
-- 130 users are muted and unmuted in three calls each.
groups.mute(largest, many, 0.5)
groups.unmute(largest, many)
ok, problem = pcall(groups.mute, "1", "dan")
assert(not ok and problem.status == 404, tostring(problem))

-- Limits are told before a call.
for _, seconds in ipairs({ 0, -1, 0 / 0, math.huge, 315360001, "60", true }) do
  ok, problem = pcall(groups.mute, id, "dan", seconds)
  assert(not ok and type(problem) == "string" and problem:find("seconds must be a number over 0", 1, true), tostring(problem))
end
for _, call in ipairs({
  function()
    groups.mute(id, {})
  end,
  function()
    groups.mute(id, { "dan/eve" })
  end,
  function()
    groups.mute(nil, "dan")
  end,
  function()
    groups.create(table.unpack({ "Orders" }))
  end,
  function()
    groups.create({ name = "", owner = "boss" })
  end,
  function()
    groups.create({ name = "x", owner = "boss", description = ("x"):rep(513) })
  end,
  function()
    groups.create({ name = "x", owner = "boss", members = "ann" })
  end,
  function()
    groups.create({ name = "x", owner = "boss", members = { "ann", 7 } })
  end,
  function()
    groups.create({ name = "x", owner = "boss", max_members = "200" })
  end,
  function()
    groups.create({ name = "x", owner = "boss", max_members = 0 })
  end,
  function()
    groups.create({ name = "x", owner = "boss", public = "no" })
  end,
  function()
    local new = { name = "x", owner = "boss" }
    new["mu" .. "te"] = true
    groups.create(new)
  end,
  function()
    groups.create({ name = ("x"):rep(129), owner = "boss" })
  end,
  function()
    groups.create({ name = "x" })
  end,
  function()
    groups.create({ name = "x", owner = "boss", members = many })
  end,
  function()
    groups.add(id, {})
  end,
  function()
    groups.add(id, { "a,b" })
  end,
  function()
    groups.set_announcement(id, ("x"):rep(513))
  end,
}) do
  local done, why = pcall(call)
  assert(not done and type(why) == "string" and why:find("groups", 1, true), tostring(why))
end
