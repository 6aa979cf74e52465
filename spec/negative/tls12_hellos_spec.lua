-- Bad input, TLS 1.2: ClientHello, ServerHello and their extensions (RFC 5246 §7.4.1, 5746, 6066, 7301, 7366, 7627, 7919,
-- 8422). One row a case.
local akushu = require "akushu"
local certs = require "spec.support.certs"
local mutate = require "spec.support.mutate"

local wire = akushu.wire
local without = mutate.without
local set, extension = mutate.set, mutate.set_extension

local function twice(kind)
  return function(m)
    local e = assert(mutate.extension(m, kind))
    table.insert(m.extensions, e)
  end
end

-- Puts the bytes of an extension behind all others, whatever they mean.
local function append(bytes)
  return function(m, ev)
    local at = wire.span(m, "extensions") -- behind the two bytes that say how long the block is
    local head, block = ev.raw:sub(5, at - 2), ev.raw:sub(at + 1)
    return mutate.body(ev.raw, head .. string.pack(">s2", block .. bytes))
  end
end

local function names(...)
  local list = {}
  for i, v in ipairs { ... } do list[i] = { name_type = "host_name", host_name = v } end
  return { server_name_list = list }
end

local illegal, decode, failure = "illegal_parameter", "decode_error", "handshake_failure"

-- ---- ClientHello -----------------------------------------------------------------------------------------------------------

local function client_hellos(rows)
  for _, row in ipairs(rows) do
    row.attack, row.message, row.state = "server", "client_hello", "wait_client_hello"
    row.change = row.change or row[2]
  end
  mutate.rows(it, rows)
end

describe("a ClientHello", function()
  client_hellos {
    { "of TLS 1.1", set { legacy_version = 0x0302 }, code = "unsupported_version", alert = "protocol_version" },
    { "of SSL 3.0", set { legacy_version = 0x0300 }, code = "unsupported_version", alert = "protocol_version" },
    { "of SSL 2.0", set { legacy_version = 0x0002 }, code = "unsupported_version", alert = "protocol_version" },
    { "whose supported_versions have nothing for this server", extension("supported_versions", { versions = { 0x0302, 0x7f1c } }),
      code = "unsupported_version", alert = "protocol_version" },
    { "with a session id of 33 bytes", set { session_id = ("s"):rep(33) }, code = "decode_error", alert = decode },
    { "with a session id of 255 bytes", set { session_id = ("s"):rep(255) }, code = "decode_error", alert = decode },
    { "without a cipher suite", set { cipher_suites = {} }, code = "decode_error", alert = decode },
    { "with half a cipher suite", set { cipher_suites = "\0\156\0" }, code = "decode_error", alert = decode },
    { "with no suite that the server has", set { cipher_suites = { "TLS_RSA_WITH_AES_256_GCM_SHA384", 0xfafa } }, code = "no_shared_suite",
      alert = failure },
    { "with the SCSV alone", set { cipher_suites = { 0x00ff } }, code = "no_shared_suite", alert = failure },
    { "with export suites alone (FREAK)", set { cipher_suites = { 0x0003, 0x0006, 0x0008, 0x0014 } }, code = "no_shared_suite",
      alert = failure },
    { "without a compression method", set { compression_methods = {} }, code = "decode_error", alert = decode },
    { "without the null compression method", set { compression_methods = { 1 } }, code = "no_null_compression", alert = illegal },
    { "with bytes after its extensions", function(m) m.trailing = "x" end, code = "trailing_data", alert = decode },
    { "with bytes after its compression methods that are no extensions",
      function(m) m.extensions, m.truncated, m.trailing = nil, true, "x" end,
      code = "decode_error", alert = decode },
  }

  it("says what each side offers when nothing is in common", function()
    local attacked = mutate.attack { attack = "server", message = "client_hello",
      change = set { cipher_suites = { "TLS_RSA_WITH_AES_256_GCM_SHA384" } } }
    assert.is_truthy(attacked.message:find("client: TLS_RSA_WITH_AES_256_GCM_SHA384", 1, true), attacked.message)
    assert.is_truthy(attacked.message:find("server: TLS_RSA_WITH_AES_128_GCM_SHA256", 1, true), attacked.message)
  end)
end)

