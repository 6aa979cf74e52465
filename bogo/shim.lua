--- A shim for BoringSSL's test runner: one process per test, a peer that the runner drives over loopback (bogo/README.md). All on akushu's public API and LuaSocket.
package.path = package.path .. ";" .. (arg[0]:match "^(.*/)" or "./") .. "../?.lua"
local connection = require "bogo.connection"
local contexts = require "bogo.contexts"
local flags = require "bogo.flags"
local outcome = require "bogo.outcome"

local function main(args)
  if args[1] == "-is-handshaker-supported" then
    print "No"
    return
  end
  local configs = flags.parse(args)
  local session
  for i = 0, configs.initial.resume_count or 0 do
    local c = i == 0 and configs.initial or configs.resume
    if i > 0 and c.resumption_delay then contexts.world.time = contexts.world.time + c.resumption_delay end
    session = connection(c, configs.retry, i > 0, session) or session
  end
end

outcome.of(main, arg)
