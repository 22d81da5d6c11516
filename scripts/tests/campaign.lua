local test = require("test")
local task = require("task")
local expect = test.expect

test("the campaign tests itself in one group, then tells every group of its file", function(t)
  t.run("scripts/campaign_csv.lua")
  expect(t.sent("184524748161029")[1].body.msg).to_contain("Hello testers! The summer meeting in Leipzig")
  expect(t.sent("184524748161027")[1]).to_match({
    from = "office",
    body = { msg = "Hello Chess at noon! The summer meeting in Halle is on 21 June." },
  })
  expect(t.count()).to_equal(5)
end)

test("only the test goes out when only that is asked for", function(t)
  t.run("scripts/campaign_csv.lua", { "test" })
  expect(t.count()).to_equal(1)
end)

test("what is sent once is not sent again", function(t)
  t.run("scripts/campaign_csv.lua")
  local before = t.count()
  t.run("scripts/campaign_csv.lua")
  expect(t.count()).to_be_at_most(before + 1)
end)

test("a service that is busy delays the campaign and loses nobody", function(t)
  t.fault({ "send:first=3:429", "token:first=1:503" })
  local campaign = task.spawn(t.run, "scripts/campaign_csv.lua")
  t.advance("1h")
  campaign:wait()
  expect(t.count()).to_equal(5)
end)
