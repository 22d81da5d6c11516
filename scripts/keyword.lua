-- Answers a keyword, with a message that only the user sees who wrote it. `mooncast serve` runs the job for each callback
-- that tells of such a text, so it sends nothing in a project without a callback secret: the chapter "What the service
-- knows" says how to set one. The job needs no permissions. scripts/tests/reactions.lua tests it.

-- `match` is a Lua pattern: the text begins with !hours, and nothing but blanks follows. Without `group`, the job runs for
-- all groups of the app. Messages that this project sends never start a job, so the answer starts none.
im.on("message", { match = "^!hours%s*$" }, function(event)
  im.targeted_send({
    to = event.group,
    users = { event.from },
    from = "shop",
    type = "txt",
    body = { msg = "The shop is open from 9:00 to 21:00, from Monday to Saturday." },
  }, { once = "keyword " .. event.id })
end)
