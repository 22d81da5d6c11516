-- Tests of scripts/bot.lua:  mooncast test
-- The tests run in simulated time against a simulated service, and send nothing outside this machine.

local test = require("test")
local expect = test.expect

local GROUP = "184524748161025"

test("new members are welcomed, and each callback counts once", function(t)
  t.load("scripts/bot.lua")
  local joined = { event = "joined", group = GROUP, users = { "ann", "ben" }, id = "callback 1" }
  t.callback(joined)
  t.callback(joined)
  expect(t.sent(GROUP)).to_have_length(1)
  expect(t.sent(GROUP)[1]).to_match({ users = { "ann", "ben" }, body = { msg = "^Welcome!" } })
end)

test("the keyword is answered to its author alone, and other texts are not", function(t)
  t.load("scripts/bot.lua")
  t.callback({ event = "message", group = GROUP, from = "ann", text = "!hours" })
  t.callback({ event = "message", group = GROUP, from = "ben", text = "what are !hours" })
  expect(t.sent(GROUP)).to_have_length(1)
  expect(t.sent(GROUP)[1]).to_match({ users = { "ann" }, body = { msg = "9:00 to 21:00" } })
end)
