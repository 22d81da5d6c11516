-- A command message: the members' clients act on it and show nothing. This one goes only to members who are online.

function main()
  local receipts = im.group_send({
    to = { "184524748161025" },
    type = "cmd",
    body = { action = "refresh_announcements" },
    routetype = "ROUTE_ONLINE",
  })
  print("command sent: " .. receipts["184524748161025"])
end
