--- TLS over LuaSocket.
--
--     local tls = require "akushu.adapters.socket"
--     local conn = assert(tls.connect("example.com", 443, akushu.client { trust = akushu.trust.system() }))
--     conn:send "GET / HTTP/1.0\r\nHost: example.com\r\n\r\n"
--     print(assert(conn:receive "*a"))
--     conn:close()
--
-- It blocks, for as long as conn:settimeout says; with settimeout(0) it does not, and a connection goes into socket.select like the socket itself. in_loop makes
-- the same adapter for any loop that can tell when a socket is ready (akushu.adapters.copas is made of that).
local connection = require "akushu.adapters.connection"
local create = require "akushu.adapters.create"
local misuse = require "akushu.misuse"
local socket = require "socket"

local Transport = {
  delegated = { getpeername = true, getsockname = true, setoption = true, getoption = true, getstats = true, setstats = true, getfd = true },
  whom = "getpeername",
}
Transport.__index = Transport

local piece = 16384

function Transport.now() return socket.gettime() end

function Transport:dirty() return self.inner:dirty() end

-- Seconds until then, as settimeout takes them.
local function left(deadline) return deadline and math.max(deadline - socket.gettime(), 0) end

-- What there is; nil, "timeout": nothing.
local function read_now(sock)
  local all, problem, some = sock:receive(piece)
  some = all or some
  if some and some ~= "" then return some end
  if problem == "closed" then return "" end
  return nil, problem
end

function Transport:read(deadline)
  local sock, wait = self.inner, self.loop.wait
  if wait then
    -- Waits even when there may be something: one busy connection must not keep the others from their turn.
    while wait(sock, "read", deadline) do
      local bytes, problem = read_now(sock)
      if problem ~= "timeout" then return bytes, problem end
    end
    return nil, "timeout"
  end
  while true do
    sock:settimeout(0)
    local bytes, problem = read_now(sock)
    if problem ~= "timeout" then return bytes, problem end
    local time = left(deadline)
    if time == 0 then return nil, "timeout" end
    sock:settimeout(time)
    sock:receive(0) -- waits, and takes nothing
  end
end

function Transport:write(bytes, at, deadline)
  local sock, wait = self.inner, self.loop.wait
  if not wait then
    -- LuaSocket's usual timeout is for each time that it waits; this one is for all of them.
    sock:settimeout(nil)
    sock:settimeout(left(deadline), "t")
    local last, problem, some = sock:send(bytes, at)
    sock:settimeout(nil, "t")
    return last ~= nil or nil, problem, some
  end
  while true do
    local last, problem, some = sock:send(bytes, at)
    if last then return true end
    if problem ~= "timeout" or not wait(sock, "write", deadline) then return nil, problem, some end
    at = (some or at - 1) + 1
  end
end

function Transport:shutdown() self.inner:shutdown "send" end

function Transport:close()
  if self.loop.close then self.loop.close(self.inner) else self.inner:close() end
end

local function over(loop, sock)
  if loop.inner then sock = loop.inner(sock) end
  if type(sock) ~= "userdata" and type(sock) ~= "table" or not sock.receive or not sock.shutdown then
    error("a connected TCP socket of LuaSocket's expected, got " .. tostring(sock), 3)
  end
  -- One of LuaSocket's that listens has the same methods, which raise.
  if tostring(sock):find "^%l+{server}" then error("a connected socket expected, got one that listens: wrap what its accept() returns", 3) end
  sock:settimeout(0)
  sock:settimeout(nil, "t")
  -- Replies leave when they are made, not when the peer has acknowledged the tickets before them. What is no TCP socket (LuaSocket has others) raises: it does not wait anyway.
  pcall(sock.setoption, sock, "tcp-nodelay", true)
  return setmetatable({ inner = sock, loop = loop }, Transport)
end

-- One address; true, or nil, message.
local function connect_to(sock, address, port, wait, deadline)
  sock:settimeout(wait and 0 or left(deadline))
  local ok, problem = sock:connect(address, port)
  while not ok and problem == "timeout" and wait and wait(sock, "write", deadline) do
    ok, problem = sock:connect(address, port)
    ok = ok or problem == "already connected" -- it is, by now
  end
  return ok, problem
end

-- A socket connected to the first address of the host that answers; or nil, message.
local function dial(host, port, wait, deadline)
  local addresses, problem = socket.dns.getaddrinfo(host)
  if not addresses then return nil, problem end
  for _, address in ipairs(addresses) do
    local sock = assert(address.family == "inet6" and socket.tcp6() or socket.tcp4())
    local ok
    ok, problem = connect_to(sock, address.addr, port, wait, deadline)
    if ok then
      sock:setoption("tcp-nodelay", true)
      return sock
    end
    sock:close()
  end
  return nil, problem
end

local function adapter_for(loop)
  local adapter = {}

  --- A connection over a connected socket, before its handshake. Options as of connection.new.
  function adapter.wrap(sock, context, o)
    local conn, message, failure = connection.new(over(loop, sock), context, o)
    return conn, message, failure
  end

  --- Connects to a server and shakes hands: a connection; or nil, message, failure. server_name is the host unless the options say otherwise.
  function adapter.connect(host, port, context, o)
    local conn, message, failure = connection.towards(host, port, setmetatable({ loop = loop }, Transport), context, o)
    if not conn then return nil, message, failure end
    local time = connection.patience(conn)
    local sock, problem = dial(host, port, loop.wait, time and socket.gettime() + time)
    if not sock then return connection.not_connected(conn, problem) end
    return connection.connected(conn, sock)
  end

  --- create(context, options): what socket.http and socket.smtp take as their create. Options as of connect.
  adapter.create = create(adapter.connect)

  --- A function(socket) for who accepts connections: shakes hands, calls fn(connection), closes. Options as of wrap, and on_failure(message, failure, connection).
  function adapter.handler(context, fn, o)
    local handler = connection.handler(adapter.wrap, context, fn, o)
    return handler
  end

  return adapter
end

local blocking = adapter_for {}

--- The adapter (wrap, connect, handler) for a loop, a table: wait(socket, "read" or "write", deadline) returns true as soon as the socket is ready, false when
-- socket.gettime() has reached the deadline (nil: none); it may yield. close(socket), if there is one, closes it instead of socket:close(). inner(socket), if there is one:
-- LuaSocket's socket of what wrap was given.
function blocking.in_loop(loop)
  for _, name in ipairs { "wait", "close", "inner" } do
    local fn = misuse.want("in_loop", "table", "a table", loop)[name]
    if fn ~= nil or name == "wait" then misuse.want("in_loop: " .. name, "callable", "a function", fn) end
  end
  return adapter_for(loop)
end

return blocking
