-- Bad input, TLS 1.2: records, and what stands in them before anybody looks at messages. One row a case.
local mutate = require "spec.support.mutate"

local record, message, flip = mutate.record, mutate.message, mutate.flip

local function fragment(hello) return hello:sub(6) end

-- Puts bytes in front of an outgoing message.
local function before(value)
  return function(_, ev) ev:before(value) end
end

local function after(value)
  return function(_, ev) ev:after(value) end
end

describe("bytes that are no TLS", function()
  mutate.rows(it, {
    { "an HTTP request", attack = "server", bytes = "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n", code = "http_request" },
    { "an HTTP request that comes in small pieces", attack = "server", bytes = { "PO", "S", "T /", " HTTP/1.1\r\n" },
      code = "http_request" },
    { "an HTTP CONNECT", attack = "server", bytes = "CONNECT localhost:443 HTTP/1.1\r\n\r\n", code = "https_proxy_request" },
    { "an SSH greeting", attack = "server", bytes = "SSH-2.0-OpenSSH_9.2p1\r\n", code = "not_tls", alert = "protocol_version" },
    { "zeros", attack = "server", bytes = ("\0"):rep(100), code = "not_tls", alert = "protocol_version" },
    { "an SSL 2.0 ClientHello", attack = "server", bytes = "\128\46\1\0\2\0\21\0\0\0\16" .. ("\0"):rep(40), code = "not_tls",
      alert = "protocol_version" },
    { "a server that speaks SMTP", attack = "client", bytes = "220 mail.example.com ESMTP\r\n", code = "not_tls",
      alert = "protocol_version" },
  })
end)

describe("record headers", function()
  mutate.rows(it, {
    { "major version 2", attack = "server", bytes = function(h) return flip(h, 2) end, code = "wrong_record_version",
      alert = "protocol_version" },
    { "major version 4 in an answer", attack = "client", bytes = record(22, message("server_hello_done", ""), 0x0403),
      code = "wrong_record_version",
      alert = "protocol_version" },
    { "another version once there are keys", attack = "server", gate = "record_out", message = "handshake", change = function(bytes, ev)
      if ev.state == "send_finished" then return flip(bytes, 3, 2) end
    end, code = "wrong_record_version", alert = "protocol_version", state = "wait_finished" },
    { "an unknown content type", attack = "server", bytes = function(h) return "\25" .. h:sub(2) end, code = "invalid_record_type",
      alert = "unexpected_message" },
    { "an unknown content type, later", attack = "client", message = "certificate", change = before { raw = record(25, "x") },
      code = "invalid_record_type", alert = "unexpected_message" },
    { "a heartbeat", attack = "server", message = "client_key_exchange", change = before { raw = record(24, "\1\64\0x") },
      code = "invalid_record_type", alert = "unexpected_message" },
    { "a heartbeat first of all", attack = "server", bytes = record(24, "\1\64\0x"), code = "invalid_record_type",
      alert = "unexpected_message" },
    { "a plaintext record of 2^14 + 1 bytes", attack = "server", bytes = record(22, message("client_hello", ("\0"):rep(16381))),
      code = "record_too_long",
      alert = "record_overflow" },
    { "a length that says 65535: refused before the bytes come", attack = "server", bytes = "\22\3\1\255\255", code = "record_too_long",
      alert = "record_overflow" },
    { "an answer of 2^14 + 1 bytes", attack = "client", bytes = "\22\3\3\64\1", code = "record_too_long", alert = "record_overflow" },
    { "ciphertext of 2^14 + 2049 bytes", attack = "client", message = "finished",
      change = before { raw = "\22\3\3\72\1" .. ("\0"):rep(18433) },
      code = "record_too_long", alert = "record_overflow", state = "wait_finished" },
    { "ciphertext of 2^14 + 2048 bytes that is garbage", attack = "client", message = "finished",
      change = before { raw = "\22\3\3\72\0" .. ("\0"):rep(18432) }, code = "bad_record_mac", alert = "bad_record_mac" },
    { "protected plaintext of 2^14 + 1 bytes", attack = "server", gate = "plain_out", message = "handshake",
      change = function(_, ev) if ev.state == "send_finished" then return message("finished", ("\0"):rep(16381)) end end,
      code = "plaintext_too_long", alert = "record_overflow", state = "wait_finished" },
  })
end)

