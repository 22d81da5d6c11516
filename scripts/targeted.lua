-- A targeted message: only the named members of one group see it. This one goes to the group's owner and admins; the
-- member list contains each member's role. One call takes up to 20 users.

local group_id = "184524748161025"

function main()
  local users = {}
  for user_id, role in im.members(group_id) do
    if role ~= "member" and #users < 20 then
      users[#users + 1] = user_id
    end
  end

  local receipts = im.targeted_send({
    to = { group_id },
    users = users,
    type = "txt",
    body = { msg = "Please look through the new members today." },
  })
  print("sent to " .. table.concat(users, ", ") .. ": " .. receipts[group_id])
end
