-- A text message with all optional fields: the sender, read receipts, your own fields for the clients, and no push
-- notification.

function main()
  local receipts = im.group_send({
    to = { "184524748161025" },
    from = "user1",
    type = "txt",
    body = { msg = "The office closes at noon today." },
    need_group_ack = true,
    ext = { topic = "office", em_ignore_notification = true },
  })
  print("text sent: " .. receipts["184524748161025"])
end
