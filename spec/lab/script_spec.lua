-- akushu.script: conversations in straight lines, against the engine: whole handshakes of both versions and roles, and wrong ones.
local akushu = require "akushu"

local function lab_server(options, key)
  local lab = akushu.lab { seed = "script" }
  local o = { key = key }
  for k, v in pairs(options or {}) do o[k] = v end
  return lab:server(o):handshake {}, lab
end

local function run(fn, hs, lab, app)
  return akushu.script("client", fn, { lab = lab }):run(hs, { app = app })
end

describe("a script as client", function()
  it("leads TLS 1.2 with RSA key exchange to data and close", function()
    local hs, lab = lab_server({ profile = "classic", max_version = "1.2", tickets = false }, "rsa")
    local answer, message = run(function(peer)
      peer:send(peer:client_hello { suites = { "TLS_RSA_WITH_AES_128_CBC_SHA" }, server_name = "localhost" })
      assert.equal("TLS_RSA_WITH_AES_128_CBC_SHA", peer:expect "server_hello".cipher_suite)
      local certificate = peer:expect "certificate"
      peer:expect "server_hello_done"
      peer:send { type = "client_key_exchange", encrypted_pre_master_secret = peer:premaster_for(certificate) }
      peer:send "change_cipher_spec"
      peer:send(peer:finished())
      peer:expect "change_cipher_spec"
      assert.is_true(peer:is_finished(peer:expect "finished"))
      peer:send { data = "question" }
      local answer = peer:expect "data"
      peer:send { alert = "close_notify" }
      peer:expect_close()
      return answer
    end, hs, lab, function(plain) return "answer to " .. plain end)
    assert.equal("answer to question", answer, message)
  end)

  it("leads TLS 1.2 with ECDHE", function()
    local hs, lab = lab_server({ max_version = "1.2", tickets = false })
    local answer, message = run(function(peer)
      peer:send(peer:client_hello { server_name = "localhost" })
      peer:expect "server_hello"
      peer:expect "certificate"
      local exchange = peer:expect "server_key_exchange"
      peer:expect "server_hello_done"
      peer:send { type = "client_key_exchange", point = peer:share(exchange.params.named_curve) }
      peer:send "change_cipher_spec"
      peer:send(peer:finished())
      peer:expect "change_cipher_spec"
      assert.is_true(peer:is_finished(peer:expect "finished"))
      peer:send { data = "x" }
      return (peer:expect "data")
    end, hs, lab, function(plain) return plain:rep(3) end)
    assert.equal("xxx", answer, message)
  end)

  it("leads TLS 1.3, tickets and all", function()
    local hs, lab = lab_server { versions = "1.3" }
    local answer, message = run(function(peer)
      peer:send(peer:client_hello { versions = { "TLS 1.3" }, server_name = "localhost" })
      peer:expect "server_hello"
      peer:expect "encrypted_extensions"
      peer:expect "certificate"
      peer:expect "certificate_verify"
      assert.is_true(peer:is_finished(peer:expect "finished"))
      peer:send(peer:finished())
      local tickets = 0
      while peer:try "new_session_ticket" do tickets = tickets + 1 end
      peer:send { data = "hello" }
      peer:send { alert = "close_notify" }
      return peer:expect "data" .. tickets
    end, hs, lab, function(plain) return plain .. " back " end)
    assert.equal("hello back 2", answer, message)
  end)

  it("leads TLS 1.3 through a HelloRetryRequest", function()
    local hs, lab = lab_server { versions = "1.3", groups = { "secp256r1" } }
    local ok, message = run(function(peer)
      local hello = peer:client_hello { versions = { "TLS 1.3" }, server_name = "localhost" }
      peer:send(hello)
      local retry = peer:expect "hello_retry_request"
      local group = retry.extensions:find "key_share".data.selected_group
      for _, e in ipairs(hello.extensions) do
        if e.type == "key_share" then e.data = { key_shares = { { group = group, key_exchange = peer:share(group) } } } end
      end
      peer:send(hello)
      peer:expect "server_hello"
      for _, name in ipairs { "encrypted_extensions", "certificate", "certificate_verify" } do peer:expect(name) end
      assert.is_true(peer:is_finished(peer:expect "finished"))
      peer:send(peer:finished())
    end, hs, lab)
    assert.is_true(ok, message)
    assert.is_true(hs.done)
  end)

  it("can do anything wrong and see the answer", function()
    for _, case in ipairs {
      { function(peer) peer:send { type = "client_hello", raw = "\1\2\3" } end, "decode_error" },
      { function(peer) peer:send "change_cipher_spec" end, "unexpected_message" },
      { function(peer) peer:send(peer:client_hello { suites = { "TLS_NULL_WITH_NULL_NULL" } }) end, "handshake_failure" },
      { function(peer) peer:send(peer:client_hello { fields = { compression_methods = {} } }) end, "decode_error" },
      { function(peer) peer:send { content_type = "application_data", bytes = "too early" } end, "unexpected_message" },
      { function(peer) peer:send { raw = "\x16\3\1\xff\xff" } end, "record_overflow" },
      { function(peer) peer:send { data = "" } peer:send { type = "finished", verify_data = "" } end, "unexpected_message" },
    } do
      local hs, lab = lab_server { max_version = "1.2" }
      local got = akushu.script("client", function(peer)
        pcall(function() peer.automatic = false end)
        case[1](peer)
        return (peer:expect_alert())
      end, { lab = lab })
      local answer, message = got:run(hs)
      assert.equal(case[2], answer, message)
    end
  end)

  it("takes keys that the script sets", function()
    local hs, lab = lab_server({ profile = "classic", max_version = "1.2", tickets = false }, "rsa")
    local answer, message = run(function(peer)
      peer:send(peer:client_hello { suites = { "TLS_RSA_WITH_AES_128_GCM_SHA256" } })
      peer:expect "server_hello"
      local certificate = peer:expect "certificate"
      peer:expect "server_hello_done"
      peer:send { type = "client_key_exchange", encrypted_pre_master_secret = peer:premaster_for(certificate) }
      peer.keys.master = ("m"):rep(48) -- not what the server has
      peer:send "change_cipher_spec"
      peer:send(peer:finished())
      return (peer:expect_alert())
    end, hs, lab)
    assert.equal("bad_record_mac", answer, message)
  end)

  it("says what it expected and what came", function()
    local hs, lab = lab_server { max_version = "1.2" }
    local ok, message, failure = run(function(peer)
      peer:send(peer:client_hello {})
      peer:expect "certificate"
    end, hs, lab)
    assert.is_nil(ok)
    assert.equal("certificate expected, server_hello came", message)
    assert.equal("unexpected", failure.code)
    hs, lab = lab_server { max_version = "1.2" }
    ok, message, failure = run(function(peer) peer:expect("server_hello", { timeout = 1 }) end, hs, lab)
    assert.is_nil(ok)
    assert.equal("server_hello expected, nothing came within 1 s", message)
    assert.equal("timeout", failure.code)
    hs, lab = lab_server { max_version = "1.2" }
    ok, message, failure = run(function() error "mine" end, hs, lab)
    assert.is_nil(ok)
    assert.matches("mine", message)
    assert.equal("script_failed", failure.code)
  end)

  it("tries, and goes on with what else came", function()
    local hs, lab = lab_server { max_version = "1.2" }
    local ok, message = run(function(peer)
      peer:send(peer:client_hello {})
      local none, item = peer:try "hello_retry_request"
      assert.is_nil(none)
      assert.equal("server_hello", item.name)
      peer:expect "server_hello"
      local value, failure = peer:try(function(p) p:expect "finished" end)
      assert.is_nil(value)
      assert.equal("unexpected", failure.code)
    end, hs, lab)
    assert.is_true(ok, message)
  end)

  it("cuts and joins records as it likes", function()
    local hs, lab = lab_server { max_version = "1.2" }
    local ok, message = run(function(peer)
      peer.max_fragment = 1
      peer:send(peer:client_hello {})
      peer:expect "server_hello"
    end, hs, lab)
    assert.is_true(ok, message)
  end)

  it("repeats in a lab", function()
    local function once()
      local hs, lab = lab_server { versions = "1.3" }
      return (run(function(peer)
        peer:send(peer:client_hello { versions = { "TLS 1.3" } })
        peer:expect "server_hello"
        for _, name in ipairs { "encrypted_extensions", "certificate", "certificate_verify", "finished" } do peer:expect(name) end
        return peer:transcript_bytes()
      end, hs, lab))
    end
    assert.equal(once(), once())
  end)
end)

