-- Bad input, TLS 1.3: everything between ServerHello and Finished (RFC 8446 §4.3 to §4.5). One row a case.
local akushu = require "akushu"
local certs = require "spec.support.certs"
local mutate = require "spec.support.mutate"
local testca = require "akushu.testca"

local without, message = mutate.without, mutate.message
local set, extension = mutate.set, mutate.set_extension

local function body(bytes)
  return function(_, ev) return mutate.body(ev.raw, bytes) end
end

local illegal, decode, missing, unexpected = "illegal_parameter", "decode_error", "missing_extension", "unexpected_message"

local function rows(common, list) mutate.rows_with(it, common, list) end

-- ---- EncryptedExtensions (§4.3.1) --------------------------------------------------------------------------------------------

local alpn = "application_layer_protocol_negotiation"

local function chosen(...)
  return extension(alpn, { protocol_name_list = { ... } })
end

describe("EncryptedExtensions", function()
  rows({ setup = "tls13", attack = "client", message = "encrypted_extensions", state = "wait_encrypted_extensions" }, {
    { "with an unknown extension", extension(0xabcd, ""), code = "unsolicited_extension", alert = "unsupported_extension" },
    { "with an extension that was not offered", extension("early_data", ""), code = "unsolicited_extension",
      alert = "unsupported_extension" },
    { "with ALPN that was not offered", chosen "h2", code = "unsolicited_extension", alert = "unsupported_extension" },
    { "with key_share", extension("key_share", "\0\29"), code = "unsolicited_extension", alert = "unsupported_extension" },
    { "with supported_versions", extension("supported_versions", "\3\4"), code = "unsolicited_extension", alert = "unsupported_extension" },
    { "with signature_algorithms", extension("signature_algorithms", "\0\2\4\3"), code = "misplaced_extension", alert = illegal },
    { "with an extension twice", function(m)
      m.extensions[#m.extensions + 1] = assert((mutate.extension(m, "server_name")))
    end, code = "duplicate_extension", alert = "decode_error" },
    { "with a server_name that is not empty", extension("server_name", "\0\3\0\0\0"), code = "decode_error", alert = decode },
    { "with ALPN of a protocol that was not offered", chosen "h3", client = { alpn = { "h2" } }, code = "wrong_application_protocol",
      alert = illegal },
    { "with ALPN of two protocols", chosen("h2", "h2"), client = { alpn = { "h2" } }, code = "malformed_alpn", alert = decode },
    { "with ALPN of none", extension(alpn, "\0\0"), client = { alpn = { "h2" } }, code = "malformed_alpn", alert = decode },
    { "with record_size_limit 63 (RFC 8449 §4)", extension("record_size_limit", { record_size_limit = 63 }),
      client = { record_size_limit = 1000 },
      code = "illegal_parameter", alert = illegal },
    { "with supported_groups that are half a group", extension("supported_groups", "\0\3\0\29\0"), code = "bad_extension", alert = decode },
    { "with half an extension", body "\0\3\0\0\0", code = "decode_error", alert = decode },
    { "without the length of the extensions", body "", code = "decode_error", alert = decode },
    { "with bytes after the extensions", body "\0\0x", code = "trailing_data", alert = decode },
    { "that is missing", function() return false end, code = "unexpected_message", alert = unexpected },
    { "twice", function(_, ev) ev:before(ev.raw) end, code = "unexpected_message", alert = unexpected, state = "wait_certificate" },
  })

  it("may have supported_groups of the server's (§4.2.7)", function()
    local client = mutate.attack { setup = "tls13", attack = "client", message = "encrypted_extensions",
      change = extension("supported_groups", { named_group_list = { "secp521r1", 0x5a5a } }) }
    assert.is_truthy(client.session, client.message)
  end)
end)

-- ---- order -----------------------------------------------------------------------------------------------------------------------

local drop = function() return false end

describe("the order of messages (§4)", function()
  local client = { setup = "tls13", attack = "client", code = "unexpected_message", alert = unexpected }
  local verify = function(_, ev) ev:before { type = "certificate_verify", algorithm = "ecdsa_secp256r1_sha256", signature = "x" } end
  rows(client, {
    { "no Certificate", drop, message = "certificate", state = "wait_certificate" },
    { "no CertificateVerify", drop, message = "certificate_verify", state = "wait_certificate_verify" },
    { "CertificateVerify before Certificate", verify, message = "certificate", state = "wait_certificate" },
    { "Certificate twice", function(_, ev) ev:before(ev.raw) end, message = "certificate", state = "wait_certificate_verify" },
    { "CertificateRequest after Certificate", function(_, ev)
      ev:after(message("certificate_request", "\0\0\8\0\13\0\4\0\2\4\3"))
    end, message = "certificate", state = "wait_certificate_verify" },
    { "CertificateRequest twice", function(_, ev) ev:before(ev.raw) end, setup = "tls13_client_auth", message = "certificate_request",
      state = "wait_certificate" },
    { "Finished at once", function() return message("finished", ("\0"):rep(32)) end, message = "certificate", state = "wait_certificate" },
    { "NewSessionTicket before Finished", function(_, ev)
      ev:before(message("new_session_ticket", ("\0"):rep(20)))
    end, message = "finished", state = "wait_finished" },
    { "KeyUpdate before Finished", function(_, ev) ev:before(message("key_update", "\0")) end, message = "finished",
      state = "wait_finished" },
    { "EndOfEarlyData from a server", function(_, ev) ev:before(message("end_of_early_data", "")) end, message = "finished",
      state = "wait_finished" },
    { "a HelloRequest", function(_, ev) ev:before(message("hello_request", "")) end, message = "finished", state = "wait_finished" },
    { "a ClientHello", function(_, ev) ev:before(message("client_hello", ("\0"):rep(50))) end, message = "finished",
      state = "wait_finished" },
    { "a message of a type that does not exist", function(_, ev) ev:before(message(99, "x")) end, message = "finished",
      state = "wait_finished" },
    { "a message_hash, which is never sent", function(_, ev) ev:before(message(254, ("\0"):rep(32))) end, message = "finished",
      state = "wait_finished" },
    { "a Certificate to a client with a pre-shared key", function(_, ev) ev:before(message("certificate", "\0\0\0\0")) end,
      message = "finished",
      client = { psk = { { identity = "i", key = "kkkk" } } }, server = { psk = { { identity = "i", key = "kkkk" } } },
        state = "wait_finished" },
    { "a CertificateRequest to a client with a pre-shared key (§4.3.2)", function(_, ev)
      ev:before(message("certificate_request", "\0\0\8\0\13\0\4\0\2\4\3"))
    end, message = "finished", client = { psk = { { identity = "i", key = "kkkk" } } }, server = { psk = { { identity = "i",
      key = "kkkk" } } }, state = "wait_finished" },
  })

  local server = { setup = "tls13_client_auth", attack = "server", code = "unexpected_message", alert = unexpected }
  rows(server, {
    { "no Certificate of the client's", drop, message = "certificate", state = "wait_certificate" },
    { "no CertificateVerify of the client's", drop, message = "certificate_verify", state = "wait_certificate_verify" },
    { "the client's Finished at once", function() return message("finished", ("\0"):rep(32)) end, message = "certificate",
      state = "wait_certificate" },
    { "a Certificate that nobody asked for", function(_, ev) ev:before(message("certificate", "\0\0\0\0")) end, setup = "tls13",
      message = "finished", state = "wait_finished" },
    { "a CertificateVerify without a certificate", function(_, ev)
      ev:before { type = "certificate_verify", algorithm = "ecdsa_secp256r1_sha256", signature = "x" }
    end, client = { identity = {} }, server = { client_auth = "request" }, message = "finished", state = "wait_finished" },
    { "EndOfEarlyData without early data (§4.5)", function(_, ev) ev:before(message("end_of_early_data", "")) end, setup = "tls13",
      message = "finished",
      state = "wait_finished" },
    { "KeyUpdate before Finished", function(_, ev) ev:before(message("key_update", "\0")) end, setup = "tls13", message = "finished",
      state = "wait_finished" },
    { "a second ClientHello", function(_, ev) ev:before(message("client_hello", ("\0"):rep(50))) end, setup = "tls13",
      message = "finished", state = "wait_finished" },
    { "a ServerHello from a client", function(_, ev) ev:before(message("server_hello", ("\0"):rep(50))) end, setup = "tls13",
      message = "finished",
      state = "wait_finished" },
  })
end)

-- ---- CertificateRequest (§4.3.2) -----------------------------------------------------------------------------------------------------

describe("a CertificateRequest", function()
  rows({ setup = "tls13_client_auth", attack = "client", message = "certificate_request", state = "wait_certificate_request" }, {
    { "with a context", set { certificate_request_context = "c" }, code = "illegal_parameter", alert = illegal },
    { "without signature_algorithms", function(m) without(m, "signature_algorithms") end, code = "request_without_schemes",
      alert = missing },
    { "with no signature algorithm", extension("signature_algorithms", "\0\0"), code = "malformed_schemes", alert = decode },
    { "with certificate_authorities that are empty", extension("certificate_authorities", "\0\0"), code = "bad_extension", alert = decode },
    { "with an empty name", extension("certificate_authorities", "\0\2\0\0"), code = "bad_extension", alert = decode },
    { "with an extension that belongs elsewhere", extension("key_share", "\0\29"), code = "misplaced_extension", alert = illegal },
    { "with an extension twice", function(m) table.insert(m.extensions, m.extensions[1]) end, code = "duplicate_extension",
      alert = "decode_error" },
    { "with oid_filters that are cut short", extension("oid_filters", "\0\5\3abc"), code = "bad_extension", alert = decode },
    { "without extensions", body "\0\0\0", code = "request_without_schemes", alert = "missing_extension" },
    { "with bytes after it", function(_, ev) return mutate.body(ev.raw, ev.raw:sub(5) .. "x") end, code = "trailing_data", alert = decode },
    { "with nothing in it", body "", code = "decode_error", alert = decode },
  })

  it("may have extensions that nobody knows", function()
    local client = mutate.attack { setup = "tls13_client_auth", attack = "client", message = "certificate_request",
      change = extension(0xabcd, "x") }
    assert.is_truthy(client.session, client.message)
  end)
end)

-- ---- Certificate (§4.4.2) --------------------------------------------------------------------------------------------------------------

-- To a client from a server, and to a server from a client.
local function both_ways(list)
  for _, way in ipairs { "client", "server" } do
    local copies = {}
    for i, row in ipairs(list) do
      copies[i] = {}
      for k, v in pairs(row) do copies[i][k] = v end
      copies[i][1] = row[1] .. ", to a " .. way
    end
    rows({ setup = way == "client" and "tls13" or "tls13_client_auth", attack = way, message = "certificate",
      state = "wait_certificate" }, copies)
  end
end

local function first(change)
  return function(m) change(m.certificate_list[1], m) end
end

describe("a Certificate", function()
  both_ways {
    { "with a context", set { certificate_request_context = "c" }, code = "illegal_parameter", alert = illegal },
    { "with an entry that is empty", first(function(e) e.cert_data = "" end), code = "decode_error", alert = decode },
    { "that is garbage", first(function(e) e.cert_data = ("garbage"):rep(20) end), code = "undecodable_certificate", alert = decode },
    { "with a byte after it", first(function(e) e.cert_data = e.cert_data .. "\0" end), code = "undecodable_certificate", alert = decode },
    { "with a status that nobody asked for", first(function(e)
      e.extensions = { { type = "status_request", data = "\1\0\0\1x" } }
    end), code = "unsolicited_extension", alert = "unsupported_extension" },
    { "with an unknown extension", first(function(e) e.extensions = { { type = 0xabcd, data = "" } } end), code = "unsolicited_extension",
      alert = "unsupported_extension" },
    { "with an extension twice", first(function(e)
      e.extensions = { { type = 0xabcd, data = "" }, { type = 0xabcd, data = "" } }
    end), code = "duplicate_extension", alert = "decode_error" },
    { "with half an extension", body("\0\0\0\6\0\0\1x\0\1\0"), code = "decode_error", alert = decode },
    { "without extensions", body("\0\0\0\4\0\0\1x"), code = "decode_error", alert = decode },
    { "whose list is longer than it", body("\0\0\255\0x"), code = "decode_error", alert = decode },
    { "with nothing in it", body "", code = "decode_error", alert = decode },
    { "with bytes after it", function(_, ev) return mutate.body(ev.raw, ev.raw:sub(5) .. "x") end, code = "trailing_data", alert = decode },
  }

  local untrusted = testca.self_signed { names = { "localhost" } }
  local function chain_of(certificate)
    local list = {}
    for i, c in ipairs(certificate.identity.chain) do list[i] = { cert_data = c.der, extensions = {} } end
    return set { certificate_list = list }
  end

  rows({ setup = "tls13", attack = "client", message = "certificate", state = "wait_certificate" }, {
    { "with an empty list from a server", set { certificate_list = {} }, code = "empty_certificate", alert = decode },
    { "with a status of another type", first(function(e) e.extensions = { { type = "status_request", data = "\9\0\0\1x" } } end),
      client = { ocsp = true },
      code = "illegal_parameter", alert = illegal },
    { "with a status that is empty", first(function(e) e.extensions = { { type = "status_request", data = "\1\0\0\0" } } end),
      client = { ocsp = true },
      code = "bad_extension", alert = decode },
    { "with an extension that was offered and belongs elsewhere", first(function(e) e.extensions = { { type = "server_name",
      data = "" } } end),
      code = "misplaced_extension", alert = illegal },
    { "of nobody who is trusted", chain_of(untrusted), code = "self_signed", alert = "unknown_ca" },
    { "of another host", chain_of(certs.leaf("ecdsa", "wrong_host")), code = "host_mismatch", alert = "bad_certificate" },
    { "that has expired", chain_of(certs.leaf("ecdsa", "expired")), code = "certificate_expired", alert = "certificate_expired" },
  })

  rows({ setup = "tls13_client_auth", attack = "server", message = "certificate", state = "wait_certificate" }, {
    { "with an empty list, though one is required (§4.4.2.4)", set { certificate_list = {} }, code = "certificate_required",
      alert = "certificate_required" },
    { "of nobody who is trusted, from a client", chain_of(untrusted), code = "self_signed", alert = "unknown_ca" },
  })

  -- The end entity's are kept, but every entry's must have their form.
  rows({ setup = "tls13", attack = "client", message = "certificate", state = "wait_certificate", client = { ocsp = true, sct = true },
    code = "bad_extension", alert = decode }, {
    { "whose second entry has half an OCSP response", function(m)
      m.certificate_list[2] = { cert_data = m.certificate_list[1].cert_data, extensions = { { type = "status_request", data = "\1\0\0\2x" } } }
    end },
    { "whose second entry has an empty list of SCTs", function(m)
      m.certificate_list[2] = { cert_data = m.certificate_list[1].cert_data,
        extensions = { { type = "signed_certificate_timestamp", data = "\0\0" } } }
    end },
  })

  it("may be empty where one is only requested", function()
    local server = mutate.attack { setup = "tls13_client_auth", attack = "server", client = { identity = {} },
      server = { client_auth = "request" } }
    assert.is_truthy(server.session, server.message)
    assert.is_nil(server.session.peer)
  end)
end)

-- ---- reserved values (RFC 8701 §3.1) -------------------------------------------------------------------------------------------------------

describe("a reserved extension that the client has sent", function()
  for _, where in ipairs { "hello_retry_request", "server_hello", "encrypted_extensions", "certificate" } do
    it("is no answer in " .. where, function()
      for _, nth in ipairs { 1, 2 } do
        local sent
        mutate.expect { setup = "tls13", attack = "client", client = { grease = true },
          server = where == "hello_retry_request" and { groups = { "secp256r1" } } or nil, message = where,
          hooks = { { "client", "send", "client_hello", function(m)
            local n = 0
            for _, e in ipairs(m.extensions) do
              if akushu.wire.is_grease(tonumber(e.type) or 0) then
                n = n + 1
                if n == nth then sent = e.type end
              end
            end
          end } },
          change = function(m)
            table.insert(m.certificate_list and m.certificate_list[1].extensions or m.extensions, { type = assert(sent), data = "" })
          end, code = "unsolicited_extension", alert = "unsupported_extension",
          blind = where == "server_hello" and "unexpected_record" or nil } -- its alert is in the clear
      end
    end)
  end
end)

-- ---- CompressedCertificate (RFC 8879) -------------------------------------------------------------------------------------------------------

describe("a CompressedCertificate", function()
  if not akushu.supports("certificate_compression", "zlib") then
    pending "(zlib is not installed)"
    return
  end
  local zlib = { certificate_compression = { "zlib" } }
  for _, way in ipairs { "client", "server" } do
    local name = ", to a " .. way
    rows({ setup = way == "client" and "tls13" or "tls13_client_auth", attack = way, message = "compressed_certificate", client = zlib,
      server = zlib,
      code = "bad_compression", alert = "bad_certificate", state = "wait_compressed_certificate" }, {
      { "that is garbage" .. name, set { compressed_certificate_message = ("garbage"):rep(20) } },
      { "that is cut" .. name, function(m) m.compressed_certificate_message = m.compressed_certificate_message:sub(1, -5) end },
      { "with bytes after it" .. name, function(m) m.compressed_certificate_message = m.compressed_certificate_message .. "x" end },
      { "that says it is longer" .. name, function(m) m.uncompressed_length = m.uncompressed_length + 1 end },
      { "that says it is shorter" .. name, function(m) m.uncompressed_length = m.uncompressed_length - 1 end },
      { "that says it is of no length" .. name, set { uncompressed_length = 0 } },
      { "that says it has 16 MB" .. name, set { uncompressed_length = 0xffffff } },
      { "of an algorithm that was not offered" .. name, set { algorithm = "brotli" }, code = "illegal_parameter", alert = illegal },
      { "of an algorithm that nobody knows" .. name, set { algorithm = 0x5a5a }, code = "illegal_parameter", alert = illegal },
      { "that is empty" .. name, set { compressed_certificate_message = "" }, code = "decode_error", alert = decode },
    })
  end
  rows({ setup = "tls13", attack = "client", message = "certificate", state = "wait_certificate" }, {
    { "that nobody asked for", function() return message("compressed_certificate", "\0\1\0\0\5\0\0\1x") end, code = "unexpected_message",
      alert = unexpected },
  })
  rows({ setup = "tls13", attack = "server", message = "client_hello", state = "wait_client_hello" }, {
    { "offered without an algorithm", extension("compress_certificate", "\0"), code = "decode_error", alert = decode },
    { "offered with half an algorithm", extension("compress_certificate", "\3\0\1\0"), code = "decode_error", alert = decode },
  })
end)

-- ---- CertificateVerify (§4.4.3) ----------------------------------------------------------------------------------------------------------

-- Signs what a CertificateVerify of this handshake signs, but under another context string or with another scheme. The transcript is collected at the
-- attacker's gates.
local function signing(setup, side, make)
  local all = {}
  local function collect(_, ev)
    if ev.content_type == "handshake" then all[#all + 1] = ev.raw end
  end
  local leaf = certs.leaf(mutate.setups[setup][2])
  if side == "client" then leaf = certs.leaf("ecdsa", "client") end
  local file = assert(io.open(leaf.key))
  local key = assert(akushu.private_key(file:read "a"))
  file:close()
  return { { side, "send", "*", collect }, { side, "receive", "*", collect }, { side, "compose", "certificate_verify", function(m)
    local hash = akushu.crypto.digest("sha256", table.concat(all))
    make(m, key, function(context) return (" "):rep(64) .. context .. "\0" .. hash end)
  end } }
end

local own = { client = "TLS 1.3, client CertificateVerify", server = "TLS 1.3, server CertificateVerify" }
local other = { client = "server", server = "client" }

describe("a CertificateVerify", function()
  for _, side in ipairs { "client", "server" } do
    local common = { setup = side == "client" and "tls13_client_auth" or "tls13", attack = other[side], message = "certificate_verify",
      state = "wait_certificate_verify" }
    local function named(list)
      for _, row in ipairs(list) do row[1] = row[1] .. ", from a " .. side end
      return list
    end
    rows(common, named {
      { "whose signature is wrong", function(m) m.signature = mutate.flip(m.signature, #m.signature) end, code = "bad_signature",
        alert = "decrypt_error" },
      { "whose signature is empty", set { signature = "" }, code = "bad_signature", alert = "decrypt_error" },
      { "with a byte after the signature", function(m) m.signature = m.signature .. "\0" end, code = "bad_signature",
        alert = "decrypt_error" },
      { "with another curve's scheme", set { algorithm = "ecdsa_secp384r1_sha384" }, code = "wrong_scheme", alert = illegal },
      { "with SHA-1", set { algorithm = "ecdsa_sha1" }, code = "wrong_scheme", alert = illegal },
      { "with another key's scheme", set { algorithm = "rsa_pss_rsae_sha256" }, code = "wrong_scheme", alert = illegal },
      { "with a scheme that nobody knows", set { algorithm = 0x5a5a }, code = "wrong_scheme", alert = illegal },
      { "with nothing in it", body "", code = "decode_error", alert = decode },
      { "with bytes after it", function(_, ev) return mutate.body(ev.raw, ev.raw:sub(5) .. "x") end, code = "trailing_data",
        alert = decode },
    })
    it("under the other side's context string, from a " .. side, function()
      mutate.expect { setup = common.setup, attack = common.attack, hooks = signing(common.setup, side, function(m, key, content)
        m.signature = assert(key:sign("ecdsa_secp256r1_sha256", content(own[other[side]])))
      end), code = "bad_signature", alert = "decrypt_error", state = common.state }
    end)
    it("of TLS 1.2's form: the messages themselves, from a " .. side, function()
      mutate.expect { setup = common.setup, attack = common.attack, hooks = signing(common.setup, side, function(m, key, content)
        m.signature = assert(key:sign("ecdsa_secp256r1_sha256", content(own[side]):sub(65)))
      end), code = "bad_signature", alert = "decrypt_error", state = common.state }
    end)
    it("that is made here is otherwise right, from a " .. side, function()
      local attacked = mutate.attack { setup = common.setup, attack = common.attack, hooks = signing(common.setup, side, function(m, key,
        content)
        m.signature = assert(key:sign("ecdsa_secp256r1_sha256", content(own[side])))
      end) }
      assert.is_truthy(attacked.session, attacked.message)
    end)
  end

  for _, scheme in ipairs { "rsa_pkcs1_sha256", "rsa_pkcs1_sha512", "rsa_pkcs1_sha1" } do
    it("with " .. scheme .. ": PKCS#1 v1.5 is for certificates alone", function()
      mutate.expect { setup = "tls13_rsa", attack = "client", hooks = signing("tls13_rsa", "server", function(m, key, content)
        m.algorithm = scheme
        m.signature = key:sign(scheme, content(own.server)) or ("s"):rep(256)
      end), code = "wrong_scheme", alert = illegal, state = "wait_certificate_verify" }
    end)
  end

  it("with a scheme that the client did not offer", function()
    mutate.expect { setup = "tls13_rsa", attack = "client", client = { schemes = { "rsa_pss_rsae_sha256" } }, hooks = signing("tls13_rsa",
      "server", function(m, key, content)
      m.algorithm = "rsa_pss_rsae_sha384"
      m.signature = assert(key:sign("rsa_pss_rsae_sha384", content(own.server)))
    end), code = "wrong_scheme", alert = illegal, state = "wait_certificate_verify" }
  end)
end)

-- ---- Finished (§4.4.4) ------------------------------------------------------------------------------------------------------------------------

for _, side in ipairs { "client", "server" } do
  describe("a Finished, from a " .. side, function()
    rows({ setup = "tls13", attack = other[side], message = "finished", state = "wait_finished" }, {
      { "that is wrong", function(m) m.verify_data = mutate.flip(m.verify_data, 1) end, code = "bad_finished", alert = "decrypt_error" },
      { "that is wrong in its last bit", function(m) m.verify_data = mutate.flip(m.verify_data, 32) end, code = "bad_finished",
        alert = "decrypt_error" },
      { "of 12 bytes", set { verify_data = ("\0"):rep(12) }, code = "bad_finished", alert = "decrypt_error" },
      { "of 33 bytes", function(m) m.verify_data = m.verify_data .. "\0" end, code = "bad_finished", alert = "decrypt_error" },
      { "of no bytes", function() return message("finished", "") end, code = "bad_finished", alert = "decrypt_error" },
      { "with another message in its record (§5.1)", gate = "plain_out", message = "handshake", change = function(bytes)
        local flight = bytes:byte() -- EncryptedExtensions and all after it, or Finished alone
        if flight == 8 or flight == 20 then return bytes .. message("key_update", "\0") end
      end, code = "excess_handshake_data", alert = unexpected, state = false },
    })
  end)
end
