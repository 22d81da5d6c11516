-- A broadcast: sends a message to every group of a file, once. If you run it again, it continues where it stopped, or
-- reports what it sent.

function main()
  local report = im.broadcast({
    name = "summer-meeting",
    to = "scripts/groups.csv",
    message = function(row)
      return { type = "txt", body = { msg = "Hello " .. row.name .. "! The summer meeting is on 21 June." } }
    end,
  })

  print(("%d of %d groups were told, %d are in doubt."):format(report.sent, report.total, report.in_doubt))
end
