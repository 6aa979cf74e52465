-- The registries: code points, names, spellings; and RFC 8446 §4.2's table of which extension may stand in which message.
local vectors = require "spec.support.vectors"
local wire = require("akushu.core").wire

describe("a registry", function()
  it("has each value and each name once", function()
    for _, name in ipairs(wire.registries()) do
      local numbers, names = {}, 0
      for key, value in pairs(wire.registry[name]) do
        if type(key) == "string" then
          names = names + 1
          assert.is_nil(numbers[value], name .. ": two names for " .. value)
          numbers[value] = key
          assert.equal(key, wire.registry[name][value])
          assert.equal(key, wire.name(name, value))
          assert.equal(value, wire.number(name, key))
        end
      end
      assert.is_true(names > 0, name)
    end
  end)

  it("has the values that IANA gave", function()
    local known = {
      content_types = { change_cipher_spec = 20, alert = 21, handshake = 22, application_data = 23, heartbeat = 24 },
      handshake_types = { hello_request = 0, client_hello = 1, server_hello = 2, new_session_ticket = 4, end_of_early_data = 5,
        encrypted_extensions = 8,
        certificate = 11, server_key_exchange = 12, certificate_request = 13, server_hello_done = 14, certificate_verify = 15,
        client_key_exchange = 16, finished = 20, certificate_url = 21, certificate_status = 22, supplemental_data = 23, key_update = 24,
        compressed_certificate = 25, message_hash = 254 },
      alerts = { close_notify = 0, handshake_failure = 40, no_application_protocol = 120 },
      extensions = { server_name = 0, application_layer_protocol_negotiation = 16, key_share = 51, encrypted_client_hello = 0xfe0d,
        renegotiation_info = 0xff01 },
      suites = { TLS_RSA_WITH_AES_128_CBC_SHA = 0x002f, TLS_AES_128_GCM_SHA256 = 0x1301, TLS_FALLBACK_SCSV = 0x5600,
        TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256 = 0xc02b, TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256 = 0xcca8,
        TLS_EMPTY_RENEGOTIATION_INFO_SCSV = 0x00ff, TLS_ECDHE_PSK_WITH_AES_128_CCM_SHA256 = 0xd005 },
      groups = { secp256r1 = 23, x25519 = 29, ffdhe8192 = 260, X25519MLKEM768 = 0x11ec, SecP256r1MLKEM768 = 0x11eb,
        SecP384r1MLKEM1024 = 0x11ed },
      schemes = { rsa_pkcs1_sha1 = 0x0201, ecdsa_secp521r1_sha512 = 0x0603, rsa_pss_pss_sha512 = 0x080b, ed25519 = 0x0807 },
      psk_key_exchange_modes = { psk_ke = 0, psk_dhe_ke = 1 },
      certificate_compression_algorithms = { zlib = 1, brotli = 2, zstd = 3 },
      certificate_status_types = { ocsp = 1, ocsp_multi = 2 },
      certificate_types = { X509 = 0, ["Raw Public Key"] = 2 },
      client_certificate_types = { rsa_sign = 1, ecdsa_sign = 64 },
      ec_point_formats = { uncompressed = 0 },
    }
    for registry, values in pairs(known) do
      for name, number in pairs(values) do assert.equal(number, wire.registry[registry][name], registry .. "." .. name) end
    end
    local suites = 0
    for key in pairs(wire.registry.suites) do
      if type(key) == "string" then suites = suites + 1 end
    end
    assert.is_true(suites >= 350, suites)
  end)

  it("takes friendlier spellings and aliases, and gives out IANA's names", function()
    for _, spelling in ipairs { "secp256r1", "P-256", "p256", "prime256v1", "SECP256R1" } do
      assert.equal(23, wire.number("groups", spelling), spelling)
      assert.equal(23, wire.registry.groups[spelling], spelling)
    end
    assert.equal("secp256r1", wire.name("groups", 23))
    for _, spelling in ipairs { "TLS 1.2", "1.2", "TLSv1.2", "tls1.2", "TLS12" } do
      assert.equal(0x0303, wire.number("versions", spelling), spelling)
    end
    assert.equal(16, wire.number("extensions", "alpn"))
    assert.equal(0x1301, wire.number("suites", "tls-aes-128-gcm-sha256"))
    assert.equal(0x1301, wire.number("suites", "0x1301"))
    assert.equal(0x1301, wire.number("suites", 0x1301))
  end)

  it("says nothing about what it does not know", function()
    assert.is_nil(wire.number("groups", "P-257"))
    assert.is_nil(wire.number("groups", ""))
    assert.is_nil(wire.number("groups", "0x"))
    assert.is_nil(wire.number("groups", -1))
    assert.is_nil(wire.name("groups", 0x0a0a))
    assert.is_nil(wire.registry.groups["P-257"])
    assert.is_nil(wire.registry.wat)
    assert.has_error(function() wire.name("wat", 1) end)
    assert.has_error(function() wire.number("none", 1) end)
  end)

  it("knows GREASE", function()
    local n = 0
    for value = 0, 0xffff do
      if wire.is_grease(value) then
        n = n + 1
        assert.equal(0x0a0a, value & 0x0f0f)
        assert.equal(value >> 8, value & 0xff)
      end
    end
    assert.equal(16, n)
    assert.is_false(wire.is_grease(0x10a0a))
    assert.is_false(wire.is_grease(-1))
    assert.is_false(wire.is_grease("x"))
  end)
end)

