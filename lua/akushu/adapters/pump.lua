--- What moves the bytes of a connection (connection.lua) between its transport and its handshake or session: functions of the connection, whose fields they use:
--
--   hs, session          the handshake until it is done, then the session       inbox               plaintext that nobody has taken yet
--   outbox, out_at       bytes that wait to be sent, and from where on           failure             why it is over
--   gone                 the transport is closed                                peer_ended          the peer will send nothing more
--   flushing             a coroutine is inside transport:write                  fresh               the session may hold what came with the handshake's last bytes
--   read_by, write_by    the deadline of the call that has read, or written, last
--   peer_name            who the peer is, until the handshake is done
--   wanted               what the last call that ran out of time waited for     stepping            inside on_step
-- ---- failures ------------------------------------------------------------------------------------------------------------------

local Failure = { __tostring = function(self) return self.message end }

local function state(self) return self.session and self.session.state or self.hs and self.hs.state or "closed" end

local function failure(self, code, message)
  return setmetatable({ code = code, origin = "local", state = state(self), detail = "", message = message }, Failure)
end

-- Nothing is lost: the same call goes on where this one stopped.
local function stalled(self, want)
  local f = failure(self, "timeout", "timeout")
  f.want = want
  self.wanted = want
  return nil, "timeout", f
end

local function closed(self)
  local f = failure(self, "closed", "closed")
  return nil, "closed", f
end

local function transport_failure(self, message)
  if message == "closed" then message = "the transport was closed" end
  return failure(self, "transport", tostring(message))
end

-- ---- bytes out -----------------------------------------------------------------------------------------------------------------

