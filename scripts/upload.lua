-- Uploads a picture and a video once, then sends both to several groups. The service keeps the files for some days (7 by
-- default), so any number of messages can use one upload.

local groups = { "184524748161025", "184524748161026", "184524748161027" }

function main()
  local picture = im.upload("scripts/assets/picture.png", { thumbnail = { width = 200, height = 200 } })
  local clip = im.upload("scripts/assets/clip.mp4")
  print(("uploaded %s (%d bytes) and %s (%d bytes)"):format(picture.filename, picture.size, clip.filename, clip.size))

  im.group_send({ to = groups, type = "img", body = { file = picture } })
  im.group_send({ to = groups, type = "video", body = { file = clip, thumb = picture } })
  print("Both sent to " .. #groups .. " groups.")
end
