-- Bad input, TLS 1.3: records, alerts, early data, and what comes after the handshake (RFC 8446 §4.6, §5, §6, §4.2.10). One row a case.
local akushu = require "akushu"
local certs = require "spec.support.certs"
local mutate = require "spec.support.mutate"
local pump = require "spec.support.pump"

local record, message = mutate.record, mutate.message
local suite = "TLS_AES_128_GCM_SHA256"

local unexpected = "unexpected_message"

local function before(value)
  return function(_, ev) ev:before(value) end
end

local function rows(common, list) mutate.rows_with(it, common, list) end

local other = { client = "server", server = "client" }

-- ---- records before there are keys ------------------------------------------------------------------------------------------

describe("records without keys", function()
  rows({ setup = "tls13", attack = "server" }, {
    { "a ClientHello of 2^14 + 1 bytes in a record", bytes = record(22, message("client_hello", ("\0"):rep(16381))),
      code = "record_too_long", alert = "record_overflow" },
    { "a ChangeCipherSpec first of all (§5)", bytes = record(20, "\1"), code = "ccs_early", alert = unexpected },
    { "an empty handshake fragment (§5.1)", bytes = record(22, ""), code = "empty_fragment", alert = unexpected },
    { "a ClientHello that is interrupted by an alert (§5.1)", bytes = function(h)
      return { record(22, h:sub(6, 20)), record(21, "\1\90"), record(22, h:sub(21)) }
    end, code = "interleaved_message", alert = unexpected },
    { "application data first of all", bytes = record(23, "hello"), code = "application_data_early", alert = unexpected },
    { "an unknown content type", bytes = record(99, "hello"), code = "invalid_record_type", alert = unexpected },
    { "an alert of one byte", bytes = record(21, "\2"), code = "bad_alert", alert = "decode_error" },
    { "two alerts in a record (§5.1)", bytes = record(21, "\1\0\1\0"), code = "bad_alert", alert = "decode_error" },
  })

  rows({ setup = "tls13", attack = "client" }, {
    { "a ChangeCipherSpec that holds 2, before ServerHello", bytes = record(20, "\2"), code = "bad_change_cipher_spec",
      alert = unexpected },
    { "a ChangeCipherSpec of two bytes, before ServerHello", bytes = record(20, "\1\1"), code = "bad_change_cipher_spec",
      alert = unexpected },
    { "application data before ServerHello", bytes = record(23, "hello"), code = "application_data_early", alert = unexpected },
  })

  it("may be ChangeCipherSpecs, which a client passes over from its ClientHello on (§5)", function()
    local client = mutate.attack { setup = "tls13", attack = "client", message = "server_hello", change = before { raw = record(20,
      "\1") } }
    assert.is_truthy(client.session, client.message)
  end)
end)

-- ---- records under handshake keys ---------------------------------------------------------------------------------------------

