-- Campaigns: the test first and once, the audience after it, and what is refused before anything is sent.

local campaign = require("campaign")
local fs = require("fs")
local iter = require("iter")

local function with(base, more)
  local spec = {}
  for _, part in ipairs({ base, more }) do
    for name, value in pairs(part) do
      spec[name] = value
    end
  end
  return spec
end

local function raised(spec, ...)
  local ok, problem = pcall(function()
    campaign.run(spec)
  end)
  assert(not ok, "it was sent")
  local text = tostring(problem)
  for _, part in ipairs({ ... }) do
    assert(text:find(part, 1, true), text)
  end
  return text
end

-- What is sent is looked at on its way.
local sent = {}
local group_send, targeted_send = im.group_send, im.targeted_send
local refusing
function im.group_send(message, options)
  if message.to[1] == refusing then
    error({ kind = "rejected", message = "the service refused it" }, 0)
  end
  sent[#sent + 1] = message
  return group_send(message, options)
end
function im.targeted_send(message, options)
  sent[#sent + 1] = message
  return targeted_send(message, options)
end

fs.write("data/audience.csv", "group_id,name\n184524748161025,Runners\n184524748161026,Readers\n")

local spring = {
  name = "spring",
  to = "data/audience.csv",
  text = "Hi {{ name }}!",
  from = "shop",
  ext = { colour = "green" },
  test = { "184524748161030", { group_id = 184524748161031, name = "Own" } },
  test_as = { name = "Testers" },
}

-- Only the test, then all of it: the test groups get their message once.
local report = campaign.run(with(spring, { test_only = true }))
assert(report.name == "spring" and report.run == "1" and report.sent == nil)
assert(report.tested["184524748161030"] and report.tested["184524748161031"])
assert(#sent == 2)
assert(sent[1].body.msg == "Hi Testers!" and sent[2].body.msg == "Hi Own!")
assert(sent[1].from == "shop" and sent[1].ext.colour == "green")

local whole = campaign.run(spring)
assert(whole.total == 2 and whole.sent == 2 and whole.rejected == 0 and not whole.already)
assert(whole.tested["184524748161030"] == report.tested["184524748161030"])

local again = campaign.run(spring)
assert(again.already and again.sent == 2)
assert(next(again.tested) == nil, "of what is over nothing is tested")

-- A changed text is tested anew.
local changed = campaign.run(with(spring, { text = "Hello {{ name }}!", test_only = true }))
assert(changed.tested["184524748161030"] ~= report.tested["184524748161030"])

-- A test that fails keeps the message from the audience: the group is named, the others of the test are not held up.
refusing = "184524748161030"
raised(with(spring, { name = "refused" }), "campaign_test.lua:", "refused (run 1): the test failed, so the audience",
  "group 184524748161030: rejected: the service refused it")
assert(sent[#sent].to[1] == 184524748161031)
refusing = nil
report = campaign.run(with(spring, { name = "refused" }))
assert(report.sent == 2 and not report.already)

-- A field that a test group lacks is found before any test is sent, and so is a message over a limit.
local before = #sent
raised(with({ name = "lacking", test = { 1 } }, { to = spring.to, text = spring.text }), "group 1: ", "`name` is undefined", "test_as")
raised(with(spring, { name = "long", text = ("x"):rep(6000) }), "`body` and `ext` take 6028 bytes", "the limit of 5120")
assert(#sent == before)

-- A field that the audience lacks names its recipient.
raised(with(spring, { name = "gap", to = { { group_id = "184524748161025" } } }), "group 184524748161025: template",
  "`name` is undefined")

-- The other ways of saying what is sent to whom.
local function made(recipient)
  if recipient.group_id ~= "skipped" then
    return { type = "txt", body = { msg = recipient.name }, from = "function" }
  end
end
local audience = { { group_id = "184524748161025", name = "A" }, { group_id = "skipped", name = "B" } }
report = campaign.run({ name = "made", run = 7, to = audience, message = made, from = "shop",
  test = { "184524748161030" }, test_as = { name = "T" } })
assert(report.run == "7" and report.sent == 1 and report.skipped == 1)
assert(sent[#sent].from == "function" and sent[#sent].body.msg == "T")
local plain = { type = "cmd", body = { action = "refresh" } }
assert(campaign.run({ name = "plain", to = iter.take(im.groups(), 3), message = plain, from = "shop" }).sent == 3)
assert(plain.from == nil, "the message is the script's own")
report = campaign.run({ name = "some", to = { { group_id = "184524748161025", users = { "user1" } } }, message = plain,
  test = { { group_id = "184524748161026", users = "user1; user2" } }, app = "default" })
assert(report.sent == 1 and report.tested["184524748161026"])
assert(campaign.run({ name = "no places", to = { 184524748161025 }, text = "Hi!" }).sent == 1)

-- What is wrong is refused before the test is sent, unknown fields with the nearest name of both lists.
before = #sent
for more, parts in pairs({
  [{ tset = {} }] = { "campaign.run", "did you mean `test`?" },
  [{ windwo = {} }] = { "did you mean `window`?" },
  [{ rate = "fast" }] = { "rate" },
  [{ pack = 4 }] = { "`pack` must be 1 to 3" },
  [{ message = plain }] = { "either `text` or `message`" },
  [{ text = 5 }] = { "`text` must be a text" },
  [{ text = "{{ name" }] = { "template", "line 1" },
  [{ text = false, message = plain }] = { "either" },
  [{ test = {} }] = { "a list of recipients" },
  [{ test = "184524748161030" }] = { "`test` must be a table" },
  [{ test_as = "name" }] = { "`test_as` must be a table" },
  [{ from = 5 }] = { "`from` must be a string" },
  [{ app = "nowhere" }] = { "no app `nowhere`" },
  [{ to = "nowhere.csv" }] = { "no file nowhere.csv" },
  [{ name = "" }] = { "name" },
}) do
  raised(with(with(spring, { name = "wrong" }), more), table.unpack(parts))
end
raised({ name = "wrong", to = { "1" } }, "`text` or `message` is missing")
raised({ name = "wrong", text = "x" }, "`to` is missing")
raised({ name = "wrong", text = "x", to = { "1" }, test_only = true }, "`test`", "missing")
raised("spring", "expected a table of fields")
assert(#sent == before)
