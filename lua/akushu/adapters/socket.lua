--- TLS over LuaSocket.
--
--     local tls = require "akushu.adapters.socket"
--     local conn = assert(tls.connect("example.com", 443, akushu.client { trust = akushu.trust.system() }))
--     conn:send "GET / HTTP/1.0\r\nHost: example.com\r\n\r\n"
--     print(assert(conn:receive "*a"))
--     conn:close()
--
-- It blocks, for as long as conn:settimeout says; with settimeout(0) it does not, and a connection goes into socket.select like the socket itself. With option wait
-- it is at home in any loop that can tell when a socket is ready (akushu.adapters.copas is made of that).
local connection = require "akushu.adapters.connection"
local socket = require "socket"

local adapter = {}

local Transport = {
  delegated = { getpeername = true, getsockname = true, setoption = true, getoption = true, getstats = true, setstats = true, getfd = true },
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
  local sock, wait = self.inner, self.wait
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
  local sock, wait = self.inner, self.wait
  if not wait then sock:settimeout(left(deadline)) end
  while true do
    local last, problem, some = sock:send(bytes, at)
    if last then return true end
    if problem ~= "timeout" or not wait or not wait(sock, "write", deadline) then return nil, problem, some end
    at = (some or at - 1) + 1
  end
end

function Transport:shutdown() self.inner:shutdown "send" end

function Transport:close() self.inner:close() end

local own_options = { wait = true }

local function transport_over(sock, o)
  local wait = type(o) == "table" and o.wait or nil
  if wait ~= nil and type(wait) ~= "function" then error("option 'wait': a function expected, got " .. type(wait), 3) end
  if type(sock) ~= "userdata" and type(sock) ~= "table" or not sock.receive or not sock.shutdown then
    error("a connected TCP socket of LuaSocket's expected, got " .. tostring(sock), 3)
  end
  sock:settimeout(0)
  return setmetatable({ inner = sock, wait = wait }, Transport)
end

--- A connection over a connected socket, before its handshake. Options as of connection.new, and wait: function(socket, "read" or "write", deadline) that returns
-- true as soon as the socket is ready, false when socket.gettime() has reached the deadline (nil: none); it may yield.
function adapter.wrap(sock, context, o)
  local conn, message, failure = connection.new(transport_over(sock, o), context, o, own_options)
  return conn, message, failure
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

--- Connects to a server and shakes hands: a connection; or nil, message, failure. server_name is the host unless the options say otherwise.
function adapter.connect(host, port, context, o)
  local options = connection.client_options(host, o)
  local transport = setmetatable({ wait = options.wait }, Transport)
  local conn, message, failure = connection.new(transport, context, options, own_options)
  if not conn then return nil, message, failure end
  local time = connection.patience(conn)
  local sock, problem = dial(host, port, options.wait, time and socket.gettime() + time)
  if not sock then return connection.not_connected(conn, problem) end
  return connection.connected(conn, sock)
end

--- A function(socket) for who accepts connections: shakes hands, calls fn(connection), closes. Options as of wrap, and on_failure(message, failure, connection).
function adapter.handler(context, fn, o)
  local handler = connection.handler(adapter.wrap, context, fn, o, own_options)
  return handler
end

return adapter
