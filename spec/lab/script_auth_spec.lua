-- Scripts that sign, exchange keys and bind: both roles, by hand from the first message to the last, against the engine, in every key exchange of TLS 1.0 to 1.3.
local akushu = require "akushu"

local lab = akushu.lab { seed = "signed" }
local psk = { identity = "me", key = ("k"):rep(20) }
local issued = {}
for _, key in ipairs { "rsa", "ecdsa", "ed25519" } do issued[key] = lab:issue { names = { "localhost" }, key = key } end

local dh
do
  local o = { versions = "1.2", key = "rsa", suites = { "TLS_DHE_RSA_WITH_AES_128_GCM_SHA256" } }
  local server = lab:server(o)
  o.key = nil
  local params = lab:run(lab:client(o), server):find("message", "server_key_exchange").message.params
  dh = { p = params.dh_p, g = params.dh_g }
end

local names = { ["1.0"] = "TLS 1.0", ["1.1"] = "TLS 1.1", ["1.2"] = "TLS 1.2" }
local exchanges = { "ECDHE_RSA", "ECDHE_ECDSA", "DHE_RSA", "RSA", "PSK", "DHE_PSK", "ECDHE_PSK", "RSA_PSK" }

local function options(version, kx)
  return { versions = version, suites = { ("TLS_%s_WITH_AES_128_CBC_SHA"):format(kx) }, profile = "lab", security_level = 0, tickets = false, psk = kx:find "PSK" and psk or nil }
end

local function ends_well(role, fn, other)
  local answer, message = akushu.script(role, fn, { lab = lab }):run(other)
  assert.equal("well", answer, message)
end

