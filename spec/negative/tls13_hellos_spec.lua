-- Bad input, TLS 1.3: ClientHello, HelloRetryRequest, ServerHello (RFC 8446 §4.1, §4.2, §9.2). One row a case.
local akushu = require "akushu"
local mutate = require "spec.support.mutate"

local with, without, message = mutate.with, mutate.without, mutate.message
local set, extension = mutate.set, mutate.set_extension

local function no(...)
  local kinds = { ... }
  return function(m) without(m, table.unpack(kinds)) end
end

local function twice(kind)
  return function(m) table.insert(m.extensions, (assert(mutate.extension(m, kind)))) end
end

local function share(group, value)
  return extension("key_share", { key_shares = { { group = group, key_exchange = value } } })
end

local illegal, decode, failure, missing = "illegal_parameter", "decode_error", "handshake_failure", "missing_extension"

local function rows(common, list) mutate.rows_with(it, common, list) end

local point = "\4" .. ("\1"):rep(64) -- on no curve
local psk = { { identity = "id", key = ("k"):rep(32) } }

-- ---- ClientHello -----------------------------------------------------------------------------------------------------------

local to_server = { setup = "tls13", attack = "server", message = "client_hello", state = "wait_client_hello" }

describe("a TLS 1.3 ClientHello", function()
  rows(to_server, {
    -- §9.2
    { "without signature_algorithms", no "signature_algorithms", code = "missing_schemes", alert = missing },
    { "without supported_groups", no "supported_groups", code = "missing_groups", alert = missing },
    { "without key_share", no "key_share", code = "missing_key_share", alert = missing },
    { "without supported_groups and key_share", no("supported_groups", "key_share"), code = "missing_groups", alert = missing },
    { "without any extension but supported_versions", function(m)
      m.extensions = { (mutate.extension(m, "supported_versions")) }
    end, code = "missing_schemes", alert = missing },

    -- §4.1.2
    { "with two compression methods", set { compression_methods = { 1, 0 } }, code = "compression_offered", alert = illegal },
    { "with another compression method", set { compression_methods = { 1 } }, code = "compression_offered", alert = illegal },
    { "without a compression method", set { compression_methods = {} }, code = "decode_error", alert = decode },
    { "with a session id of 33 bytes", set { session_id = ("s"):rep(33) }, code = "decode_error", alert = decode },
    { "without a cipher suite", set { cipher_suites = {} }, code = "decode_error", alert = decode },
    { "with suites of TLS 1.2 alone", set { cipher_suites = { "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256" } }, code = "no_shared_suite",
      alert = failure },
    { "with suites that nobody knows", set { cipher_suites = { 0x13ff, 0x0a0a } }, code = "no_shared_suite", alert = failure },
    { "with bytes after its extensions", function(m) m.trailing = "x" end, code = "trailing_data", alert = decode },
    { "with half an extension's header", function(m) table.insert(m.extensions, { raw = "\0\23\0" }) end, code = "decode_error",
      alert = decode },

    -- §4.2.1
    { "of TLS 1.2", no "supported_versions", code = "unsupported_version", alert = "protocol_version" },
    { "whose supported_versions have no 1.3", extension("supported_versions", { versions = { "TLS 1.2", 0x7f1c, 0x2a2a } }),
      code = "unsupported_version", alert = "protocol_version" },
    { "whose supported_versions are empty", extension("supported_versions", "\0"), code = "bad_extension", alert = decode },
    { "whose supported_versions end in half a version", extension("supported_versions", "\3\3\4\3"), code = "bad_extension",
      alert = decode },
    { "whose supported_versions have bytes after them", extension("supported_versions", "\2\3\4x"), code = "bad_extension",
      alert = decode },

    -- §4.2
    { "with an extension twice", twice "supported_groups", code = "duplicate_extension", alert = "decode_error" },
    { "with an unknown extension twice", function(m)
      table.insert(m.extensions, { type = 0xabcd, data = "" })
      table.insert(m.extensions, { type = 0xabcd, data = "" })
    end, code = "duplicate_extension", alert = "decode_error" },
    { "with oid_filters, which belong into a CertificateRequest", extension("oid_filters", "\0\0"), code = "misplaced_extension",
      alert = illegal },

    -- §4.2.3, §4.2.7
    { "signature_algorithms: an empty list", extension("signature_algorithms", "\0\0"), code = "malformed_schemes", alert = decode },
    { "signature_algorithms: half a scheme", extension("signature_algorithms", "\0\3\4\3\8"), code = "malformed_schemes", alert = decode },
    { "signature_algorithms: none for the server's key", extension("signature_algorithms",
      { supported_signature_algorithms = { "rsa_pss_rsae_sha256" } }),
      code = "no_shared_scheme", alert = failure },
    { "signature_algorithms: PKCS#1 v1.5 alone, and an RSA key", setup = "tls13_rsa", change = extension("signature_algorithms",
      { supported_signature_algorithms = { "rsa_pkcs1_sha256", "rsa_pkcs1_sha512" } }), code = "no_shared_scheme", alert = failure },
    { "signature_algorithms_cert: an empty list", extension("signature_algorithms_cert", "\0\0"), code = "malformed_schemes", alert = decode },
    { "supported_groups: an empty list", extension("supported_groups", "\0\0"), code = "bad_extension", alert = decode },
    { "supported_groups: nothing in common", function(m)
      with(m, "supported_groups", { named_group_list = { 0xfe00 } })
      with(m, "key_share", { key_shares = {} })
    end, code = "no_shared_group", alert = failure },

    -- §4.2.8
    { "key_share: a group that supported_groups does not have", share("x448", ("x"):rep(56)), client = { groups = { "x25519" } },
      code = "wrong_group", alert = illegal },
    { "key_share: two shares for one group", function(m)
      local shares = mutate.extension(m, "key_share").data.key_shares
      shares[2] = shares[1]
    end, code = "duplicate_key_share", alert = illegal },
    { "key_share: x25519, 31 bytes", share("x25519", ("x"):rep(31)), code = "bad_key_share", alert = illegal },
    { "key_share: x25519, 33 bytes", share("x25519", ("x"):rep(33)), code = "bad_key_share", alert = illegal },
    { "key_share: x25519, zero", share("x25519", ("\0"):rep(32)), code = "bad_key_share", alert = illegal },
    { "key_share: x25519, a point of small order", share("x25519", "\1" .. ("\0"):rep(31)), code = "bad_key_share", alert = illegal },
    { "key_share: x448, zero", share("x448", ("\0"):rep(56)), code = "bad_key_share", alert = illegal },
    { "key_share: secp256r1, not on the curve", share("secp256r1", point), code = "bad_key_share", alert = illegal },
    { "key_share: secp256r1, compressed", share("secp256r1", "\2" .. ("\1"):rep(32)), code = "bad_key_share", alert = illegal },
    { "key_share: secp256r1, infinity", share("secp256r1", "\0"), code = "bad_key_share", alert = illegal },
    { "key_share: secp384r1, a point of secp256r1's size", share("secp384r1", point), code = "bad_key_share", alert = illegal },
    { "key_share: ffdhe2048, zero", share("ffdhe2048", ("\0"):rep(256)), code = "bad_key_share", alert = illegal },
    { "key_share: ffdhe2048, one", share("ffdhe2048", ("\0"):rep(255) .. "\1"), code = "bad_key_share", alert = illegal },
    { "key_share: ffdhe2048, larger than the prime", share("ffdhe2048", ("\255"):rep(256)), code = "bad_key_share", alert = illegal },
    { "key_share: ffdhe2048, not padded", share("ffdhe2048", ("\1"):rep(255)), code = "bad_key_share", alert = illegal },
    { "key_share: an empty value", extension("key_share", "\0\4\0\29\0\0"), code = "malformed_key_share", alert = decode },
    { "key_share: a value beyond its end", extension("key_share", "\0\5\0\29\0\9x"), code = "malformed_key_share", alert = decode },
    { "key_share: bytes after it", extension("key_share", "\0\36\0\29\0\32" .. ("\9"):rep(32) .. "x"), code = "malformed_key_share",
      alert = decode },

    -- §4.2.2
    { "cookie: empty", extension("cookie", "\0\0"), code = "malformed_cookie", alert = decode },
    { "cookie: bytes after it", extension("cookie", "\0\1xy"), code = "malformed_cookie", alert = decode },

    -- RFC 7301 §3.2, RFC 8449 §4
    { "ALPN: nothing in common", client = { alpn = { "h2" } }, server = { alpn = { "http/1.1" } }, change = function() end,
      code = "no_application_protocol", alert = "no_application_protocol" },
    { "ALPN: an empty list", extension("application_layer_protocol_negotiation", "\0\0"), code = "malformed_alpn", alert = decode },
    { "record_size_limit: 63", extension("record_size_limit", { record_size_limit = 63 }), code = "illegal_parameter", alert = illegal },
    { "record_size_limit: three bytes", extension("record_size_limit", "\64\1\0"), code = "bad_extension", alert = decode },

    -- §5.1
    { "with another message in its record", gate = "plain_out", message = "handshake", change = function(bytes, ev)
      return ev.state == "send_client_hello" and bytes .. message("finished", ("\0"):rep(32)) or nil
    end, code = "excess_handshake_data",
      alert = "unexpected_message", state = false },
    { "that is a Finished", function() return message("finished", ("\0"):rep(32)) end, code = "unexpected_message",
      alert = "unexpected_message" },
    { "that is a ServerHello", function() return message("server_hello", ("\0"):rep(40)) end, code = "unexpected_message",
      alert = "unexpected_message" },
    { "that is an EndOfEarlyData", function() return message("end_of_early_data", "") end, code = "unexpected_message",
      alert = "unexpected_message" },
  })

  it("of SSL 3.0 is refused whatever supported_versions says (§D.5)", function()
    mutate.expect { setup = "tls13", attack = "server", message = "client_hello", change = set { legacy_version = 0x0300 },
      code = "unsupported_version", alert = "protocol_version", state = "wait_client_hello" }
  end)

  it("is taken whatever its legacy_version says, with supported_versions (§4.2.1)", function()
    for _, version in ipairs { 0x0301, 0x0302, 0x0304, 0x0fff } do
      local server = mutate.attack { setup = "tls13", attack = "server", message = "client_hello",
        change = set { legacy_version = version } }
      assert.is_truthy(server.session, server.message)
      assert.equal("1.3", server.session.version)
    end
  end)

  it("may have unknown versions, suites, groups, schemes, extensions and PSK modes (§9.3)", function()
    local server, client = mutate.attack { setup = "tls13", attack = "server", message = "client_hello", change = function(m)
      table.insert(m.cipher_suites, 1, 0x5a5a)
      table.insert(mutate.extension(m, "supported_versions").data.versions, 1, 0x5a5a)
      table.insert(mutate.extension(m, "supported_groups").data.named_group_list, 1, 0x5a5a)
      table.insert(mutate.extension(m, "key_share").data.key_shares, 1, { group = 0x5a5a, key_exchange = "x" })
      table.insert(mutate.extension(m, "signature_algorithms").data.supported_signature_algorithms, 1, 0x5a5a)
      with(m, "psk_key_exchange_modes", { ke_modes = { 0x5a } })
      table.insert(m.extensions, 1, { type = 0x5a5a, data = "" })
    end }
    assert.is_truthy(server.session, server.message)
    assert.is_truthy(client.session, client.message)
  end)
end)

