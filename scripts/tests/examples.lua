-- The examples of this folder, tested:  mooncast test

local test = require("test")
local expect = test.expect

test("the greeting reaches three groups and says so", function(t)
  local run = t.run("scripts/hello.lua")
  expect(run.output).to_contain("Sent to 3 groups.")
  for _, group in ipairs({ "184524748161025", "184524748161026", "184524748161027" }) do
    expect(t.sent(group)).to_have_length(1)
    expect(t.sent(group)[1]).to_match({ type = "txt", body = { msg = "Hello from Mooncast!" } })
  end
end)

test("a broadcast tells every group of its file by name, and nobody twice", function(t)
  t.run("scripts/broadcast.lua")
  t.run("scripts/broadcast.lua")
  expect(t.count()).to_equal(4)
  expect(t.sent("184524748161026")[1].body.msg).to_match("^Hello Book circle!")
end)

test("a targeted message is for the owner and the admins alone", function(t)
  t.run("scripts/targeted.lua")
  expect(t.sent("184524748161025")[1].users).to_equal({ "user1", "user2" })
end)

test("an upload serves all of its messages", function(t)
  t.run("scripts/upload.lua")
  local sent = t.sent("184524748161027")
  expect(sent).to_have_length(2)
  expect(sent[1]).to_match({ type = "img", body = { filename = "picture.png" } })
  expect(sent[2]).to_match({ type = "video", body = { filename = "clip.mp4", length = 2 } })
end)

test("the repair job tells the groups that it concerns, though the service stumbles", function(t)
  t.fault("send:every=3:429")
  local run = t.run("scripts/ad_hoc.lua")
  expect(run.output).to_contain("10 groups were told.")
  expect(t.count()).to_equal(10)
end)

test("what may have been sent is not repeated", function(t)
  t.fault("send:at=2:reset-after")
  local run = t.run("scripts/ad_hoc.lua")
  expect(run.output).to_contain("Look yourself whether these got it")
  expect(t.count()).to_equal(10)
end)

test("the shop says good morning at nine in Shanghai, from Monday to Friday", function(t)
  t.load("scripts/scheduled.lua")
  local function mornings_until(day)
    t.clock(day .. "T00:40Z")
    t.advance("30m")
    return t.count("184524748161026")
  end
  expect(mornings_until("2026-01-09")).to_equal(1) -- a Friday
  expect(mornings_until("2026-01-10")).to_equal(1)
  expect(mornings_until("2026-01-12")).to_equal(2)
end)

test("a heartbeat that was sent is not sent again when somebody asks for it", function(t)
  t.load("scripts/scheduled.lua")
  t.advance("15m")
  expect(t.trigger("heartbeat").sent).to_equal(0)
  t.advance("1m")
  expect(t.trigger("heartbeat").sent).to_equal(1)
end)
