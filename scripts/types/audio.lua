-- A voice message. Its length in seconds is read from the file; a body that says `length` itself has the last word.

function main()
  local voice = im.upload("scripts/assets/voice.wav")

  local receipts = im.group_send({
    to = { "184524748161025" },
    type = "audio",
    body = { file = voice },
  })
  print("voice message sent: " .. receipts["184524748161025"])
end
