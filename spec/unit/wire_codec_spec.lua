-- The codec as a script sees it: guesses, forms, malformed parts, raw bytes anywhere, spans, lists of extensions, declared extensions.
local checks = require "spec.support.checks"
local vectors = require "spec.support.vectors"
local wire = require("akushu.core").wire

local hex = vectors.to_hex
local random = ("\7"):rep(32)

local function hello(changes)
  local t = {
    type = "client_hello", legacy_version = "TLS 1.2", random = random, session_id = "", cipher_suites = { "TLS_AES_128_GCM_SHA256" },
    compression_methods = { "null" },
    extensions = {
      { type = "server_name", data = { server_name_list = { { name_type = "host_name", host_name = "example.com" } } } },
      { type = "extended_master_secret" },
      { type = "key_share", data = { key_shares = { { group = "x25519", key_exchange = random }, { group = 0x2a2a,
        key_exchange = "\0" } } } },
      { type = 0x0a0a, data = "" },
    },
  }
  for key, value in pairs(changes or {}) do t[key] = value end
  return t
end

local function server_hello(suite, version)
  return wire.encode {
    type = "server_hello", legacy_version = version == "TLS 1.3" and "TLS 1.2" or version, random = random, session_id = "",
      cipher_suite = suite,
    compression_method = 0, extensions = version == "TLS 1.3" and { { type = "supported_versions",
      data = { selected_version = version } } } or nil,
  }
end

local function record(content, fragment, version)
  return string.pack(">BI2s2", content, version or 0x0303, fragment)
end

-- Decodes, sees that the bytes come back, and returns the node.
local function lossless(input, options)
  local node = wire.decode(input, options)
  assert.equal(hex(input), hex(wire.encode(node)))
  return node
end

