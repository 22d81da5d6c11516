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

-- Limits are told before a call.
for _, call in ipairs({
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
