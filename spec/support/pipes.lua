-- Transports for akushu.adapters.connection without a world: two ends in memory, coroutines in turn, and a clock that moves on only when everybody waits.
local pipes = {}

local now = 0

function pipes.now() return now end

local Transport = { delegated = {} }
Transport.__index = Transport

function Transport.now() return now end

-- Waits for ready() in a coroutine of pipes.run; false when the deadline has passed.
local function wait(ready, deadline)
  while not ready() do
    if deadline and deadline <= now then return false end
    coroutine.yield(pipes, ready, deadline)
  end
  return true
end

function Transport:read(deadline)
  local from = self.incoming
  self.reads = self.reads + 1
  if not wait(function() return #from.bytes > 0 or from.ended or from.broken or self.closed end, deadline) then return nil, "timeout" end
  if self.closed then return nil, "closed" end
  if #from.bytes == 0 then return not from.broken and "" or nil, from.broken end
  local n = self.piece or #from.bytes
  local bytes = from.bytes:sub(1, n)
  from.bytes = from.bytes:sub(n + 1)
  return bytes
end

function Transport:write(bytes, at, deadline)
  local to = self.outgoing
  while at <= #bytes do
    if not wait(function() return #to.bytes < to.room or to.gone or self.closed end, deadline) then return nil, "timeout", at - 1 end
    if to.gone or to.ended or self.closed then return nil, "closed", at - 1 end
    local n = math.min(#bytes - at + 1, to.room - #to.bytes, self.piece or math.huge)
    to.bytes, to.passed = to.bytes .. bytes:sub(at, at + n - 1), to.passed + n
    at = at + n
  end
  return true
end

function Transport:shutdown()
  self.outgoing.ended = true
  self.shut = true
end

-- As TCP has it: closed with unread bytes, the connection is reset.
function Transport:close()
  self.closed = true
  self.outgoing.ended = true
  if #self.incoming.bytes > 0 then self.outgoing.broken, self.outgoing.bytes = "reset", "" end
  self.incoming.gone = true
end

--- Two ends. o: piece (bytes moved at a time), room (bytes that are under way at most, 65536).
function pipes.pair(o)
  o = o or {}
  local function channel() return { bytes = "", room = o.room or 65536, passed = 0 } end
  local one, other = channel(), channel()
  local function transport(incoming, outgoing)
    return setmetatable({ incoming = incoming, outgoing = outgoing, piece = o.piece, reads = 0 }, Transport)
  end
  return transport(one, other), transport(other, one)
end

--- In a coroutine of pipes.run: lets so much time pass.
function pipes.sleep(time)
  local till = now + time
  wait(function() return now >= till end, till)
end

-- Runs one coroutine until it waits for something here. What else it yields (a hook's yield) is answered at once, with what it yielded.
local function turn(task, ...)
  local got = table.pack(coroutine.resume(task.co, ...))
  while got[1] and coroutine.status(task.co) ~= "dead" and got[2] ~= pipes do
    got = table.pack(coroutine.resume(task.co, table.unpack(got, 2, got.n)))
  end
  if not got[1] then error(debug.traceback(task.co, tostring(got[2])), 0) end
  task.ready, task.deadline = got[3], got[4]
  task.done = coroutine.status(task.co) == "dead"
end

--- Runs functions as coroutines until all have ended; raises what one raises, and when all wait for nothing.
function pipes.run(...)
  local tasks = {}
  for i, fn in ipairs { ... } do tasks[i] = { co = coroutine.create(fn) } end
  while true do
    local moved, first, waiting = false, nil, false
    for _, task in ipairs(tasks) do
      if not task.done and (not task.ready or task.ready() or task.deadline and task.deadline <= now) then
        moved = true
        turn(task)
      end
    end
    for _, task in ipairs(tasks) do
      waiting = waiting or not task.done
      if not task.done and task.deadline and (not first or task.deadline < first) then first = task.deadline end
    end
    if not waiting then return end
    if not moved then
      if not first then error("everybody waits, and for nothing that will come", 2) end
      now = first
    end
  end
end

return pipes
