-- Bad input, TLS 1.2: messages that come when they must not: left out, twice, swapped,
-- from nowhere; ChangeCipherSpec at every place; renegotiation.
local mutate = require "spec.support.mutate"
local pump = require "spec.support.pump"

local message, record = mutate.message, mutate.record

local SETUPS = { "rsa", "ecdhe", "dhe", "client_auth" }
local other = { client = "server", server = "client" }

local function is_ccs(m) return m.name == "change_cipher_spec" end

-- Each message of each setup: fn(setup, message, the next one of the same sender).
local function each_message(fn)
  for _, setup in ipairs(SETUPS) do
    local list = mutate.messages(setup)
    for i, m in ipairs(list) do
      local next_one = list[i + 1]
      if next_one and next_one.side ~= m.side then next_one = nil end
      fn(setup, m, next_one)
    end
  end
end

describe("a message that is left out", function()
  each_message(function(setup, m, next_one)
    local name = ("%s: %s's %s"):format(setup, m.side, m.name)
    if not next_one then
      it(name .. ": the peer waits, and the end of the stream is no end of the handshake", function()
        local attacked, attacker = mutate.attack { setup = setup, attack = other[m.side], message = m.name,
          change = function() return false end }
        assert.is_nil(attacked.session)
        assert.is_nil(attacked.failure)
        local ok, text, failure = attacked.hs:eof()
        assert.is_nil(ok)
        assert.equal("truncated", failure.code)
        assert.equal("local", failure.origin)
        assert.is_nil(failure.alert)
        assert.is_truthy(text:find(failure.state, 1, true))
        attacked.message, attacked.failure = text, failure
        mutate.over(attacked)
        if not attacker.session then assert.is_nil(attacker.hs:eof()) end
      end)
    elseif not is_ccs(m) then
      it(name, function()
        -- a client does not miss a CertificateRequest; the server that sent it misses the answer
        local attack = m.name == "certificate_request" and "server" or other[m.side]
        mutate.expect { setup = setup, attack = attack, hooks = { { m.side, "send", m.name, function() return false end } },
          code = is_ccs(next_one) and "ccs_early" or "unexpected_message", alert = "unexpected_message" }
      end)
    end
  end)

  for _, side in ipairs { "client", "server" } do
    it(("Finished without ChangeCipherSpec, in the clear: %s"):format(side), function()
      mutate.expect { setup = "rsa", attack = side, message = "change_cipher_spec", change = function(_, ev)
        ev:before { content_type = 22, bytes = message("finished", ("\0"):rep(12)) }
        return false
      end, code = "ccs_missing", alert = "unexpected_message", state = "wait_change_cipher_spec" }
    end)
  end
end)

describe("a message that comes twice", function()
  each_message(function(setup, m)
    it(("%s: %s's %s"):format(setup, m.side, m.name), function()
      local code = is_ccs(m) and "bad_record_mac" or "unexpected_message"
      mutate.expect { setup = setup, attack = other[m.side], message = m.name, change = function(_, ev) ev:after(ev.raw) end, code = code,
        alert = code }
    end)
  end)
end)

describe("two messages in the wrong order", function()
  each_message(function(setup, m, next_one)
    if not next_one or is_ccs(m) then return end
    it(("%s: %s's %s before %s"):format(setup, m.side, next_one.name, m.name), function()
      -- without its CertificateRequest the server, too, gets what it does not expect
      mutate.expect { setup = setup, attack = other[m.side], blind = m.name == "certificate_request" and "unexpected_message" or nil,
        message = m.name, change = function(_, ev)
        ev:before { content_type = is_ccs(next_one) and 20 or 22, bytes = next_one.bytes }
      end, code = is_ccs(next_one) and "ccs_early" or "unexpected_message", alert = "unexpected_message" }
    end)
  end)
end)

