-- A voice message. Mooncast reads its length in seconds from the file. A `length` in the body overrides it.

function main()
  local voice = im.upload("scripts/assets/voice.wav")

  local receipts = im.group_send({
    to = { "184524748161025" },
    type = "audio",
    body = { file = voice },
  })
  print("voice message sent: " .. receipts["184524748161025"])
end
