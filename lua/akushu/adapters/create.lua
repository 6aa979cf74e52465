--- What LuaSocket's own modules take in place of socket.tcp: an adapter's `create`.
--
--     local http, tls = require "socket.http", require "akushu.adapters.socket"
--     http.schemes.https.create = tls.create(client)
--     print(http.request "https://example.com/")
--
-- They make an object, set its timeout, connect it, and then use it as a socket of LuaSocket's, whose answers differ from a connection's: what has come in part is the third
-- value, and what was received before can be given along.
local connection = require "akushu.adapters.connection"
local blame = require("akushu.misuse").blame
local pump = require "akushu.adapters.pump"

local Stream = { __name = "akushu.Stream" }
local methods = {}

-- Once connected, all that a connection has.
function Stream:__index(name)
  local method = methods[name]
  if method ~= nil then return method end
  local conn = rawget(self, "connection")
  local value = conn and conn[name]
  if type(value) ~= "function" then return value end
  return function(_, ...) return value(conn, ...) end
end

-- The module's timeout, and the one that create was given: the shorter one. LuaSocket's below 0 is none; its modes make no difference to a call that is timed as a whole.
local function patience(self, timeout)
  local most = self.options.timeout
  if not timeout or timeout < 0 then return most end
  return most and math.min(most, timeout) or timeout
end

function methods:settimeout(timeout)
  self.timeout = patience(self, timeout)
  if self.connection then self.connection:settimeout(self.timeout) end
  return 1
end

function methods:connect(host, port)
  local options = { timeout = patience(self, self.timeout) }
  for name, value in pairs(self.options) do
    if name ~= "timeout" then options[name] = value end
  end
  local conn, message, failure = self.dial(host, port, self.context, options)
  if not conn then return nil, message, failure end
  self.connection = conn
  return 1
end

-- Its connection, for a method that is called too early otherwise.
local function connected(self, what)
  return self.connection or error(what .. ": it is not connected", 3)
end

function methods:send(data, i, j)
  local last, message, _, taken = connected(self, "send"):send(data, i, j)
  if last then return last end
  return nil, message, taken
end

-- prefix: what there is already of a line, or of so many bytes. After "timeout" the rest is not given away, but waits for the next call.
function methods:receive(pattern, prefix)
  local conn = connected(self, "receive")
  prefix = prefix or ""
  if type(pattern) == "number" then pattern = math.max(pattern - #prefix, 0) end
  local data, message, _, rest = conn:receive(pattern)
  if data then return prefix .. data end
  return nil, message, prefix .. (rest or "")
end

-- LuaSocket closes what has failed in a place where nobody can yield: no time for a farewell there, in a loop.
local function in_a_hurry()
  local _, main = coroutine.running()
  return not main and not coroutine.isyieldable()
end

function methods:close()
  local conn = self.connection
  if not conn then return 1 end
  if in_a_hurry() then
    if conn.session then conn.session:close() end -- the keys, too
    pump.release(conn)
  else
    conn:close()
  end
  return 1
end

-- socket.http would send its request to the proxy.
local function through_a_proxy(request)
  local http = package.loaded["socket.http"]
  return request.proxy or type(http) == "table" and http.PROXY
end

local function no_proxy() return nil, "https through a proxy: LuaSocket cannot ask one for a tunnel" end

--- An adapter's create(context, options), by its connect. What it returns makes an unconnected object when it is called with nothing, as socket.tcp does; called with a request,
-- as the create of an entry of http.schemes is, it returns what makes them for that.
return function(connect)
  return function(context, o)
    local options = blame(2, connection.options_of_client, context, o)
    local function create(request)
      if request ~= nil then return through_a_proxy(request) and no_proxy or create end
      return setmetatable({ dial = connect, context = context, options = options }, Stream)
    end
    return create
  end
end
