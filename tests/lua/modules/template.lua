-- flags:
local template = require "template"
local json = require "json"

local function fails(pattern, f, ...)
  local ok, err = pcall(f, ...)
  assert(not ok, "it did not fail")
  assert(err.kind == "invalid", tostring(err))
  assert(tostring(err):find(pattern, 1, true), tostring(err))
end

assert(template.render("Hi {{ name }}!", { name = "<Ann>" }) == "Hi <Ann>!")
assert(template.render("plain\n") == "plain\n")
local greeting = template.compile("{% for x in items %}{{ loop.index }}={{ x.n }} {% endfor %}{{ total }}")
assert(greeting:render({ items = { { n = "a" }, { n = "b" } }, total = 2 }) == "1=a 2=b 2")
assert(greeting:render({ items = json.array(), total = 2.0 }) == "2")
assert(template.render("{{ who|default('you') }}", {}) == "you")
assert(template.render("{{ n + 1 }}", { n = 1 }) == "2")

fails("line 2", template.render, "a\n{{ nobody }}", {})
fails("nobody", template.render, "a\n{{ nobody }}", {})
fails("line 1", template.compile, "{{ name")
fails("expected a string", template.render)
fails("expected a table", template.render, "", 5)
fails("function", template.render, "", { f = print })
fails("loop", template.render, "{% for a in range(9999) %}{% for b in range(9999) %}{% endfor %}{% endfor %}", {})
