-- An image message: upload the file, and put the result into the body. The result sets the address, the secret, the name
-- and the size in pixels.

function main()
  local picture = im.upload("scripts/assets/picture.png")

  local receipts = im.group_send({
    to = { "184524748161025" },
    type = "img",
    body = { file = picture },
  })
  print("image sent: " .. receipts["184524748161025"])
end
