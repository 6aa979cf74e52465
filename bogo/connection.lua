--- One connection with the runner: a function for each phase of it.
local Transport = require "bogo.transport"
local checks = require "bogo.checks"
local contexts = require "bogo.contexts"
local outcome = require "bogo.outcome"
local expect, mismatch = outcome.expect, outcome.mismatch

local function give_up(transport, object, failure, state)
  transport:send(object:pending())
  if state and state.refused then failure = { code = state.refused, message = failure.message } end
  outcome.failed(failure)
end

local function xor(bytes) return (bytes:gsub(".", function(ch) return string.char(ch:byte() ~ 0xff) end)) end

local function echo_early(hs, transport, state)
  local data = hs:take_early_data()
  if data == "" then return end
  state.early_echoed = true
  local out, _, failure = hs:send(xor(data))
  if not out then give_up(transport, hs, failure) end
  transport:send(out)
end

local function handshake(c, transport, hs, state)
  local out, _, failure = hs:start()
  if not out then give_up(transport, hs, failure, state) end
  if c.read_with_unfinished_write and state.early_hello and state.early_hello ~= "" then
    -- one byte of the early data's record goes out, and the rest with what is sent next
    local at = 1
    while out:byte(at) ~= 23 do at = at + 5 + string.unpack(">I2", out, at + 3) end
    transport.unfinished = out:sub(at + 1)
    out = out:sub(1, at)
    transport.sock:setoption("tcp-nodelay", true)
    transport:put(out)
  else
    transport:send(out)
  end
  while not hs.done do
    local bytes = transport:receive()
    if not bytes then
      local _, _, why = hs:eof()
      give_up(transport, hs, why)
    end
    out, _, failure = hs:step(bytes)
    if not out then give_up(transport, hs, failure, state) end
    transport:send(out)
    -- BoringSSL starts early only where ALPN has agreed on something, unless it is told otherwise
    if c.shim_writes_first and not c.server and not state.wrote_hello and hs.may_send and (hs.alpn or c.allow_false_start_without_alpn) then
      state.wrote_hello = true
      transport:send(hs:send "hello")
    end
    if c.early_write_after_message and state.last_message == c.early_write_after_message and not state.wrote_late then
      state.wrote_late = true
      local written, text_ = hs:send_early "hello"
      expect(written, "early data: %s", text_)
      transport:send(hs:pending())
    end
    if c.server and hs.early_data == "accepted" and not hs.done then
      if c.shim_writes_first and not state.wrote_hello then
        local hello = hs:send "hello"
        if hello then
          state.wrote_hello = true
          transport:send(hello)
        end
      end
      echo_early(hs, transport, state)
    end
  end
  expect(not c.handshake_never_done, "the handshake is done")
  local left = c.server and hs:take_early_data() or ""
  local session, _, why = hs:session()
  if not session then give_up(transport, hs, why) end
  state.early_left = left
  return session
end

local function seal(transport, session, bytes)
  local out, _, failure = session:seal(bytes)
  if not out then give_up(transport, session, failure) end
  return out
end

local function write(transport, session, bytes) transport:send(seal(transport, session, bytes)) end