describe("records under handshake keys", function()
  for _, side in ipairs { "client", "server" } do
    local to = other[side]
    local list = {
      { "a ChangeCipherSpec that holds 2 (§5)", before { raw = record(20, "\2") }, code = "bad_change_cipher_spec" },
      { "a ChangeCipherSpec of two bytes", before { raw = record(20, "\1\1") }, code = "bad_change_cipher_spec" },
      { "an empty ChangeCipherSpec", before { raw = record(20, "") }, code = "bad_change_cipher_spec" },
      { "a ChangeCipherSpec under the keys", before { content_type = 20, bytes = "\1" }, code = "ccs_early" },
      { "more ChangeCipherSpecs than anybody needs", before { raw = record(20, "\1"):rep(100) }, code = "too_many_empty_fragments" },
      { "an alert in the clear (§6)", before { raw = record(21, "\2\40") }, code = "unexpected_record" },
      { "a message in the clear", before { raw = record(22, message("finished", ("\0"):rep(32))) }, code = "unexpected_record" },
      { "a record of an unknown type in the clear", before { raw = record(99, "x") }, code = "invalid_record_type" },
      { "an empty handshake record (§5.1)", before { content_type = 22, bytes = "" }, code = "empty_fragment" },
      { "an empty alert (§5.4)", before { content_type = 21, bytes = "" }, code = "empty_fragment" },
      { "an inner type that is unknown (§5.2)", before { content_type = 99, bytes = "x" }, code = "invalid_record_type" },
      { "an inner type of heartbeat", before { content_type = 24, bytes = "\1\64\0x" }, code = "invalid_record_type" },
      { "nothing but padding (§5.4)", before { content_type = 0, bytes = ("\0"):rep(32) }, code = "no_inner_type" },
      { "a single zero", before { content_type = 0, bytes = "" }, code = "no_inner_type" },
      { "application data before Finished", before { content_type = 23, bytes = "early" }, code = "unexpected_record" },
      { "half a message, then an alert (§5.1)", function(_, ev)
        ev:before { content_type = 22, bytes = "\20\0" }
        ev:before { content_type = 21, bytes = "\1\90" }
      end, code = "interleaved_message" },
      { "half a message, then application data", function(_, ev)
        ev:before { content_type = 22, bytes = "\20\0" }
        ev:before { content_type = 23, bytes = "x" }
      end, code = "interleaved_message" },
      { "an alert of one byte under the keys", before { content_type = 21, bytes = "\2" }, code = "bad_alert", alert = "decode_error" },
      { "two alerts in a record under the keys", before { content_type = 21, bytes = "\2\40\2\40" }, code = "bad_alert",
        alert = "decode_error" },
      { "a warning that TLS 1.3 does not have (§6)", before { content_type = 21, bytes = "\1\100" }, code = "bad_alert",
        alert = "decode_error" },
      { "an alert of level 3", before { content_type = 21, bytes = "\3\40" }, code = "unknown_alert_level", alert = "illegal_parameter" },
      { "a record that says it is too long (§5.2)", before { raw = "\23\3\3\65\1" }, code = "record_too_long", alert = "record_overflow" },
      { "a record of 2^14 + 256 bytes that is garbage", before { raw = "\23\3\3\65\0" .. ("\0"):rep(16640) }, code = "bad_record_mac",
        alert = "bad_record_mac" },
      { "a record that is shorter than its tag", before { raw = "\23\3\3\0\15" .. ("\0"):rep(15) }, code = "bad_record_mac",
        alert = "bad_record_mac" },
      { "an empty record", before { raw = "\23\3\3\0\0" }, code = "bad_record_mac", alert = "bad_record_mac" },
      { "a Certificate that says it has 16 MB", before { content_type = 22, bytes = "\11\255\255\255" }, code = "message_too_long",
        alert = "illegal_parameter" },
      { "a Finished that says it has 16 MB, which none can have (§6.2)", before { content_type = 22, bytes = "\20\255\255\255" },
        code = "message_too_long", alert = "decode_error" },
    }
    for _, row in ipairs(list) do
      row[1], row.alert = row[1] .. ", from a " .. side, row.alert or unexpected
    end
    rows({ setup = "tls13", attack = to, message = "finished", state = "wait_finished" }, list)

    local changed = {
      { "whose tag is wrong", function(b) return mutate.flip(b, #b) end },
      { "whose ciphertext is changed", function(b) return mutate.flip(b, 6) end },
      { "whose length in the header is another (§5.2: additional data)", function(b) return b:sub(1, 3) .. string.pack(">s2",
        b:sub(6) .. "x") end },
      { "that is cut", function(b) return b:sub(1, 3) .. string.pack(">s2", b:sub(6, -2)) end },
    }
    for _, row in ipairs(changed) do
      local damage = row[2]
      row[1], row[2], row.change = row[1] .. ", from a " .. side, nil, function(b) if b:byte() == 23 then return damage(b) end end
    end
    rows({ setup = "tls13", attack = to, gate = "record_out", message = "handshake", code = "bad_record_mac", alert = "bad_record_mac",
      state = false }, changed)

    rows({ setup = "tls13", attack = to, gate = "plain_out", message = "handshake", code = "plaintext_too_long",
      alert = "record_overflow", state = false }, {
      { "with 2^14 + 1 bytes of plaintext (§5.4), from a " .. side, function(b)
        if b:byte() == 8 or b:byte() == 20 then return message("finished", ("\0"):rep(16381)) end
      end },
    })
  end

  it("may be ChangeCipherSpecs in the clear that hold 1", function()
    for _, side in ipairs { "client", "server" } do
      local attacked = mutate.attack { setup = "tls13", attack = side, message = "finished", change = before { raw = record(20,
        "\1"):rep(3) } }
      assert.is_truthy(attacked.session, attacked.message)
    end
  end)

  it("may be ChangeCipherSpecs in the clear of any version 3.x (§5.1)", function()
    for _, side in ipairs { "client", "server" } do
      for _, version in ipairs { 0x0300, 0x0301, 0x0304 } do
        local attacked = mutate.attack { setup = "tls13", attack = side, message = "finished",
          change = before { raw = record(20, "\1", version) } }
        assert.is_truthy(attacked.session, attacked.message)
      end
      mutate.expect { setup = "tls13", attack = side, message = "finished", change = before { raw = record(20, "\1", 0x0403) },
        code = "wrong_record_version", alert = "protocol_version", state = "wait_finished" }
    end
  end)

  it("are of version 3.3 (§5.1 would have that ignored)", function()
    for _, side in ipairs { "client", "server" } do
      for _, version in ipairs { 0x0301, 0x0304, 0x03bb } do
        mutate.expect { setup = "tls13", attack = side, message = "finished", change = before { raw = record(23, ("x"):rep(32), version) },
          code = "wrong_record_version", alert = "protocol_version", state = "wait_finished" }
      end
    end
  end)

  it("may carry an alert that says user_canceled, and go on (§6.1)", function()
    local client = mutate.attack { setup = "tls13", attack = "client", message = "finished", change = before { content_type = 21,
      bytes = "\1\90" } }
    assert.is_truthy(client.session, client.message)
  end)

  it("carry alerts as soon as there are keys: nothing but the first messages is in the clear (§6)", function()
    local server = mutate.attack { setup = "tls13", attack = "server", message = "finished",
      change = function(m) m.verify_data = ("\0"):rep(32) end }
    local sent = table.concat(server.sent)
    assert.equal("decrypt_error", server.failure.alert)
    assert.same({}, mutate.alerts(sent))
  end)
end)

-- ---- after the handshake ----------------------------------------------------------------------------------------------------------

-- post(side, list, resume): the attacker is `side`; after the handshake it sends records of its own making: { content type, plaintext [, padding] }, or
-- bytes as they are. No tickets have been sent: these are the first under the connection's keys.
local function post(side, list, client, server, prepare)
  local c, s = {}, { tickets = false }
  for k, v in pairs(client or {}) do c[k] = v end
  for k, v in pairs(server or {}) do s[k] = v end
  local secret
  local function take(_, _, h) secret = h:secret(side .. "_application_traffic"):reveal() end
  local row = { setup = "tls13", attack = other[side], client = c, server = s }
  local hc, hs = mutate.handshakes("tls13", c, s)
  local mine = side == "client" and hc or hs
  mine:on("send", "finished", function(m, ev)
    if side == "client" then take(m, ev, mine) end
  end)
  mine:on("receive", "finished", function(m, ev)
    if side == "server" then take(m, ev, mine) end
  end)
  local ce, se = pump.run(hc, hs)
  local attacked = row.attack == "client" and ce or se
  local attacker = row.attack == "client" and se or ce
  assert(attacked.session and attacker.session, attacked.message or attacker.message)
  local protect = akushu.record.protect(suite, "1.3", { secret = secret })
  if prepare then prepare(attacked) end
  for _, item in ipairs(list) do
    if type(item) == "string" then attacked:deliver(item)
    elseif item.update then -- our own keys move on, as a KeyUpdate has said
      secret = akushu.crypto.hkdf_expand_label("sha256", secret, "traffic upd", "", 32)
      protect = akushu.record.protect(suite, "1.3", { secret = secret })
    else attacked:deliver(protect:seal(item[1], item[2], item[3])) end
  end
  pump.move(ce, se)
  return attacked, attacker
end

local function expect_post(side, row)
  local attacked, attacker = post(side, row[2], row.client, row.server, row.prepare)
  mutate.failed_with(attacked, row.code, row.alert, row.state or "open")
  mutate.over(attacked)
  assert.is_truthy(attacker.failure, "the alert did not arrive")
  assert.equal(row.blind or "peer_alert", attacker.failure.code)
  if not row.blind then assert.equal(row.alert, attacker.failure.alert) end
end

local key_update = message("key_update", "\0")
local asking = message("key_update", "\1")
local ticket = message("new_session_ticket", ("\0"):rep(4) .. ("\0"):rep(4) .. "\0" .. "\0\1t" .. "\0\0")

describe("after the handshake", function()
  local list = {
    { "KeyUpdate of 2 (§4.6.3)", { { 22, message("key_update", "\2") } }, code = "illegal_parameter", alert = "illegal_parameter" },
    { "KeyUpdate of 255", { { 22, message("key_update", "\255") } }, code = "illegal_parameter", alert = "illegal_parameter" },
    { "an empty KeyUpdate", { { 22, message("key_update", "") } }, code = "decode_error", alert = "decode_error" },
    { "a KeyUpdate of two bytes", { { 22, message("key_update", "\0\0") } }, code = "trailing_data", alert = "decode_error" },
    { "a KeyUpdate with another message in its record (§5.1)", { { 22, key_update .. key_update } }, code = "excess_handshake_data",
      alert = unexpected },
    { "a KeyUpdate with half a message in its record", { { 22, key_update .. "\24" } }, code = "excess_handshake_data",
      alert = unexpected },
    { "a KeyUpdate, and records under the old keys", { { 22, key_update }, { 23, "data" } }, code = "bad_record_mac",
      alert = "bad_record_mac" },
    { "half a KeyUpdate, then data", { { 22, key_update:sub(1, 3) }, { 23, "data" } }, code = "interleaved_message", alert = unexpected },
    { "a Finished", { { 22, message("finished", ("\0"):rep(32)) } }, code = "unexpected_message", alert = unexpected },
    { "a Certificate", { { 22, message("certificate", "\0\0\0\0") } }, code = "unexpected_message", alert = unexpected },
    { "a HelloRequest", { { 22, message("hello_request", "") } }, code = "unexpected_message", alert = unexpected },
    { "an EndOfEarlyData", { { 22, message("end_of_early_data", "") } }, code = "unexpected_message", alert = unexpected },
    { "a ServerHello", { { 22, message("server_hello", ("\0"):rep(40)) } }, code = "unexpected_message", alert = unexpected },
    { "an unknown message", { { 22, message(99, "") } }, code = "unexpected_message", alert = unexpected },
    { "a ChangeCipherSpec in the clear (§5)", { record(20, "\1") }, code = "unexpected_record", alert = unexpected },
    { "a ChangeCipherSpec under the keys", { { 20, "\1" } }, code = "unexpected_record", alert = unexpected },
    { "an alert in the clear", { record(21, "\1\0") }, code = "unexpected_record", alert = unexpected },
    { "an empty handshake record", { { 22, "" } }, code = "empty_fragment", alert = unexpected },
    { "an empty handshake record with padding", { { 22, "", 100 } }, code = "empty_fragment", alert = unexpected },
    { "nothing but padding", { { 0, "", 100 } }, code = "no_inner_type", alert = unexpected },
    { "a record of nothing at all", { { 0, "" } }, code = "no_inner_type", alert = unexpected },
    { "an unknown inner type", { { 99, "x" } }, code = "invalid_record_type", alert = unexpected },
    { "a heartbeat", { { 24, "\1\64\0x" } }, code = "invalid_record_type", alert = unexpected },
    { "a warning that TLS 1.3 does not have", { { 21, "\1\40" } }, code = "bad_alert", alert = "decode_error" },
    { "an empty alert (§5.4)", { { 21, "" } }, code = "empty_fragment", alert = unexpected },
    { "an empty alert with padding", { { 21, "", 100 } }, code = "empty_fragment", alert = unexpected },
    { "an alert of one byte", { { 21, "\1" } }, code = "bad_alert", alert = "decode_error" },
    { "garbage", { record(23, ("\0"):rep(100)) }, code = "bad_record_mac", alert = "bad_record_mac" },
    { "a record longer than 2^14 + 256", { "\23\3\3\65\1" }, code = "record_too_long", alert = "record_overflow" },
    { "a record longer than its limit (RFC 8449 §4)", { { 23, ("x"):rep(512) } }, client = { record_size_limit = 512 },
      server = { record_size_limit = 512 },
      code = "plaintext_too_long", alert = "record_overflow" },
    { "a record whose padding goes beyond its limit (RFC 8449 §4)", { { 23, "x", 511 } }, client = { record_size_limit = 512 },
      server = { record_size_limit = 512 },
      code = "plaintext_too_long", alert = "record_overflow" },
  }
  for _, side in ipairs { "client", "server" } do
    for _, row in ipairs(list) do
      it(row[1] .. ", from a " .. side, function() expect_post(side, row) end)
    end

    it("too many KeyUpdates without data between them, from a " .. side, function()
      local many = {}
      for _ = 1, 40 do
        many[#many + 1] = { 22, key_update }
        many[#many + 1] = { update = true }
      end
      expect_post(side, { "", many, code = "too_many_key_updates", alert = unexpected })
    end)

    it("too many empty records, from a " .. side, function()
      local many = {}
      for i = 1, 40 do many[i] = { 23, "" } end
      expect_post(side, { "", many, code = "too_many_empty_fragments", alert = unexpected })
    end)

    it("padding, empty records of data and KeyUpdates are what they are, from a " .. side, function()
      local attacked, attacker = post(side, { { 23, "one", 1000 }, { 23, "" }, { 22, asking }, { update = true }, { 23, " two" }, { 22,
        key_update:sub(1, 2) },
        { 22, key_update:sub(3) }, { update = true }, { 23, " three" }, { 21, "\1\90" }, { 23, " four" } })
      assert.is_nil(attacked.failure)
      assert.equal("one two three four", attacked:received())
      assert.equal("answer", pump.transfer(attacked, attacker, "answer"))
    end)

    it("a silent end that is asked for its KeyUpdate often answers once (§4.6.3), asked by a " .. side, function()
      local many = {}
      for _ = 1, 5 do
        many[#many + 1] = { 22, asking }
        many[#many + 1] = { update = true }
      end
      local attacked, attacker = post(side, many, nil, nil, function(e) e.sent = {} end)
      local size = 5 + 5 + 1 + 16 -- a record of a KeyUpdate
      assert.equal(1, #attacked.sent)
      assert.equal(size, #attacked.sent[1])
      assert.equal(5 + 4 + 1 + 16, #assert(attacked.session:seal "data")) -- nothing before it
      assert.is_nil(attacker.failure)
    end)

    it("an end that has sent data since answers again (§4.6.3), asked by a " .. side, function()
      local c, s = pump.run(mutate.handshakes("tls13", nil, { tickets = false }))
      local asker, asked = c, s
      if side == "server" then asker, asked = s, c end
      for _ = 1, 3 do
        local sent = #asked.sent
        asked:deliver(assert(asker.session:update_keys(true)))
        assert.equal(sent + 1, #asked.sent)
        asked:deliver(assert(asker.session:update_keys(true)))
        assert.equal(sent + 1, #asked.sent)
        pump.move(c, s)
        assert.equal("answer", pump.transfer(asked, asker, "answer"))
        assert.equal("question", pump.transfer(asker, asked, "question"))
      end
    end)
  end

  local to_server = {
    { "a NewSessionTicket from a client", { { 22, ticket } }, code = "unexpected_message", alert = unexpected },
    { "a ClientHello: there is no renegotiation (§4.1.2)", { { 22, message("client_hello", ("\0"):rep(60)) } },
      code = "unexpected_message", alert = unexpected },
  }
  for _, row in ipairs(to_server) do
    it(row[1], function() expect_post("client", row) end)
  end

  local to_client = {
    { "a CertificateRequest to a client that has not said post_handshake_auth (§4.2.6)",
      { { 22, message("certificate_request", "\1c\0\8\0\13\0\4\0\2\4\3") } }, code = "unexpected_message", alert = unexpected },
    { "a NewSessionTicket that is cut short (§4.6.1)", { { 22, message("new_session_ticket", ("\0"):rep(9)) } }, code = "decode_error",
      alert = "decode_error" },
    { "a NewSessionTicket with an empty ticket", { { 22, message("new_session_ticket", ("\0"):rep(13)) } }, code = "decode_error",
      alert = "decode_error" },
    { "a NewSessionTicket with bytes after it", { { 22, mutate.body(ticket, ticket:sub(5) .. "x") } }, code = "trailing_data",
      alert = "decode_error" },
    { "a NewSessionTicket with an extension twice", { { 22, mutate.body(ticket, ticket:sub(5,
      -3) .. "\0\16" .. ("\0\42\0\4\0\0\0\1"):rep(2)) } },
      code = "duplicate_extension", alert = "illegal_parameter" },
    { "a NewSessionTicket whose early_data is empty", { { 22, mutate.body(ticket, ticket:sub(5, -3) .. "\0\4\0\42\0\0") } },
      code = "decode_error", alert = "decode_error" },
    { "a NewSessionTicket with an extension that belongs elsewhere", { { 22, mutate.body(ticket, ticket:sub(5,
      -3) .. "\0\6\0\51\0\2\0\29") } },
      code = "misplaced_extension", alert = "illegal_parameter" },
  }
  for _, row in ipairs(to_client) do
    it(row[1], function() expect_post("server", row) end)
  end

  -- §4.6.2: a server has asked; what comes is no answer. The context of its request is not known to this attacker, unless it is cut out of it.
  local mine = certs.leaf("ecdsa", "client")
  local asks = { client = { identity = mine.identity, post_handshake_auth = true }, server = { trust = mine.trust,
    post_handshake_auth = true } }
  local function ask(server) assert(server.session:request_certificate()) end
  local answers = {
    { "a Certificate with another context", { { 22, message("certificate", "\1c\0\0\0") } }, code = "illegal_parameter",
      alert = "illegal_parameter" },
    { "a Certificate without a context", { { 22, message("certificate", "\0\0\0\0") } }, code = "illegal_parameter",
      alert = "illegal_parameter" },
    { "a CertificateVerify before the Certificate", { { 22, message("certificate_verify", "\4\3\0\0") } }, code = "unexpected_message",
      alert = unexpected },
    { "a Finished before the Certificate", { { 22, message("finished", ("\0"):rep(32)) } }, code = "unexpected_message",
      alert = unexpected },
  }
  for _, row in ipairs(answers) do
    row.client, row.server, row.prepare = asks.client, asks.server, ask
    row.blind = "bad_record_mac" -- the attacker's own session has not seen the request: it counts one record less
    it(row[1] .. ", though one was asked for", function() expect_post("client", row) end)
  end

  it("a client may answer later, and send data and KeyUpdates before (§4.6.2)", function()
    local server = post("client", { { 23, "data" }, { 22, key_update }, { update = true }, { 23, " and more" } }, asks.client,
      asks.server, ask)
    assert.is_nil(server.failure)
    assert.equal("data and more", server:received())
  end)

  it("a certificate_request to a client that has said post_handshake_auth is answered; a malformed one is not", function()
    expect_post("server", { "", { { 22, message("certificate_request", "\1c\0\0") } }, client = asks.client, server = asks.server,
      code = "request_without_schemes", alert = "missing_extension", state = "wait_certificate_request" })
    expect_post("server", { "", { { 22, message("certificate_request", "\1c\0\9\0\13\0\4\0\2\4\3") } }, client = asks.client,
      server = asks.server,
      code = "decode_error", alert = "decode_error", state = "wait_certificate_request" })
  end)

  it("a NewSessionTicket may have extensions that nobody knows, and a lifetime of nothing", function()
    local client = post("server", { { 22, mutate.body(ticket, ticket:sub(5, -3) .. "\0\5\171\205\0\1x") } }, { tickets = true })
    assert.is_nil(client.failure)
    assert.is_nil(client.session:resumption())
  end)
end)

-- ---- early data (§4.2.10, §4.5) -------------------------------------------------------------------------------------------------------

describe("early data", function()
  local now = os.time() -- whether it is taken hangs on a ticket's age: the clocks stand still here
  local offers = { tickets = true, clock = now }
  local function early_row(row)
    it(row[1], function()
      local session, c, s = mutate.session("tls13", offers, { tickets = true, early_data = row.limit or 1000, clock = now })
      row.contexts, row.handshake, row.early = { c, s }, { session = session }, row.early or "early"
      row.attack = row.attack or "server"
      if row.code then mutate.expect(row) else row.check(mutate.attack(row)) end
    end)
  end

  -- A record of data before EndOfEarlyData is under the early keys.
  early_row { "more than the ticket allows", message = "end_of_early_data", change = before { content_type = 23, bytes = ("x"):rep(996) },
    code = "too_much_early_data",
    alert = unexpected, state = "wait_end_of_early_data" }
  early_row { "as much as the ticket allows", message = "end_of_early_data", change = before { content_type = 23,
    bytes = ("x"):rep(995) }, check = function(server)
    assert.is_truthy(server.session, server.message)
    assert.equal(1000, #server.hs:take_early_data())
  end }
  early_row { "no EndOfEarlyData: what follows is under other keys", message = "end_of_early_data", change = function() return false end,
    code = "bad_early_record",
    alert = "bad_record_mac" }
  early_row { "an EndOfEarlyData that is not empty", message = "end_of_early_data",
    change = function() return message("end_of_early_data", "x") end, code = "trailing_data",
    alert = "decode_error" }
  early_row { "a Finished in place of EndOfEarlyData", message = "end_of_early_data", change = function() return message("finished",
    ("\0"):rep(32)) end,
    code = "unexpected_message", alert = unexpected, state = "wait_end_of_early_data" }
  early_row { "EndOfEarlyData twice", message = "finished", change = before(message("end_of_early_data", "")),
    code = "unexpected_message", alert = unexpected,
    state = "wait_finished" }
  early_row { "EndOfEarlyData with another message in its record", gate = "plain_out", message = "handshake", change = function(b)
    if b:byte() == 5 then return b .. message("finished", ("\0"):rep(32)) end
  end, code = "excess_handshake_data", alert = unexpected }
  early_row { "a ClientHello where EndOfEarlyData is due", message = "end_of_early_data", change = before(message("client_hello",
    ("\0"):rep(60))),
    code = "unexpected_message", alert = unexpected, state = "wait_end_of_early_data" }
  early_row { "after EndOfEarlyData", message = "finished", change = before { content_type = 23, bytes = "late" },
    code = "unexpected_record", alert = unexpected,
    state = "wait_finished" }
  early_row { "with a body in its extension", message = "client_hello", change = function(m)
    mutate.extension(m, "early_data").data = "x"
  end, code = "decode_error", alert = "decode_error", state = "wait_client_hello" }

  -- The other way: a server that accepts what it must not.
  early_row { "accepted under another application protocol", attack = "client", message = "encrypted_extensions", change = function(m)
    mutate.with(m, "application_layer_protocol_negotiation", { protocol_name_list = { "h2" } })
  end, code = "unsolicited_extension", alert = "unsupported_extension" }
  early_row { "accepted with a body", attack = "client", message = "encrypted_extensions", change = function(m) mutate.with(m,
    "early_data", "x") end, code = "decode_error",
    alert = "decode_error" }
  early_row { "and a ServerHello of TLS 1.2 (§D.3)", attack = "client", message = "server_hello", change = function(m)
    mutate.without(m, "supported_versions", "key_share", "pre_shared_key")
    m.cipher_suite = "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256"
  end, code = "unsupported_version", alert = "protocol_version" }

  early_row { "that is refused is passed over", attack = "server", hooks = { { "server", "receive", "client_hello", function(m)
    local e = mutate.extension(m, "pre_shared_key") -- a ticket that cannot be opened
    e.data.identities[1].identity = mutate.flip(e.data.identities[1].identity, 40)
  end } }, check = function(server, client)
    -- the server's transcript is not the client's any more: it ends at the first proof, but not at the early data
    assert.equal("bad_record_mac", client.failure.code)
    assert.equal("refused", server.hs.early_data)
  end }

  it("is passed over as far as the ticket allows it when the server has switched it off since", function()
    local session, c, s = mutate.session("tls13", offers, { tickets = true, early_data = 60000, clock = now })
    local _, off = mutate.contexts("tls13", offers, { tickets = true, clock = now })
    off:set_ticket_keys(s:ticket_keys())
    local hc, hs = c:handshake { server_name = "localhost", session = session }, off:handshake {}
    assert(hc:send_early(("x"):rep(60000)))
    local a, b = pump.run(hc, hs)
    assert.is_truthy(a.session and b.session, a.message or b.message)
    assert.is_true(b.session.resumed)
    assert.equal("refused", a.session.early_data)
    assert.equal("disabled", b.session.early_data_reason)
    assert.equal("data", pump.transfer(a, b, "data"))
  end)

  it("beyond the limit is not passed over for ever when it is refused", function()
    local session, c, s = mutate.session("tls13", offers, { tickets = true, early_data = 16384, clock = now })
    s:set_ticket_keys(("k"):rep(48))
    local hc, hs = c:handshake { server_name = "localhost", session = session }, s:handshake {}
    assert(hc:send_early(("x"):rep(16384)))
    local out = assert(hc:start())
    assert(hs:start())
    assert(hs:step(out))
    assert.equal("refused", hs.early_data)
    local nothing, text, failure = hs:step(record(23, ("x"):rep(8000)))
    assert.is_nil(nothing)
    assert.equal("early_data_skipped", failure.code, text)
    assert.equal(unexpected, failure.alert)
  end)

  it("and has no end, as its records are empty, is not passed over either", function()
    local session, c, s = mutate.session("tls13", offers, { tickets = true, early_data = 16384 })
    s:set_ticket_keys(("k"):rep(48))
    local hc, hs = c:handshake { server_name = "localhost", session = session }, s:handshake {}
    assert(hc:send_early "x")
    local out = assert(hc:start())
    assert(hs:start())
    assert(hs:step(out))
    assert.equal("refused", hs.early_data)
    assert(hs:step(record(23, ""):rep(1000)))
    local nothing, text, failure = hs:step(record(23, ""):rep(20000))
    assert.is_nil(nothing)
    assert.equal("early_data_skipped", failure.code, text)
  end)
end)