describe("a ChangeCipherSpec (CVE-2014-0224)", function()
  each_message(function(setup, m)
    if is_ccs(m) then return end
    it(("%s: before %s's %s"):format(setup, m.side, m.name), function()
      mutate.expect { setup = setup, attack = other[m.side], message = m.name, change = function(_, ev) ev:before "change_cipher_spec" end,
        code = "ccs_early", alert = "unexpected_message" }
    end)
  end)

  it("in the clear, after the keys have changed", function()
    mutate.expect { attack = "client", message = "finished", change = function(_, ev) ev:before { raw = record(20, "\1") } end,
      code = "bad_record_mac",
      alert = "bad_record_mac", state = "wait_finished" }
  end)

  it("first of all", function()
    mutate.expect_raw { attack = "server", bytes = record(20, "\1"), code = "ccs_early", alert = "unexpected_message",
      state = "wait_client_hello" }
    mutate.expect_raw { attack = "client", bytes = record(20, "\1"), code = "ccs_early", alert = "unexpected_message",
      state = "wait_server_hello" }
  end)
end)

describe("a message that belongs nowhere", function()
  -- what no end of TLS 1.2 waits for; 0 is for a client a HelloRequest, which it passes over
  local strangers = { { 3, "a HelloVerifyRequest" }, { 4, "a NewSessionTicket that was not announced" }, { 8, "EncryptedExtensions" },
    { 22, "a CertificateStatus that was not announced" },
    { 24, "a KeyUpdate" }, { 67, "a NextProtocol" }, { 99, "an unknown type" }, { 254, "a message_hash" } }
  each_message(function(setup, m)
    if is_ccs(m) or setup ~= "ecdhe" then return end
    for _, s in ipairs(strangers) do
      it(("%s before %s's %s"):format(s[2], m.side, m.name), function()
        mutate.expect { setup = setup, attack = other[m.side], message = m.name,
          change = function(_, ev) ev:before(message(s[1], "\0\0\0\0")) end,
          code = "unexpected_message", alert = "unexpected_message" }
      end)
    end
  end)

  mutate.rows(it, {
    { "a ServerHello to a server", attack = "server", bytes = record(22, message("server_hello", ("\0"):rep(38))),
      code = "unexpected_message",
      alert = "unexpected_message", state = "wait_client_hello" },
    { "a HelloRequest to a server", attack = "server", bytes = record(22, message("hello_request", "")), code = "unexpected_message",
      alert = "unexpected_message", state = "wait_client_hello" },
    { "a ClientHello to a client", attack = "client", bytes = function(h) return h end, code = "unexpected_message",
      alert = "unexpected_message",
      state = "wait_server_hello" },
    { "a ServerKeyExchange with RSA key exchange (FREAK)", setup = "rsa", attack = "client", message = "server_hello_done",
      change = function(_, ev)
      ev:before(message("server_key_exchange", "\0\3abc\0\1\3\0\2xy"))
    end, code = "unexpected_message", alert = "unexpected_message", state = "wait_server_hello_done" },
    { "a Certificate that was not asked for", setup = "rsa", attack = "server", message = "client_key_exchange", change = function(_, ev)
      ev:before(message("certificate", "\0\0\0"))
    end, code = "unexpected_message", alert = "unexpected_message", state = "wait_client_key_exchange" },
    { "a CertificateVerify without a certificate", setup = "rsa", attack = "server", message = "change_cipher_spec",
      change = function(_, ev)
      ev:before { content_type = 22, bytes = message("certificate_verify", "\4\3\0\2xy") }
    end, code = "unexpected_message", alert = "unexpected_message", state = "wait_change_cipher_spec" },
    { "a second CertificateRequest", setup = "client_auth", attack = "client", message = "certificate_request",
      change = function(_, ev) ev:after(ev.raw) end, code = "unexpected_message", alert = "unexpected_message",
        state = "wait_server_hello_done" },
    { "a HelloRequest with a body in the middle", attack = "client", message = "certificate",
      change = function(_, ev) ev:before(message("hello_request", "x")) end,
      code = "unexpected_message", alert = "unexpected_message" },
  })
end)

