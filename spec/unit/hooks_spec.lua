-- Hooks: what a script can do at a gate, and what it cannot break.
local akushu = require "akushu"
local mutate = require "spec.support.mutate"
local pump = require "spec.support.pump"

local wire = akushu.wire
local record, message = mutate.record, mutate.message

local function pair(name, client, server, options)
  return mutate.handshakes(name or "ecdhe", client, server, options)
end

-- ---- what a hook sees ------------------------------------------------------------------------------------------------------

describe("a hook sees", function()
  it("every gate of every message, in the order of the way of the bytes", function()
    local hc, hs = pair "rsa"
    local seen = {}
    for _, gate in ipairs { "compose", "send", "plain_out", "record_out", "record_in", "plain_in", "receive" } do
      hc:on(gate, "*", function(_, ev) seen[#seen + 1] = gate .. " " .. ev.name end)
    end
    pump.connect(hc, hs)
    assert.same({
      "compose client_hello", "send client_hello", "plain_out handshake", "record_out handshake",
      "record_in handshake", "plain_in handshake", "receive server_hello",
      "record_in handshake", "plain_in handshake", "receive certificate",
      "record_in handshake", "plain_in handshake", "receive server_hello_done",
      "compose client_key_exchange", "send client_key_exchange", "plain_out handshake", "record_out handshake",
      "send change_cipher_spec", "plain_out change_cipher_spec", "record_out change_cipher_spec",
      "compose finished", "send finished", "plain_out handshake", "record_out handshake",
      "record_in change_cipher_spec", "plain_in change_cipher_spec", "receive change_cipher_spec",
      "record_in handshake", "plain_in handshake", "receive finished",
    }, seen)
  end)

  it("a ChangeCipherSpec as the codec has it, to change and to put beside", function()
    local seen, hc, hs = 0, pair "rsa"
    for _, h in ipairs { hc, hs } do
      h:on("receive", "*", function(m, ev)
        seen = seen + 1
        assert.equal(ev.raw, wire.encode(m), ev.name)
      end)
    end
    pump.connect(hc, hs)
    assert.equal(9, seen)

    hc, hs = pair "rsa"
    hc:on("send", "change_cipher_spec", function(m) m.value = 2 end)
    local _, s = pump.run(hc, hs)
    assert.equal("bad_change_cipher_spec", s.failure.code)

    hc, hs = pair "rsa"
    hc:on("send", "change_cipher_spec", function(m, ev) ev:before(m) end)
    local c = pump.run(hc, hs)
    local out = {}
    for _, r in ipairs(wire.decode(table.concat(c.sent), { what = "records", deep = false })) do out[#out + 1] = r.type .. " " .. #r.fragment end
    assert.same({ "change_cipher_spec 1", "change_cipher_spec 1", "handshake 40" }, table.move(out, 3, 5, 1, {}))
  end)

  it("the message as a table, the bytes as they are, and where the handshake stands", function()
    local hc, hs = pair()
    local seen = {}
    hc:on("send", "client_hello", function(m, ev) seen.send = { m = m, ev = ev, gate = ev.gate, state = ev.state, raw = ev.raw } end)
    hs:on("receive", "client_hello", function(m, ev) seen.receive = { m = m, ev = ev, raw = ev.raw } end)
    hc:on("record_out", "handshake", function(bytes, ev)
      seen.record = seen.record or bytes
      assert.equal(bytes, ev.raw)
    end)
    pump.connect(hc, hs)
    local ev = seen.send.ev
    assert.equal("send", ev.gate)
    assert.equal("client_hello", ev.name)
    assert.is_false(ev.incoming)
    assert.equal("send_client_hello", ev.state)
    assert.equal("handshake", ev.content_type)
    assert.is_true(seen.receive.ev.incoming)
    assert.equal("wait_client_hello", seen.receive.ev.state)
    assert.equal(seen.send.raw, seen.receive.raw)
    assert.equal("client_hello", seen.send.m.type)
    assert.equal(hc.client_random, seen.send.m.random)
    assert.equal("\22\3\1" .. string.pack(">s2", seen.send.raw), seen.record)
  end)

  it("a draft at compose: what is computed last is still open", function()
    local hc, hs = pair "client_auth"
    local open = {}
    hs:on("compose", "server_key_exchange", function(m) open[1] = m.signature end)
    hs:on("send", "server_key_exchange", function(m) open[2] = #m.signature > 60 end)
    hc:on("compose", "certificate_verify", function(m) open[3] = m.signature end)
    hc:on("compose", "finished", function(m) open[4] = m.verify_data end)
    hc:on("send", "finished", function(m) open[5] = #m.verify_data end)
    pump.connect(hc, hs)
    assert.same({ "", true, "", "", 12 }, open)
  end)

  it("plaintext at plain_in and plain_out, ciphertext at record_in and record_out", function()
    local hc, hs = pair "rsa"
    local plain, sealed
    hc:on("plain_out", "handshake", function(bytes, ev) if ev.state == "send_finished" then plain = bytes end end)
    hs:on("record_in", "handshake", function(bytes, ev) if ev.state == "wait_finished" then sealed = bytes end end)
    local opened
    hs:on("plain_in", "handshake", function(bytes, ev) if ev.state == "wait_finished" then opened = bytes end end)
    pump.connect(hc, hs)
    assert.equal(16, #plain)
    assert.equal(plain, opened)
    assert.equal(5 + 8 + 16 + 16, #sealed)
    assert.is_nil(sealed:find(plain, 1, true))
  end)

  it("secrets while they live", function()
    local hc, hs = pair "rsa"
    local premaster, master
    hc:on("send", "client_key_exchange", function() premaster = hc:secret "premaster" end)
    hc:on("send", "finished", function() master = hc:secret "master" end)
    local of_server
    hs:on("receive", "finished", function() of_server = hs:secret "master" end)
    pump.connect(hc, hs)
    assert.equal("akushu.Secret (48 bytes)", tostring(premaster))
    assert.equal("\3\3", premaster:reveal():sub(1, 2))
    assert.equal(48, #master)
    assert.equal(master, of_server)
    assert.equal(master:reveal(), of_server:reveal())
    assert.is_nil(hc:secret "premaster")
  end)

  it("nothing it did not ask for", function()
    local hc, hs = pair()
    local n = 0
    hc:on("receive", "certificate", function() n = n + 1 end)
    hc:on("receive", "hello_request", function() n = n + 100 end)
    pump.connect(hc, hs)
    assert.equal(1, n)
  end)
end)

-- ---- what a hook says --------------------------------------------------------------------------------------------------------

describe("a hook", function()
  -- One message of the client's, changed in each way that there is; what the server sees.
  local function changed(fn)
    local hc, hs = pair "rsa"
    local seen
    hc:on("send", "client_hello", fn)
    hs:on("receive", "client_hello", function(m) seen = m end)
    pump.connect(hc, hs)
    return seen
  end

  local function has(m, kind) return mutate.extension(m, kind) ~= nil end

  it("changes a message in place", function()
    assert.is_true(has(changed(function(m) mutate.with(m, 0xabcd, "x") end), 0xabcd))
  end)

  it("returns another message as a table", function()
    assert.is_true(has(changed(function(m)
      local copy = wire.decode(wire.encode(m), { what = "handshake" })
      mutate.with(copy, 0xabcd, "x")
      return copy
    end), 0xabcd))
  end)

  it("returns other bytes", function()
    assert.is_true(has(changed(function(m)
      mutate.with(m, 0xabcd, "x")
      return wire.encode(m)
    end), 0xabcd))
  end)

  it("replaces by ev:replace, with a table and with bytes", function()
    assert.is_true(has(changed(function(m, ev)
      mutate.with(m, 0xabcd, "x")
      ev:replace(m)
    end), 0xabcd))
    assert.is_true(has(changed(function(m, ev)
      mutate.with(m, 0xabcd, "x")
      ev:replace(wire.encode(m))
    end), 0xabcd))
  end)

  it("leaves it as it is when it says nothing", function()
    local before
    local after = changed(function(_, ev) before = ev.raw end)
    assert.equal(before, wire.encode(after))
  end)

  for name, drop in pairs { ["false"] = function() return false end, ["ev:drop()"] = function(_, ev) ev:drop() end } do
    it("drops with " .. name, function()
      local hc, hs = pair "rsa"
      hc:on("send", "client_key_exchange", drop)
      local c, s = pump.run(hc, hs)
      assert.equal("ccs_early", s.failure.code)
      assert.is_truthy(c.failure)
    end)

    it("drops what comes with " .. name, function()
      local hc, hs = pair "rsa"
      hc:on("receive", "certificate", drop)
      local c = pump.run(hc, hs)
      assert.equal("unexpected_message", c.failure.code)
      assert.equal("wait_certificate", c.failure.state)
    end)

    it("drops records with " .. name, function()
      local hc, hs = pair "rsa"
      hc:on("record_out", "handshake", drop)
      hs:start()
      assert.equal("", hc:start())
    end)
  end

  it("changes what comes before it is handled", function()
    local hc, hs = pair("rsa", { alpn = { "a" } }, { alpn = { "b", "a" } })
    hs:on("receive", "client_hello",
      function(m) mutate.with(m, "application_layer_protocol_negotiation", { protocol_name_list = { "b" } }) end)
    local c, s = pump.run(hc, hs)
    assert.equal("wrong_application_protocol", c.failure.code)
    assert.equal("peer_alert", s.failure.code)
  end)

  it("changes plaintext before it is sealed and after it was opened", function()
    local hc, hs = pair "rsa"
    local n = 0
    hc:on("plain_out", "handshake", function(bytes)
      n = n + 1
      return bytes:reverse()
    end)
    hs:on("plain_in", "handshake", function(bytes) return bytes:reverse() end)
    pump.connect(hc, hs)
    assert.equal(3, n)
  end)

  it("changes records on their way out and in", function()
    local hc, hs = pair "rsa"
    local function twist(bytes) return bytes:sub(1, 5) .. bytes:sub(6):reverse() end
    hc:on("record_out", "*", twist)
    hs:on("record_in", "*", twist)
    pump.connect(hc, hs)
  end)

  it("puts a message in place of one that came, of another type", function()
    local hc, hs = pair "rsa"
    hc:on("receive", "server_hello_done", function() return message("finished", ("\0"):rep(12)) end)
    local c = pump.run(hc, hs)
    assert.equal("unexpected_message", c.failure.code == "ccs_missing" and "unexpected_message" or c.failure.code)
  end)

  it("fills what is open: the engine does not sign what a script has signed", function()
    local hc, hs = pair "ecdhe"
    hs:on("compose", "server_key_exchange", function(m) m.signature = "mine" end)
    local got
    hc:on("receive", "server_key_exchange", function(m) got = m.signature end)
    local c = pump.run(hc, hs)
    assert.equal("mine", got)
    assert.equal("bad_signature", c.failure.code)
  end)
end)

describe("what a hook puts before and after", function()
  local function order(gate, name, put)
    local hc, hs = pair "rsa"
    local seen = {}
    hc:on(gate, name, put)
    hs:on("record_in", "*", function(bytes, ev)
      seen[#seen + 1] = ev.name .. " " .. (#bytes - 5)
      if bytes:sub(6) == "MARK" then return false end
    end)
    local c, s = pump.run(hc, hs)
    return seen, c, s
  end

  it("at compose and send, in the order in which it was put, under the keys of the moment", function()
    for _, gate in ipairs { "compose", "send" } do
      local seen, c, s = order(gate, "client_key_exchange", function(_, ev)
        ev:before { content_type = 23, bytes = "MARK" }
        ev:after { content_type = "application_data", bytes = "MARK" }
        ev:after { raw = record(21, "MARK") }
        ev:before { raw = record(24, "MARK") }
      end)
      assert.is_truthy(c.session, c.message)
      assert.is_truthy(s.session, s.message)
      assert.equal("application_data 4", seen[2])
      assert.equal("heartbeat 4", seen[3])
      assert.equal("handshake 262", seen[4])
      assert.equal("application_data 4", seen[5])
      assert.equal("alert 4", seen[6])
      assert.equal("change_cipher_spec 1", seen[7])
    end
  end)

  it("at plain_out and record_out", function()
    local seen, c = order("plain_out", "change_cipher_spec", function(_, ev)
      ev:before { content_type = 23, bytes = "MARK" }
      ev:after { content_type = 23, bytes = "MARK" }
    end)
    assert.is_truthy(c.session, c.message)
    assert.same({ "application_data 4", "change_cipher_spec 1", "application_data 4" }, { seen[3], seen[4], seen[5] })
    seen, c = order("record_out", "change_cipher_spec", function(_, ev)
      ev:before(record(23, "MARK"))
      ev:after(record(24, "MARK"))
    end)
    assert.is_truthy(c.session, c.message)
    assert.same({ "application_data 4", "change_cipher_spec 1", "heartbeat 4" }, { seen[3], seen[4], seen[5] })
    -- what is no record goes out in one
    seen, c = order("record_out", "change_cipher_spec", function(_, ev)
      ev:before { alert = "user_canceled", level = "warning" }
      ev:before { content_type = "heartbeat", bytes = "MARK" }
      ev:before { content_type = 23, bytes = "MARK" }
    end)
    assert.is_truthy(c.session, c.message)
    assert.same({ "alert 2", "heartbeat 4", "application_data 4", "change_cipher_spec 1" }, { table.unpack(seen, 3, 6) })
  end)

  it("alerts by name and by number, a message as a table or bytes, a ChangeCipherSpec", function()
    local hc, hs = pair "rsa"
    hs:on("send", "certificate", function(_, ev)
      ev:before { alert = "unrecognized_name", level = "warning" }
      ev:before { alert = 112, level = "warning" }
      ev:before { type = "hello_request" }
      ev:before(message("hello_request", ""))
      ev:after "change_cipher_spec"
    end)
    local seen = {}
    hc:on("plain_in", "*", function(bytes, ev) seen[#seen + 1] = ev.name .. ":" .. bytes:sub(1, 4) end)
    local c = pump.run(hc, hs)
    assert.same({ "alert:\1\112", "alert:\1\112", "handshake:\0\0\0\0", "handshake:\0\0\0\0" }, { table.unpack(seen, 2, 5) })
    assert.equal("change_cipher_spec:\1", seen[7])
    assert.equal("ccs_early", c.failure.code)
  end)

  it("as often as it likes", function()
    local hc, hs = pair "rsa"
    hc:on("send", "client_hello", function(_, ev)
      for _ = 1, 500 do ev:before { raw = record(23, "MARK") } end
    end)
    local n = 0
    hs:on("record_in", "application_data", function()
      n = n + 1
      return false
    end)
    pump.connect(hc, hs)
    assert.equal(500, n)
  end)

  it("also when the message itself is dropped", function()
    local hc, hs = pair "rsa"
    hc:on("send", "client_hello", function(_, ev)
      ev:after(ev.raw)
      ev.transcript = { bytes = ev.raw }
      return false
    end)
    pump.connect(hc, hs)
  end)

  it("is a mistake where something comes in", function()
    local hc, hs = pair "rsa"
    hc:on("receive", "certificate", function(_, ev) ev:before "x" end)
    local c = pump.run(hc, hs)
    assert.equal("hook_failed", c.failure.code)
    assert.is_truthy(c.message:find("only outgoing", 1, true), c.message)
  end)

  it("is a mistake when it is no message, no bytes, no alert that exists", function()
    for _, what in ipairs { 1, true, { alert = "not_an_alert" }, {}, { type = "no_message" } } do
      local hc = pair "rsa"
      hc:on("send", "client_hello", function(_, ev) ev:after(what) end)
      local out, _, failure = hc:start()
      assert.is_nil(out)
      assert.equal("hook_failed", failure.code)
    end
  end)
end)

describe("ev:fail", function()
  local function failing(...)
    local hc, hs = pair "rsa"
    local args = table.pack(...)
    hc:on("receive", "certificate", function(_, ev) ev:fail(table.unpack(args, 1, args.n)) end)
    local c, s = pump.run(hc, hs)
    return c, s
  end

  it("ends the handshake with this alert and these words", function()
    local c, s = failing("access_denied", "not on a Sunday")
    assert.equal("hook_refused", c.failure.code)
    assert.equal("access_denied", c.failure.alert)
    assert.equal("local", c.failure.origin)
    assert.equal("not on a Sunday", c.failure.detail)
    assert.equal("wait_certificate", c.failure.state)
    assert.equal("access_denied", s.failure.alert)
    assert.equal("peer", s.failure.origin)
  end)

  it("by number, also one without a name", function()
    local c, s = failing(49)
    assert.equal("access_denied", c.failure.alert)
    assert.equal("access_denied", s.failure.alert)
    c, s = failing(200)
    assert.equal(200, c.failure.alert)
    assert.equal(200, s.failure.alert)
  end)

  it("without an alert sends none", function()
    local c, s = failing()
    assert.equal("hook_refused", c.failure.code)
    assert.is_nil(c.failure.alert)
    assert.is_nil(s.failure)
  end)

  it("with an alert that does not exist is a mistake of the hook", function()
    local c = failing "no_such_alert"
    assert.equal("hook_failed", c.failure.code)
  end)

  it("at every gate", function()
    for _, gate in ipairs { "compose", "send", "plain_out", "record_out" } do
      local hc = pair "rsa"
      hc:on(gate, "*", function(_, ev) ev:fail("internal_error", gate) end)
      local out, _, failure = hc:start()
      assert.is_nil(out)
      assert.equal("hook_refused", failure.code)
      assert.equal(gate, failure.detail)
      assert.same({ "fatal internal_error" }, mutate.alerts(hc:pending()))
    end
    for _, gate in ipairs { "record_in", "plain_in", "receive" } do
      local hc, hs = pair "rsa"
      hs:on(gate, "*", function(_, ev) ev:fail("internal_error", gate) end)
      local _, s = pump.run(hc, hs)
      assert.equal("hook_refused", s.failure.code)
      assert.equal(gate, s.failure.detail)
    end
  end)
end)

describe("ev:accept", function()
  it("takes a message that is not expected: into the transcript, and passed over", function()
    local hc, hs = pair "rsa"
    local extra = message(99, "extra")
    local accepted = 0
    hs:on("send", "server_hello_done", function(_, ev)
      ev:before(extra)
      ev.transcript = { bytes = extra .. ev.raw }
    end)
    hc:on("receive", "*", function(m, ev)
      if ev.raw == extra then
        assert.equal(99, m.type)
        accepted = accepted + 1
        ev:accept()
      end
    end)
    pump.connect(hc, hs)
    assert.equal(1, accepted)
  end)

  it("or not into the transcript", function()
    local hc, hs = pair "rsa"
    hs:on("send", "certificate", function(_, ev) ev:before(message(99, "extra")) end)
    hc:on("receive", "*", function(_, ev)
      if ev.raw:byte() == 99 then
        ev:accept()
        ev.transcript = "none"
      end
    end)
    pump.connect(hc, hs)
  end)

  it("changes nothing for a message that is expected", function()
    local hc, hs = pair "rsa"
    hc:on("receive", "*", function(_, ev) ev:accept() end)
    pump.connect(hc, hs)
  end)
end)

describe("ev.transcript", function()
  local function grown(m) mutate.with(m, 0xabcd, "x") end

  it("as_sent: both ends see the same, and agree", function()
    local hc, hs = pair "rsa"
    hc:on("send", "client_hello", function(m, ev)
      ev.transcript = "as_sent"
      grown(m)
    end)
    pump.connect(hc, hs)
  end)

  it("as_built: the sender believes that it sent what it had built", function()
    local hc, hs = pair "rsa"
    hc:on("send", "client_hello", function(m, ev)
      ev.transcript = "as_built"
      grown(m)
    end)
    local _, s = pump.run(hc, hs)
    assert.equal("bad_record_mac", s.failure.code)
  end)

  it("as_built is right when the other end puts it back", function()
    local hc, hs = pair "rsa"
    local original
    hc:on("send", "client_hello", function(m, ev)
      original, ev.transcript = ev.raw, "as_built"
      grown(m)
    end)
    hs:on("receive", "client_hello", function(_, ev)
      ev.transcript = { bytes = original }
    end)
    pump.connect(hc, hs)
  end)

  it("none: the message never was", function()
    local hc, hs = pair("rsa", { extended_master_secret = false })
    for _, h in ipairs { { hc, "receive" }, { hs, "send" } } do
      h[1]:on(h[2], "server_hello_done", function(_, ev) ev.transcript = "none" end)
    end
    pump.connect(hc, hs)
  end)

  it("given bytes", function()
    local hc, hs = pair "rsa"
    for _, h in ipairs { { hc, "receive" }, { hs, "send" } } do
      h[1]:on(h[2], "certificate", function(_, ev) ev.transcript = { bytes = "anything" } end)
    end
    pump.connect(hc, hs)
  end)

  it("at compose, too", function()
    local hc, hs = pair "rsa"
    hs:on("compose", "server_hello_done", function(_, ev) ev.transcript = "none" end)
    hc:on("receive", "server_hello_done", function(_, ev) ev.transcript = "none" end)
    pump.connect(hc, hs)
  end)
end)

-- ---- several hooks -------------------------------------------------------------------------------------------------------------

describe("hooks of one gate", function()
  it("chain in the order in which they were added, each seeing what the one before made", function()
    local hc, hs = pair "rsa"
    local log = {}
    hc:on("send", "*", function(m, ev)
      log[#log + 1] = "any " .. ev.name
      if ev.name == "client_hello" then mutate.with(m, 0xaaaa, "1") end
    end)
      :on("send", "client_hello", function(m)
        log[#log + 1] = "hello " .. tostring(mutate.extension(m, 0xaaaa) ~= nil)
        mutate.with(m, 0xbbbb, "2")
      end)
      :on("send", "client_hello", function(m) log[#log + 1] = "last " .. tostring(mutate.extension(m, 0xbbbb) ~= nil) end)
    assert(hc:start())
    assert.same({ "any client_hello", "hello true", "last true" }, log)
    assert.is_truthy(hs)
  end)

  it("end with the one that drops or fails", function()
    for _, last in ipairs { function() return false end, function(_, ev) ev:fail "internal_error" end } do
      local hc = pair "rsa"
      local reached = false
      hc:on("send", "client_hello", last):on("send", "client_hello", function() reached = true end)
      hc:start()
      assert.is_false(reached)
    end
  end)

  it("may be added while it runs, also by a hook", function()
    local hc, hs = pair "rsa"
    local seen = {}
    hc:on("send", "client_hello", function()
      hc:on("receive", "server_hello", function() seen[#seen + 1] = "server_hello" end)
    end)
    local out = assert(hs:step(assert(hc:start())))
    hc:on("receive", "certificate", function() seen[#seen + 1] = "certificate" end)
    assert(hc:step(out))
    assert.same({ "server_hello", "certificate" }, seen)
  end)

  it("take a message's name as the RFCs write it, too", function()
    local seen = {}
    local hc = pair()
    for _, name in ipairs { "client_hello", "ClientHello" } do hc:on("send", name, function(_, ev) seen[#seen + 1] = ev.name end) end
    assert(hc:start())
    assert.same({ "client_hello", "client_hello" }, seen)
  end)

  it("are checked when they are added", function()
    local hc = pair()
    assert.has_error(function() hc:on("nogate", "*", print) end, "hs:on: no gate 'nogate'; there are compose, send, plain_out, record_out, record_in, plain_in, receive")
    assert.has_error(function() hc:on("send", "no_message", print) end, "hs:on: no message 'no_message'")
    assert.has_error(function() hc:on("send", 1, print) end)
    assert.has_error(function() hc:on("send", "*") end)
    assert.has_error(function() hc:on("send", "*", {}) end)
    assert.equal(hc, hc:on("send", "*", setmetatable({}, { __call = function() end })))
  end)
end)
