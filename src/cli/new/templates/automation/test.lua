-- Tests of scripts/orders.lua:  mooncast test
-- The tests run in simulated time against a simulated service, and send nothing outside this machine.

local test = require("test")
local expect = test.expect

local ORDER = { body = '{"customer": 7, "number": 17}' }

test("the customer is told once, however often the request comes", function(t)
  t.load("scripts/orders.lua")
  t.reply("https://api.example.com/customers/7", { status = 200, body = '{"user_id": "ann", "name": "Ann"}' })
  t.post("orders", ORDER)
  t.post("orders", ORDER)
  expect(t.sent("user:ann")).to_have_length(1)
  expect(t.sent("user:ann")[1].body.msg).to_equal("Hello Ann, your order 17 is on its way.")
end)

test("an order system that fails stops the run, and nothing is sent", function(t)
  t.load("scripts/orders.lua")
  t.reply("https://api.example.com/customers/7", { status = 503, body = "" })
  pcall(t.post, "orders", ORDER)
  expect(t.count()).to_equal(0)
end)