-- ---- pre_shared_key ----------------------------------------------------------------------------------------------------------

local function offer(change)
  return function(m)
    local e = assert(mutate.extension(m, "pre_shared_key"))
    change(e.data, m)
  end
end

describe("a pre_shared_key (§4.2.11)", function()
  local common = { setup = "tls13", attack = "server", message = "client_hello", state = "wait_client_hello", client = { psk = psk },
    server = { psk = psk } }
  rows(common, {
    { "that is not the last extension", function(m) table.insert(m.extensions, { type = 0xabcd, data = "" }) end, code = "psk_not_last",
      alert = illegal },
    { "without psk_key_exchange_modes (§4.2.9)", no "psk_key_exchange_modes", code = "missing_extension", alert = missing },
    { "with an empty list of modes", function(m)
      mutate.extension(m, "psk_key_exchange_modes").data = "\0"
    end, code = "bad_extension", alert = decode },
    { "with a wrong binder", offer(function(d) d.binders[1] = mutate.flip(d.binders[1], 1) end), code = "bad_binder",
      alert = "decrypt_error" },
    { "with a binder of 33 bytes", offer(function(d) d.binders[1] = d.binders[1] .. "x" end), code = "bad_binder",
      alert = "decrypt_error" },
    { "with a binder of 48 bytes", offer(function(d) d.binders[1] = ("b"):rep(48) end), code = "bad_binder", alert = "decrypt_error" },
    { "with a binder of 31 bytes", offer(function(d) d.binders[1] = ("b"):rep(31) end), code = "bad_binder", alert = "decrypt_error" },
    { "with a ClientHello that is not the one its binder is of", function(m) m.random = mutate.flip(m.random, 1) end, code = "bad_binder",
      alert = "decrypt_error" },
    { "with more binders than identities", offer(function(d) d.binders[2] = d.binders[1] end), code = "psk_binders", alert = illegal },
    { "with more identities than binders", offer(function(d) d.identities[2] = { identity = "other", obfuscated_ticket_age = 0 } end),
      code = "psk_binders", alert = illegal },
    { "without identities", offer(function(d) d.identities = {} end), code = "malformed_psk", alert = decode },
    { "without binders", offer(function(d) d.binders = {} end), code = "malformed_psk", alert = decode },
    { "with an empty identity", offer(function(d) d.identities[1].identity = "" end), code = "malformed_psk", alert = decode },
    { "with bytes after it", function(m)
      mutate.extension(m, "pre_shared_key").data = "\0\8\0\2id\0\0\0\0\0\33\32" .. ("b"):rep(32) .. "x"
    end, code = "malformed_psk", alert = decode },
  })

  rows(common, {
    { "that nobody knows, to a server that has no certificate",
      server = { psk = { { identity = "another", key = ("k"):rep(32) } }, identity = {} },
      client = { psk = psk }, change = function() end, code = "unknown_psk_identity", alert = "unknown_psk_identity" },
    { "that nobody knows, to a server that asks its application", server = { on_psk = function() return false end }, client = { psk = psk },
      change = function() end, code = "unknown_psk_identity", alert = "unknown_psk_identity" },
    { "with another key", client = { psk = { { identity = "id", key = ("K"):rep(32) } } }, server = { psk = psk }, change = function() end,
      code = "bad_binder", alert = "decrypt_error" },
  })

  it("that nobody knows is followed by a full handshake", function()
    local server, client = mutate.attack { setup = "tls13", attack = "server", client = { psk = psk },
      server = { psk = { { identity = "x", key = "y" } } } }
    assert.is_truthy(server.session, server.message)
    assert.is_false(server.session.resumed)
    assert.is_truthy(client.session.peer)
  end)
end)