describe("alerts in the handshake", function()
  each_message(function(setup, m)
    if setup ~= "client_auth" then return end
    it(("a fatal one before %s's %s ends it"):format(m.side, m.name), function()
      local attacked = mutate.attack { setup = setup, attack = other[m.side], message = m.name,
        change = function(_, ev) ev:before { alert = "access_denied" } end }
      assert.equal("peer_alert", attacked.failure.code)
      assert.equal("access_denied", attacked.failure.alert)
      assert.equal("peer", attacked.failure.origin)
      mutate.over(attacked)
    end)

    it(("close_notify before %s's %s ends it"):format(m.side, m.name), function()
      local attacked = mutate.attack { setup = setup, attack = other[m.side], message = m.name,
        change = function(_, ev) ev:before { alert = "close_notify", level = "warning" } end }
      assert.equal("closed", attacked.failure.code)
      assert.equal("peer", attacked.failure.origin)
      mutate.over(attacked)
    end)

    it(("four warnings before %s's %s are put up with"):format(m.side, m.name), function()
      local attacked, attacker = mutate.attack { setup = setup, attack = other[m.side], message = m.name,
        change = function(_, ev) for _ = 1, 4 do ev:before { alert = "unrecognized_name", level = "warning" } end end }
      assert.is_truthy(attacked.session, attacked.message)
      assert.is_truthy(attacker.session, attacker.message)
    end)

    it(("a fifth before %s's %s is not"):format(m.side, m.name), function()
      mutate.expect { setup = setup, attack = other[m.side], message = m.name,
        change = function(_, ev) for _ = 1, 5 do ev:before { alert = "unrecognized_name", level = "warning" } end end,
        code = "too_many_warnings", alert = "unexpected_message" }
    end)
  end)

  it("an unknown fatal one is still fatal", function()
    local side = { name = "server", hs = select(2, mutate.handshakes "rsa") }
    local _, text, failure = side.hs:step(record(21, "\2\199"))
    assert.equal("peer_alert", failure.code)
    assert.equal(199, failure.alert)
    assert.is_truthy(text:find("199", 1, true))
  end)
end)

describe("renegotiation", function()
  it("a HelloRequest in the middle of a handshake is passed over", function()
    for _, m in ipairs { "certificate", "server_key_exchange", "server_hello_done" } do
      local attacked, attacker = mutate.attack { setup = "ecdhe", attack = "client", message = m, change = function(_, ev)
        for _ = 1, 3 do ev:before(message("hello_request", "")) end
      end }
      assert.is_truthy(attacked.session, attacked.message)
      assert.is_truthy(attacker.session, attacker.message)
    end
  end)

  it("a HelloRequest is refused with a warning, and the connection goes on", function()
    local attacked, attacker = mutate.attack { attack = "client", message = "finished",
      change = function(_, ev) ev:after(message("hello_request", "")) end }
    assert.is_truthy(attacked.session, attacked.message)
    local sent = attacked.sent[#attacked.sent]
    assert.equal(21, sent:byte())
    assert.equal(5 + 8 + 2 + 16, #sent) -- one alert under AES-128-GCM
    assert.is_nil(attacked.failure)
    assert.is_nil(attacker.failure)
    assert.equal("data", pump.transfer(attacked, attacker, "data"))
    assert.equal("more", pump.transfer(attacker, attacked, "more"))
  end)

  it("a ClientHello is refused with a warning, and the connection goes on", function()
    local hello
    local attacked, attacker = mutate.attack { attack = "server", message = "finished", change = function(_, ev) ev:after(hello) end,
      hooks = { { "client", "send", "client_hello", function(_, ev) hello = ev.raw end } } }
    assert.is_nil(attacked.failure, attacked.message)
    assert.is_nil(attacker.failure, attacker.message)
    assert.equal("data", pump.transfer(attacked, attacker, "data"))
    assert.equal("more", pump.transfer(attacker, attacked, "more"))
  end)

  it("asked for again and again, it ends the connection", function()
    mutate.expect { attack = "client", message = "finished", change = function(_, ev)
      for _ = 1, 5 do ev:after(message("hello_request", "")) end
    end, code = "no_renegotiation", alert = "no_renegotiation", state = "open" }
  end)

  it("a HelloRequest with a body is none", function()
    mutate.expect { attack = "client", message = "finished", change = function(_, ev) ev:after(message("hello_request", "x")) end,
      code = "trailing_data", alert = "decode_error", state = "open" }
  end)

  it("nobody else starts one", function()
    mutate.expect { attack = "server", message = "finished", change = function(_, ev) ev:after(message("hello_request", "")) end,
      code = "unexpected_message", alert = "unexpected_message", state = "open" }
    local hello = mutate.client_hello("rsa"):sub(6)
    mutate.expect { attack = "client", message = "finished", change = function(_, ev) ev:after(hello) end,
      code = "unexpected_message", alert = "unexpected_message", state = "open" }
  end)
end)