describe("a guess", function()
  local message = wire.encode(hello())

  it("sees records", function()
    local node = lossless(record(22, message, 0x0301) .. record(21, "\2\40"))
    assert.equal("records", node.what)
    assert.equal("handshake", node[1].type)
    assert.equal("TLS 1.0", node[1].version)
    assert.equal("client_hello", node[1].fragment[1].type)
    assert.same({ type = "alert", level = "fatal", description = "handshake_failure" }, node[2].fragment[1])
  end)

  it("sees one message, and several", function()
    assert.equal("client_hello", lossless(message).type)
    local node = lossless(message .. wire.encode { type = "finished", verify_data = "x" })
    assert.equal("messages", node.what)
    assert.equal("finished", node[2].type)
  end)

  it("is not needed when the script says what it is", function()
    assert.equal("client_hello", lossless(message, { what = "handshake" }).type)
    assert.equal("messages", lossless(message, { what = "messages" }).what)
    assert.equal("handshake", lossless(record(22, message), { what = "record" }).type)
    assert.equal("fatal", lossless("\2\50", { what = "alert" }).level)
    assert.equal("warning", lossless("\1\0", { what = "alert" }).level)
    assert.equal(1, lossless("\1", { what = "change_cipher_spec" }).value)
    assert.equal("data", lossless("data", { what = "application_data" }).raw)
  end)

  it("keeps what is none of these", function()
    for _, input in ipairs { "", "\0", "\22\3", "GET / HTTP/1.0\r\n", "\255\255\255\255\255\255", "\1\0\0" } do lossless(input) end
    assert.equal("shorter than a handshake header", wire.decode("\1\0").note)
  end)

  it("takes the bytes after one message or record for what they are", function()
    local node = lossless(message .. "more", { what = "message" })
    assert.equal("more", node.after)
    assert.same({ { path = "", offset = #message, note = "more bytes after it" } }, node.notes)
    assert.equal("\22", lossless(record(22, message) .. "\22", { what = "record" }).after)
  end)

  it("raises when a table could be anything", function()
    assert.has_error(function() wire.encode {} end, "it cannot be told what this is: say what = \"record\", \"message\", … in the options")
    assert.equal("", wire.encode({}, { what = "records" }))
  end)
end)

describe("options", function()
  it("are checked by name", function()
    local function raises(text, options) assert.error_matches(function() wire.decode("", options) end, text, 1, true) end
    raises("unknown option 'wat'", { wat = 1 })
    raises("option 'what'", { what = "wat" })
    raises("option 'version'", { version = "TLS 9.9" })
    raises("option 'kx'", { kx = "quantum" })
    raises("option 'suite'", { suite = "TLS_NO_SUCH_SUITE" })
    raises("option 'from'", { from = "nobody" })
    raises("option 'message'", { what = "extensions", message = "finished" })
    raises("options have names", { "what" })
  end)
end)

describe("a message with several forms", function()
  local certificate_12 = wire.encode { type = "certificate", form = "certificate_12", certificate_list = { "cert" } }
  local certificate_13 = wire.encode { type = "certificate", certificate_request_context = "",
    certificate_list = { { cert_data = "cert", extensions = {} } } }

  it("is told by the context", function()
    assert.equal("certificate_12", lossless(certificate_12, { version = "1.2" }).form)
    assert.equal("certificate_13", lossless(certificate_13, { version = "TLSv1.3" }).form)
    assert.same({ "cert" }, lossless(certificate_12, { version = 0x0301 }).certificate_list)
  end)

  it("is told by what fits when the context does not", function()
    assert.equal("certificate_12", lossless(certificate_12).form)
    assert.equal("certificate_13", lossless(certificate_13).form)
    local spki = wire.encode { type = "certificate", form = "certificate_rpk_12", subject_public_key_info = "key" }
    assert.equal("key", lossless(spki, { version = "1.2" }).subject_public_key_info)
  end)

  it("stays raw when nothing fits", function()
    local node = lossless "\11\0\0\3abc"
    assert.equal("certificate", node.type)
    assert.equal("abc", node.raw)
    assert.equal("none of this message's forms fits", node.note)
    assert.equal("?", lossless("\99\0\0\1?").raw)
    assert.equal(99, lossless("\99\0\0\1?").type)
  end)

  it("follows the key exchange", function()
    local forms = {
      { "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256", "TLS 1.2", "server_key_exchange_ecdhe_12", "client_key_exchange_ecdhe" },
      { "TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA", "TLS 1.1", "server_key_exchange_ecdhe_10", "client_key_exchange_ecdhe" },
      { "TLS_DHE_RSA_WITH_AES_128_CBC_SHA", "TLS 1.2", "server_key_exchange_dhe_12", "client_key_exchange_dhe" },
      { "TLS_DHE_DSS_WITH_AES_128_CBC_SHA", "TLS 1.0", "server_key_exchange_dhe_10", "client_key_exchange_dhe" },
      { "TLS_DH_anon_WITH_AES_128_CBC_SHA", "TLS 1.0", "server_key_exchange_dh_anon", "client_key_exchange_dhe" },
      { "TLS_ECDH_anon_WITH_AES_128_CBC_SHA", "TLS 1.2", "server_key_exchange_ecdh_anon", "client_key_exchange_ecdhe" },
      { "TLS_PSK_WITH_AES_128_CBC_SHA", "TLS 1.2", "server_key_exchange_psk", "client_key_exchange_psk" },
      { "TLS_DHE_PSK_WITH_AES_128_CBC_SHA", "TLS 1.2", "server_key_exchange_dhe_psk", "client_key_exchange_dhe_psk" },
      { "TLS_ECDHE_PSK_WITH_AES_128_CBC_SHA", "TLS 1.2", "server_key_exchange_ecdhe_psk", "client_key_exchange_ecdhe_psk" },
      { "TLS_RSA_PSK_WITH_AES_128_CBC_SHA", "TLS 1.2", "server_key_exchange_psk", "client_key_exchange_rsa_psk" },
      { "TLS_RSA_EXPORT_WITH_RC4_40_MD5", "TLS 1.0", "server_key_exchange_rsa_export", "client_key_exchange_rsa" },
      { "TLS_RSA_WITH_AES_128_CBC_SHA", "SSL 3.0", nil, "client_key_exchange_rsa_ssl3" },
      { "TLS_RSA_WITH_AES_128_CBC_SHA", "TLS 1.2", nil, "client_key_exchange_rsa" },
      { "TLS_SRP_SHA_RSA_WITH_AES_128_CBC_SHA", "TLS 1.2", "server_key_exchange_srp_12", "client_key_exchange_srp" },
    }
    for _, case in ipairs(forms) do
      local context = { suite = case[1], version = case[2], from = "server" }
      if case[3] then assert.equal(case[3], lossless("\12\0\0\2ab", context).form, case[1]) end
      context.from = "client"
      assert.equal(case[4], lossless("\16\0\0\2ab", context).form, case[1])
    end
    assert.equal("client_key_exchange_ecdhe", lossless("\16\0\0\2\1a", { version = "1.2", kx = "ecdhe" }).form)
    assert.equal("ab", lossless("\12\0\0\2ab", { version = "1.2", kx = "rsa" }).raw)
  end)

  it("follows the ServerHello that went by", function()
    local flight = server_hello("TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256", "TLS 1.2") .. certificate_12 .. wire.encode {
      type = "server_key_exchange", form = "server_key_exchange_ecdhe_12", signature = "sig", algorithm = "rsa_pss_rsae_sha256",
      params = { named_curve = "P-256", point = "\4xy" },
    }
    local node = lossless(flight)
    assert.equal("certificate_12", node[2].form)
    assert.equal("secp256r1", node[3].params.named_curve)
    assert.equal("named_curve", node[3].params.curve_type)
    node = lossless(server_hello("TLS_AES_128_GCM_SHA256", "TLS 1.3") .. certificate_13)
    assert.equal("certificate_13", node[2].form)
    node = lossless(record(22, server_hello("TLS_DHE_RSA_WITH_AES_128_CBC_SHA", "TLS 1.1")) .. record(22,
      "\12\0\0\15\0\1a\0\1b\0\1c\0\4sign"))
    assert.equal("server_key_exchange_dhe_10", node[2].fragment[1].form)
    assert.equal("sign", node[2].fragment[1].signature)
  end)

  it("is told by its fields when it is built", function()
    local body = "\8\4\0\3sig"
    assert.equal(hex("\15\0\0\7" .. body), hex(wire.encode { type = "certificate_verify", algorithm = "rsa_pss_rsae_sha256",
      signature = "sig" }))
    assert.equal(hex "\15\0\0\5\0\3sig", hex(wire.encode({ type = "certificate_verify", signature = "sig" }, { version = "1.1" })))
    assert.error_matches(function() wire.encode { type = "certificate_verify", sig = "sig" } end, "no.* field 'sig'")
    assert.error_matches(function() wire.encode { type = "certificate", form = "certificate_99" } end,
      "certificate_99 is no form of this message", 1, true)
  end)

  it("decodes by its name alone, too, without a header", function()
    local node = lossless(certificate_13:sub(5), { what = "certificate" })
    assert.equal("certificate_13", node.form)
    assert.equal("certificate_12", lossless(certificate_12:sub(5), { what = "certificate", version = "1.2" }).form)
    assert.equal(hex(certificate_12:sub(5)), hex(wire.encode({ certificate_list = { "cert" } }, { what = "certificate",
      version = "1.2" })))
  end)
end)

describe("a HelloRetryRequest", function()
  local hrr = {
    type = "hello_retry_request", legacy_version = "TLS 1.2", session_id = "", cipher_suite = "TLS_AES_128_GCM_SHA256",
      compression_method = "null",
    extensions = { { type = "supported_versions", data = { selected_version = "TLS 1.3" } }, { type = "key_share",
      data = { selected_group = "x448" } },
      { type = "cookie", data = { cookie = "c" } } },
  }

  it("is a ServerHello on the wire, with the random of RFC 8446 §4.1.3", function()
    local message = wire.encode(hrr)
    assert.equal(2, message:byte(1))
    assert.equal("cf21ad74e59a6111be1d8c021e65b891c2a211167abb8c5e079e09e2c8a8339c", hex(message:sub(7, 38)))
    local node = lossless(message)
    assert.equal("hello_retry_request", node.type)
    assert.equal("x448", node.extensions:find("key_share").data.selected_group)
    node.type = "server_hello"
    assert.equal(hex(message), hex(wire.encode(node)))
  end)

  it("has other extensions than a ServerHello", function()
    local node = lossless(server_hello("TLS_AES_128_GCM_SHA256", "TLS 1.3"))
    assert.equal("server_hello", node.type)
    node.extensions:insert(-1, { type = "key_share", data = { group = "x25519", key_exchange = "k" } })
    assert.equal("x25519", lossless(wire.encode(node)).extensions[2].data.group)
  end)
end)

describe("records", function()
  it("keep what cannot be read as it is", function()
    local finished = ("\0"):rep(8) .. ("\170"):rep(32)
    local node = lossless(record(22, server_hello("TLS_RSA_WITH_AES_128_GCM_SHA256", "TLS 1.2")) .. record(20, "\1") .. record(22,
      finished)
      .. record(21, "\1\0") .. record(23, "secret"))
    assert.same({ { type = "change_cipher_spec", value = 1 } }, node[2].fragment)
    assert.equal(finished, node[3].fragment)
    assert.equal("\1\0", node[4].fragment) -- two bytes, but after ChangeCipherSpec nothing is plain any more
    assert.equal("secret", node[5].fragment)
    assert.equal("application_data", node[5].type)
  end)

  it("stay shallow when asked", function()
    local message = wire.encode(hello())
    assert.equal(message, lossless(record(22, message), { deep = false })[1].fragment)
  end)

  it("hold parts of messages as bytes", function()
    local message = wire.encode(hello())
    local node = lossless(record(22, message:sub(1, 20)) .. record(22, message:sub(21)))
    assert.equal(message:sub(1, 20), node[1].fragment)
    assert.equal(message:sub(21), node[2].fragment)
  end)

  it("may lie about their length, or end too soon", function()
    local node = lossless(record(22, "abc"):sub(1, -2))
    assert.same({ raw = "ab", length = 3, note = "its length goes beyond the end" }, node[1].fragment)
    assert.same({ path = "[1].fragment", offset = 5, note = "its length goes beyond the end" }, node.notes[1])
    node = lossless(record(23, "abc") .. "\23\3")
    assert.equal("\23\3", node.trailing)
  end)

  it("are built from messages, bytes and alerts", function()
    local built = wire.encode { { type = "handshake", version = "1.0", fragment = { hello(), "\20\0\0\0" } },
      { type = "alert", fragment = { { type = "alert", level = "fatal", description = 47 } } }, "raw record" }
    assert.equal(hex(record(22, wire.encode(hello()) .. "\20\0\0\0", 0x0301) .. record(21, "\2\47") .. "raw record"), hex(built))
    assert.equal(hex "\23\3\3\0\5ab", hex(wire.encode { type = "application_data", fragment = { raw = "ab", length = 5 } }))
    assert.equal(hex "\2\40", hex(wire.encode { level = "fatal", description = "handshake_failure" }))
  end)
end)

describe("a malformed part", function()
  it("stays with a note, and the rest still parses", function()
    local message = wire.encode(hello { extensions = {
      { type = "supported_groups", data = "\0\3\0\29\0" }, -- one byte too many in the list
      { type = "server_name", data = { server_name_list = { { name_type = "host_name", host_name = "a" } } } },
      { type = "key_share", data = "\0\9\0\29\0\200abc" }, -- lengths that lie
    } })
    local node = lossless(message)
    local groups, name, share = node.extensions[1].data, node.extensions[2].data, node.extensions[3].data
    assert.same({ "x25519", trailing = "\0", note = "the last item is cut off" }, groups.named_group_list)
    assert.equal("a", name.server_name_list[1].host_name)
    assert.equal(9, share.key_shares.length)
    assert.equal("x25519", share.key_shares[1].group)
    assert.same({ raw = "abc", length = 200, note = "its length goes beyond the end" }, share.key_shares[1].key_exchange)
    local paths = {}
    for i, note in ipairs(node.notes) do
      paths[i] = note.path
      assert.is_true(note.offset > 0 and note.offset <= #message)
    end
    assert.same({ "extensions[1].data.named_group_list", "extensions[3].data.key_shares[1].key_exchange",
      "extensions[3].data.key_shares" }, paths)
  end)

  it("may be a whole that ends too soon", function()
    local message = wire.encode(hello())
    for n = 0, #message - 1 do
      local node = lossless(message:sub(1, n), { what = "message" })
      assert.is_true(#node.notes > 0)
      if n >= 38 then assert.equal(random, node.random) end
    end
    local node = wire.decode(message:sub(1, 20))
    assert.equal(#message - 4, node.length)
    assert.is_true(node.truncated)
    assert.equal("it ends before random", node.notes[2].note)
  end)

  it("may be bytes too many", function()
    local node = lossless("\20\0\0\4data", { what = "message" })
    assert.equal("data", node.verify_data)
    node = lossless("\14\0\0\3abc")
    assert.equal("abc", node.trailing)
    node = lossless(wire.encode(hello { trailing = "tail" }))
    assert.equal("tail", node.trailing)
    node = lossless(wire.encode(hello { extensions = { { type = "extended_master_secret", data = "x" } } }))
    assert.equal("x", node.extensions[1].data.trailing)
  end)

  it("does not make many notes", function()
    local names = ("\0"):rep(2000)
    local node = lossless(string.pack(">s2", names), { what = "ext_application_layer_protocol_negotiation" })
    assert.equal(2000, #node.protocol_name_list)
    assert.equal(100, #node.notes)
  end)
end)

describe("building", function()
  it("computes lengths, unless they are given", function()
    local message = wire.encode(hello { length = 0x123456, session_id = { raw = "abc", length = 32 } })
    assert.equal("01123456", hex(message:sub(1, 4)))
    assert.equal("20616263", hex(message:sub(39, 42)))
    local list = wire.encode({ named_group_list = { length = 7, "x25519", trailing = "z" } }, { what = "ext_supported_groups" })
    assert.equal("0007001d7a", hex(list))
  end)

  it("takes names of all spellings, numbers, and the bytes themselves", function()
    local wanted = "0017 001d 0a0a 11ec 4a4a"
    local built = wire.encode({ named_group_list = { "P-256", "X25519", 0x0a0a, "0x11ec", "JJ" } }, { what = "ext_supported_groups" })
    assert.equal("000a" .. wanted:gsub(" ", ""), hex(built))
  end)

  it("takes bytes for any node", function()
    local message = wire.encode(hello())
    local node = wire.decode(message)
    for _, span in ipairs(node:spans()) do
      if span.path ~= "" then
        local part = message:sub(span.offset + 1, span.offset + span.length)
        for _, value in ipairs { part, { raw = part } } do
          local copy = wire.decode(message)
          local parent, key = copy, nil
          for name, index in span.path:gmatch "%.?([%a_]*)%[?(%d*)%]?" do
            for _, step in ipairs { name, tonumber(index) } do
              if step ~= "" then
                if key then parent = parent[key] end
                key = step
              end
            end
          end
          parent[key] = value
          assert.equal(hex(message), hex(wire.encode(copy)), span.path)
        end
      end
    end
  end)

  it("says what is wrong, and where", function()
    local function raises(text, node, options)
      local ok, message = pcall(wire.encode, node, options)
      assert.is_false(ok)
      assert.equal(text, message)
    end
    local function share(value)
      return hello { extensions = { { type = "key_share", data = { key_shares = { { group = "x25519", key_exchange = value } } } } } }
    end
    raises("cipher_suites[2]: there is no 'TLS_FOO' among the suites", hello { cipher_suites = { 1, "TLS_FOO" } })
    raises("cipher_suites[1]: must be an integer that fits 2 bytes", hello { cipher_suites = { 65536 } })
    raises("cipher_suites[1]: must be an integer that fits 2 bytes", hello { cipher_suites = { 1.5 } })
    raises("cipher_suites: must be a list or a string, not number", hello { cipher_suites = 4865 })
    raises("extensions[1].data.key_shares[1].key_exchange: must be a string or { raw = bytes }, not number", share(1))
    raises("session_id: 256 bytes do not fit a length of 1 bytes", hello { session_id = ("x"):rep(256) })
    raises("session_id: length must be an integer that fits 1 bytes", hello { session_id = { raw = "", length = 256 } })
    raises("random: must have 32 bytes, not 3", hello { random = "abc" })
    raises("random: missing", { type = "client_hello", legacy_version = 3 })
    raises("client_hello has no field 'cipher_suite'", hello { cipher_suite = 1 })
    raises("cipher_suites: a list has no 'x'", hello { cipher_suites = { x = 1 } })
    raises("cipher_suites: a list has no 'an index outside the sequence'", hello { cipher_suites = { [0] = 1 } })
    raises("extensions[1]: an extension has no field 'body'", hello { extensions = { { type = 1, body = "" } } })
    raises("extensions[1].type: there is no 'wat' among the extensions", hello { extensions = { { type = "wat" } } })
    raises("extensions[1].data: nothing is known of this extension: it takes a string, or declare_extension",
      hello { extensions = { { type = 0x9999, data = {} } } })
    raises("there is no message 'wat'", { type = "wat" })
    raises("fragment[1]: a message needs a type", { type = "handshake", fragment = { {} } })
    raises("must be a table or a string, not boolean", true)
    raises("nothing is known of the body of this message: it takes raw = bytes", { type = "hello_verify_request" })
  end)

  it("leaves keys that begin with _ to the script", function()
    assert.equal(hex(wire.encode(hello())), hex(wire.encode(hello { _mine = {}, note = "ignored", notes = 7 })))
  end)

  it("runs no metamethods and survives tables that hold themselves", function()
    local trap = setmetatable({}, { __index = function() error "called" end, __len = function() error "called" end })
    assert.equal("0000", hex(wire.encode({ key_shares = trap }, { what = "ext_key_share_client" })))
    local message = hello()
    message.extensions = { message }
    assert.is_false(pcall(wire.encode, message))
    local list = {}
    list[1] = list
    assert.is_false(pcall(wire.encode, list, { what = "messages" }))
  end)
end)

describe("a span", function()
  it("tells offset, length and the size of the prefix, for decoded and for built nodes", function()
    local built = hello()
    local message = wire.encode(built)
    local decoded = wire.decode(message)
    for _, node in ipairs { built, decoded } do
      local offset, length, prefix = node:span "extensions[3].data.key_shares[1].key_exchange"
      assert.equal(random, message:sub(offset + 1, offset + length))
      assert.equal(2, prefix)
      assert.same({ 0, #message, 0 }, { node:span "" })
      assert.same({ 6, 32, 0 }, { node:span "random" })
      assert.same({ 41, 2, 0 }, { node:span "cipher_suites[1]" })
      assert.is_nil(node:span "cipher_suites[2]")
      assert.is_nil(node:span "wat")
    end
  end)

  it("is that of the node as it is now", function()
    local node = wire.decode(wire.encode(hello()))
    local before = node:span "cipher_suites"
    node.session_id = "12345678"
    assert.equal(before + 8, (node:span "cipher_suites"))
  end)

  it("stands for each node once", function()
    for what, bytes in pairs { key_share_entry = "\0\29\0\1k", message = "\20\0\0\4data", extensions = "\0\42\0\0" } do
      local seen = {}
      for _, span in ipairs(wire.spans(wire.decode(bytes, { what = what }))) do
        assert.is_nil(seen[span.path], span.path)
        seen[span.path] = true
      end
      assert.is_true(seen[""])
    end
  end)

  it("covers every byte but prefixes", function()
    local message = wire.encode(hello())
    local node = wire.decode(record(22, message))
    local seen = {}
    for _, span in ipairs(wire.spans(node)) do
      if span.path:find "fragment%[1%]%." or span.path == "[1].type" or span.path == "[1].version" then
        for i = span.offset - span.prefix + 1, span.offset + span.length do seen[i] = true end
      end
    end
    for i = 1, #message + 5 do
      local header = i == 4 or i == 5 or (i >= 6 and i <= 9) -- a record's length, a message's header
      assert.equal(not header or nil, seen[i], i)
    end
    assert.same({ 11, 32, 0 }, { wire.span(node, "[1].fragment[1].random") })
  end)
end)

describe("a list of extensions", function()
  local function names(list)
    local found = {}
    for i, extension in ipairs(list) do found[i] = extension.type end
    return found
  end
  local function list() return wire.decode(wire.encode(hello())).extensions end

  it("finds, moves, removes and inserts", function()
    local exts = list()
    local found, index = exts:find "key_share"
    assert.equal("x25519", found.data.key_shares[1].group)
    assert.equal(3, index)
    assert.is_nil(exts:find "cookie")
    assert.equal(4, select(2, exts:find(0x0a0a)))
    exts:move("key_share", 1):move("server_name", -1)
    assert.same({ "key_share", "extended_master_secret", 0x0a0a, "server_name" }, names(exts))
    local rest, removed = exts:remove "extended_master_secret"
    assert.equal(exts, rest)
    assert.same({ type = "extended_master_secret", data = {} }, removed)
    assert.is_nil(select(2, exts:remove "extended_master_secret"))
    exts:insert(1, { type = "cookie", data = { cookie = "c" } }):insert(-1, { type = "padding", data = "\0" })
    assert.same({ "cookie", "key_share", 0x0a0a, "server_name", "padding" }, names(exts))
    assert.has_error(function() exts:move("early_data", 1) end)
    assert.has_error(function() exts:move("cookie", 6) end)
    assert.has_error(function() exts:insert(9, {}) end)
    assert.has_error(function() exts:find "wat" end)
  end)

  it("changes what the message becomes", function()
    local node = wire.decode(wire.encode(hello()))
    node.extensions:remove "server_name"
    node.extensions:move("key_share", -1)
    local again = lossless(wire.encode(node))
    assert.same({ "extended_master_secret", 0x0a0a, "key_share" }, names(again.extensions))
  end)

  it("keeps order and duplicates", function()
    local twice = hello { extensions = { { type = 1, data = "\1" }, { type = "cookie", data = "x" }, { type = 1, data = "\2" } } }
    local node = lossless(wire.encode(twice))
    assert.same({ "max_fragment_length", "cookie", "max_fragment_length" }, names(node.extensions))
    local ok, _, failure = wire.check(wire.encode(twice))
    assert.is_nil(ok)
    assert.equal("duplicate_extension", failure.code)
    assert.equal("decode_error", failure.alert)
  end)

  it("stands alone as well", function()
    local block = wire.encode({ { type = "early_data", data = { max_early_data_size = 5 } } }, { what = "extensions",
      message = "new_session_ticket" })
    assert.equal("002a000400000005", hex(block))
    local node = lossless(block, { what = "extensions", message = "new_session_ticket" })
    assert.equal("new_session_ticket", node.message)
    assert.equal(5, node[1].data.max_early_data_size)
    assert.is_true(wire.check(block, { what = "extensions", message = "new_session_ticket" }))
    assert.is_nil((wire.check(block, { what = "extensions", message = "client_hello" })))
    assert.same({ 4, 4, 2 }, { node:span "[1].data" })
    assert.equal("\0\42\0", lossless("\0\42\0", { what = "extensions" }).trailing)
  end)

  it("is checked in time that grows with its length alone", function()
    local parts = {}
    for i = 1, 16383 do parts[i] = string.pack(">I2I2", i + 0x8000, 0) end
    local block = table.concat(parts)
    checks.within(2, function()
      for _ = 1, 20 do assert.is_true(wire.check(block, { what = "extensions" })) end
    end)
    parts[16383] = parts[1]
    local got = checks.within(0.5, function() return { wire.check(table.concat(parts), { what = "extensions" }) } end)
    assert.is_nil(got[1])
    assert.equal("duplicate_extension", got[3].code)
  end)
end)

describe("a declared extension", function()
  it("is read and written like the others", function()
    wire.declare_extension(0xfafb, "my_extension", {
      { "u8", "kind" },
      { "u16", "group", registry = "groups" },
      { "fixed", "tag", size = 4 },
      { "list", "suites", prefix = 1, of = "u16", registry = "suites" },
      { "list", "names", prefix = 2, of = { "vec", prefix = 1, min = 1 } },
      { "list", "shares", prefix = 2, of = "key_share_entry" },
      { "list", "pairs", prefix = 2, of = { { "u8", "a" }, { "vec", "b", prefix = 1 } } },
      { "struct", "inner", of = { { "u24", "x" } } },
      { "optional", "more" },
      { "u32", "more" },
      { "rest", "tail" },
    })
    local data = { kind = 1, group = "x25519", tag = "abcd", suites = { "TLS_AES_128_GCM_SHA256" }, names = { "n" },
      shares = { { group = "x448", key_exchange = "k" } }, pairs = { { a = 1, b = "" }, { a = 2, b = "z" } }, inner = { x = 70000 } }
    local message = wire.encode(hello { extensions = { { type = "my_extension", data = data } } })
    local node = lossless(message)
    assert.equal("my_extension", node.extensions[1].type)
    assert.same(data, node.extensions[1].data)
    assert.is_nil(node.notes)
    node.extensions[1].data.more, node.extensions[1].data.tail = 7, "tail"
    node = lossless(wire.encode(node))
    assert.equal(7, node.extensions[1].data.more)
    assert.equal("tail", node.extensions[1].data.tail)
    assert.is_number(node:span "extensions[1].data.pairs[2].b")
    assert.equal(0xfafb, wire.number("extensions", "my_extension"))
    assert.equal("my_extension", wire.name("extensions", 0xfafb))
    for n = 1, #message - 1 do lossless(message:sub(1, n), { what = "message" }) end
  end)

  it("may differ from message to message, and replace what is known", function()
    wire.declare_extension(0xfafc, "two_faced", { client_hello = { { "vec", "ask", prefix = 1 } }, encrypted_extensions = { { "u8",
      "answer" } } })
    local ask = wire.encode(hello { extensions = { { type = "two_faced", data = { ask = "?" } } } })
    assert.equal("?", lossless(ask).extensions[1].data.ask)
    local answer = wire.encode { type = "encrypted_extensions", extensions = { { type = "two_faced", data = { answer = 42 } } } }
    assert.equal(42, lossless(answer).extensions[1].data.answer)
    wire.declare_extension(0xfafc, "two_faced", { { "rest", "all" } })
    assert.equal("\1?", lossless(ask).extensions[1].data.all)
  end)

  it("is refused when it makes no sense", function()
    local function refused(text, fields)
      local ok, message = pcall(wire.declare_extension, 0xfafd, "bad", fields)
      assert.is_false(ok)
      assert.matches(text, message, 1, true)
    end
    refused("kind must be u8", { { "u7", "x" } })
    refused("field 1 has no name", { { "u8" } })
    refused("two fields are called 'x'", { { "u8", "x" }, { "u8", "x" } })
    refused("'raw' cannot be the name of a field", { { "u8", "raw" } })
    refused("'type' cannot be the name of a field", { { "u8", "type" } })
    refused("'a b' cannot be the name of a field", { { "u8", "a b" } })
    refused("prefix must be an integer from 1 to 3", { { "vec", "x", prefix = 4 } })
    refused("max must be an integer from 0 to 255", { { "vec", "x", prefix = 1, max = 256 } })
    refused("a fixed field needs a size", { { "fixed", "x" } })
    refused("of must say what it holds", { { "list", "x" } })
    refused("items of a list must have bytes", { { "list", "x", of = {} } })
    refused("items of a list must have bytes", { { "list", "x", of = "hello_request" } })
    refused("a struct takes a list of fields", { { "struct", "x", of = "u8" } })
    refused("registry: there is none of this name", { { "u8", "x", registry = "wat" } })
    refused("after optional 'x' the field 'x' must follow", { { "optional", "x" } })
    refused("'finished' is no message with extensions", { finished = {} })
    refused("field 1 must be a table", { "u8" })
    local deep = { { "u8", "x" } }
    for _ = 1, 20 do deep = { { "struct", "x", of = deep } } end
    refused("fields are nested too deeply", deep)
    assert.is_false(pcall(wire.declare_extension, 65536, "bad", {}))
    assert.is_false(pcall(wire.declare_extension, 1, "cookie", {}))
    assert.is_nil(wire.number("extensions", "bad"))
  end)
end)

describe("the strict decode", function()
  it("names the form that fits", function()
    local ok, form = wire.check(wire.encode(hello()))
    assert.is_true(ok)
    assert.equal("client_hello", form)
    assert.same({ true, "alert" }, { wire.check("\2\0", { what = "alert" }) })
    assert.same({ true, "tls_plaintext" }, { wire.check(record(22, "x"), { what = "record" }) })
  end)

  it("looks into extensions", function()
    local ok, message, failure = wire.check(wire.encode(hello { extensions = { { type = "key_share", data = "\0\1\0" } } }))
    assert.is_nil(ok)
    assert.equal("decode_error", failure.code)
    assert.matches("key_share_entry.group at offset 2", message, 1, true)
    local certificate = wire.encode { type = "certificate", certificate_request_context = "", certificate_list = {
      { cert_data = "c", extensions = { { type = "status_request", data = "\1\0\0\9" } } } } }
    assert.is_nil((wire.check(certificate, { version = "1.3" })))
  end)

  it("wants a header that is true", function()
    local message = wire.encode(hello())
    for _, input in ipairs { message:sub(1, -2), message .. "x", "", "\1" } do
      local ok, _, failure = wire.check(input)
      assert.is_nil(ok)
      assert.equal("decode_error", failure.code)
    end
    assert.equal("unexpected_message", select(3, wire.check("\99\0\0\0")).code)
    assert.equal("unexpected_message", select(3, wire.check("\5\0\0\0", { version = "1.2" })).code)
  end)

  it("leaves the lists of wholes to others", function()
    assert.has_error(function() wire.check("", { what = "records" }) end)
  end)
end)
