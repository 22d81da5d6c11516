-- The examples that react to events of the chat service, tested:  mooncast test

local test = require("test")
local expect = test.expect

local group = "184524748161025"

test("new members are welcomed, each once, and nobody else sees it", function(t)
  t.load("scripts/welcome.lua")
  local joined = { event = "joined", group = group, users = { "ann", "bob" }, id = "callback 1" }
  t.callback(joined)
  t.callback(joined)
  expect(t.sent(group)).to_have_length(1)
  expect(t.sent(group)[1]).to_match({ users = { "ann", "bob" }, body = { msg = "^Welcome!" } })
end)

test("many new members are welcomed by several calls", function(t)
  t.load("scripts/welcome.lua")
  local users = {}
  for number = 1, 45 do
    users[number] = "user" .. number
  end
  t.callback({ event = "joined", group = group, users = users })
  expect(t.sent(group)).to_have_length(3)
  expect(t.sent(group)[3].users).to_equal({ "user41", "user42", "user43", "user44", "user45" })
end)

test("in other groups nobody is welcomed, and nobody who leaves", function(t)
  t.load("scripts/welcome.lua")
  t.callback({ event = "joined", group = "1", user = "ann" })
  t.callback({ event = "left", group = group, user = "ann" })
  expect(t.count()).to_equal(0)
end)

test("the keyword is answered for the user who wrote it", function(t)
  t.load("scripts/keyword.lua")
  t.callback({ event = "message", group = group, from = "ann", text = "!hours " })
  expect(t.sent(group)[1]).to_match({ users = { "ann" }, body = { msg = "9:00" } })
end)

test("other texts and own messages are not answered", function(t)
  t.load("scripts/keyword.lua")
  t.callback({ event = "message", group = group, from = "ann", text = "what are the !hours?" })
  t.callback({ event = "message", group = group, from = "ann", text = "!hours" })
  t.callback({ event = "message", group = group, from = "shop", text = "!hours" })
  expect(t.count()).to_equal(1)
end)
