-- Tests of scripts/campaign.lua:  mooncast test
-- The tests run in simulated time against a simulated service, and send nothing outside this machine.

local test = require("test")
local expect = test.expect

test("the test group comes first, then each group gets its own text", function(t)
  local run = t.run("scripts/campaign.lua")
  expect(run.delivered).to_equal(true)
  expect(t.sent("184524748161029")[1].body.msg).to_contain("Hello testers!")
  expect(t.sent("184524748161026")[1].body.msg).to_contain("Hello Book circle! The summer meeting in Dresden")
  expect(t.count()).to_equal(5)
end)

test("a second run sends nothing", function(t)
  t.run("scripts/campaign.lua")
  t.run("scripts/campaign.lua")
  expect(t.count()).to_equal(5)
end)

test("a group that the service refuses for a while gets its message later", function(t)
  t.fault("send:first=3:429")
  t.run("scripts/campaign.lua")
  expect(t.count()).to_equal(5)
end)
