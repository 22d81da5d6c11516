-- A voice message. Its length in seconds is read from the file; a body can also say it itself, as `length`.

local voice = im.upload("scripts/assets/voice.wav")

local receipts = im.group_send({
  to = { "184524748161025" },
  type = "audio",
  body = { file = voice, length = 1 },
})
print("voice message sent: " .. receipts["184524748161025"])