describe("a script as server", function()
  it("answers the engine's client in TLS 1.2 up to a Finished that is right", function()
    local lab = akushu.lab { seed = "server" }
    local leaf = lab:issue { names = { "localhost" }, key = "ed25519" }
    local hs = lab:client { max_version = "1.2", tickets = false }:handshake { server_name = "localhost" }
    local key = akushu.crypto.key(leaf.key:reveal "der")
    local ok, message = akushu.script("server", function(peer)
      local hello = peer:expect "client_hello"
      assert.equal("localhost", hello.extensions:find "server_name".data.server_name_list[1].host_name)
      peer:send(peer:server_hello { suite = "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256", more = { { type = "renegotiation_info",
        data = "\0" } } })
      peer:send { type = "certificate", certificate_list = { leaf.chain[1].der } }
      local point = peer:share "x25519"
      local params = "\3\0\x1d" .. string.pack("s1", point)
      local signature = key:sign("ed25519", peer.keys.client_random .. peer.keys.server_random .. params)
      peer:send("\12" .. string.pack(">s3", params .. "\8\7" .. string.pack(">s2", signature)))
      peer:send { type = "server_hello_done" }
      peer:expect "client_key_exchange"
      peer:expect "change_cipher_spec"
      assert.is_true(peer:is_finished(peer:expect "finished"))
      peer:send "change_cipher_spec"
      peer:send(peer:finished())
    end, { lab = lab }):run(hs)
    assert.is_true(ok, message)
    assert.is_true(hs.done)
  end)

  it("sees what the engine's client says to a wrong suite", function()
    local lab = akushu.lab { seed = "server" }
    local hs = lab:client { max_version = "1.2" }:handshake { server_name = "localhost" }
    local answer, message = akushu.script("server", function(peer)
      peer:expect "client_hello"
      peer:send(peer:server_hello { suite = "TLS_RSA_WITH_NULL_MD5" })
      return (peer:expect_alert())
    end, { lab = lab }):run(hs)
    assert.equal("illegal_parameter", answer, message)
  end)

  it("goes on after a suite that nobody can compute with, and a hello that ends too early", function()
    local garbage = { "\22\3\3" .. string.pack(">s2", "\2" .. string.pack(">s3", "\3\3" .. ("r"):rep(32) .. "\0\x7f\xff\0\0\6\0\x2b\0\2\3\4")),
      "\22\3\3\0\6\2\0\0\2\3\3", "\22\3\3\0\5\1\0\0\1\3" }
    local names = {}
    local ok, message = akushu.script("client", function(peer)
      for _ = 1, 3 do names[#names + 1] = select(2, peer:expect "*").name end
    end):run { send = function() end, receive = function() return table.remove(garbage, 1) end }
    assert.is_true(ok, message)
    assert.same({ "server_hello", "server_hello", "client_hello" }, names)
  end)

  it("says which argument is wrong", function()
    assert.has_error(function() akushu.script("peer", print) end)
    assert.has_error(function() akushu.script("client", 1) end)
    assert.has_error(function() akushu.script("client", print, { lib = 1 }) end, "akushu.script: unknown option 'lib'; did you mean 'lab'?")
    assert.has_error(function() akushu.script("client", print):run(1) end)
    local function says(fn)
      local ok, message = akushu.script("client", fn):run { send = function() end, receive = function() return "" end }
      assert.is_nil(ok)
      return message
    end
    for _, case in ipairs {
      { "peer:client_hello: unknown option 'versons'", function(p) p:send(p:client_hello { versons = { "TLS 1.3" } }) end },
      { "peer:server_hello: unknown option 'cipher_suite'", function(p) p:send(p:server_hello { cipher_suite = 1 }) end },
      { "peer:client_hello: a table of options expected, got string", function(p) p:send(p:client_hello "x") end },
      { "peer:send: there is no message 'client_helo'", function(p) p:send { type = "client_helo" } end },
      { "peer:send: legacy_version: missing", function(p) p:send { type = "client_hello" } end },
      { "no message 'server_helo'", function(p) p:expect "server_helo" end },
    } do
      local message = says(case[2])
      assert.matches(case[1], message, 1, true)
      assert.matches("^[^:]*script_spec.lua:%d+: ", message)
    end
  end)

  it("takes a message's name as the RFCs write it, too", function()
    local lab = akushu.lab { seed = "names" }
    assert(akushu.script("client", function(peer)
      peer:send(peer:client_hello { versions = { "TLS 1.3" }, server_name = "localhost" })
      peer:expect "ServerHello"
      peer:expect "encrypted_extensions"
    end, { lab = lab }):run(lab:server { versions = "1.3" }:handshake {}))
  end)
end)