local function put(self, bytes)
  if bytes and bytes ~= "" then self.outbox[#self.outbox + 1] = bytes end
end

-- Sends what waits: true; nil, "timeout"; nil, message when nothing can be sent any more. Whoever sends already takes along what has been put there meanwhile.
local function flush(self, deadline)
  local outbox = self.outbox
  if self.flushing or #outbox == 0 then return true end
  if self.gone then return nil, "closed" end
  self.flushing, self.wanted = true, nil
  local ok, message = true, nil
  while ok and #outbox > 0 do
    if #outbox > 1 and self.out_at == 1 then outbox = { table.concat(outbox) } end
    self.outbox = outbox
    local last
    ok, message, last = self.transport:write(outbox[1], self.out_at, deadline)
    if ok then
      table.remove(outbox, 1)
      self.out_at = 1
    elseif message == "timeout" then
      self.out_at = math.max((last or 0) + 1, self.out_at)
    else
      self.outbox, self.out_at = {}, 1
    end
  end
  self.flushing = false
  if self.parting then self:parting() end
  return ok, message
end

-- ---- the end -------------------------------------------------------------------------------------------------------------------

local function release(self)
  if self.gone then return end
  self.gone = true
  self.transport:close()
end

local most_drained = 1048576

-- Last words out, our sending side shut, the rest drained: a socket that is closed with unread bytes resets the connection, and the peer would never see them.
-- Bounded in bytes and in time; who does not wait (timeout 0) drains what is there.
local farewell

function farewell(self, bytes)
  local transport = self.transport
  if self.flushing then -- another coroutine is sending: it sees to the rest
    put(self, bytes)
    self.parting = function()
      self.parting = nil
      farewell(self)
    end
    return
  end
  local linger = math.min(self.linger, self.timeout or math.huge)
  local deadline = (transport:now() or 0) + linger
  put(self, bytes)
  local out = flush(self, deadline)
  transport:shutdown()
  local drained = 0
  while out and not self.peer_ended and not self.reading and drained < most_drained do
    local data = transport:read(deadline)
    if not data or data == "" then break end
    drained = drained + #data
    -- Whoever sends a byte now and then never lets us wait.
    if linger > 0 and (transport:now() or 0) >= deadline then break end
  end
  release(self)
end

-- The connection is over for this reason. bytes: the alert, nil where nobody is there to read one.
local function fail(self, message, why, bytes)
  self.failure = why
  if bytes and bytes ~= "" then farewell(self, bytes) else release(self) end
  return nil, message, why
end

local function lost(self, problem)
  local why = transport_failure(self, problem)
  return fail(self, why.message, why)
end

local function over(self) return nil, self.failure.message, self.failure end

-- ---- the handshake -------------------------------------------------------------------------------------------------------------

local function deadline_of(self)
  local now = self.timeout and self.transport:now()
  return now and now + self.timeout
end

-- Whether a call's time is over though its transport never had to wait: a peer that always has something more, or takes all we have, would keep it for ever. Its first turn a
-- call always gets; a call that does not wait (timeout 0) takes what is there.
local function overdue(self, deadline, way)
  local again = self[way] == deadline
  self[way] = deadline
  local now = again and deadline and self.timeout ~= 0 and self.transport:now()
  return now and now >= deadline
end

-- Who the peer is, as long as that can be asked: one that has reset the connection, or a closed socket, has no name any more.
local function peer_name(transport)
  local ask = transport.whom and transport.inner and transport.inner[transport.whom]
  return ask and table.pack(ask(transport.inner))
end

-- What a handshake begins with: bytes out, or nil, message, failure.
local function start(self)
  self.started, self.peer_name = true, peer_name(self.transport)
  local limit, now = self.handshake_timeout, self.transport:now()
  self.handshake_limit = limit and now and now + limit
  if self.early then self.hs:send_early(self.early) end -- where the resumption does not allow it: conn.early_data says so
  return self.hs:start()
end

-- A deadline has passed: the call's, or (final) the handshake's own.
local function out_of_time(self, want, final)
  if not final then return stalled(self, want) end
  local message = ("the handshake was not done within %g s"):format(self.handshake_timeout)
  return fail(self, message, failure(self, "timeout", message), self.hs:abort())
end

local function stepped(self)
  local hs = self.hs
  if hs.role == "server" and hs.early_data == "accepted" then
    local data = hs:take_early_data()
    if data ~= "" then table.insert(self.early_taken, data) end
  end
  -- What nobody takes here the handshake keeps, up to a bound of its own.
  if self.renegotiating and self.inbox.size < most_drained then self.inbox:put(hs:take_application_data()) end
  if self.on_step and not self.renegotiating then
    self.stepping = true
    local ok, problem = pcall(self.on_step, self)
    self.stepping = false
    if not ok then
      local alert = hs:abort "internal_error"
      self.failure = hs.failure
      farewell(self, alert)
      error(problem, 0)
    end
  end
end

-- Bytes from the peer into the handshake: bytes for the peer, or nil, message, failure.
local function step(self, bytes)
  if bytes ~= "" then return self.hs:step(bytes) end
  self.peer_ended = true
  return self.hs:eof()
end

local function shake(self, deadline)
  local hs, transport = self.hs, self.transport
  local limit = self.handshake_limit
  local out, message, why
  if not self.started then
    out, message, why = start(self)
    if not out then return fail(self, message, why, hs:pending()) end
    put(self, out)
    limit = self.handshake_limit
  end
  local final = limit ~= nil and (deadline == nil or limit <= deadline)
  if final then deadline = limit end
  while true do
    -- A peer that has refused us may be gone: its alert is what we want to read.
    local _, problem = flush(self, deadline)
    if self.gone then return closed(self) end
    if problem == "timeout" then return out_of_time(self, "write", final) end
    if hs.done then return true end
    if overdue(self, deadline, "read_by") then return out_of_time(self, "read", final) end
    local bytes
    bytes, problem = transport:read(deadline)
    if self.gone then return closed(self) end
    if problem == "timeout" then return out_of_time(self, "read", final) end
    if not bytes then return lost(self, problem) end
    out, message, why = step(self, bytes)
    if self.gone then return closed(self) end
    if not out then return fail(self, message, why, hs:pending()) end
    put(self, out)
    stepped(self)
    if self.gone then return closed(self) end
  end
end

local function take_over(self, deadline)
  local ok, message, why = shake(self, deadline)
  if not ok then return nil, message, why end
  if self.renegotiating then self.inbox:put(self.hs:take_application_data()) end
  local session
  session, message, why = self.hs:session()
  if not session then return fail(self, message, why, self.hs:pending()) end
  self.hs:close()
  self.session, self.hs, self.fresh, self.renegotiating, self.peer_name = session, nil, true, false, nil
  return true
end

-- The same inside the connection, by a coroutine that is receiving: another one that wants to send has to wait.
local function take_over_again(self, deadline)
  self["shaking hands"] = true
  local ok, message, why = take_over(self, deadline)
  self["shaking hands"] = false
  return ok, message, why
end

-- A client that follows a server's HelloRequest (option renegotiation): a handshake inside the connection, whose session takes the place of this one.
local function renegotiate(self, deadline)
  local hs, message, why = self.context:renegotiate(self.session, { hooks = self.hooks })
  if not hs then return fail(self, message, why, "") end
  self.hs, self.session, self.started, self.renegotiating = hs, nil, false, true
  return take_over_again(self, deadline)
end

-- ---- receiving -----------------------------------------------------------------------------------------------------------------

local readable = { open = true, write_closed = true }

-- Bytes from the transport into the session: true; or nil, message, failure.
local function take(self, bytes, deadline)
  local session = self.session
  local plain, reply, why = session:open(bytes)
  if not plain then
    if why.code == "closed" then
      self.peer_ended = true
      return closed(self)
    end
    return fail(self, reply, why, session:pending())
  end
  self.inbox:put(plain)
  put(self, reply)
  flush(self, plain == "" and deadline or 0) -- what cannot leave now leaves with the next call
  return true
end

local function ended(self)
  self.peer_ended = true
  local ok, message, why = self.session:eof()
  if ok then return closed(self) end
  return fail(self, message, why)
end

-- Gets more into the inbox: true; or nil, message, failure.
local function fill(self, deadline)
  if self.failure then return over(self) end
  if self.gone then return closed(self) end
  if not self.session then return take_over_again(self, deadline) end -- a renegotiation that has stopped
  self.wanted = nil
  local bytes = ""
  -- What came with the last bytes of the handshake, or behind the last data, is in the session.
  if not self.fresh and readable[self.session.state] then
    flush(self, 0)
    if overdue(self, deadline, "read_by") then return stalled(self, "read") end
    local problem
    bytes, problem = self.transport:read(deadline)
    if self.gone then return closed(self) end
    if problem == "timeout" then return stalled(self, "read") end
    if not bytes then return lost(self, problem) end
    if bytes == "" then return ended(self) end
  end
  self.fresh = false
  local ok, message, why = take(self, bytes, deadline)
  if ok and self.session.renegotiation_wanted then return renegotiate(self, deadline) end
  return ok, message, why
end

-- ---- sending -------------------------------------------------------------------------------------------------------------------

-- Nothing can be sent any more. Why, the peer may have said before it left (a server that refuses our certificate of TLS 1.3, say).
local function last_words(self, problem)
  local now = self.transport:now()
  while not self.receiving and not self.failure and not self.gone and self.session do
    local ok, message, why = fill(self, now and now + math.min(self.linger, self.timeout or math.huge))
    if not ok and why.origin == "peer" then return nil, message, why end
    if not ok then break end
    if self.inbox.size > most_drained then break end
  end
  if self.failure and self.failure.origin == "peer" then return over(self) end
  return lost(self, problem)
end

-- more: whether there is more to send than what waits.
local function sent(self, deadline, more)
  local ok, problem = flush(self, deadline)
  if ok and more and overdue(self, deadline, "write_by") then return stalled(self, "write") end
  if ok then return true end
  if self.failure then return over(self) end
  if self.gone then return closed(self) end
  if problem == "timeout" then return stalled(self, "write") end
  return last_words(self, problem)
end

return {
  failure = failure, transport_failure = transport_failure, closed = closed, over = over, put = put, release = release, farewell = farewell, deadline_of = deadline_of,
  take_over = take_over, readable = readable, fill = fill, sent = sent,
}
