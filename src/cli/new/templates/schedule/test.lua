-- Tests of scripts/daily.lua:  mooncast test
-- The tests run in simulated time against a simulated service, and send nothing outside this machine.

local test = require("test")
local expect = test.expect

local GROUP = "184524748161026"

test("each weekday has one greeting at nine, and the weekend has none", function(t)
  t.load("scripts/daily.lua")
  -- A Friday, before nine in Shanghai.
  t.clock("2026-01-09T00:50Z")
  expect(t.count(GROUP)).to_equal(0)
  t.advance("20m")
  expect(t.count(GROUP)).to_equal(1)
  expect(t.sent(GROUP)[1].body.msg).to_equal("Good morning, Book circle!")
  t.clock("2026-01-12T00:50Z")
  expect(t.count(GROUP)).to_equal(1)
  t.advance("20m")
  expect(t.count(GROUP)).to_equal(2)
end)

test("every group of the list gets it", function(t)
  t.load("scripts/daily.lua")
  t.clock("2026-01-09T00:50Z")
  t.advance("20m")
  expect(t.count()).to_equal(4)
end)