describe("the extensions of a ClientHello", function()
  client_hellos {
    { "one twice", twice "extended_master_secret", code = "duplicate_extension", alert = decode },
    { "an unknown one twice", function(m)
      table.insert(m.extensions, { type = 0xabcd, data = "" })
      table.insert(m.extensions, { type = 0xabcd, data = "" })
    end, code = "duplicate_extension", alert = decode },
    { "half a header", function(m) table.insert(m.extensions, { raw = "\0\23\0" }) end, code = "decode_error", alert = decode },
    { "a length beyond the end", function(m) table.insert(m.extensions, { raw = "\171\205\0\5abc" }) end, code = "decode_error",
      alert = decode },

    -- RFC 6066 §3
    { "server_name: two of a kind", extension("server_name", names("localhost", "example.com")), code = "illegal_parameter", alert = illegal },
    { "server_name: two of a kind around another kind", extension("server_name", "\0\12\0\0\1a\7\0\1x\0\0\1b"), code = "illegal_parameter",
      alert = illegal },
    { "server_name: an empty list", extension("server_name", "\0\0"), code = "bad_extension", alert = decode },
    { "server_name: an empty name", extension("server_name", "\0\3\0\0\0"), code = "bad_extension", alert = decode },
    { "server_name: no list", extension("server_name", ""), code = "bad_extension", alert = decode },
    { "server_name: a NUL in it", extension("server_name", names "local\0host"), code = "illegal_parameter", alert = illegal },
    { "server_name: a BEL in it", extension("server_name", names "local\7host"), code = "illegal_parameter", alert = illegal },
    { "server_name: a space in it", extension("server_name", names "local host"), code = "illegal_parameter", alert = illegal },
    { "server_name: UTF-8", extension("server_name", names "h\u{f6}st"), code = "illegal_parameter", alert = illegal },
    { "server_name: 300 bytes", extension("server_name", names(("a"):rep(300))), code = "illegal_parameter", alert = illegal },
    { "server_name: bytes after it", extension("server_name", "\0\6\0\0\3abcx"), code = "bad_extension", alert = decode },

    -- RFC 7627 §5.1, RFC 7366 §2, RFC 5746 §3.2: empty, empty, one byte of length
    { "extended_master_secret with a byte", extension("extended_master_secret", "x"), code = "bad_extension", alert = decode },
    { "encrypt_then_mac with a byte", extension("encrypt_then_mac", "x"), code = "bad_extension", alert = decode },
    { "renegotiation_info that is not empty (RFC 5746 §3.6)", extension("renegotiation_info", { renegotiated_connection = ("v"):rep(12) }),
      code = "renegotiation_mismatch", alert = failure },
    { "renegotiation_info without its length", extension("renegotiation_info", ""), code = "bad_extension", alert = decode },
    { "renegotiation_info whose length lies", extension("renegotiation_info", "\2x"), code = "bad_extension", alert = decode },

    -- RFC 5246 §7.4.1.4.1
    { "signature_algorithms: an empty list", extension("signature_algorithms", "\0\0"), code = "malformed_schemes", alert = decode },
    { "signature_algorithms: half a scheme", extension("signature_algorithms", "\0\3\4\3\8"), code = "malformed_schemes", alert = decode },
    { "signature_algorithms: none for the server's key", setup = "ecdhe",
      change = extension("signature_algorithms", { supported_signature_algorithms = { "rsa_pkcs1_sha256" } }),
      code = "no_shared_suite", alert = failure },

    -- RFC 8422 §5.1, RFC 7919 §4
    { "supported_groups: an empty list", extension("supported_groups", "\0\0"), code = "bad_extension", alert = decode },
    { "supported_groups: half a group", extension("supported_groups", "\0\3\0\29\0"), code = "bad_extension", alert = decode },
    { "supported_groups: none that the server has", setup = "ecdhe",
      change = extension("supported_groups", { named_group_list = { 0xfe00 } }),
      code = "no_shared_suite", alert = failure },
    { "supported_groups: FFDHE groups that the server has not, and no other suite", setup = "dhe",
      change = extension("supported_groups", { named_group_list = { "x25519", 0x01fb } }), code = "no_shared_group",
        alert = "insufficient_security" },
    { "supported_groups: not the curve of the server's certificate", setup = "ecdhe",
      change = extension("supported_groups", { named_group_list = { "x25519" } }),
      code = "no_shared_suite", alert = failure },
    { "ec_point_formats: an empty list", setup = "ecdhe", change = extension("ec_point_formats", "\0"), code = "bad_extension",
      alert = decode },
    { "ec_point_formats without uncompressed", setup = "ecdhe", change = extension("ec_point_formats", "\1\1"), code = "bad_extension",
      alert = illegal },

    -- RFC 7301 §3.1
    { "ALPN: an empty list", extension("application_layer_protocol_negotiation", "\0\0"), code = "malformed_alpn", alert = decode },
    { "ALPN: an empty name", extension("application_layer_protocol_negotiation", "\0\1\0"), code = "malformed_alpn", alert = decode },
    { "ALPN: a name beyond the end of the list", extension("application_layer_protocol_negotiation", "\0\3\5h2"), code = "malformed_alpn",
      alert = decode },
    { "ALPN: bytes after the list", extension("application_layer_protocol_negotiation", "\0\3\2h2x"), code = "malformed_alpn",
      alert = decode },
    { "ALPN: nothing in common", client = { alpn = { "h2" } }, server = { alpn = { "http/1.1" } }, change = function() end,
      code = "no_application_protocol", alert = "no_application_protocol" },
    { "ALPN: a function that refuses", client = { alpn = { "h2" } }, server = { alpn = function() return false end },
      change = function() end,
      code = "no_application_protocol", alert = "no_application_protocol" },

    { "status_request: empty", extension("status_request", ""), code = "bad_extension", alert = decode },
  }

  client_hellos {
    { "no extended_master_secret where it is required (RFC 7627 §5.2)", function(m) without(m, "extended_master_secret") end,
      server = { extended_master_secret = "require" }, code = "ems_required", alert = failure },
    { "TLS_FALLBACK_SCSV from a client that could do better (RFC 7507)", setup = "cbc",
      client = { versions = "1.1", fallback_scsv = true, encrypt_then_mac = false }, server = { versions = { "1.1", "1.2" } },
      change = function() end, code = "inappropriate_fallback", alert = "inappropriate_fallback" },
  }

  it("that nobody knows are passed over", function()
    local attacked, other = mutate.attack { attack = "server", message = "client_hello", change = function(m)
      table.insert(m.extensions, 1, { type = 0x4a4a, data = "" })
      table.insert(m.extensions, { type = 0xabcd, data = ("?"):rep(300) })
      table.insert(m.cipher_suites, 1, 0x3a3a)
      table.insert(m.compression_methods, 1, 64)
    end }
    assert.is_truthy(attacked.session, attacked.message)
    assert.is_truthy(other.session, other.message)
  end)

  it("may be missing altogether", function()
    local attacked, other = mutate.attack { attack = "server", message = "client_hello",
      change = function(m) m.extensions, m.truncated = nil, true end }
    assert.is_truthy(attacked.session, attacked.message)
    assert.is_truthy(other.session, other.message)
    assert.is_false(other.session.extended_master_secret)
    assert.is_false(other.session.secure_renegotiation)
  end)

  it("may be an empty list", function()
    local attacked, other = mutate.attack { attack = "server", message = "client_hello", change = function(m) m.extensions = {} end }
    assert.is_truthy(attacked.session, attacked.message)
    assert.is_truthy(other.session, other.message)
  end)

  it("a higher version is answered with ours", function()
    local attacked, other = mutate.attack { attack = "server", message = "client_hello", change = set { legacy_version = 0x0305 } }
    assert.is_truthy(attacked.session, attacked.message)
    assert.equal("1.2", other.session.version)
  end)

  it("server_name may hold names of other types, which are passed over (RFC 6066 §3)", function()
    for _, list in ipairs { "\0\9\7\0\2xy\0\0\1h", "\0\9\0\0\1h\7\0\2\0\7", "\0\4\7\0\1x" } do
      local attacked = mutate.attack { attack = "server", message = "client_hello", change = extension("server_name", list) }
      assert.is_truthy(attacked.failure == nil or attacked.failure.origin == "peer", attacked.message) -- the client knows what it has really asked
      assert.equal(list:find "h" and "h" or "", attacked.hs.server_name or "")
    end
  end)

  it("signature_algorithms may be as long as it can be, with what counts at the end", function()
    local many = {}
    for i = 1, 23000 do many[i] = 0x0a0a + (i % 200) * 256 end
    many[#many] = "ecdsa_secp256r1_sha256"
    for _, setup in ipairs { "ecdhe", "tls13" } do
      for _, name in ipairs { "signature_algorithms", "signature_algorithms_cert" } do
        local attacked = mutate.attack { setup = setup, attack = "server", message = "client_hello",
          change = extension(name, { supported_signature_algorithms = many }) }
        assert.equal("peer", attacked.failure and attacked.failure.origin or "peer", attacked.message) -- the client has hashed its own hello
        assert.equal("ecdsa_secp256r1_sha256", attacked.hs.own_scheme)
      end
    end
  end)

  it("no supported_groups: P-256 is what an old client has (RFC 8422 §4)", function()
    local attacked, other = mutate.attack { setup = "ecdhe", attack = "server", server = { groups = { "x25519", "secp384r1", "secp256r1" } },
      message = "client_hello", change = function(m) mutate.without(m, "supported_groups") end }
    assert.is_truthy(attacked.session, attacked.message)
    assert.is_truthy(other.session, other.message)
    assert.equal("secp256r1", attacked.session.group)
    attacked = mutate.attack { setup = "ecdhe", attack = "server", server = { groups = { "x25519", "secp384r1" } },
      message = "client_hello", change = function(m) mutate.without(m, "supported_groups") end }
    assert.equal("x25519", attacked.hs.group)
  end)

  it("an old client's DHE without FFDHE groups gets one of the server's choice (RFC 7919 §4)", function()
    local attacked, other = mutate.attack { setup = "dhe", attack = "server", message = "client_hello",
      change = extension("supported_groups", { named_group_list = { "x25519", "secp256r1" } }) }
    assert.is_truthy(attacked.session, attacked.message)
    assert.is_truthy(other.session, other.message)
    assert.is_truthy(attacked.session.group:find "^ffdhe")
  end)
end)

-- ---- ServerHello ------------------------------------------------------------------------------------------------------------------

local function server_hellos(rows)
  for _, row in ipairs(rows) do
    row.attack, row.message, row.state = "client", "server_hello", "wait_server_hello"
    row.change = row.change or row[2]
  end
  mutate.rows(it, rows)
end

describe("a ServerHello", function()
  server_hellos {
    { "of TLS 1.1", set { legacy_version = 0x0302 }, code = "unsupported_version", alert = "protocol_version" },
    { "of SSL 3.0", set { legacy_version = 0x0300 }, code = "unsupported_version", alert = "protocol_version" },
    { "of a version above the client's", set { legacy_version = 0x0304 }, code = "unsupported_version", alert = "protocol_version" },
    { "with a session id of 33 bytes", set { session_id = ("s"):rep(33) }, code = "decode_error", alert = decode },
    { "with a suite that was not offered", set { cipher_suite = "TLS_RSA_WITH_AES_256_GCM_SHA384" }, code = "wrong_suite_chosen",
      alert = illegal },
    { "with a weaker suite than offered", set { cipher_suite = "TLS_RSA_WITH_NULL_MD5" }, code = "wrong_suite_chosen", alert = illegal },
    { "with an export suite (FREAK)", set { cipher_suite = 0x0003 }, code = "wrong_suite_chosen", alert = illegal },
    { "with a suite that nobody knows", set { cipher_suite = 0xfafa }, code = "wrong_suite_chosen", alert = illegal },
    { "with the SCSV as its suite", set { cipher_suite = 0x00ff }, code = "wrong_suite_chosen", alert = illegal },
    { "with a compression method", set { compression_method = 1 }, code = "wrong_compression", alert = illegal },
    { "with bytes after its extensions", function(m) m.trailing = "x" end, code = "trailing_data", alert = decode },
    { "with the random of a server that could do better", setup = "cbc", client = { versions = { "1.1", "1.2" }, encrypt_then_mac = false },
      server = { versions = "1.1" }, change = function(m) m.random = m.random:sub(1, 24) .. "DOWNGRD\0" end, code = "downgrade_detected",
        alert = illegal },
  }
end)

describe("the extensions of a ServerHello", function()
  local no_ems = { extended_master_secret = false }
  server_hellos {
    { "one twice", twice "extended_master_secret", code = "duplicate_extension", alert = decode },
    { "an unknown one", extension(0xabcd, ""), code = "unsolicited_extension", alert = "unsupported_extension" },
    { "a GREASE one", extension(0x4a4a, ""), code = "unsolicited_extension", alert = "unsupported_extension" },
    { "extended_master_secret, not offered", extension("extended_master_secret", ""), client = no_ems, code = "unsolicited_extension",
      alert = "unsupported_extension" },
    { "encrypt_then_mac, not offered", extension("encrypt_then_mac", ""), code = "unsolicited_extension", alert = "unsupported_extension" },
    { "ALPN, not offered", extension("application_layer_protocol_negotiation", { protocol_name_list = { "h2" } }),
      code = "unsolicited_extension",
      alert = "unsupported_extension" },
    { "session_ticket, not offered", extension("session_ticket", ""), code = "unsolicited_extension", alert = "unsupported_extension" },
    { "status_request, not offered", extension("status_request", ""), code = "unsolicited_extension", alert = "unsupported_extension" },
    { "signed_certificate_timestamp, not offered", extension("signed_certificate_timestamp", "\0\3\0\1x"), code = "unsolicited_extension",
      alert = "unsupported_extension" },
    { "max_fragment_length, not offered", extension("max_fragment_length", "\1"), code = "unsolicited_extension",
      alert = "unsupported_extension" },
    { "supported_versions, not offered", append("\0\43\0\2\3\4"), code = "unsolicited_extension", alert = "unsupported_extension" },
    { "signature_algorithms, which a server never sends", extension("signature_algorithms", "\0\2\4\3"), code = "misplaced_extension",
      alert = illegal },

    { "extended_master_secret with a byte", extension("extended_master_secret", "x"), code = "decode_error", alert = decode },
    { "renegotiation_info that is not empty (RFC 5746 §3.4)", extension("renegotiation_info", { renegotiated_connection = "v" }),
      code = "renegotiation_mismatch", alert = failure },
    { "renegotiation_info without its length", extension("renegotiation_info", ""), code = "bad_extension", alert = decode },
    { "server_name with a name", extension("server_name", names "localhost"), code = "decode_error", alert = decode },
    { "encrypt_then_mac with an AEAD suite (RFC 7366 §3)", extension("encrypt_then_mac", ""),
      client = { suites = { "TLS_RSA_WITH_AES_128_GCM_SHA256", "TLS_RSA_WITH_AES_128_CBC_SHA" } }, code = "misplaced_extension",
        alert = illegal },
    { "ec_point_formats without uncompressed (RFC 8422 §5.2)", setup = "ecdhe", change = extension("ec_point_formats", "\1\1"),
      code = "bad_extension",
      alert = illegal },
    { "ec_point_formats: an empty list", setup = "ecdhe", change = extension("ec_point_formats", "\0"), code = "bad_extension",
      alert = decode },
    { "no extended_master_secret where it is required (RFC 7627 §5.2)", function(m) without(m, "extended_master_secret") end,
      client = { extended_master_secret = "require" }, code = "ems_required", alert = failure },
  }

  -- RFC 7301 §3.1: exactly one name, and one of those that were offered
  local h2 = { alpn = { "h2", "http/1.1" } }
  local function alpn(data) return extension("application_layer_protocol_negotiation", data) end
  server_hellos {
    { "ALPN: a name that was not offered", alpn { protocol_name_list = { "spdy/3" } }, client = h2, code = "wrong_application_protocol",
      alert = illegal },
    { "ALPN: the beginning of a name that was offered", alpn { protocol_name_list = { "http" } }, client = h2,
      code = "wrong_application_protocol", alert = illegal },
    { "ALPN: two names", alpn { protocol_name_list = { "h2", "http/1.1" } }, client = h2, code = "malformed_alpn", alert = decode },
    { "ALPN: an empty list", alpn "\0\0", client = h2, code = "malformed_alpn", alert = decode },
    { "ALPN: an empty name", alpn "\0\1\0", client = h2, code = "malformed_alpn", alert = decode },
    { "ALPN: no list", alpn "", client = h2, code = "malformed_alpn", alert = decode },
  }

  it("supported_groups is passed over: some servers send it", function()
    local attacked = mutate.attack { attack = "client", setup = "ecdhe", message = "server_hello",
      change = extension("supported_groups", { named_group_list = { "x25519" } }) }
    assert.is_truthy(attacked.session, attacked.message)
  end)

  it("no renegotiation_info is put up with, and noted", function()
    local attacked = mutate.attack { attack = "client", message = "server_hello",
      change = function(m) without(m, "renegotiation_info") end }
    assert.is_truthy(attacked.session, attacked.message)
    assert.is_false(attacked.session.secure_renegotiation)
  end)
end)

-- ---- changed on the way -------------------------------------------------------------------------------------------------------------

-- What is changed between the two without their knowledge: their transcripts differ, and Finished says so, at the latest.
describe("a hello that was changed on the way", function()
  local two = { suites = { "TLS_RSA_WITH_AES_128_GCM_SHA256", "TLS_RSA_WITH_AES_128_CBC_SHA" } }
  local function behind(change)
    return function(m, ev)
      ev.transcript = "as_built"
      change(m)
    end
  end

  mutate.rows(it, {
    { "a suite taken from the offer", attack = "server", client = two, server = two,
      hooks = { { "client", "send", "client_hello", behind(function(m)
      table.remove(m.cipher_suites, 1)
    end) } }, code = "bad_record_mac", alert = "bad_record_mac", state = "wait_finished" },
  })
end)

describe("an identity", function()
  it("that fits no suite is no identity", function()
    mutate.expect { attack = "server", setup = "rsa", server = { identity = certs.ecdsa().identity }, code = "no_shared_suite",
      alert = "handshake_failure" }
  end)

  it("is not chosen by a function that refuses", function()
    local refused = { on_identity = function() return nil end, identity = nil }
    local c = mutate.contexts "rsa"
    local s = akushu.server { suites = { "TLS_RSA_WITH_AES_128_GCM_SHA256" }, versions = "1.2", on_identity = refused.on_identity }
    mutate.expect { attack = "server", contexts = { c, s }, code = "no_shared_suite", alert = "handshake_failure" }
  end)
end)
