-- A file message: any file up to the app's limit. The option `filename` is the name that readers see.

function main()
  local programme = im.upload("scripts/assets/programme.txt", { filename = "Programme of the day.txt" })

  local receipts = im.group_send({
    to = { "184524748161025" },
    type = "file",
    body = { file = programme },
  })
  print("file sent: " .. receipts["184524748161025"])
end
