-- TLS in cqueues: a client and a server.
--
--   lua5.4 examples/cqueues.lua get example.com:443 /
--   lua5.4 examples/cqueues.lua serve --chain chain.pem --key key.pem 127.0.0.1:4433
local here = arg[0]:match "^(.*/)" or "./"
local support = dofile(here .. "support.lua")
local akushu, cqueues, socket = support.require "akushu", support.require "cqueues", support.require "cqueues.socket"
local tls = require "akushu.adapters.cqueues"

local p = support.loop_program(akushu)
local queue = cqueues.new()
local ok, message, failure = true, nil, nil

if p.role == "serve" then
  local listener = support.check(socket.listen { host = p.host, port = p.port })
  support.check(listener:listen())
  local _, address, port = listener:localname()
  print(("listening on %s:%d"):format(address, port))
  io.stdout:flush()
  p.options.on_failure = support.refused
  local handle = tls.handler(p.context, support.www, p.options)
  queue:wrap(function()
    for sock in listener:clients { nodelay = true } do queue:wrap(handle, sock) end
  end)
else
  queue:wrap(function()
    local conn
    conn, message, failure = tls.connect(p.host, p.port, p.context, p.options)
    ok = conn ~= nil
    if conn then
      ok, message, failure = support.get(conn, p)
      conn:close()
    end
  end)
end

support.check(queue:loop())
if not ok then support.die("%s", support.explain(message, failure)) end
