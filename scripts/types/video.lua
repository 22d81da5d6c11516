-- A video message: the clip, and the picture that clients show before it plays.

function main()
  local clip = im.upload("scripts/assets/clip.mp4")
  local cover = im.upload("scripts/assets/picture.png")

  local receipts = im.group_send({
    to = { "184524748161025" },
    type = "video",
    body = { file = clip, thumb = cover },
  })
  print("video sent: " .. receipts["184524748161025"])
end