describe("fragments", function()
  mutate.rows(it, {
    { "an empty handshake fragment first", attack = "server", bytes = record(22, ""), code = "empty_fragment",
      alert = "unexpected_message" },
    { "an empty handshake fragment in the middle of a message", attack = "server", bytes = function(h)
      return { record(22, fragment(h):sub(1, 10)), record(22, ""), record(22, fragment(h):sub(11)) }
    end, code = "empty_fragment", alert = "unexpected_message" },
    { "an empty handshake fragment, protected", attack = "client", gate = "plain_out", message = "handshake", change = function(_, ev)
      if ev.state == "send_finished" then return "" end
    end, code = "empty_fragment", alert = "unexpected_message", state = "wait_finished" },
    { "an empty alert", attack = "server", bytes = record(21, ""), code = "bad_alert", alert = "decode_error" },
    { "an alert of one byte", attack = "server", bytes = record(21, "\1"), code = "bad_alert", alert = "decode_error" },
    { "an alert of three bytes", attack = "client", bytes = record(21, "\1\0\0"), code = "bad_alert", alert = "decode_error" },
    { "two alerts in a record", attack = "client", message = "certificate", change = before { content_type = 21, bytes = "\1\100\1\100" },
      code = "bad_alert",
      alert = "decode_error" },
    { "an alert of level 3", attack = "server", bytes = record(21, "\3\40"), code = "unknown_alert_level", alert = "illegal_parameter" },
    { "an alert of level 0", attack = "client", message = "certificate", change = before { content_type = 21, bytes = "\0\100" },
      code = "unknown_alert_level", alert = "illegal_parameter" },
    { "an empty ChangeCipherSpec", attack = "client", message = "certificate", change = before { content_type = 20, bytes = "" },
      code = "empty_fragment",
      alert = "unexpected_message" },
    { "a ChangeCipherSpec that holds 2", attack = "client", message = "change_cipher_spec", change = function() return "\2" end,
      code = "bad_change_cipher_spec", alert = "unexpected_message", state = "wait_change_cipher_spec" },
    { "a ChangeCipherSpec of two bytes", attack = "server", message = "change_cipher_spec", change = function() return "\1\1" end,
      code = "bad_change_cipher_spec", alert = "unexpected_message", state = "wait_change_cipher_spec" },
    { "an empty record of application data", attack = "server", bytes = record(23, ""), code = "application_data_early",
      alert = "unexpected_message" },
    { "application data instead of a ClientHello", attack = "server", bytes = record(23, "hello"), code = "application_data_early",
      alert = "unexpected_message" },
    { "application data in the middle of the handshake", attack = "client", message = "server_hello_done",
      change = before { content_type = "application_data", bytes = "hello" }, code = "application_data_early", alert = "unexpected_message",
      state = "wait_server_hello_done" },
    { "application data before Finished", attack = "server", message = "finished",
      change = before { content_type = "application_data", bytes = "hello" }, code = "unexpected_record", alert = "unexpected_message",
      state = "wait_finished" },
    { "application data before the server's Finished", attack = "client", message = "finished",
      change = before { content_type = "application_data", bytes = "hello" }, code = "unexpected_record", alert = "unexpected_message",
      state = "wait_finished" },
  })
end)