describe("a script with a key exchange of its own:", function()
  for version, name in pairs(names) do
    for _, kx in ipairs(exchanges) do
      local o, leaf = options(version, kx), issued[kx:find "ECDSA" and "ecdsa" or "rsa"]
      local shows = not kx:find "PSK" or kx == "RSA_PSK"
      local signs = kx:find "DHE" and not kx:find "PSK"

      it("server, " .. name .. ", " .. kx, function()
        ends_well("server", function(peer)
          peer:expect "client_hello"
          peer:send(peer:server_hello { suite = o.suites[1], fields = { legacy_version = name } })
          if shows then peer:send(peer:certificate(leaf)) end
          if kx:find "DHE" then peer:send(peer:server_key_exchange { key = signs and leaf or nil, dh = kx:find "^DHE" and dh or nil }) end
          peer:send { type = "server_hello_done" }
          peer.keys.psk = o.psk and psk.key
          local answer = peer:expect "client_key_exchange"
          if kx:find "^RSA" then peer:premaster_in(answer, leaf.key) end
          peer:expect "change_cipher_spec"
          assert.is_true(peer:is_finished(peer:expect "finished"))
          peer:send "change_cipher_spec"
          peer:send(peer:finished())
          return "well"
        end, lab:client(o):handshake { server_name = "localhost" })
      end)

      it("client, " .. name .. ", " .. kx, function()
        local of_server = { identity = shows and leaf.identity or nil }
        for k, v in pairs(o) do of_server[k] = v end
        ends_well("client", function(peer)
          peer:send(peer:client_hello { suites = o.suites, schemes = { "ecdsa_secp256r1_sha256", "rsa_pkcs1_sha256" }, fields = { legacy_version = name } })
          peer:expect "server_hello"
          local certificate = shows and peer:expect "certificate" or nil
          if kx:find "DHE" then
            local exchange = peer:expect "server_key_exchange"
            if signs then
              assert.is_true(peer:is_signed(exchange, certificate))
              exchange.signature = exchange.signature:sub(1, -2) .. string.char(exchange.signature:byte(-1) ~ 1)
              assert.is_false(peer:is_signed(exchange, certificate))
            end
          end
          peer:expect "server_hello_done"
          peer.keys.psk = o.psk and psk.key
          peer:send(peer:client_key_exchange { certificate = certificate, psk_identity = o.psk and "me" })
          peer:send "change_cipher_spec"
          peer:send(peer:finished())
          peer:expect "change_cipher_spec"
          assert.is_true(peer:is_finished(peer:expect "finished"))
          return "well"
        end, lab:server(of_server):handshake {})
      end)
    end
  end

  for key, leaf in pairs(issued) do
    it("server, TLS 1.3, with a certificate of both sides, " .. key, function()
      ends_well("server", function(peer)
        peer:expect "client_hello"
        peer:send(peer:server_hello { suite = "TLS_AES_128_GCM_SHA256", version = "TLS 1.3" })
        peer:send { type = "encrypted_extensions", extensions = {} }
        peer:send { type = "certificate_request", certificate_request_context = "", extensions = { { type = "signature_algorithms",
          data = { supported_signature_algorithms = { "rsa_pss_rsae_sha256", "ecdsa_secp256r1_sha256", "ed25519" } } } } }
        peer:send(peer:certificate(leaf))
        peer:send(peer:certificate_verify(leaf))
        peer:send(peer:finished())
        local certificate = peer:expect "certificate"
        local verify = peer:expect "certificate_verify"
        assert.is_true(peer:is_signed(verify, certificate))
        verify.signature = verify.signature:reverse()
        assert.is_false(peer:is_signed(verify, certificate))
        assert.is_true(peer:is_finished(peer:expect "finished"))
        return "well"
      end, lab:client({ versions = "1.3", identity = leaf.identity }):handshake { server_name = "localhost" })
    end)
  end

  it("client, TLS 1.2, with a certificate, and with a CertificateVerify over something else", function()
    for _, wrong in ipairs { false, true } do
      local answer, message = akushu.script("client", function(peer)
        peer:send(peer:client_hello { server_name = "localhost" })
        peer:expect "server_hello"
        peer:expect "certificate"
        peer:expect "server_key_exchange"
        peer:expect "certificate_request"
        peer:expect "server_hello_done"
        peer:send(peer:certificate(issued.ecdsa))
        peer:send(peer:client_key_exchange {})
        local verify = peer:certificate_verify(issued.ecdsa)
        if wrong then verify.signature = issued.ecdsa.key:sign("ecdsa_secp256r1_sha256", "something else") end
        peer:send(verify)
        peer:send "change_cipher_spec"
        peer:send(peer:finished())
        if wrong then return (peer:expect_alert()) end
        peer:expect "change_cipher_spec"
        return peer:is_finished(peer:expect "finished") and "well"
      end, { lab = lab }):run(lab:server({ versions = "1.2", client_auth = "require", tickets = false }):handshake {})
      assert.equal(wrong and "decrypt_error" or "well", answer, message)
    end
  end)

  it("client, TLS 1.3, with pre-shared keys, after a HelloRetryRequest, too, and with a binder that is wrong", function()
    for _, case in ipairs { "at once", "retry", "wrong" } do
      local answer, message = akushu.script("client", function(peer)
        local offer = { psk, { identity = "other", key = "x", hash = "sha384" } }
        local hello = peer:bind(peer:client_hello { versions = { "TLS 1.3" }, server_name = "localhost", groups = case == "retry" and { "secp256r1", "x25519" } or nil }, offer)
        if case == "wrong" then hello.extensions:find "pre_shared_key".data.binders[1] = ("\0"):rep(32) end
        peer:send(hello)
        if case == "wrong" then return (peer:expect_alert()) end
        if case == "retry" then
          peer:expect "hello_retry_request"
          hello.extensions:find "key_share".data.key_shares = { { group = "x25519", key_exchange = peer:share "x25519" } }
          peer:send(peer:bind(hello, offer))
        end
        assert.equal(0, peer:expect "server_hello".extensions:find "pre_shared_key".data.selected_identity)
        peer:expect "encrypted_extensions"
        assert.is_true(peer:is_finished(peer:expect "finished"))
        peer:send(peer:finished())
        return "well"
      end, { lab = lab }):run(lab:server({ versions = "1.3", psk = psk, groups = { "x25519" } }):handshake {})
      assert.equal(case == "wrong" and "decrypt_error" or "well", answer, message)
    end
  end)

  it("client, with an RSA block padded in its own way: a server says the same to each but the right one", function()
    local classic = lab:server { versions = "1.2", profile = "classic", identity = issued.rsa.identity }
    local premaster = "\3\3" .. ("p"):rep(46)
    local function block(head, separator, secret) return head .. ("\7"):rep(256 - #head - #separator - #secret) .. separator .. secret end
    local answers = {}
    for name, bytes in pairs { right = block("\0\2", "\0", premaster), wrong_start = block("\1\2", "\0", premaster), wrong_type = block("\0\1", "\0", premaster),
      no_separator = block("\0\2", "\7", premaster), early_separator = block("\0\2\7\0\7", "\0", premaster), short = block("\0\2", "\0", premaster:sub(1, 40)),
      version = block("\0\2", "\0", "\3\1" .. premaster:sub(3)), zeros = ("\0"):rep(255) .. "\1" } do
      local answer, message = akushu.script("client", function(peer)
        peer:send(peer:client_hello { suites = { "TLS_RSA_WITH_AES_128_GCM_SHA256" } })
        peer:expect "server_hello"
        local certificate = peer:expect "certificate"
        peer:expect "server_hello_done"
        peer:send(peer:client_key_exchange { certificate = certificate, premaster = premaster, block = bytes })
        peer:send "change_cipher_spec"
        peer:send(peer:finished())
        return peer:receive().name
      end, { lab = lab }):run(classic:handshake {})
      answers[name] = answer or message
    end
    assert.equal("change_cipher_spec", answers.right)
    answers.right = nil
    for name, answer in pairs(answers) do assert.equal("bad_record_mac", answer, name) end
    assert.is_nil((akushu.crypto.key(issued.rsa.key:reveal "der"):encrypt("short", "block")))
  end)

  it("says what is missing or wrong, at the caller's line", function()
    local nobody = { send = function() end, receive = function() return nil, "closed" end }
    for said, fn in pairs {
      ["peer:certificate: the version is not known before the ServerHello"] = function(p) p:send(p:certificate(issued.rsa)) end,
      ["peer:certificate: an identity or a list of certificates expected, got 5"] = function(p) p.keys.version = 0x0303 p:send(p:certificate(5)) end,
      ["peer:certificate_verify: no signature scheme 'md5'"] = function(p) p.keys.version = 0x0303 p:send(p:certificate_verify(issued.rsa, "md5")) end,
      ["peer:certificate_verify: a private key or an identity expected, got boolean"] = function(p) p.keys.version = 0x0303 p:send(p:certificate_verify(true)) end,
      ["peer:client_key_exchange: no ServerKeyExchange has come"] = function(p)
        p.keys.version, p.keys.suite = 0x0303, "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256"
        p:send(p:client_key_exchange())
      end,
      ["peer:client_key_exchange: option 'certificate' is missing"] = function(p)
        p.keys.version, p.keys.suite = 0x0303, "TLS_RSA_WITH_AES_128_GCM_SHA256"
        p:send(p:client_key_exchange())
      end,
      ["peer:server_key_exchange: unknown option 'groups'; did you mean 'group'?"] = function(p) p:send(p:server_key_exchange { groups = {} }) end,
      ["peer:bind: pre-shared key 1: 'key': bytes expected, got nil"] = function(p) p:send(p:bind(p:client_hello {}, { { identity = "x" } })) end,
      ["peer:bind: pre-shared key 1: no hash 'md9'"] = function(p) p:send(p:bind(p:client_hello {}, { { identity = "x", key = "k", hash = "md9" } })) end,
    } do
      local _, message = akushu.script("client", fn, { lab = lab }):run(nobody)
      assert.matches(said, message, 1, true)
      assert.matches("^[^:]*script_auth_spec.lua:%d+: ", message)
    end
  end)
end)

describe("a script's keys", function()
  it("have one name each, with its ending or without", function()
    akushu.script("client", function(peer)
      local k = peer.keys
      for long, short in pairs { premaster_secret = "premaster", master_secret = "master", client_handshake_traffic_secret = "client_handshake_traffic",
        server_application_traffic_secret_0 = "server_application_traffic", exporter_master_secret = "exporter", shared_secret = "shared" } do
        k[long] = "x" .. long
        assert.equal("x" .. long, k[short])
        k[short] = nil
        assert.is_nil(rawget(k, long))
      end
    end):run { send = function() end, receive = function() return nil, "closed" end }
  end)

  it("are computed anew from what is put in another's place, at any time", function()
    local keys = require "akushu.keys"
    local k = keys.new()
    k.version, k.suite = 0x0303, "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256"
    k.client_random, k.server_random, k.premaster_secret = ("c"):rep(32), ("s"):rep(32), ("p"):rep(32)
    local function master(premaster) return akushu.crypto.prf("sha256", premaster, "master secret", ("c"):rep(32) .. ("s"):rep(32), 48) end
    assert.equal(master(("p"):rep(32)), k.master_secret)
    local block = k.key_block
    k.premaster_secret = ("q"):rep(32)
    assert.equal(master(("q"):rep(32)), k.master_secret)
    assert.not_equal(block, k.key_block)
    k.master_secret = ("m"):rep(48)
    assert.equal(akushu.crypto.prf("sha256", ("m"):rep(48), "key expansion", ("s"):rep(32) .. ("c"):rep(32), 40), k.key_block)
    k.master_secret = nil
    assert.equal(master(("q"):rep(32)), k.master_secret)
    local all = {}
    for name in pairs(k) do all[#all + 1] = name end
    table.sort(all)
    assert.truthy(table.concat(all, " "):find "master_secret .*premaster_secret")
  end)
end)
