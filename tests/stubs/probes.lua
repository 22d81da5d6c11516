-- What the tests are made of that `shapes.rs` writes for each table of the stubs.

local test = require("test")
local campaign, csv, datetime, env, fs, hash, http, json, log, message, os, store, task, template =
  require("campaign"), require("csv"), require("datetime"), require("env"), require("fs"), require("hash"),
  require("http"), require("json"), require("log"), require("message"), require("os"), require("store"),
  require("task"), require("template")

local hello = { to = { "1", "2" }, type = "txt", body = { msg = "x" } }

local function stage(t)
  t.load("scripts/jobs.lua")
  t.reply("https://host.example", {})
end

local function failed(t, given, fault)
  t.fault(fault or "")
  local _, problem = pcall(im.group_send, given)
  return problem
end

local function broadcast(file)
  return im.broadcast({ name = file or "b", run = 1, to = file or "bad.csv", message = { type = "txt", body = { msg = "x" } }, skip_bad = true })
end

local function campaigned(file)
  return campaign.run({ name = file or "c", run = 1, to = file or "bad.csv", text = "x", test = { "9" }, skip_bad = true })
end

local function progress()
  local seen
  im.broadcast({ name = "progress", run = 1, to = { "1" }, message = { type = "txt", body = { msg = "x" } },
    on_progress = function(now) seen = now end })
  return seen
end

local function described()
  local body = { groupname = "a", description = "b", owner = "boss" }
  local made = im.request({ method = "POST", path = "/chatgroups", body = body })
  return im.group(made.body.data.groupid)
end

local function told(run, what)
  local names = {}
  for name in run.output:gmatch(what .. "%.([%w_]+)") do names[name] = true end
  return names
end

-- Of an object, which cannot be gone through, the fields that it should have.
local function fields_of(moment)
  return { _object = moment }
end

local function has(class, values, fields)
  local seen = {}
  for _, value in ipairs(values) do
    local object = rawget(value, "_object")
    for name in pairs(object and {} or value) do
      if fields[name] == nil then
        error(class .. " has `" .. name .. "`, which its stub does not declare", 0)
      end
    end
    for name, optional in pairs(fields) do
      local there = (object or value)[name] ~= nil
      seen[name] = seen[name] or there
      if not there and not optional then
        error(class .. " has no `" .. name .. "`, which its stub declares", 0)
      end
    end
  end
  for name in pairs(fields) do
    if not seen[name] then error(class .. ": no value has `" .. name .. "`, which its stub declares", 0) end
  end
end

local function knows(class, call, fields)
  local _, problem = pcall(call, { zzzzzzzzzzzzzz = 1 })
  local known = {}
  for name in (tostring(problem):match("known: (.*)$") or error(tostring(problem), 0)):gmatch("[%w_]+") do
    known[name] = false
  end
  for name in pairs(fields) do fields[name] = false end
  test.expect(known).to_equal(fields)
end

local function can(object, value, methods)
  local known = {}
  for _, method in ipairs(methods) do
    known[method] = true
    if type(value[method]) ~= "function" and method ~= "to" then error(object .. " has no method " .. method, 0) end
  end
  local behind = getmetatable(value)
  for name in pairs(type(behind) == "table" and behind.__index or {}) do
    if not known[name] then error(object .. ":" .. name .. " is not declared", 0) end
  end
end