describe("handshake messages interleaved with other records", function()
  -- The first half of a message, something else, the rest.
  local function split(kind, bytes)
    return function(fragment_bytes, ev)
      if #fragment_bytes < 8 then return end
      ev:before { content_type = 22, bytes = fragment_bytes:sub(1, 6) }
      ev:before { content_type = kind, bytes = bytes }
      return fragment_bytes:sub(7)
    end
  end

  mutate.rows(it, {
    { "a warning alert", attack = "client", gate = "plain_out", message = "handshake", change = split("alert", "\1\100"),
      code = "interleaved_message",
      alert = "unexpected_message", state = "wait_server_hello" },
    { "application data", attack = "server", bytes = function(h)
      return { record(22, fragment(h):sub(1, 6)), record(23, "x"), record(22, fragment(h):sub(7)) }
    end, code = "interleaved_message", alert = "unexpected_message" },
    { "a ChangeCipherSpec", attack = "server", gate = "plain_out", message = "handshake", change = split("change_cipher_spec", "\1"),
      code = "interleaved_message", alert = "unexpected_message", state = "wait_client_hello" },
    { "an incomplete message before the keys change", attack = "server", message = "change_cipher_spec",
      change = before { content_type = 22, bytes = "\20\0" },
      code = "interleaved_message", alert = "unexpected_message", state = "wait_change_cipher_spec" },
    { "a whole message that belongs after the change of keys", attack = "server", message = "client_key_exchange",
      change = function(_, ev) return ev.raw .. message("finished", ("\0"):rep(12)) end, code = "ccs_missing",
        alert = "unexpected_message",
      state = "wait_change_cipher_spec" },
  })

  it("takes a fatal alert in the middle of a message for what it is worth: a record that must not be there", function()
    mutate.expect_raw { attack = "server", bytes = function(h) return { record(22, fragment(h):sub(1, 6)), record(21, "\2\40") } end,
      code = "interleaved_message", alert = "unexpected_message" }
  end)
end)

