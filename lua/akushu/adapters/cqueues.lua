--- TLS over cqueues' sockets, in the coroutines of a controller.
--
--     local tls = require "akushu.adapters.cqueues"
--     queue:wrap(function()
--       local conn = assert(tls.connect("example.com", 443, client, { timeout = 30 }))
--       conn:send "GET / HTTP/1.0\r\nHost: example.com\r\n\r\n"
--       print(conn:receive "*a")
--     end)
--
-- A socket's own buffers, modes and error handler are the adapter's from wrap on.
local condition = require "cqueues.condition"
local connection = require "akushu.adapters.connection"
local create = require "akushu.adapters.create"
local cqueues = require "cqueues"
local errno = require "cqueues.errno"
local socket = require "cqueues.socket"

local adapter = {}

local Transport = { delegated = { peername = true, localname = true, pollfd = true, peereid = true, peerpid = true }, whom = "peername" }
Transport.__index = Transport

local piece, chunk = 16384, 65536

-- One busy connection must not keep the others from their turn: they have one after so many reads, or writes, that did not have to wait.
local turns = 16

local function take_turn(self, way)
  self[way] = (self[way] or 0) + 1
  if self[way] < turns then return end
  self[way] = 0
  cqueues.poll(0)
end

function Transport.now() return cqueues.monotime() end

-- Until something may be read ("r") or written ("w"): true; false when the deadline has passed, or another coroutine has closed the socket.
local function wait(self, events, deadline)
  if self.closed then return false end
  local ready = { pollfd = self.inner:pollfd(), events = events }
  local time = deadline and math.max(deadline - cqueues.monotime(), 0)
  local first, second = cqueues.poll(ready, self.closing, time)
  return not self.closed and (first == ready or second == ready)
end

local function no_more(self) return nil, self.closed and "closed" or "timeout" end

local again = { [errno.EAGAIN] = true, [errno.ETIMEDOUT] = true, [errno.EINTR] = true }

function Transport:read(deadline)
  while not self.closed do
    local sock = self.inner
    local bytes, problem = sock:recv(-piece, "bn")
    if bytes and bytes ~= "" then
      take_turn(self, "reads")
      return bytes
    end
    if sock:eof "r" then return "" end
    if problem and not again[problem] then return nil, errno.strerror(problem) end
    sock:clearerr "r"
    if not wait(self, "r", deadline) then break end
  end
  return no_more(self)
end

-- What cqueues holds itself out: true, or nil, message.
local function flush(self, deadline)
  while not self.closed do
    local sock = self.inner
    if select(2, sock:pending()) == 0 then return true end
    local ok, problem = sock:flush("n", 0)
    if ok then return true end
    if not again[problem] then return nil, errno.strerror(problem) end
    sock:clearerr "w"
    if not wait(self, "w", deadline) then break end
  end
  return no_more(self)
end

function Transport:write(bytes, at, deadline)
  while true do
    local ok, message = flush(self, deadline)
    if not ok then return nil, message, at - 1 end
    if at > #bytes then return true end
    local n, problem = self.inner:send(bytes, at, math.min(#bytes, at + chunk - 1), "bn")
    if problem and not again[problem] then return nil, errno.strerror(problem), at - 1 end
    at = at + (n or 0)
    if n then take_turn(self, "writes") end
  end
end

function Transport:shutdown() self.inner:shutdown "w" end

function Transport:close()
  self.closed = true
  self.closing:signal()
  if self.inner then self.inner:close() end
end

-- What goes wrong is returned as a number.
local function error_number(_, _, number) return number end

local function take(transport, sock)
  sock:setmode("bn", "bn")
  sock:onerror(error_number)
  transport.inner = sock
  return transport
end

local function new_transport() return setmetatable({ closing = condition.new() }, Transport) end

--- A connection over a connected cqueues socket, before its handshake. Options as of connection.new.
function adapter.wrap(sock, context, o)
  if socket.type(sock) ~= "socket" then error("a connected cqueues socket expected, got " .. tostring(sock), 2) end
  local conn, message, failure = connection.new(take(new_transport(), sock), context, o)
  return conn, message, failure
end

--- Connects to a server and shakes hands: a connection; or nil, message, failure. server_name is the host unless the options say otherwise.
function adapter.connect(host, port, context, o)
  local transport = new_transport()
  local conn, message, failure = connection.towards(host, port, transport, context, o)
  if not conn then return nil, message, failure end
  local sock = take(transport, socket.connect { host = host, port = port, nodelay = true }).inner
  local ok, problem = sock:connect(connection.patience(conn))
  if ok then return connection.connected(conn, sock) end
  sock:close()
  return connection.not_connected(conn, problem == errno.ETIMEDOUT and "timeout" or errno.strerror(problem))
end

--- create(context, options): what socket.http and socket.smtp take as their create. Options as of connect.
adapter.create = create(adapter.connect)

--- A function(socket) for who accepts connections: shakes hands, calls fn(connection), closes. Options as of wrap, and on_failure(message, failure, connection).
function adapter.handler(context, fn, o)
  local handler = connection.handler(adapter.wrap, context, fn, o)
  return handler
end

return adapter