-- ---- the second ClientHello ---------------------------------------------------------------------------------------------------

-- Applies a change to the second ClientHello alone.
local function second(change)
  local count = 0
  return function(m, ev)
    count = count + 1
    if count == 2 then return change(m, ev) end
  end
end

-- TLS 1.2 and 1.3.
local function mixed(o)
  o.versions = { "1.2", "1.3" }
  o.suites = { "TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384", "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256" }
  return o
end

local retry = { client = { key_shares = { "x25519" } }, server = { groups = { "secp256r1" } } }

describe("the ClientHello after a HelloRetryRequest (§4.1.2)", function()
  local list = {
    { "with another random", set { random = ("r"):rep(32) } },
    { "with another session id", set { session_id = ("s"):rep(32) } },
    { "with other cipher suites", function(m) table.insert(m.cipher_suites, "TLS_AES_256_GCM_SHA384") end },
    { "with another legacy_version", set { legacy_version = 0x0302 } },
    { "with another server_name", function(m) mutate.extension(m, "server_name").data.server_name_list[1].host_name = "example.com" end },
    { "without an extension that was there", no "server_name" },
    { "with an extension that was not there", extension(0xabcd, "") },
    { "with its extensions in another order", function(m) table.insert(m.extensions, 1, table.remove(m.extensions, 2)) end },
    { "with the share that was there before", share("x25519", ("\9"):rep(32)), code = "wrong_group" },
    { "without a share", extension("key_share", { key_shares = {} }), code = "wrong_group" },
    { "with one share more than was asked for", function(m)
      table.insert(mutate.extension(m, "key_share").data.key_shares, { group = "x25519", key_exchange = ("\9"):rep(32) })
    end, code = "wrong_group" },
    { "with an invalid share", share("secp256r1", point), code = "bad_key_share" },
    { "without key_share", no "key_share", code = "missing_key_share", alert = missing },
    { "of TLS 1.2", no "supported_versions", code = "unsupported_version", alert = "protocol_version" },
    { "that is not there: a Finished", function() return message("finished", ("\0"):rep(32)) end, code = "unexpected_message",
      alert = "unexpected_message" },
  }
  for _, row in ipairs(list) do
    row.code, row.alert = row.code or "hello_changed", row.alert or illegal
    row.change = second(row[2])
  end
  rows({ setup = "tls13", attack = "server", message = "client_hello", client = retry.client, server = retry.server,
    state = "wait_client_hello" }, list)

  mutate.rows(it, {
    { "of TLS 1.2, when the server does both", setup = "tls13", attack = "server", message = "client_hello",
      client = mixed { key_shares = { "x25519" } },
      server = mixed { groups = { "secp256r1" } }, change = second(no "supported_versions"), code = "hello_changed", alert = illegal },
    { "twice", setup = "tls13", attack = "server", gate = "plain_out", message = "handshake", client = retry.client, server = retry.server,
      change = second(function(bytes) return bytes .. bytes end), code = "excess_handshake_data", alert = "unexpected_message" },
  })

  it("may have another padding and a cookie that nobody gave", function()
    local server = mutate.attack { setup = "tls13", attack = "server", message = "client_hello", client = retry.client,
      server = retry.server, change = second(function(m)
      with(m, "padding", ("\0"):rep(20))
      with(m, "cookie", { cookie = "biscuit" })
    end) }
    assert.is_truthy(server.session, server.message)
    assert.is_true(server.session.hello_retry)
  end)
end)

