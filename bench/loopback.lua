-- Pairs of connected TCP sockets within this process, non-blocking.
local socket = require "socket"

local loopback = {}
loopback.__index = loopback

function loopback.new()
  local self = setmetatable({ listener = assert(socket.bind("127.0.0.1", 0)) }, loopback)
  local _, port = self.listener:getsockname()
  self.port = port
  return self
end

function loopback:pair()
  local a = assert(socket.connect("127.0.0.1", self.port))
  local b = assert(self.listener:accept())
  for _, sock in ipairs { a, b } do
    sock:settimeout(0)
    sock:setoption("tcp-nodelay", true)
  end
  return a, b
end

function loopback:close() self.listener:close() end

return loopback
