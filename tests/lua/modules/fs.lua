-- flags:
local fs = require "fs"

local function fails(kind, pattern, f, ...)
  local ok, err = pcall(f, ...)
  assert(not ok, "it did not fail")
  assert(err.kind == kind, tostring(err))
  assert(tostring(err):find(pattern, 1, true), tostring(err))
  return err
end

fs.mkdir("data/out/deep")
fs.write("data/out/deep/a.txt", "one\r\ntwo\n\nfour")
fs.append("data/out/deep/a.txt", "!\n")
assert(fs.read("data/out/deep/a.txt") == "one\r\ntwo\n\nfour!\n")
local lines = {}
for line in fs.lines("data/out/deep/a.txt") do
  lines[#lines + 1] = line
end
assert(table.concat(lines, "|") == "one|two||four!")
fs.write("data/out/deep/bytes", "\0\xff\n")
assert(fs.read("data/out/deep/bytes") == "\0\xff\n")
assert(fs.exists("data/out/deep/a.txt") and fs.exists("data/out") and not fs.exists("data/out/nothing"))
local info = fs.info("data/out/deep/a.txt")
assert(info.type == "file" and info.size == 16 and math.type(info.modified) == "integer")
assert(fs.info("data/out/deep").type == "folder")
assert(fs.info("data/out/nothing") == nil)
local names = fs.list("data/out/deep")
assert(#names == 2 and names[1] == "a.txt" and names[2] == "bytes")
fails("invalid", "not empty", fs.remove, "data/out/deep")
fs.remove("data/out/deep/a.txt")
fs.remove("data/out/deep/bytes")
assert(#fs.list("data/out/deep") == 0)
fs.remove("data/out/deep")

fails("invalid", "is not there", fs.read, "data/out/nothing")
fails("invalid", "fs.mkdir", fs.write, "data/nowhere/x", "")
local err = fails("invalid", "expected a string, got nil", fs.read)
assert(err.field == "path")
err = fails("invalid", "expected a string, got table", fs.write, "data/out/x", {})
assert(err.field == "text")
for _, path in ipairs { "/etc/passwd", "../x", "/proc/self/environ", "mooncast.toml", ".mooncast/token", ".env" } do
  fails("denied", path:match("[^/]+$"), fs.read, path)
  fails("denied", path:match("[^/]+$"), fs.write, path, "x")
end
fails("denied", "--allow-read=/etc/passwd", fs.read, "/etc/passwd")
fails("denied", "scripts", fs.write, "scripts/evil.lua", "x")
fails("denied", "--allow-write=out/x.csv", fs.write, "out/x.csv", "x")
fails("denied", "--allow-write=x.csv", fs.append, "x.csv", "x")
fails("denied", "--allow-write=out", fs.mkdir, "out")
fails("denied", "name of a script", fs.write, "data/x.lua", "x")
