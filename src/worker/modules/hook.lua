-- `http.hook`, and what the requests can do that its functions are given.

local jobs, declare, decode = ...
local lower, rawget, setmetatable, type = string.lower, rawget, setmetatable, type

-- Names of headers are looked up in any case.
local header_metatable = {
  __index = function(headers, name)
    return type(name) == "string" and rawget(headers, lower(name)) or nil
  end,
}

local function request_of(given)
  -- A person who has a hook run gives it no request.
  local request = given or { method = "POST", query = {}, headers = {}, body = "" }
  setmetatable(request.headers, header_metatable)
  function request.json()
    return decode(request.body)
  end
  return request
end

return function(name, options, body)
  declare(name, options, body)
  jobs[name] = function(context, request)
    return body(request_of(request), context)
  end
end
