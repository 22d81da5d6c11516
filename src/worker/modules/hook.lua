-- `http.hook`, and the methods of the requests that its functions get.

local jobs, declare, decode = ...
local lower, rawget, setmetatable, type = string.lower, rawget, setmetatable, type

-- Header names are looked up in any case.
local header_metatable = {
  __index = function(headers, name)
    return type(name) == "string" and rawget(headers, lower(name)) or nil
  end,
}

local function request_of(given)
  -- An operator who runs a hook by hand gives it no request.
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