describe("which extension may stand where", function()
  local columns = { CH = "client_hello", SH = "server_hello", EE = "encrypted_extensions", CT = "certificate", CR = "certificate_request",
    NST = "new_session_ticket", HRR = "hello_retry_request" }

  -- The rows of the table, as { name, { column = true } }.
  local function rows_of_the_rfc()
    local file = io.open(vectors.rfc_folder .. "/rfc8446.txt", "rb")
    if not file then return nil end
    local rows, inside = {}, false
    for line in file:lines() do
      inside = inside or line:find("| Extension                                        |     TLS 1.3 |", 1, true)
      if inside and line:find("^4%.2%.1%.") then break end
      local name, places = line:match "^   | ([a-z_]+)[^|]*|%s+([A-Z, ]+) |"
      if inside and name then
        local row = {}
        for place in places:gmatch "%u+" do row[place] = true end
        rows[#rows + 1] = { name, row }
      end
    end
    file:close()
    return rows
  end

  it("is what RFC 8446 §4.2 says", function()
    local rows = rows_of_the_rfc()
    if not rows then return pending "the RFCs are not here" end
    assert.equal(22, #rows)
    for _, row in ipairs(rows) do
      for column, message in pairs(columns) do
        assert.equal(row[2][column] and "allowed" or "misplaced", wire.extension_allowed(row[1], message), row[1] .. " in " .. message)
      end
    end
  end)

  it("is known for TLS 1.2, too", function()
    local allowed = { "server_name", "extended_master_secret", "encrypt_then_mac", "renegotiation_info", "session_ticket",
      "status_request",
      "ec_point_formats", "application_layer_protocol_negotiation", "max_fragment_length", "record_size_limit",
        "signed_certificate_timestamp" }
    for _, name in ipairs(allowed) do assert.equal("allowed", wire.extension_allowed(name, "server_hello_12"), name) end
    for _, name in ipairs { "key_share", "pre_shared_key", "supported_versions", "signature_algorithms", "cookie", "early_data",
      "padding" } do
      assert.equal("misplaced", wire.extension_allowed(name, "server_hello_12"), name)
    end
    for _, name in ipairs { "extended_master_secret", "encrypt_then_mac", "renegotiation_info", "session_ticket", "ec_point_formats" } do
      assert.equal("allowed", wire.extension_allowed(name, "client_hello"), name)
      assert.equal("misplaced", wire.extension_allowed(name, "server_hello"), name)
      assert.equal("misplaced", wire.extension_allowed(name, "encrypted_extensions"), name)
    end
    assert.equal("unknown", wire.extension_allowed(0x0a0a, "client_hello"))
    assert.equal("unknown", wire.extension_allowed(0x9999, "certificate"))
    assert.has_error(function() wire.extension_allowed("wat", "client_hello") end)
    assert.has_error(function() wire.extension_allowed("cookie", "finished") end)
  end)
end)
