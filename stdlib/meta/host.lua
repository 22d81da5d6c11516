---@meta host

-- The program that runs the script, and its machine.

---@class host
local host = {}

---The name of the machine, as `mooncast hosts` shows it, and the version of Mooncast. With several hosts, a message in the
---log says with it which one sent.
---@return { name: string, version: string }
function host.info() end

return host
