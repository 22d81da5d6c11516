-- A location message: latitude and longitude in degrees, and the address as text.

function main()
  local receipts = im.group_send({
    to = { "184524748161025" },
    type = "loc",
    body = { lat = "39.966", lng = "116.322", addr = "Zhongguancun, Haidian District, Beijing" },
  })
  print("location sent: " .. receipts["184524748161025"])
end
