-- Welcomes new members, with a message that only they see. `mooncast serve` runs the job for each callback that tells of
-- new members, so it sends nothing in a project without a callback secret: the chapter "What the service knows" says how
-- to set one. The job needs no permissions. scripts/tests/reactions.lua tests it.

im.on("joined", { group = { "184524748161025", "184524748161026" } }, function(event)
  -- One callback can tell of many members, and one call takes up to 20 users.
  for first = 1, #event.users, 20 do
    im.targeted_send({
      to = event.group,
      users = table.move(event.users, first, math.min(first + 19, #event.users), 1, {}),
      from = "shop",
      type = "txt",
      body = { msg = "Welcome! Write !hours to see when the shop is open." },
    }, { once = "welcome " .. event.id .. " " .. first })
  end
end)
