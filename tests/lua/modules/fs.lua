-- flags:
local fs = require "fs"

local function fails(kind, pattern, f, ...)
  local ok, err = pcall(f, ...)
  assert(not ok, "it did not fail")
  assert(err.kind == kind, tostring(err))
  assert(tostring(err):find(pattern, 1, true), tostring(err))
  return err
end

fs.mkdir("out/deep")
fs.write("out/deep/a.txt", "one\r\ntwo\n\nfour")
fs.append("out/deep/a.txt", "!\n")
assert(fs.read("out/deep/a.txt") == "one\r\ntwo\n\nfour!\n")
local lines = {}
for line in fs.lines("out/deep/a.txt") do
  lines[#lines + 1] = line
end
assert(table.concat(lines, "|") == "one|two||four!")
fs.write("out/deep/bytes", "\0\xff\n")
assert(fs.read("out/deep/bytes") == "\0\xff\n")
assert(fs.exists("out/deep/a.txt") and fs.exists("out") and not fs.exists("out/nothing"))
local info = fs.info("out/deep/a.txt")
assert(info.type == "file" and info.size == 16 and math.type(info.modified) == "integer")
assert(fs.info("out/deep").type == "folder")
assert(fs.info("out/nothing") == nil)
local names = fs.list("out/deep")
assert(#names == 2 and names[1] == "a.txt" and names[2] == "bytes")
fails("invalid", "not empty", fs.remove, "out/deep")
fs.remove("out/deep/a.txt")
fs.remove("out/deep/bytes")
assert(#fs.list("out/deep") == 0)
fs.remove("out/deep")

fails("invalid", "is not there", fs.read, "out/nothing")
fails("invalid", "fs.mkdir", fs.write, "nowhere/x", "")
local err = fails("invalid", "expected a string, got nil", fs.read)
assert(err.field == "path")
err = fails("invalid", "expected a string, got table", fs.write, "out/x", {})
assert(err.field == "text")
for _, path in ipairs { "/etc/passwd", "../x", "/proc/self/environ", "mooncast.toml", ".mooncast/token", ".env" } do
  fails("denied", path:match("[^/]+$"), fs.read, path)
  fails("denied", path:match("[^/]+$"), fs.write, path, "x")
end
fails("denied", "--allow-read=/etc/passwd", fs.read, "/etc/passwd")
fails("denied", "scripts", fs.write, "scripts/evil.lua", "x")