local function export_things(c, transport, session, state)
  if c.export_keying_material then
    local context = (c.use_export_context or c.export_context) and (c.export_context or "") or nil
    if not c.use_export_context and session.version ~= "1.3" then context = nil end
    write(transport, session, assert(session:export(c.export_label or "", context, c.export_keying_material)))
  end
  if c.export_traffic_secrets then
    local client, server = state.secrets.CLIENT_TRAFFIC_SECRET_0, state.secrets.SERVER_TRAFFIC_SECRET_0
    local reading, writing = c.server and client or server, c.server and server or client
    write(transport, session, string.pack("<I2", #reading) .. reading .. writing)
  end
  if c.tls_unique then
    -- without extended_master_secret, too, where akushu has none in a full handshake (RFC 7627 §5.4)
    local first = session.resumed and session.server_finished or session.client_finished
    expect(session.version ~= "1.3" and first and (not session.resumed or session.extended_master_secret), "failed to get tls-unique")
    write(transport, session, first)
  end
end

-- A HelloRequest has come. Where BoringSSL does not renegotiate, or no more, it says so and ends it; nor does it in the middle of a record of its own.
local function renegotiate(c, transport, state)
  local session = state.session
  if c.forbid_renegotiation_after_handshake or c.renegotiate_once and state.renegotiations > 0 or transport.unfinished or session.state ~= "open" then
    transport:send(session:alert "no_renegotiation")
    outcome.failed { code = "no_renegotiation", message = "a HelloRequest" }
  end
  state.resumption = state.resumption or session:resumption() -- that of the first handshake
  local hs = state.context:renegotiate(session, {})
  local out, _, failure = hs:start()
  local data = ""
  while out do
    data = data .. hs:take_application_data()
    transport:send(out)
    if hs.done then break end
    local bytes = transport:receive()
    if bytes then out, _, failure = hs:step(bytes) else out, _, failure = hs:eof() end
  end
  if not out then give_up(transport, hs, failure) end
  state.session, state.renegotiations = assert(hs:session()), state.renegotiations + 1
  checks.peer(c, state.session)
  return data
end

-- "data", bytes | "closed" (a close_notify) | "end" (the stream's)
local function read(c, transport, state)
  while true do
    local session = state.session
    local plain, reply, failure = session:open(transport.pending or "")
    transport.pending = nil
    if not plain then
      if failure.code == "closed" then return "closed" end
      give_up(transport, session, failure)
    end
    transport:send(reply)
    local wanted = session.renegotiation_wanted
    if wanted then plain = plain .. renegotiate(c, transport, state) end
    if plain ~= "" then return "data", plain end
    if not wanted then
      transport.pending = transport:receive()
      if not transport.pending then return "end" end
    end
  end
end

local function echo(c, transport, state)
  while true do
    local what, plain = read(c, transport, state)
    if what ~= "data" then return what end
    if c.key_update then transport:send(assert(state.session:update_keys())) end
    write(transport, state.session, xor(plain))
  end
end

local function shut_down(c, transport, ended, state)
  if not c.check_close_notify then return end
  if ended == "end" then mismatch "Unexpected SSL_shutdown result: 0 != 1" end
  transport:send(assert(state.session:close_write()))
  if ended == "closed" then return end
  local what = read(c, transport, state)
  if what == "data" then
    io.stderr:write ":APPLICATION_DATA_ON_SHUTDOWN:\n"
    mismatch "Unexpected SSL_shutdown result: -1 != 1"
  end
  expect(what == "closed", "Unexpected SSL_shutdown result: -1 != 1")
  state.closed = true
end

local function after_handshake(c, transport, session, state)
  export_things(c, transport, session, state)
  if c.send_alert then
    transport:send(assert(session:alert(30)))
    return nil
  end
  if state.early_hello then
    if session.early_data == "accepted" then
      if state.rest_of_hello ~= "" then write(transport, session, state.rest_of_hello) end
    elseif c.shim_writes_first and not state.wrote_late then
      write(transport, session, "hello")
    end
  elseif c.read_with_unfinished_write then
    local hello = seal(transport, session, "hello") -- one byte, and the rest with what is sent next, be it an answer to a KeyUpdate
    transport:send(hello:sub(1, 1))
    transport.unfinished = hello:sub(2)
  elseif c.shim_writes_first and not state.wrote_hello then
    write(transport, session, "hello")
  end
  if c.write_different_record_sizes then
    for _, n in ipairs { 1, 255, 256, 257, 16383, 16384, 16385, 32767, 32768, 32769 } do write(transport, session, ("B"):rep(n)) end
  end
  if state.early_left ~= "" then write(transport, session, xor(state.early_left)) end
  state.session = session
  local ended = not (c.shim_shuts_down or c.write_different_record_sizes) and echo(c, transport, state) or nil
  expect(state.renegotiations == (c.expect_total_renegotiations or 0), "%d renegotiations", state.renegotiations)
  local resumption = not c.server and (state.resumption or state.session:resumption()) or nil
  if not c.server and session.version == "1.3" then
    local wanted = not c.expect_no_session and not c.shim_shuts_down
    expect((resumption ~= nil) == wanted, "new session: %s", tostring(resumption))
    if wanted then
      expect((resumption.max_early_data > 0) == (c.expect_ticket_supports_early_data or false), "the ticket allows %d bytes of early data", resumption.max_early_data)
    end
  end
  shut_down(c, transport, ended, state)
  if c.expect_msg_callback then
    if ended == "closed" then state.messages[#state.messages + 1] = "read alert 1 0" end
    local got = table.concat(state.messages, "\n") .. "\n"
    expect(got == c.expect_msg_callback, "messages: %s", got)
  end
  return resumption
end

local function offer_early(c, hs, state, session)
  if c.server or not c.enable_early_data then return end
  if not session then
    state.no_early_data = "no_session_offered"
  elseif session.max_early_data == 0 then
    state.no_early_data = "unsupported_for_session"
  else
    local hello = (c.shim_writes_first or c.read_with_unfinished_write) and "hello" or ""
    if c.early_write_after_message then hello = "" end
    local early = hello:sub(1, session.max_early_data)
    state.no_early_data = "alpn_mismatch"
    if hs:send_early(early) then state.early_hello, state.rest_of_hello = early, hello:sub(#early + 1) end
  end
end

-- server_name= takes DNS names alone, whose labels have at most 63 bytes (RFC 1035 §2.3.4). Any other -host-name goes in by a hook, in place of a name that has as many
-- bytes: the padding is already reckoned then.
local function name_for(c)
  local name = not c.server and c.host_name or nil
  local dns = name and name:gsub("[^.]+", function(label) return #label > 63 and label:gsub("(" .. ("."):rep(40) .. ").(.)", "%1.%2") or label end)
  return dns, dns ~= name
end

local function put_name(name)
  return function(msg)
    for _, x in ipairs(msg.extensions) do
      if x.type == "server_name" then x.data.server_name_list[1].host_name = name end
    end
    return msg
  end
end

--- One connection, from connecting to the end of the stream. offered: a session to resume. Returns the session to resume next, or nil.
return function(c, retry, is_resume, offered)
  local state = { is_resume = is_resume, retry = retry, secrets = {}, messages = {}, renegotiations = 0 }
  local context = (c.server and contexts.server or contexts.client)(c, state)
  local name, is_stand_in = name_for(c)
  local hs = assert(context:handshake { server_name = name, session = offered })
  if is_stand_in then hs:on("compose", "client_hello", put_name(c.host_name)) end
  local transport = Transport.connect(c)
  state.transport = transport
  transport:send(string.pack("<I8", c.shim_id))
  state.hs, state.context = hs, context
  checks.look(c, hs, state)
  offer_early(c, hs, state, offered)
  local ok, result = pcall(function()
    local session = handshake(c, transport, hs, state)
    state.resumable = not c.server and session.version ~= "1.3" and session:resumption() ~= nil
    local offered_early = session.early_data ~= "none" and session.early_data ~= nil
    if not c.server and is_resume then
      expect(not c.expect_no_offer_early_data or not offered_early, "early data was offered")
      if c.expect_reject_early_data then
        expect(session.early_data == "refused", "early data: %s", session.early_data)
        c = retry
      end
    end
    checks.handshake(c, session, state)
    return after_handshake(c, transport, session, state) or false
  end)
  transport:finish()
  if not ok then error(result, 0) end
  return result or nil
end
