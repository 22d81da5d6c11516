-- Tests of scripts/hello.lua:  mooncast test
-- The tests run in simulated time against a simulated service, and send nothing outside this machine.

local test = require("test")
local expect = test.expect

test("the greeting reaches its groups", function(t)
  local run = t.run("scripts/hello.lua")
  expect(run.delivered).to_equal(true)
  expect(t.count()).to_equal(3)
  expect(t.sent("184524748161025")[1].body.msg).to_equal("Hello from Mooncast!")
end)
