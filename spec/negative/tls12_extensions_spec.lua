-- Bad input, TLS 1.2: session tickets (RFC 5077), stapled OCSP responses (RFC 6066 §8), record_size_limit (RFC 8449), max_fragment_length (RFC 6066 §4).
local mutate = require "spec.support.mutate"
local pump = require "spec.support.pump"

local message = mutate.message

local function with(kind, data)
  return function(m) mutate.with(m, kind, data) end
end

-- ---- tickets ---------------------------------------------------------------------------------------------------------------

describe("a session ticket", function()
  local on = { tickets = true }

  -- A second handshake whose ticket is `change`d on its way to the server.
  local function again(change, c, s, session)
    local hc, hs = c:handshake { server_name = "localhost", session = session }, s:handshake()
    hc:on("send", "client_hello", function(m)
      local e = mutate.extension(m, "session_ticket")
      e.data = change(type(e.data) == "table" and e.data.ticket or e.data)
    end)
    local client, server = pump.run(hc, hs)
    assert.is_truthy(client.session, client.message)
    assert.is_truthy(server.session, server.message)
    assert.equal(client.session.resumed, server.session.resumed)
    return client.session.resumed
  end

  it("that is right is taken", function()
    local session, c, s = mutate.session("rsa", on, on)
    assert.equal("ticket", session.kind)
    assert.is_true(again(function(t) return t end, c, s, session))
  end)

  it("corrupted at any byte is not, and a full handshake follows", function()
    local session, c, s = mutate.session("rsa", on, on)
    local n
    again(function(t) n = #t return t end, c, s, session)
    assert.is_true(n > 100)
    for at = 1, n do
      assert.is_false(again(function(t) return mutate.flip(t, at, 1 << at % 8) end, c, s, session), at)
    end
  end)

  it("cut, grown, doubled, of zeros, or of another server is not", function()
    local session, c, s = mutate.session("rsa", on, on)
    local _, other = mutate.contexts("rsa", nil, { tickets = true })
    for _, change in ipairs { function() return "" end, function(t) return t:sub(1, 1) end, function(t) return t:sub(1, -2) end,
      function(t) return t:sub(2) end,
      function(t) return t .. "\0" end, function(t) return t .. t end, function(t) return ("\0"):rep(#t) end,
        function() return ("x"):rep(60000) end } do
      assert.is_false(again(change, c, s, session))
    end
    assert.is_false(again(function(t) return t end, c, other, session))
  end)

  it("is not taken when its time is over", function()
    local now = os.time()
    local session, c, s = mutate.session("rsa", on, { tickets = true, session_lifetime = 100, clock = function() return now end })
    now = now + 101
    assert.is_false(again(function(t) return t end, c, s, session))
  end)

  local function row(name, body, code, alert)
    return { name, attack = "client", setup = "rsa", client = on, server = on, message = "new_session_ticket",
      change = function() return message("new_session_ticket", body) end, code = code, alert = alert, state = "wait_new_session_ticket" }
  end
  mutate.rows(it, {
    row("message: empty", "", "decode_error", "decode_error"),
    row("message: a lifetime alone", "\0\0\0\1", "decode_error", "decode_error"),
    row("message: a length beyond its end", "\0\0\0\1\0\9abc", "decode_error", "decode_error"),
    row("message: bytes after the ticket", "\0\0\0\1\0\1ab", "trailing_data", "decode_error"),
    { "message: announced and not sent", attack = "client", setup = "rsa", client = on, server = on, message = "new_session_ticket",
      change = function() return false end, code = "ccs_early", alert = "unexpected_message", state = "wait_new_session_ticket" },
    { "message: twice", attack = "client", setup = "rsa", client = on, server = on, message = "new_session_ticket",
      change = function(_, ev) ev:after(ev.raw) end, code = "unexpected_message", alert = "unexpected_message",
        state = "wait_change_cipher_spec" },
    { "message: not announced", attack = "client", setup = "rsa", message = "change_cipher_spec", change = function(_, ev)
      ev:before { content_type = 22, bytes = message("new_session_ticket", "\0\0\0\1\0\1x") }
    end, code = "unexpected_message", alert = "unexpected_message", state = "wait_change_cipher_spec" },
    { "announced with a body", attack = "client", setup = "rsa", client = on, server = on, message = "server_hello",
      change = with("session_ticket", "x"), code = "decode_error", alert = "decode_error", state = "wait_server_hello" },
  })

  it("may be empty: nothing to resume then (§3.3)", function()
    local attacked = mutate.attack { attack = "client", setup = "rsa", client = on, server = on, message = "new_session_ticket",
      change = function() return message("new_session_ticket", "\0\0\0\0\0\0") end }
    assert.is_truthy(attacked.session, attacked.message)
    assert.is_nil(attacked.session:resumption())
  end)
end)

-- ---- stapled responses -------------------------------------------------------------------------------------------------------

describe("a CertificateStatus", function()
  local certs = require "spec.support.certs"
  local testca = require "akushu.testca"
  local ca = testca.new {}
  local leaf = ca:issue { names = { "localhost" } }
  local stapled = require("akushu").identity { chain = leaf.chain, key = leaf.key, ocsp = ca:ocsp(leaf) }
  local asks, answers = { ocsp = true, trust = ca:trust() }, { identity = stapled }

  local function row(name, change, code, alert, state)
    return { name, attack = "client", setup = "ecdhe", client = asks, server = answers, message = "certificate_status", change = change,
      code = code,
      alert = alert, state = state or "wait_certificate_status" }
  end
  local function body(bytes)
    return function() return message("certificate_status", bytes) end
  end
  mutate.rows(it, {
    row("that is empty", body "", "decode_error", "decode_error"),
    row("of an unknown type", body "\9\0\0\1x", "illegal_parameter", "illegal_parameter"),
    row("with an empty response", body "\1\0\0\0", "decode_error", "decode_error"),
    row("with a length beyond its end", body "\1\0\9\0x", "decode_error", "decode_error"),
    row("with bytes after the response", body "\1\0\0\1xy", "trailing_data", "decode_error"),
    row("with a response that is none", body "\1\0\0\4\48\2\10\6", "bad_ocsp_response", "bad_certificate_status_response"),
    row("that says revoked",
      function() return message("certificate_status", "\1" .. string.pack(">s3", ca:ocsp(leaf, { status = "revoked" }))) end,
      "certificate_revoked", "certificate_revoked"),
    row("that comes twice", function(_, ev) ev:after(ev.raw) end, "unexpected_message", "unexpected_message", "wait_server_key_exchange"),
    { "that was not announced", attack = "client", setup = "ecdhe", message = "server_key_exchange", change = function(_, ev)
      ev:before(message("certificate_status", "\1\0\0\1x"))
    end, code = "unexpected_message", alert = "unexpected_message", state = "wait_server_key_exchange" },
  })

  it("may be announced and not come: the chain is judged without it (RFC 6066 §8)", function()
    local attacked = mutate.attack(row("", function() return false end))
    assert.is_truthy(attacked.session, attacked.message)
    assert.equal("ok", attacked.session.report.verdict)
    local missing = mutate.attack { attack = "client", setup = "ecdhe", client = { ocsp = true }, server = answers,
      message = "certificate_status",
      change = function() return false end }
    assert.equal("unknown_ca", missing.failure.code) -- judged all the same
    assert.is_truthy(certs)
  end)

  it("that is right is taken", function()
    local attacked = mutate.attack { attack = "client", setup = "ecdhe", client = asks, server = answers }
    assert.is_truthy(attacked.session, attacked.message)
    assert.is_truthy(#attacked.session.ocsp_response > 100)
  end)
end)

-- ---- sizes -----------------------------------------------------------------------------------------------------------------------

describe("record_size_limit (RFC 8449)", function()
  local limit = { record_size_limit = 512 }

  mutate.rows(it, {
    { "below 64, from a client (§4)", attack = "server", message = "client_hello", change = with("record_size_limit", "\0\63"),
      code = "illegal_parameter",
      alert = "illegal_parameter", state = "wait_client_hello" },
    { "below 64, from a server (§4)", attack = "client", client = limit, message = "server_hello",
      change = with("record_size_limit", "\0\63"),
      code = "illegal_parameter", alert = "illegal_parameter", state = "wait_server_hello" },
    { "above 2^14, from a server (§4)", attack = "client", client = limit, message = "server_hello",
      change = with("record_size_limit", "\64\1"),
      code = "illegal_parameter", alert = "illegal_parameter", state = "wait_server_hello" },
    { "of one byte", attack = "server", message = "client_hello", change = with("record_size_limit", "\1"), code = "bad_extension",
      alert = "decode_error",
      state = "wait_client_hello" },
    { "in an answer to nothing", attack = "client", message = "server_hello", change = with("record_size_limit", "\2\0"),
      code = "unsolicited_extension",
      alert = "unsupported_extension", state = "wait_server_hello" },
  })

  it("above 2^14 from a client is as good as 2^14", function()
    local attacked = mutate.attack { attack = "server", message = "client_hello", change = with("record_size_limit", "\255\255") }
    assert.is_truthy(attacked.session, attacked.message)
  end)

  for _, side in ipairs { "client", "server" } do
    it("is a limit: a larger record is too long, for a " .. side, function()
      local limits = { client = { attack = "client", client = limit }, server = { attack = "server", client = limit, server = limit } }
      local row = limits[side]
      row.talk = function(attacker, attacked)
        local ok = attacker.session:seal(("x"):rep(512))
        attacked:deliver(ok)
        assert.equal(512, #attacked:received())
        assert.equal(5 + 8 + 512 + 16, #ok)
      end
      local attacked = mutate.attack(row)
      assert.is_nil(attacked.failure, attacked.message)
      -- a sender that does not know of it
      row.talk = nil
      row.message, row.change = "finished", function(_, ev) ev:after { content_type = 23, bytes = ("x"):rep(513) } end
      row.hooks = { { side, "send", side == "client" and "client_hello" or "server_hello", function(m, ev)
        local e = mutate.extension(m, "record_size_limit")
        ev.transcript = "as_built"
        e.data = "\64\0"
      end }, { side == "client" and "server" or "client", "receive", side == "client" and "client_hello" or "server_hello", function(_, ev)
        ev.transcript = { bytes = (ev.raw:gsub("\0\28\0\2\64\0", "\0\28\0\2\2\0")) }
      end } }
      row.code, row.alert = "plaintext_too_long", "record_overflow"
      mutate.expect(row)
    end)
  end
end)

describe("max_fragment_length (RFC 6066 §4)", function()
  local asks = { max_fragment_length = 512 }

  mutate.rows(it, {
    { "0 from a client", attack = "server", message = "client_hello", change = with("max_fragment_length", "\0"),
      code = "illegal_parameter",
      alert = "illegal_parameter", state = "wait_client_hello" },
    { "5 from a client", attack = "server", message = "client_hello", change = with("max_fragment_length", "\5"),
      code = "illegal_parameter",
      alert = "illegal_parameter", state = "wait_client_hello" },
    { "of two bytes", attack = "server", message = "client_hello", change = with("max_fragment_length", "\1\1"), code = "bad_extension",
      alert = "decode_error",
      state = "wait_client_hello" },
    { "another length in the answer", attack = "client", client = asks, message = "server_hello",
      change = with("max_fragment_length", "\2"),
      code = "illegal_parameter", alert = "illegal_parameter", state = "wait_server_hello" },
    { "0 in the answer", attack = "client", client = asks, message = "server_hello", change = with("max_fragment_length", "\0"),
      code = "illegal_parameter", alert = "illegal_parameter", state = "wait_server_hello" },
    { "beside record_size_limit in one answer (RFC 8449 §5)", attack = "client",
      client = { max_fragment_length = 512, record_size_limit = 512 },
      message = "server_hello", change = function(m)
        mutate.with(m, "max_fragment_length", "\1")
        mutate.with(m, "record_size_limit", "\2\0")
      end, code = "illegal_parameter", alert = "illegal_parameter", state = "wait_server_hello" },
  })

  it("holds for both, from the ServerHello on", function()
    local attacked, other = mutate.attack { attack = "client", client = asks }
    assert.is_truthy(attacked.session, attacked.message)
    assert.equal(512 + 29, #attacked.session:seal(("x"):rep(512)))
    assert.equal(2 * 29 + 513, #attacked.session:seal(("x"):rep(513)))
    assert.equal(2 * 29 + 513, #other.session:seal(("x"):rep(513)))
  end)
end)
