-- TLS in copas: a client and a server.
--
--   lua5.4 examples/copas.lua get example.com:443 /
--   lua5.4 examples/copas.lua serve --chain chain.pem --key key.pem 127.0.0.1:4433
local here = arg[0]:match "^(.*/)" or "./"
local support = dofile(here .. "support.lua")
package.path = package.path .. ";/usr/share/lua/5.2/?.lua;/usr/share/lua/5.3/?.lua" -- where Debian has copas, which runs with 5.4, too
local akushu, copas, socket = support.require "akushu", support.require "copas", support.require "socket"
local tls = require "akushu.adapters.copas"

local p = support.loop_program(akushu)

if p.role == "serve" then
  local listener = support.check(socket.bind(p.host, p.port))
  p.options.on_failure = support.refused
  copas.addserver(listener, tls.handler(p.context, support.www, p.options))
  print(("listening on %s:%s"):format(listener:getsockname()))
  io.stdout:flush()
  while true do copas.step(1) end -- copas 1.x has no timers: what waits is looked at between two steps
end

local ended, ok, message, failure
copas.addthread(function()
  local conn
  conn, message, failure = tls.connect(p.host, p.port, p.context, p.options)
  if conn then
    ok, message, failure = support.get(conn, p)
    conn:close()
  end
  ended = true
end)
while not ended do copas.step(1) end
if not ok then support.die("%s", support.explain(message, failure)) end