-- ---- HelloRetryRequest -----------------------------------------------------------------------------------------------------------

describe("a HelloRetryRequest (§4.1.4)", function()
  rows({ setup = "tls13", attack = "client", message = "hello_retry_request", client = retry.client, server = retry.server,
    state = "wait_server_hello" }, {
    { "that changes nothing", no "key_share", code = "hello_retry_unchanged", alert = illegal },
    { "for a share that was there (§4.2.8)", extension("key_share", { selected_group = "x25519" }), code = "wrong_group",
      alert = illegal },
    { "for a group that was not offered", extension("key_share", { selected_group = 0xfe00 }), code = "wrong_group", alert = illegal },
    { "for a group that the client does not offer, though it knows it", extension("key_share", { selected_group = "ffdhe8192" }),
      code = "wrong_group", alert = illegal },
    { "without supported_versions", no "supported_versions", code = "unsupported_version", alert = "protocol_version" },
    { "without supported_versions, to a client of TLS 1.2 and 1.3", no "supported_versions", client = mixed { key_shares = { "x25519" } },
      code = "missing_extension", alert = missing },
    { "of another version", extension("supported_versions", { selected_version = 0x0305 }), code = "wrong_version_chosen",
      alert = illegal },
    { "of a draft of TLS 1.3", extension("supported_versions", { selected_version = 0x7f1c }), code = "wrong_version_chosen",
      alert = illegal },
    { "of TLS 1.2 by supported_versions", extension("supported_versions", { selected_version = 0x0303 }), code = "misplaced_extension",
      alert = illegal },
    { "with another session id", set { session_id = ("s"):rep(32) }, code = "session_id_mismatch", alert = illegal },
    { "without the session id", set { session_id = "" }, code = "session_id_mismatch", alert = illegal },
    { "with a compression method", set { compression_method = 1 }, code = "compression_in_tls13", alert = "decode_error" },
    { "with a suite that was not offered", set { cipher_suite = "TLS_AES_256_GCM_SHA384" }, code = "wrong_suite_chosen", alert = illegal },
    { "with an unknown extension (§4.2)", extension(0xabcd, ""), code = "unsolicited_extension", alert = "unsupported_extension" },
    { "with an extension that was offered and belongs elsewhere", extension("server_name", ""), code = "misplaced_extension",
      alert = illegal },
    { "with a pre_shared_key", extension("pre_shared_key", { selected_identity = 0 }),
      code = "unsolicited_extension", alert = "unsupported_extension" },
    { "with a key share in the form of a ServerHello's", extension("key_share", "\0\23\0\1x"), code = "malformed_key_share", alert = decode },
    { "with an empty cookie", extension("cookie", "\0\0"), code = "malformed_cookie", alert = decode },
    { "with an extension twice", twice "key_share", code = "duplicate_extension", alert = illegal },
    { "with bytes after it", function(m) m.trailing = "x" end, code = "trailing_data", alert = decode },
  })

  local more = mixed { key_shares = { "x25519" } }
  mutate.rows(it, {
    { "a second time", setup = "tls13", attack = "client", message = "server_hello", client = retry.client, server = retry.server,
      change = function(m)
      m.random = "\xCF\x21\xAD\x74\xE5\x9A\x61\x11\xBE\x1D\x8C\x02\x1E\x65\xB8\x91\xC2\xA2\x11\x16\x7A\xBB\x8C\x5E\x07\x9E\x09\xE2\xC8\xA8\x33\x9C"
    end, code = "second_hello_retry", alert = "unexpected_message", blind = "unexpected_record", state = "wait_server_hello" },
    { "and a ServerHello with another suite", setup = "tls13", attack = "client", message = "server_hello", client = more,
      server = mixed { groups = { "secp256r1" } },
      change = set { cipher_suite = "TLS_AES_256_GCM_SHA384" }, code = "wrong_suite_chosen", alert = illegal, blind = "unexpected_record" },
    { "and a ServerHello with a share of another group", setup = "tls13", attack = "client", message = "server_hello",
      client = retry.client, server = retry.server,
      change = extension("key_share", { group = "x25519", key_exchange = ("\9"):rep(32) }), code = "wrong_group",
        alert = illegal, blind = "unexpected_record" },
    { "and a ServerHello of TLS 1.2", setup = "tls13", attack = "client", message = "server_hello", client = more,
      server = mixed { groups = { "secp256r1" } }, change = function(m)
        m.cipher_suite = "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256"
        without(m, "supported_versions", "key_share")
      end, code = "retry_version_mismatch", alert = illegal, blind = "unexpected_record" },
    { "and another message in its record", setup = "tls13", attack = "client", message = "hello_retry_request", client = retry.client,
      server = retry.server,
      change = function(_, ev) return ev.raw .. message("encrypted_extensions", "\0\0") end, code = "excess_handshake_data",
      alert = "unexpected_message", state = "send_client_hello" },
  })
end)

