--- The way to the runner: a socket on loopback.
local socket = require "socket"
local mismatch = require("bogo.outcome").mismatch

local Transport = {}
Transport.__index = Transport

function Transport.connect(c)
  local sock = assert(c.ipv6 and socket.tcp6() or socket.tcp4())
  assert(sock:connect(c.ipv6 and "::1" or "127.0.0.1", c.port))
  sock:setoption("tcp-nodelay", true)
  sock:settimeout(0)
  return setmetatable({ sock = sock, async = c.async, queue = "" }, Transport)
end

function Transport:send(bytes)
  if bytes == "" or not bytes then return end
  if self.unfinished then bytes, self.unfinished = self.unfinished .. bytes, nil end
  self:put(bytes)
end

function Transport:put(bytes)
  local at = 1
  while at <= #bytes do
    local last, why, partial = self.sock:send(bytes, at)
    if last then return end
    at = (partial or at - 1) + 1
    if why ~= "timeout" then return end -- the runner has gone: what it said before is still to be read
    socket.select(nil, { self.sock }, 15)
  end
end

-- Some bytes; nil at the end of the stream. -async: one at a time.
function Transport:receive()
  while self.queue == "" do
    socket.select({ self.sock }, nil, 15)
    local all, why, partial = self.sock:receive(16384)
    self.queue = all or partial or ""
    if self.queue == "" and why ~= "timeout" then return nil end
    if self.queue == "" then mismatch "timeout" end
  end
  local n = self.async and 1 or #self.queue
  local bytes = self.queue:sub(1, n)
  self.queue = self.queue:sub(n + 1)
  return bytes
end

-- So that the runner sees an alert before it sees the end.
function Transport:finish()
  self.sock:shutdown "send"
  local deadline = socket.gettime() + 10
  while socket.gettime() < deadline do
    socket.select({ self.sock }, nil, 1)
    local all, why, partial = self.sock:receive(65536)
    if why == "closed" or (not all and why ~= "timeout") then break end
    if partial == nil and all == nil then break end
  end
  self.sock:close()
end

return Transport
