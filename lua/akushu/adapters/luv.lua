--- TLS over luv's streams, in coroutines.
--
--     local tls = require "akushu.adapters.luv"
--     listener:listen(128, function()
--       local sock = uv.new_tcp()
--       listener:accept(sock)
--       handle(sock)                     -- tls.handler(context, function(conn) … end): starts a coroutine
--     end)
--
-- Whoever resumes a coroutine is luv's callback; what the coroutine raises then is an error of that callback.
local connection = require "akushu.adapters.connection"
local create = require "akushu.adapters.create"
local uv = require "luv"

local adapter = {}

local Transport = { delegated = { getpeername = true, getsockname = true, nodelay = true, keepalive = true, fileno = true }, whom = "getpeername" }
Transport.__index = Transport

local most_waiting = 65536 -- bytes that have come and nobody has read: no more are asked for

local function now() return uv.hrtime() / 1e9 end

Transport.now = now

-- ---- waiting ---------------------------------------------------------------------------------------------------------------------

local function resume(waiter)
  local ok, problem = coroutine.resume(waiter.co)
  if not ok then error(debug.traceback(waiter.co, tostring(problem)), 0) end
end

local function wake(waiter)
  if not waiter or waiter.done then return end
  waiter.done = true
  if waiter.suspended then resume(waiter) end
end

local function new_waiter()
  if not coroutine.isyieldable() then error("akushu.adapters.luv: connections are used in coroutines", 0) end
  return { co = coroutine.running() }
end

-- Suspends the coroutine until somebody wakes the waiter: true; false: the deadline has come first. A hook's own timer may resume it, too, in vain.
local function wait(waiter, deadline)
  if waiter.done then return true end
  local timer
  if deadline then
    timer = uv.new_timer()
    uv.update_time()
    timer:start(math.ceil(math.max(deadline - now(), 0) * 1000), 0, function()
      waiter.late = not waiter.done
      wake(waiter)
    end)
  end
  waiter.suspended = true
  repeat coroutine.yield() until waiter.done
  if timer then timer:close() end
  return not waiter.late
end

-- ---- bytes -----------------------------------------------------------------------------------------------------------------------

