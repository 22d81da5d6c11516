-- A correction: sends a message to the groups that match a condition (here: the name ends in 5). It retries temporary
-- errors, never repeats a message that may have been sent, and lists the failed groups at the end.

local retry = require("retry")

local function concerns(group)
  return (group.name or ""):match("5$") ~= nil
end

function main()
  local sent, failed, unclear = 0, {}, {}
  for group in im.groups() do
    if concerns(group) then
      local ok, problem = pcall(retry.call, function()
        return im.group_send({
          to = group.group_id,
          type = "txt",
          body = { msg = "Yesterday's announcement had a wrong date. The meeting is on 21 June." },
        })
      end)
      if ok then
        sent = sent + 1
      elseif type(problem) ~= "table" or problem.kind == "auth" or problem.kind == "cancelled" then
        error(problem, 0) -- the next group would fail too
      elseif problem.kind == "in_doubt" then
        unclear[#unclear + 1] = group.group_id
      else
        failed[#failed + 1] = group.group_id .. ": " .. tostring(problem)
      end
    end
  end

  print(sent .. " groups were told.")
  if #failed > 0 then
    print("Not sent:\n  " .. table.concat(failed, "\n  "))
  end
  if #unclear > 0 then
    print("Look yourself whether these got it: " .. table.concat(unclear, ", "))
  end
end
