--- TLS in copas, of 1.x (which has no timers) and 4.x.
--
--     local tls = require "akushu.adapters.copas"
--     copas.addserver(listener, tls.handler(akushu.server { identity = identity }, function(conn)
--       conn:send(assert(conn:receive()) .. "\n")
--     end))
--
-- Sockets are waited for by copas's own receive and send: over an object that says "timeout", once, and that it is done when copas calls it again.
local copas = require "copas"
local socket = require "socket"
local tls = require "akushu.adapters.socket"

local Waiting = {}
Waiting.__index = Waiting

local always_ready = assert(socket.udp4())

local function over(self) return self.closed or self.deadline ~= nil and socket.gettime() >= self.deadline end

-- What select is to look at. When waiting is over it is something that can be written at any time, and read, as it is dirty then: so a deadline and a close end it with
-- copas 1.x, too.
function Waiting:getfd() return over(self) and always_ready:getfd() or self.sock:getfd() end

function Waiting:dirty() return over(self) or self.sock:dirty() end

function Waiting:receive()
  if not self.asked then
    self.asked = true
    return nil, "timeout", ""
  end
  return "", nil, nil
end

function Waiting:send()
  if not self.asked then
    self.asked = true
    return nil, "timeout", 0
  end
  return 1
end

function Waiting:settimeout() return self.sock ~= nil end

-- copas 1.x closes what a coroutine has waited for last when that ends (copas.autoclose). Another coroutine may still use the connection: who has it closes it.
function Waiting:close() return self.sock ~= nil end

local waiting = setmetatable({}, { __mode = "k" }) -- [socket] = { read =, write = }: what waits for it

local function waiting_for(sock, direction)
  local both = waiting[sock]
  if not both then
    both = {}
    waiting[sock] = both
  end
  both[direction] = both[direction] or setmetatable({ sock = sock }, Waiting)
  return both[direction]
end

local function wait(sock, direction, deadline)
  local now = socket.gettime()
  if deadline and deadline <= now then -- nobody waits: what select says at this moment
    local set = { sock }
    local readable, writable = socket.select(direction == "read" and set or nil, direction == "write" and set or nil, 0)
    return (readable[1] or writable[1]) ~= nil
  end
  local object = waiting_for(sock, direction)
  object.asked, object.deadline = false, deadline
  if copas.settimeouts then copas.settimeouts(object, -1, deadline and deadline - now or -1, deadline and deadline - now or -1) end
  if direction == "read" then copas.receive(object, 1) else copas.send(object, "x") end
  return object.closed or not deadline or socket.gettime() < deadline
end

-- Who waits for it in another coroutine learns of it.
local function close(sock)
  for _, object in pairs(waiting[sock] or {}) do object.closed = true end
  sock:close()
end

-- Of copas.wrap's object the socket in it.
local function inner(sock)
  return type(sock) == "table" and type(rawget(sock, "socket")) == "userdata" and rawget(sock, "socket") or sock
end

return tls.in_loop { wait = wait, close = close, inner = inner }
