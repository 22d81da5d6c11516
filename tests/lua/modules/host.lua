local host = require("host")

local info = host.info()
assert(type(info.name) == "string" and info.name ~= "")
assert(info.version:match("^%d+%.%d+%.%d+"), info.version)