-- ---- ServerHello ------------------------------------------------------------------------------------------------------------------

local to_client = { setup = "tls13", attack = "client", message = "server_hello", state = "wait_server_hello", blind = "unexpected_record" }

describe("a TLS 1.3 ServerHello", function()
  rows(to_client, {
    -- §4.1.3
    { "with another session id", set { session_id = ("s"):rep(32) }, code = "session_id_mismatch", alert = illegal },
    { "without the session id", set { session_id = "" }, code = "session_id_mismatch", alert = illegal },
    { "with a suite that was not offered", set { cipher_suite = "TLS_CHACHA20_POLY1305_SHA256" }, code = "wrong_suite_chosen",
      alert = illegal },
    { "with a suite of TLS 1.2", set { cipher_suite = "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256" }, code = "wrong_suite_chosen",
      alert = illegal },
    { "with a compression method", set { compression_method = 1 }, code = "compression_in_tls13", alert = "decode_error" },
    { "with legacy_version 1.1", set { legacy_version = 0x0302 }, code = "unsupported_version", alert = "protocol_version" },
    { "with legacy_version 1.3", set { legacy_version = 0x0304 }, code = "unsupported_version", alert = "protocol_version" },
    { "with bytes after it", function(m) m.trailing = "x" end, code = "trailing_data", alert = decode },
    { "that is too short", function() return message("server_hello", ("\3"):rep(30)) end, code = "decode_error", alert = decode },

    -- §4.2.1
    { "of another version", extension("supported_versions", { selected_version = 0x0305 }), code = "wrong_version_chosen",
      alert = illegal },
    { "of a draft of TLS 1.3", extension("supported_versions", { selected_version = 0x7f1c }), code = "wrong_version_chosen",
      alert = illegal },
    { "of TLS 1.2 by supported_versions", extension("supported_versions", { selected_version = 0x0303 }), code = "misplaced_extension",
      alert = illegal },
    { "of TLS 1.2 to a client that does 1.3 alone", no "supported_versions", code = "unsupported_version", alert = "protocol_version" },
    { "with supported_versions of one byte", extension("supported_versions", "\3"), code = "bad_extension", alert = decode },

    -- §4.2
    { "with an unknown extension", extension(0xabcd, ""), code = "unsolicited_extension", alert = "unsupported_extension" },
    { "with an extension that was not offered", extension("pre_shared_key", { selected_identity = 0 }), code = "unsolicited_extension",
      alert = "unsupported_extension" },
    { "with an extension that belongs into EncryptedExtensions", extension("server_name", ""), code = "misplaced_extension",
      alert = illegal },
    { "with a cookie", extension("cookie", { cookie = "c" }), code = "unsolicited_extension", alert = "unsupported_extension" },
    { "with an extension twice", twice "key_share", code = "duplicate_extension", alert = "decode_error" },
    { "without extensions", set { extensions = {} }, code = "unsupported_version", alert = "protocol_version" },

    -- §4.2.8
    { "without key_share", no "key_share", code = "missing_key_share", alert = missing },
    { "with a share of a group that was not offered", extension("key_share", { group = 0xfe00, key_exchange = "x" }), code = "wrong_group",
      alert = illegal },
    { "with a share of a group that the client sent none for", extension("key_share", { group = "secp256r1", key_exchange = point }),
      code = "wrong_group", alert = illegal },
    { "with a share of 31 bytes", extension("key_share", { group = "x25519", key_exchange = ("x"):rep(31) }), code = "bad_key_share",
      alert = illegal },
    { "with a share that is zero", extension("key_share", { group = "x25519", key_exchange = ("\0"):rep(32) }), code = "bad_key_share",
      alert = illegal },
    { "with a share not on the curve", extension("key_share", { group = "secp256r1", key_exchange = point }),
      client = { key_shares = { "secp256r1" } },
      server = { groups = { "secp256r1" } }, code = "bad_key_share", alert = illegal },
    { "with an empty share", extension("key_share", "\0\29\0\0"), code = "malformed_key_share", alert = decode },

    -- §4.2.11
    { "with a pre_shared_key that was not offered", extension("pre_shared_key", { selected_identity = 1 }), client = { psk = psk },
      server = { psk = psk }, code = "psk_index", alert = illegal },
    { "with a pre_shared_key of 65535", extension("pre_shared_key", { selected_identity = 65535 }), client = { psk = psk },
      server = { psk = psk }, code = "psk_index", alert = illegal },
    { "with a pre_shared_key alone, in a mode that was not offered", no "key_share", client = { psk = psk }, server = { psk = psk },
      code = "missing_key_share", alert = missing },
    { "with a pre_shared_key and a share, in a mode that was not offered", function() end, client = { psk = psk, psk_modes = "psk_ke" },
      server = { psk = psk, psk_modes = { "psk_ke" } }, change = function(m)
        with(m, "key_share", { group = "x25519", key_exchange = "\9" .. ("\0"):rep(31) })
      end, code = "illegal_parameter", alert = illegal },
    { "with a pre_shared_key under a suite of another hash", function(m) m.cipher_suite = "TLS_AES_256_GCM_SHA384" end,
      client = { psk = psk, suites = { "TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384" } }, server = { psk = psk },
        code = "resumed_hash_mismatch", alert = illegal },
  })

  mutate.rows(it, {
    { "with another message in its record (§5.1)", setup = "tls13", attack = "client", gate = "plain_out", message = "handshake",
      change = function(bytes)
      if bytes:byte() == 2 then return bytes .. message("encrypted_extensions", "\0\0") end
    end, code = "excess_handshake_data", alert = "unexpected_message" },
    { "that is missing", setup = "tls13", attack = "client", message = "server_hello",
      change = function() return message("encrypted_extensions", "\0\0") end,
      code = "unexpected_message", alert = "unexpected_message", blind = "unexpected_record", state = "wait_server_hello" },
    { "twice", setup = "tls13", attack = "client", message = "encrypted_extensions",
      change = function(_, ev) ev:before(message("server_hello", ("\0"):rep(70))) end,
      code = "unexpected_message", alert = "unexpected_message", state = "wait_encrypted_extensions" },
  })

  -- §4.1.3: somebody on the way takes TLS 1.3 out of the ClientHello; the server's random tells.
  local suites = { "TLS_AES_128_GCM_SHA256", "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256", "TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA" }
  local function lowered(to)
    return function(fragment)
      local m = akushu.wire.decode(fragment, { what = "handshake" })
      if m.type ~= "client_hello" then return end
      without(m, "supported_versions", "key_share", "psk_key_exchange_modes")
      m.legacy_version = to
      return akushu.wire.encode(m, { what = "handshake" })
    end
  end

  for _, to in ipairs { 0x0303, 0x0302, 0x0301 } do
    it(("that was lowered to %04x on the way is noticed"):format(to), function()
      local versions = { "1.0", "1.1", "1.2", "1.3" }
      mutate.expect { setup = "tls13", attack = "client", client = { versions = versions, suites = suites },
        server = { versions = versions, suites = suites },
        hooks = { { "client", "plain_out", "handshake", lowered(to) } }, code = "downgrade_detected", alert = illegal,
          state = "wait_server_hello" }
    end)
  end

  it("of an honest server of TLS 1.2 is accepted by a client of both", function()
    local client = mutate.attack { setup = "tls13", attack = "client", client = { versions = { "1.2", "1.3" }, suites = suites },
      server = { versions = "1.2", suites = suites } }
    assert.is_truthy(client.session, client.message)
    assert.equal("1.2", client.session.version)
  end)
end)