local function on_read(self)
  return function(problem, bytes)
    if problem then self.problem = problem
    elseif bytes == nil then self.ended = true
    else
      self.queue[#self.queue + 1] = bytes
      self.queued = self.queued + #bytes
    end
    if self.reading and (problem or bytes == nil or self.queued >= most_waiting) and not self.closed then
      self.reading = false
      self.inner:read_stop()
    end
    wake(self.reader)
  end
end

function Transport:dirty() return self.queued > 0 or self.ended == true end

function Transport:read(deadline)
  while self.queued == 0 do
    if self.closed then return nil, "closed" end
    if self.ended then return "" end
    if self.problem then return nil, self.problem end
    if not self.reading then
      local ok, problem = self.inner:read_start(on_read(self))
      if not ok then return nil, problem end
      self.reading = true
    end
    if deadline and deadline <= now() then return nil, "timeout" end
    self.reader = new_waiter()
    local in_time = wait(self.reader, deadline)
    self.reader = nil
    if not in_time then return nil, "timeout" end
  end
  local bytes = table.concat(self.queue)
  self.queue, self.queued = {}, 0
  return bytes
end

-- Until libuv has nothing left of what it was given: true; or nil, message.
local function written(self, deadline)
  while self.writing do
    if self.closed then return nil, "closed" end
    if deadline and deadline <= now() then return nil, "timeout" end
    self.writer = new_waiter()
    local in_time = wait(self.writer, deadline)
    self.writer = nil
    if not in_time then return nil, "timeout" end
  end
  if self.write_problem then return nil, self.write_problem end
  return true
end

function Transport:write(bytes, at, deadline)
  local ok, problem = written(self, deadline)
  if not ok then return nil, problem, at - 1 end
  if at > #bytes then return true end
  if self.closed then return nil, "closed", at - 1 end
  local n, message, name = self.inner:try_write(at == 1 and bytes or bytes:sub(at))
  if not n and name ~= "EAGAIN" then return nil, message, at - 1 end
  at = at + (n or 0)
  if at > #bytes then return true end
  if deadline and deadline <= now() then return nil, "timeout", at - 1 end
  self.writing = true
  ok, problem = self.inner:write(bytes:sub(at), function(why)
    self.writing, self.write_problem = false, why
    wake(self.writer)
  end)
  if not ok then
    self.writing = false
    return nil, problem, at - 1
  end
  ok, problem = written(self, deadline)
  return ok, problem, #bytes
end

function Transport:shutdown()
  if not self.closed then self.inner:shutdown() end
end

function Transport:close()
  if self.closed then return end
  self.closed = true
  if self.inner and not self.inner:is_closing() then self.inner:close() end
  wake(self.reader)
  wake(self.writer)
end

-- Whoever writes to a peer that has left is sent SIGPIPE, which ends a process that has said nothing about it; libuv does not see to that. It is caught as long as the loop has
-- this handle, which keeps no loop alive. (A program that closes all handles gets another one with its next connection.)
local pipe_signal

local function catch_pipe_signal()
  if pipe_signal and not pipe_signal:is_closing() then return end
  pipe_signal = uv.new_signal()
  pipe_signal:start("sigpipe", function() end)
  pipe_signal:unref()
end

local function new_transport(stream)
  catch_pipe_signal()
  -- Replies leave when they are made, not when the peer has acknowledged the tickets before them.
  if stream and stream.nodelay then stream:nodelay(true) end
  return setmetatable({ inner = stream, queue = {}, queued = 0 }, Transport)
end

-- ---- the adapter -----------------------------------------------------------------------------------------------------------------

--- A connection over a connected stream (TCP, pipe), before its handshake. Options as of connection.new.
function adapter.wrap(stream, context, o)
  if type(stream) ~= "userdata" or not stream.read_start then error("a connected stream of luv's expected, got " .. tostring(stream), 2) end
  local conn, message, failure = connection.new(new_transport(stream), context, o)
  stream:read_stop() -- plain text was spoken before (STARTTLS): by a callback that gets no more
  return conn, message, failure
end

-- The addresses of a host; or nil, message.
local function resolve(host, deadline)
  local waiter, found, problem = new_waiter(), nil, nil
  local ok, why = uv.getaddrinfo(host, nil, { socktype = "stream" }, function(err, list)
    found, problem = list, err
    wake(waiter)
  end)
  if not ok then return nil, why end
  if not wait(waiter, deadline) then return nil, "timeout" end
  return found, problem
end

-- A stream connected to an address; or nil, message.
local function connect_to(address, port, deadline)
  local stream, waiter, problem = uv.new_tcp(), new_waiter(), nil
  local ok, why = stream:connect(address, port, function(err)
    problem = err
    wake(waiter)
  end)
  if ok and not wait(waiter, deadline) then problem = "timeout" end
  if ok and not problem then
    stream:nodelay(true)
    return stream
  end
  stream:close()
  return nil, problem or why
end

local function dial(host, port, deadline)
  local addresses, problem = resolve(host, deadline)
  local stream
  for _, address in ipairs(addresses or {}) do
    stream, problem = connect_to(address.addr, port, deadline)
    if stream or problem == "timeout" then break end
  end
  return stream, problem
end

--- Connects to a server and shakes hands: a connection; or nil, message, failure. server_name is the host unless the options say otherwise.
function adapter.connect(host, port, context, o)
  local conn, message, failure = connection.towards(host, port, new_transport(), context, o)
  if not conn then return nil, message, failure end
  local time = connection.patience(conn)
  local stream, problem = dial(host, port, time and now() + time)
  if not stream then return connection.not_connected(conn, problem) end
  return connection.connected(conn, stream)
end

--- create(context, options): what socket.http and socket.smtp take as their create. Options as of connect.
adapter.create = create(adapter.connect)

--- A function(stream) for who accepts connections: shakes hands, calls fn(connection), closes; in a coroutine of its own when it is called in none. Options as of wrap, and
-- on_failure(message, failure, connection).
function adapter.handler(context, fn, o)
  local handle = connection.handler(adapter.wrap, context, fn, o)
  return function(...)
    if coroutine.isyieldable() then return handle(...) end
    local co = coroutine.create(handle)
    local ok, problem = coroutine.resume(co, ...)
    if not ok then error(debug.traceback(co, tostring(problem)), 0) end
  end
end

return adapter
