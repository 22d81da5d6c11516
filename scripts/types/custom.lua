-- A custom message: an event that your own clients define, with up to 16 string attributes. This example uses the builders
-- of the module `message`. A plain table, as in the other examples, works too.

local message = require("message")

function main()
  local invitation = message.custom("invitation/summer", { date = "21 June", place = "The garden" })
  local receipts = im.group_send(invitation:to("184524748161025"):from("user1"):silent())
  print("custom message sent: " .. receipts["184524748161025"])
end
