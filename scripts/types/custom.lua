-- A custom message: an event that your own clients define, with up to 16 texts. This one is written with the builders
-- of the `message` module; a plain table as in the other examples does the same.

local message = require("message")

function main()
  local invitation = message.custom("invitation/summer", { date = "21 June", place = "The garden" })
  local receipts = im.group_send(invitation:to("184524748161025"):from("user1"):silent())
  print("custom message sent: " .. receipts["184524748161025"])
end
