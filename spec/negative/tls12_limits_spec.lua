-- Bad input, TLS 1.2: too much of it. What a peer can make one handshake hold is bounded (AK_HANDSHAKE_MEMORY in csrc/akushu.h), and so is what it can
-- make it do.
local akushu = require "akushu"
local mutate = require "spec.support.mutate"
local native = require "spec.support.native"
local pump = require "spec.support.pump"

local record, message = mutate.record, mutate.message

-- AK_HANDSHAKE_MEMORY, and what a handshake takes that nobody sends anything.
local BOUND = 17 * 65536 + 4 * 18432
local EMPTY = 32768

-- How much `n` handshakes take each, of which fn(hs) is one.
local function cost(n, make, fn)
  for _ = 1, 2 do fn(make()) end
  local kept, before = {}, native.heap()
  for i = 1, n do
    kept[i] = make()
    fn(kept[i])
  end
  local each = (native.heap() - before) / n
  assert(#kept == n)
  return each
end

-- As many as a ClientHello can have; all setups have the last one.
local suites = {}
for i = 1, 32766 do suites[i] = 0x0a0a + (i % 14) * 0x1010 end
suites[32767] = 0xc02b

local function server()
  return (select(2, mutate.handshakes "client_auth"))
end

local function client()
  local hs = mutate.handshakes "ecdhe"
  hs:start()
  return hs
end

describe("one handshake's memory #unsanitized", function()
  -- bound: what this may take, when it is less than all
  local function bounded(name, n, bound, make, fn)
    it(name, function()
      local each = cost(n, make, fn)
      assert.is_true(each < bound + EMPTY, ("%.0f bytes"):format(each))
    end)
  end

  bounded("one that waits", 64, 0, server, function(hs) hs:step "" end)

  bounded("a message that never ends, in large records", 48, 2 * 65536, server, function(hs)
    local part = record(22, ("\0"):rep(16384))
    assert.equal("", hs:step(record(22, "\1\0\255\255")))
    for _ = 1, 3 do assert.equal("", hs:step(part)) end
  end)

  bounded("a message that never ends, byte by byte", 8, 2 * 65536, client, function(hs)
    assert.equal("", hs:step(record(22, "\2\0\255\255")))
    local bytes = record(22, "\0")
    for _ = 1, 20000 do assert.equal("", hs:step(bytes)) end
  end)

  bounded("a record that never ends", 48, 32768, server, function(hs)
    assert.equal("", hs:step("\22\3\1\64\0" .. ("\0"):rep(16383)))
  end)

  bounded("all that a failed handshake is given", 48, 0, server, function(hs)
    local garbage = ("\0"):rep(65536)
    for _ = 1, 32 do assert.is_nil(hs:step(garbage)) end
  end)

  -- Everything that a client keeps, as large as it may be, and a message that has not ended behind it.
  bounded("a server that sends as much as it can", 24, BOUND, function()
    return { mutate.handshakes("client_auth", { ocsp = true, sct = true, on_untrusted = function() return true end }) }
  end, function(pair)
    local hc, hs = pair[1], table.remove(pair)
    hs:on("send", "server_hello", function(m)
      mutate.with(m, "signed_certificate_timestamp", string.pack(">s2", string.pack(">s2", ("s"):rep(60000))))
      mutate.with(m, "status_request", "")
    end)
    hs:on("send", "certificate", function(m, ev)
      for _ = 1, 62 do m.certificate_list[#m.certificate_list + 1] = m.certificate_list[1] end
      ev:after(message("certificate_status", "\1" .. string.pack(">s3", ("o"):rep(65000))))
    end)
    hs:on("send", "certificate_request", function()
      return message("certificate_request", "\1\64\0\2\4\3" .. string.pack(">s2", string.pack(">s2", ("n"):rep(58)):rep(1083)))
    end)
    hs:on("send", "server_hello_done", function(_, ev)
      ev:before(message("server_hello_done", ("x"):rep(65000)):sub(1, 64000))
      ev:fail()
    end)
    pump.run(hc, hs)
    assert.equal("wait_server_hello_done", hc.state)
  end)

  bounded("a client that sends as much as it can", 24, BOUND, function() return { mutate.handshakes "client_auth" } end, function(pair)
    local hc, hs = table.remove(pair, 1), pair[1]
    hc:on("send", "client_hello", function(m)
      m.cipher_suites = suites
      table.insert(m.extensions, { type = 0xabcd, data = ("\0"):rep(65000) })
    end)
    hc:on("send", "certificate", function(m)
      for _ = 1, 62 do m.certificate_list[#m.certificate_list + 1] = m.certificate_list[1] end
    end)
    hc:on("send", "client_key_exchange", function(_, ev)
      ev:before(message("client_key_exchange", ("x"):rep(65000)):sub(1, 64000))
      ev:fail()
    end)
    pump.run(hc, hs)
    assert.equal("wait_client_key_exchange", hs.state)
  end)

  it("is given back when the session begins", function()
    local each = cost(24, function() return { mutate.handshakes "ecdhe" } end, function(pair)
      pair[1]:on("send", "client_hello", function(m) table.insert(m.extensions, { type = 0xabcd, data = ("\0"):rep(60000) }) end)
      local c, s = pump.run(pair[1], pair[2])
      pair[1], pair[2] = c.session, s.session
      c.hs, s.hs, c.sent, s.sent = nil, nil, nil, nil
    end)
    assert.is_true(each < 2 * EMPTY, ("%.0f bytes"):format(each))
  end)
end)

describe("a message's length", function()
  it("is refused as soon as its header says too much", function()
    mutate.expect_raw { attack = "server", bytes = record(22, "\1\2\1\69"), code = "message_too_long", alert = "decode_error" }
    mutate.expect_raw { attack = "server", server = { max_message = 65536 }, bytes = record(22, "\1\1\0\1"), code = "message_too_long",
      alert = "illegal_parameter" }
    mutate.expect_raw { attack = "client", bytes = record(22, "\2\1\0\1"), code = "message_too_long", alert = "illegal_parameter" }
    mutate.expect_raw { attack = "client", bytes = record(22, "\2\255\255\255"), code = "message_too_long", alert = "illegal_parameter" }
  end)

  it("goes by the context's max_message", function()
    mutate.expect { attack = "client", setup = "rsa", client = { max_message = 1024 }, message = "certificate", change = function(m)
      m.certificate_list[3] = ("c"):rep(1024)
    end, code = "message_too_long", alert = "illegal_parameter", state = "wait_certificate" }
  end)

  it("may be all that max_message allows", function()
    local attacked = mutate.attack { attack = "server", server = { max_message = 65536 }, message = "client_hello", change = function(_, ev)
      local missing = 65536 - (#ev.raw - 4) - 4
      local body = ev.raw:sub(5)
      local node = akushu.wire.decode(ev.raw, { what = "handshake" })
      local at = akushu.wire.span(node, "extensions") - 4
      return mutate.body(ev.raw, body:sub(1, at - 2) .. string.pack(">s2", body:sub(at + 1) .. "\171\205" .. string.pack(">s2", ("x"):rep(missing))))
    end }
    assert.is_truthy(attacked.session, attacked.message)
  end)

  it("may be, of a ClientHello, all that its format allows", function()
    for setup, suite in pairs { ecdhe = 0xc02b, tls13 = 0x1301 } do
      local n
      local attacked = mutate.attack { setup = setup, attack = "server", message = "client_hello", change = function(m, ev)
        suites[#suites] = suite
        m.cipher_suites = suites
        m.session_id = ("s"):rep(32)
        if setup == "ecdhe" then m.compression_methods = ("\0"):rep(255) end
        local used = #ev.raw - akushu.wire.span(akushu.wire.decode(ev.raw, { what = "handshake" }), "extensions")
        table.insert(m.extensions, 1, { type = 0xabcd, data = ("x"):rep(65535 - used - 4) })
        n = #akushu.wire.encode(m, { what = "handshake" }) - 4
      end }
      assert.equal(131396 - (setup == "tls13" and 254 or 0), n)
      assert.is_truthy(attacked.session or attacked.failure.origin == "peer", attacked.message)
      assert.is_truthy(attacked.hs.suite)
    end
  end)
end)

describe("floods", function()
  -- Feeds the same bytes until the handshake has enough; how often it took them.
  local function until_refused(hs, bytes, most)
    for i = 1, most do
      local out, _, f = hs:step(bytes)
      if not out then return i, f end
    end
    return most
  end

  it("100,000 warning alerts: the fifth is the last", function()
    for _, make in ipairs { server, client } do
      local hs = make()
      local taken, f = until_refused(hs, record(21, "\1\100"), 100000)
      assert.equal(5, taken)
      assert.equal("too_many_warnings", f.code)
      assert.same({ "fatal unexpected_message" }, mutate.alerts(hs:pending()))
    end
  end)

  it("100,000 warning alerts in one call", function()
    local out, _, f = server():step(record(21, "\1\100"):rep(100000))
    assert.is_nil(out)
    assert.equal("too_many_warnings", f.code)
  end)

  it("warning alerts without end, sealed by a peer that has the keys", function()
    mutate.expect { setup = "ecdhe", attack = "client", message = "finished", change = function(_, ev)
      for _ = 1, 60 do ev:after { content_type = 21, bytes = "\1\100" } end
    end, code = "too_many_warnings", alert = "unexpected_message", state = "open" }
  end)

  it("warning alerts and empty records by turns", function()
    mutate.expect { setup = "ecdhe", attack = "client", message = "finished", change = function(_, ev)
      for _ = 1, 60 do
        ev:after { content_type = 21, bytes = "\1\100" }
        ev:after { content_type = 23, bytes = "" }
      end
    end, code = "too_many_warnings", alert = "unexpected_message", state = "open" }
  end)

  it("100,000 empty records", function()
    local taken, f = until_refused(server(), record(23, ""), 100000)
    assert.equal(1, taken)
    assert.equal("application_data_early", f.code)
  end)

  it("HelloRequests before the ServerHello are bounded", function()
    local taken, f = until_refused(client(), record(22, message("hello_request", "")), 1000)
    assert.equal(33, taken)
    assert.equal("unexpected_message", f.code)
  end)

  it("a ClientHello one byte at a time", function()
    local hc, hs = mutate.handshakes "ecdhe"
    local hello = assert(hc:start())
    local answer
    for i = 1, #hello do
      answer = assert(hs:step(hello:sub(i, i)))
      assert.equal(i < #hello, answer == "")
    end
    assert.is_truthy(hc:step(answer))
  end)

  it("a ClientHello in records of one byte, one byte at a time", function()
    local hc, hs = mutate.handshakes("ecdhe", { max_fragment = 1 })
    local hello = assert(hc:start())
    local answer
    for i = 1, #hello do answer = assert(hs:step(hello:sub(i, i))) end
    assert.is_truthy(hc:step(answer))
  end)
end)
