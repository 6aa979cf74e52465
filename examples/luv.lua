-- TLS in luv: a client and a server.
--
--   lua5.4 examples/luv.lua get example.com:443 /
--   lua5.4 examples/luv.lua serve --chain chain.pem --key key.pem 127.0.0.1:4433
local here = arg[0]:match "^(.*/)" or "./"
local support = dofile(here .. "support.lua")
local akushu, uv = support.require "akushu", support.require "luv"
local tls = require "akushu.adapters.luv"

local p = support.loop_program(akushu)
local ok, message, failure = true, nil, nil

if p.role == "serve" then
  p.options.on_failure = support.refused
  local handle = tls.handler(p.context, support.www, p.options) -- starts a coroutine for each connection
  local listener = uv.new_tcp()
  support.check(listener:bind(p.host, p.port))
  support.check(listener:listen(128, function(problem)
    if problem then return support.refused(problem) end
    local sock = uv.new_tcp()
    listener:accept(sock)
    handle(sock)
  end))
  local name = listener:getsockname()
  print(("listening on %s:%d"):format(name.ip, name.port))
  io.stdout:flush()
else
  coroutine.wrap(function()
    local conn
    conn, message, failure = tls.connect(p.host, p.port, p.context, p.options)
    ok = conn ~= nil
    if conn then
      ok, message, failure = support.get(conn, p)
      conn:close()
    end
  end)()
end

uv.run()
if not ok then support.die("%s", support.explain(message, failure)) end
