-- flags:
local csv = require "csv"
local fs = require "fs"

local function fails(kind, pattern, f, ...)
  local ok, err = pcall(f, ...)
  assert(not ok, "it did not fail")
  assert(err.kind == kind, tostring(err))
  assert(tostring(err):find(pattern, 1, true), tostring(err))
  return err
end

local text = "\u{feff}group_id,name,note\r\n1001,Ann,\"a, \"\"b\"\"\"\r\n\r\n1002,李雷,\"two\nlines\"\r\n"
local rows = csv.parse(text)
assert(#rows == 2)
assert(rows[1].group_id == "1001" and rows[1].note == 'a, "b"')
assert(rows[2].name == "李雷" and rows[2].note == "two\nlines")

rows = csv.parse("1;2\n3;4", { header = false, separator = ";" })
assert(#rows == 2 and rows[1][1] == "1" and rows[2][2] == "4")
assert(#csv.parse("") == 0)
assert(#csv.parse("a,b\n") == 0)
rows = csv.parse("a,\n1,2\n")
assert(rows[1].a == "1" and rows[1][""] == nil)

fails("invalid", "line 3: it has 1 fields where the header has 2", csv.parse, "a,b\n1,2\n3\n")
fails("invalid", "line 2, column 1 (`a`): a quote opens here and is never closed", csv.parse, 'a\n"1\n2\n')
fails("invalid", "line 2, character 1: ", csv.parse, "a\n\xff\n")
fails("invalid", "line 2, column 1 (`a`): a quote stands inside the cell", csv.parse, 'a\nb"c\n')
fails("invalid", "there is text after the quote", csv.parse, 'a\n"b"c\n')
assert(csv.parse("a;b\n1;2\n;\n")[1].b == "2")
assert(csv.parse("\xff\xfea\0\t\0b\0\n\0001\0\t\0002\0")[1].b == "2")
assert(csv.parse("a\n\xb3\xc2\n")[1].a == "陈" and csv.parse("a\n\xb3\xc2\n", { encoding = "gbk" })[1].a == "陈")
fails("invalid", "comma or by semicolon", csv.parse, "a,b;c\n1,2;3\n")
fails("invalid", "no encoding", csv.parse, "", { encoding = "utf-9" })
fails("invalid", "twice", csv.parse, "a,a\n")
local err = fails("invalid", "expected a string, got nil", csv.parse)
assert(err.field == "text")
fails("invalid", "headers", csv.parse, "", { headers = true })
fails("invalid", "separator", csv.parse, "", { separator = "ab" })
fails("invalid", "true or false", csv.parse, "", { header = "yes" })

fs.mkdir("data/out")
fs.write("data/out/groups.csv", "group_id,city\n1,Paris\n2,Rome\n")
local seen = {}
for row in csv.rows("data/out/groups.csv") do
  seen[#seen + 1] = row.group_id .. row.city
end
assert(table.concat(seen, " ") == "1Paris 2Rome")
seen = {}
for row in csv.rows("a\n1\n2\n") do
  seen[#seen + 1] = row.a
end
assert(table.concat(seen) == "12")
assert(#csv.read("data/out/groups.csv") == 2)
fails("invalid", "is not there", csv.read, "data/out/nothing.csv")
local next_row = csv.rows("a,b\n1,2\n1\n")
assert(next_row().a == "1")
fails("invalid", "line 3", next_row)

assert(csv.encode({ { b = 1, a = "x,y" }, { a = true } }) == 'a,b\n"x,y",1\ntrue,\n')
assert(csv.encode({ { b = 1, a = 2 } }, { columns = { "b", "c" }, separator = ";" }) == "b;c\n1;\n")
assert(csv.encode({ { 1, "two" }, { 3, 4 } }) == "1,two\n3,4\n")
assert(csv.encode({ { a = 1 } }, { header = false }) == "1\n")
assert(csv.encode({}) == "")
fails("invalid", "rows[2].a", csv.encode, { { a = 1 }, { a = {} } })
fails("invalid", "rows[1]", csv.encode, { 5 })
local back = csv.parse(csv.encode({ { a = 'q"\n,', b = " " } }))
assert(back[1].a == 'q"\n,' and back[1].b == " ")
fs.remove("data/out/groups.csv")