describe("protected records", function()
  -- The attacker's first protected record, changed after it was sealed.
  local function damage(change)
    return function(bytes, ev)
      if ev.state == "send_finished" then return change(bytes) end
    end
  end

  local rows = {}
  for _, setup in ipairs { "rsa", "cbc", "etm", "ecdhe" } do
    for _, side in ipairs { "client", "server" } do
      local function add(what, change)
        rows[#rows + 1] = { ("%s, %s: %s"):format(setup, side, what), setup = setup, attack = side, gate = "record_out",
          message = "handshake",
          change = damage(change), code = "bad_record_mac", alert = "bad_record_mac", state = "wait_finished" }
      end
      add("the last byte (tag, MAC or padding)", function(b) return flip(b, #b, 128) end)
      add("the first byte (nonce or IV)", function(b) return flip(b, 6) end)
      add("a byte in the middle", function(b) return flip(b, 5 + (#b - 5) // 2) end)
      add("cut to nothing", function(b) return b:sub(1, 3) .. "\0\0" end)
      add("one byte", function(b) return b:sub(1, 3) .. "\0\1" .. "x" end)
      add("a byte shorter", function(b) return b:sub(1, 3) .. string.pack(">s2", b:sub(6, -2)) end)
      add("a block shorter", function(b) return b:sub(1, 3) .. string.pack(">s2", b:sub(6, -17)) end)
      add("a byte longer", function(b) return b:sub(1, 3) .. string.pack(">s2", b:sub(6) .. "x") end)
      add("of another content type", function(b) return "\23" .. b:sub(2) end)
      add("in the clear", function() return record(22, message("finished", ("\0"):rep(12))) end)
    end
  end
  mutate.rows(it, rows)

  it("are not taken twice", function()
    mutate.expect { attack = "client", talk = function(attacker, attacked)
      local sealed = attacker.session:seal "once"
      attacked:deliver(sealed)
      attacked:deliver(sealed)
      assert.equal("once", attacked:received())
    end, code = "bad_record_mac", alert = "bad_record_mac", state = "open" }
  end)

  it("are not taken in another order", function()
    mutate.expect { attack = "server", setup = "cbc", talk = function(attacker, attacked)
      attacker.session:seal "first"
      attacked:deliver(attacker.session:seal "second")
      assert.equal("", attacked:received())
    end, code = "bad_record_mac", alert = "bad_record_mac", state = "open" }
  end)
end)

describe("after the handshake", function()
  local function sends(...)
    local list = { ... }
    return function(attacker, attacked)
      for _, b in ipairs(list) do attacked:deliver(type(b) == "function" and b(attacker) or b) end
    end
  end

  for _, setup in ipairs { "rsa", "cbc", "etm" } do
    it("garbage with the right header: " .. setup, function()
      mutate.expect { setup = setup, attack = "client", talk = sends(record(23, ("\0"):rep(64))), code = "bad_record_mac",
        alert = "bad_record_mac", state = "open" }
    end)
  end

  mutate.rows(it, {
    { "a record that is too long", attack = "server", talk = sends "\23\3\3\72\1", code = "record_too_long", alert = "record_overflow",
      state = "open" },
    { "a record of another version", attack = "server", talk = sends "\23\3\2\0\0", code = "wrong_record_version",
      alert = "protocol_version", state = "open" },
    { "a record of an unknown type", attack = "client", talk = sends "\99\3\3\0\0", code = "invalid_record_type",
      alert = "unexpected_message", state = "open" },
    { "a ChangeCipherSpec in the clear", attack = "client", talk = sends(record(20, "\1")), code = "bad_record_mac",
      alert = "bad_record_mac", state = "open" },
  })

  -- Anything under the connection's keys: put behind Finished by the attacker.
  mutate.rows(it, {
    { "a ChangeCipherSpec under the new keys", attack = "client", message = "finished", change = after "change_cipher_spec",
      code = "unexpected_record",
      alert = "unexpected_message", state = "open" },
    { "a heartbeat under the new keys", attack = "client", message = "finished", change = after { content_type = "heartbeat",
      bytes = "\1\64\0x" },
      code = "invalid_record_type", alert = "unexpected_message", state = "open" },
    { "an empty handshake record", attack = "client", message = "finished", change = after { content_type = 22, bytes = "" },
      code = "empty_fragment",
      alert = "unexpected_message", state = "open" },
    { "an alert of one byte", attack = "client", message = "finished", change = after { content_type = 21, bytes = "\1" },
      code = "bad_alert",
      alert = "decode_error", state = "open" },
    { "a message nobody asked for", attack = "client", message = "finished", change = after { type = "server_hello_done" },
      code = "unexpected_message",
      alert = "unexpected_message", state = "open" },
    { "a second Finished", attack = "client", message = "finished", change = function(_, ev) ev:after(ev.raw) end,
      code = "unexpected_message",
      alert = "unexpected_message", state = "open" },
    { "a message that says it has 16 MB", attack = "client", message = "finished", change = after { content_type = 22,
      bytes = "\0\255\255\255" },
      code = "message_too_long", alert = "illegal_parameter", state = "open" },
    { "half a message, then data", attack = "client", message = "finished", change = function(_, ev)
      ev:after { content_type = 22, bytes = "\0\0" }
      ev:after { content_type = 23, bytes = "data" }
    end, code = "interleaved_message", alert = "unexpected_message", state = "open" },
    { "33 empty records", attack = "client", message = "finished", change = function(_, ev)
      for _ = 1, 33 do ev:after { content_type = 23, bytes = "" } end
    end, code = "too_many_empty_fragments", alert = "unexpected_message", state = "open" },
    { "five warnings in a row", attack = "client", message = "finished", change = function(_, ev)
      for _ = 1, 5 do ev:after { alert = "user_canceled", level = "warning" } end
    end, code = "too_many_warnings", alert = "unexpected_message", state = "open" },
  })

  it("puts up with 32 empty records and four warnings", function()
    local attacked, other = mutate.attack { attack = "client", message = "finished", change = function(_, ev)
      for _ = 1, 32 do ev:after { content_type = 23, bytes = "" } end
      for _ = 1, 4 do ev:after { alert = "user_canceled", level = "warning" } end
      ev:after { content_type = 23, bytes = "data" }
    end }
    assert.is_nil(attacked.failure, attacked.message)
    assert.is_nil(other.failure)
    assert.equal("data", attacked:received())
  end)
end)
