-- The builders of messages: what they build, and that nothing but that is sent.

local json = require("json")
local message = require("message")

local function same(built, expected)
  local text = json.encode(built)
  assert(text == expected, text .. "\nis not\n" .. expected)
end

local file = { uuid = "u", url = "http://x/u", secret = "s", filename = "a.png", size = 3 }

same(message.text("hi"), '{"body":{"msg":"hi"},"type":"txt"}')
same(message.command("go"), '{"body":{"action":"go"},"type":"cmd"}')
same(message.location({ lat = "1", lng = "2", addr = "a" }), '{"body":{"addr":"a","lat":"1","lng":"2"},"type":"loc"}')
same(message.custom("e"), '{"body":{"customEvent":"e"},"type":"custom"}')
same(
  message.custom("e", { k = "v" }),
  '{"body":{"customEvent":"e","customExts":{"k":"v"}},"type":"custom"}'
)
same(message.image({ url = "u" }, { filename = "n" }), '{"body":{"filename":"n","url":"u"},"type":"img"}')
for kind, build in pairs({ img = message.image, audio = message.audio, video = message.video, file = message.file }) do
  local built = build(file)
  assert(built.type == kind and built.body.file == file)
end
assert(message.video(file, { thumb = file, length = 2 }).body.thumb == file)

-- Whatever goes round a message, in any order, and again.
local notice = message.text("hi"):silent():to("1", 2):ext({ a = 1 }):from("u"):ack():online_only()
same(
  notice,
  '{"body":{"msg":"hi"},"ext":{"a":1,"em_ignore_notification":true},"from":"u","need_group_ack":true,'
    .. '"routetype":"ROUTE_ONLINE","to":["1",2],"type":"txt"}'
)
same(notice:to({ "3" }).to, '["3"]')
same(notice:ext({ a = 2, b = 3 }).ext, '{"a":2,"b":3,"em_ignore_notification":true}')
same(message.text("x"):users("a", "b"):users("c").users, '["c"]')

-- The list that was given stays the caller's own.
local ids = { "1" }
local built = message.text("x"):to(ids)
ids[2] = "2"
assert(#built.to == 1)

-- They pass the check, and arrive.
assert(im.check(notice))
local receipts = im.group_send(message.text("x"):silent():to("184524748161025", "184524748161026"))
assert(receipts["184524748161025"] and receipts["184524748161026"])
assert(im.targeted_send(message.command("x"):to("184524748161025"):users("user1"))["184524748161025"])
assert(im.check(message.text("x"):to("1"):ext({})))
assert(not im.check(message.text("x"):to()))

local ok, problem = pcall(message.image, "picture.png")
assert(not ok and tostring(problem):find("im.upload returned", 1, true), tostring(problem))
