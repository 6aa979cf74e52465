--- make bogo RUNNER=path: a BoringSSL test runner of your own against bogo/shim.lua; see bogo/README.md.
--
--     lua5.4 bogo/run.lua RUNNER [arguments of the runner …]
--
-- The runner finds its own data by the folder it is started in: that is the folder of RUNNER unless BOGO_DIR names another.
local runner = arg[1]
if not runner then
  io.stderr:write "run.lua: where is the runner?\n"
  os.exit(2)
end

local function quote(s) return "'" .. s:gsub("'", "'\\''") .. "'" end

local function output_of(command)
  local pipe = assert(io.popen(command))
  local line = pipe:read "l"
  pipe:close()
  return line
end

local function absolute(path) return assert(output_of("realpath " .. quote(path)), "no such file: " .. path) end

local here = absolute((arg[0]:match "^(.*)/" or ".") .. "/..")
runner = absolute(runner)
local folder = os.getenv "BOGO_DIR" or runner:match "^(.*)/"

-- The runner starts the shim in its own folder: what the shim loads is named absolutely.
local wrapper = assert(output_of "mktemp")
local f = assert(io.open(wrapper, "w"))
f:write(string.format([[#!/bin/sh
LUA_PATH=%s LUA_CPATH=%s exec %s %s "$@"
]], quote(here .. "/lua/?.lua;" .. here .. "/lua/?/init.lua;;"), quote(here .. "/build/lib/?.so;;"), quote(os.getenv "LUA" or "lua5.4"), quote(here .. "/bogo/shim.lua")))
f:close()
os.execute("chmod +x " .. quote(wrapper))

local arguments = {}
for i = 2, #arg do arguments[#arguments + 1] = quote(arg[i]) end
local ok = os.execute(string.format("cd %s && %s -shim-path %s -shim-config %s -allow-unimplemented %s", quote(folder), quote(runner), quote(wrapper),
  quote(here .. "/bogo/config.json"), table.concat(arguments, " ")))
os.remove(wrapper)
os.exit(ok and 0 or 1)
