-- Welcomes new members of a group, and answers a keyword. `mooncast serve` runs these jobs for the callbacks of the chat
-- service. The README says how to receive them.

local SENDER = "shop"

-- A message that only the new members see.
im.on("joined", { name = "welcome" }, function(event)
  -- One callback can name many members, and one call takes up to 20 users.
  for first = 1, #event.users, 20 do
    im.targeted_send({
      to = event.group,
      users = table.move(event.users, first, math.min(first + 19, #event.users), 1, {}),
      from = SENDER,
      type = "txt",
      body = { msg = "Welcome! Write !hours to see when the shop is open." },
    }, { once = "welcome " .. event.id .. " " .. first })
  end
end)

-- `match` is a Lua pattern: the text begins with !hours, and nothing but blanks follows. Messages that this project sends
-- never start a job, so the answer starts none.
im.on("message", { name = "hours", match = "^!hours%s*$" }, function(event)
  im.targeted_send({
    to = event.group,
    users = { event.from },
    from = SENDER,
    type = "txt",
    body = { msg = "The shop is open from 9:00 to 21:00, from Monday to Saturday." },
  }, { once = "hours " .. event.id })
end)
