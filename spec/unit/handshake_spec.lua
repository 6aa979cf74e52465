-- The handshake object: its life, what it tells, its failures, its questions about certificates.
local akushu = require "akushu"
local certs = require "spec.support.certs"
local mutate = require "spec.support.mutate"
local pump = require "spec.support.pump"
local testca = require "akushu.testca"

describe("a handshake's life", function()
  it("goes from new to done, a state at a time", function()
    local hc, hs = mutate.handshakes "rsa"
    assert.equal("new", hc.state)
    assert.equal("new", hs.state)
    assert.equal("akushu.Handshake (client, new)", tostring(hc))
    local hello = assert(hc:start())
    assert.equal("", hs:start())
    assert.equal("wait_server_hello", hc.state)
    assert.equal("wait_client_hello", hs.state)
    assert.is_nil(hc.version)
    local flight = assert(hs:step(hello))
    assert.equal("wait_client_key_exchange", hs.state)
    assert.equal("1.2", hs.version)
    local keys = assert(hc:step(flight))
    assert.equal("wait_change_cipher_spec", hc.state)
    assert.is_false(hc.done)
    local finish = assert(hs:step(keys))
    assert.is_true(hs.done)
    assert.equal("done", hs.state)
    assert.equal("", hc:step(finish))
    assert.is_true(hc.done)
    assert.is_false(hc.failed)
    assert.is_nil(hc.failure)
    assert.equal("akushu.Handshake (client, done)", tostring(hc))
  end)

  it("starts once", function()
    local hc = mutate.handshakes "rsa"
    assert(hc:start())
    assert.has_error(function() hc:start() end)
    assert.equal("wait_server_hello", hc.state)
  end)

  it("starts by itself when it is stepped", function()
    local hc, hs = mutate.handshakes "rsa"
    local hello = assert(hc:step "")
    assert.equal(22, hello:byte())
    assert.is_truthy(#hs:step(hello) > 500)
  end)

  it("takes strings and arrays of strings, and nothing else", function()
    local hc, hs = mutate.handshakes "rsa"
    local hello = assert(hc:start())
    assert.is_truthy(#hs:step { hello:sub(1, 10), "", hello:sub(11) } > 500)
    for _, value in ipairs { true, { 1, true }, print } do assert.has_error(function() hc:step(value) end) end
    assert.has_error(function() hc:step() end)
    assert.equal("wait_server_hello", hc.state)
  end)

  it("gives its session once", function()
    local c = pump.connect(mutate.handshakes "rsa")
    local session, message, failure = c.hs:session()
    assert.is_nil(session)
    assert.is_string(message)
    assert.equal("not_ready", failure.code)
    local hc = mutate.handshakes "rsa"
    session, message, failure = hc:session()
    assert.is_nil(session)
    assert.is_string(message)
    assert.equal("not_ready", failure.code)
  end)

  it("ends with the stream", function()
    local hc = mutate.handshakes "rsa"
    hc:start()
    local ok, message, failure = hc:eof()
    assert.is_nil(ok)
    assert.equal("truncated", failure.code)
    assert.equal("wait_server_hello", failure.state)
    assert.is_truthy(message:find "wait_server_hello")
    assert.equal("", hc:pending())
    local c = pump.connect(mutate.handshakes "rsa")
    assert.is_true(c.hs:eof())
  end)

  it("is aborted with an alert", function()
    for _, case in ipairs { { nil, "warning user_canceled", "warning close_notify" }, { "internal_error", "fatal internal_error" }, { 40,
      "fatal handshake_failure" },
      { "close_notify", "warning close_notify" } } do
      local hc = mutate.handshakes "rsa"
      assert(hc:start())
      assert.same({ case[2], case[3] }, mutate.alerts(hc:abort(case[1])))
      assert.equal("aborted", hc.failure.code)
      assert.equal("", hc:abort(case[1]))
      local out, _, failure = hc:step ""
      assert.is_nil(out)
      assert.equal("aborted", failure.code)
    end
    local hc = mutate.handshakes "rsa"
    assert.has_error(function() hc:abort "no such alert" end)
    assert.has_error(function() hc:abort(256) end)
    assert.has_error(function() hc:abort(-1) end)
    assert.is_false(hc.failed)
  end)

  for _, version in ipairs { "1.2", "1.3" } do
    it("of TLS " .. version .. " is aborted when it is done, too, until a session was taken", function()
      local hc, hs = mutate.handshakes(version == "1.2" and "ecdhe" or "tls13")
      local from_client = assert(hc:start())
      while not hc.done do from_client = assert(hc:step(assert(hs:step(from_client)))) end
      if not hs.done then assert(hs:step(from_client)) end
      local out = hc:abort "bad_certificate"
      assert.is_true(#out > 0)
      assert.is_false(hc.done)
      assert.equal("aborted", hc.failure.code)
      assert.is_nil((hc:session()))
      local session = assert(hs:session())
      local _, _, failure = session:open(out)
      assert.equal("bad_certificate", failure.alert)
      assert.equal("peer", failure.origin)
      assert.equal("", hs:abort "internal_error")
      assert.is_false(hs.failed)
    end)
  end

  it("that is aborted when it is done leaves its session to no store", function()
    local kept, removed = {}, {}
    local store = {
      get = function(id) return kept[id] end,
      put = function(id, bytes) kept[id] = bytes end,
      remove = function(id)
        coroutine.yield "remove"
        removed[#removed + 1] = id
        kept[id] = nil
      end,
    }
    local hc, hs = mutate.handshakes("ecdhe", { versions = "1.2", tickets = false }, { versions = "1.2", tickets = false, sessions = store })
    local out = assert(hc:start())
    while not hs.done do out = assert(hs:step(assert(hc:step(hs:step(out) or "")))) end
    assert.is_truthy(next(kept))
    local co = coroutine.wrap(function() return hs:abort "internal_error" end)
    assert.equal("remove", co())
    assert.equal("string", type(co()))
    assert.equal(1, #removed)
    assert.is_nil(next(kept))
  end)

  it("is closed, and cannot be used after it", function()
    local kept
    do
      local hc <close> = mutate.handshakes "rsa"
      kept = hc
    end
    assert.equal("akushu.Handshake (closed)", tostring(kept))
    for _, name in ipairs { "start", "step", "pending", "eof", "abort", "session" } do assert.has_error(function() kept[name](kept,
      "") end) end
    kept:close()
  end)

  it("is collected, wherever it stands", function()
    local weak = setmetatable({}, { __mode = "k" })
    for step = 0, 4 do
      local hc, hs = mutate.handshakes "client_auth"
      weak[hc], weak[hs] = true, true
      local bytes = step > 0 and assert(hc:start()) or nil
      for i = 2, step do bytes = assert((i % 2 == 0 and hs or hc):step(bytes)) end
    end
    collectgarbage()
    collectgarbage()
    assert.is_nil(next(weak))
  end)

  it("of a thousand is one that does not know the others", function()
    local c, s = mutate.contexts "ecdhe"
    local pairs_of = {}
    for i = 1, 100 do
      pairs_of[i] = { c:handshake { server_name = "localhost" }, s:handshake() }
      pairs_of[i][3] = assert(pairs_of[i][1]:start())
    end
    for round = 1, 3 do
      for i = 100, 1, -1 do
        local p = pairs_of[i]
        p[3] = assert(p[round % 2 == 1 and 2 or 1]:step(p[3]))
      end
    end
    for i = 1, 100 do
      local p = pairs_of[i]
      assert(p[1]:step(p[3]))
      assert.is_true(p[1].done and p[2].done)
      assert.equal("x", (p[2]:session():open(p[1]:session():seal "x")))
    end
  end)
end)

describe("a handshake tells", function()
  it("what becomes known, when it does", function()
    local hc, hs = mutate.handshakes("client_auth", { alpn = { "h2" } }, { alpn = { "h2" } })
    local hello = assert(hc:start())
    assert.equal("localhost", hc.server_name)
    assert.is_nil(hs.server_name)
    assert.is_nil(hc.suite)
    local flight = assert(hs:step(hello))
    assert.equal("localhost", hs.server_name)
    assert.equal("h2", hs.alpn)
    assert.equal(hc.client_random, hs.client_random)
    local reply = assert(hc:step(flight))
    assert.equal("h2", hc.alpn)
    assert.equal("TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256", hc.suite)
    assert.equal("x25519", hc.group)
    assert.equal(2, #hc.peer)
    assert.equal("ok", hc.report.verdict)
    assert.is_nil(hs.peer)
    assert(hs:step(reply))
    assert.equal(certs.leaf("ecdsa", "client").identity.chain[1], hs.peer[1])
    assert.equal("ok", hs.report.verdict)
    assert.is_true(hs.secure_renegotiation)
    assert.is_nil(hs.nonsense)
  end)

  it("secrets as objects that do not show themselves", function()
    local hc, hs = mutate.handshakes "rsa"
    assert.is_nil(hc:secret "master")
    local secret
    hc:on("send", "finished", function() secret = hc:secret "master" end)
    pump.connect(hc, hs)
    local bytes = secret:reveal()
    assert.equal(48, #bytes)
    for _, shown in ipairs { tostring(secret), ("%s"):format(secret) } do
      assert.equal("akushu.Secret (48 bytes)", shown)
      assert.is_nil(shown:find(bytes, 1, true))
    end
    assert.equal("akushu.Secret", getmetatable(secret).__name)
    assert.has_error(function() return secret .. "" end)
    assert.has_error(function() return "" .. secret end)
    assert.is_nil(secret.bytes)
    assert.equal(secret, akushu.secret(bytes))
    assert.not_equal(secret, akushu.secret(("\0"):rep(48)))
    assert.equal(48, #secret)
    secret:close()
    for _, use in ipairs { function() return secret:reveal() end, function() return #secret end, function() return akushu.crypto.hmac("sha256", secret, "") end } do
      assert.is_false(pcall(use))
    end
    assert.equal("akushu.Secret (closed)", tostring(secret))
    assert.not_equal(secret, akushu.secret "")
    secret:close()
    assert.is_nil(hc:secret "master")
    assert.has_error(function() akushu.secret() end)
  end)

  it("which secrets there are, and which are not there now", function()
    local hc, hs = mutate.handshakes "rsa"
    for _, method in ipairs { "secret", "secret_origin" } do
      for name, whole in pairs { master = "master_secret", premaster = "premaster_secret", key_block = "key_block",
        client_handshake_traffic = "client_handshake_traffic_secret", resumption = "resumption_master_secret" } do
        local value, message, failure = hc[method](hc, name)
        assert.is_nil(value)
        assert.equal("not_ready", failure.code)
        assert.equal("new", failure.state)
        assert.is_truthy(message:find(("'%s' is not there now"):format(whole), 1, true), message)
      end
      for _, name in ipairs { "nonesuch", "", "master_key", "shared_secret" } do
        assert.error_matches(function() hc[method](hc, name) end,
          "no secret is called '" .. name .. "'; there are binder_key, .*, master_secret, premaster_secret, .*, server_handshake_traffic_secret")
      end
      assert.has_error(function() hc[method](hc) end)
    end
    pump.connect(hc, hs)
    assert.equal("not_ready", select(3, hc:secret "master").code)
  end)

  it("a key log line in NSS format, which has the master secret", function()
    local lines = { client = {}, server = {} }
    local function log(list) return function(line) list[#list + 1] = line end end
    local hc, hs = mutate.handshakes("ecdhe", { keylog = log(lines.client) }, { keylog = log(lines.server) })
    local master
    hc:on("send", "finished", function()
      master = hc:secret("master_secret"):reveal()
      assert.equal(hc:secret "master", hc:secret "master_secret") -- its ending may be left out
    end)
    pump.connect(hc, hs)
    assert.same(lines.client, lines.server)
    assert.equal(1, #lines.client)
    local function hex(bytes) return (bytes:gsub(".", function(c) return ("%02x"):format(c:byte()) end)) end
    assert.equal(("CLIENT_RANDOM %s %s"):format(hex(hc.client_random), hex(master)), lines.client[1])
  end)

  it("what its libcrypto and its version are", function()
    assert.is_truthy(akushu._VERSION:find "^akushu %d+%.%d+%.%d+$")
    assert.is_truthy(akushu.libcrypto:find "OpenSSL")
  end)
end)

describe("a failure", function()
  it("says versions by their names", function()
    local function details(client, server)
      local c, s = pump.run(mutate.handshakes("ecdhe", client, server))
      return c.failure.detail, s.failure.detail
    end
    local cbc, old = "TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA", { versions = "1.1", security_level = 0 }
    old.suites = { cbc }
    local _, of_server = details(old)
    assert.equal("the client offers at most TLS 1.1, this server does TLS 1.2", of_server)
    _, of_server = details({ versions = "1.3", suites = { "TLS_AES_128_GCM_SHA256" }, grease = true })
    assert.equal("the client's supported_versions has TLS 1.3, this server does TLS 1.2", of_server)
    local hc, hs = mutate.handshakes "ecdhe"
    hs:on("compose", "server_hello", function(msg) msg.legacy_version = "TLS 1.0" end)
    local c = pump.run(hc, hs)
    assert.equal("the server chose TLS 1.0, this client does TLS 1.2", c.failure.detail)
  end)

  it("of two that have no suite in common names all that each has, and what is missing otherwise", function()
    local classic = { "TLS_RSA_WITH_AES_128_GCM_SHA256", "TLS_RSA_WITH_AES_256_GCM_SHA384", "TLS_RSA_WITH_AES_128_CBC_SHA", "TLS_RSA_WITH_AES_256_CBC_SHA",
      "TLS_RSA_WITH_AES_128_CBC_SHA256", "TLS_RSA_WITH_AES_256_CBC_SHA256" }
    local hc, hs = mutate.handshakes("rsa", { suites = classic }, { suites = akushu.crypto.profile("modern"), identity = certs.ecdsa().identity })
    local _, s = pump.run(hc, hs)
    local theirs, ours = s.failure.detail:match "^client: (.-); server: ([%w_ ]+)$"
    local offered = {}
    for name in theirs:gmatch "%S+" do offered[name] = true end
    for _, name in ipairs(classic) do assert.is_true(offered[name], s.failure.detail) end
    assert.is_truthy(ours:find "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256")
    assert.is_nil(ours:find "TLS_AES_128_GCM_SHA256") -- TLS 1.3 was not in question
    assert.equal(s.failure.message, s.message)
    assert.equal(s.message, akushu.errors.no_shared_suite.text .. ": " .. s.failure.detail)

    local more
    hc, hs = mutate.handshakes("rsa", nil, { identity = certs.ecdsa().identity })
    _, s = pump.run(hc, hs)
    assert.matches("a certificate of the right kind", s.failure.detail)
    hc, hs = mutate.handshakes("rsa", {}, {})
    hc:on("compose", "client_hello", function(msg)
      more = {}
      for i = 1, 1000 do more[i] = 0xfa00 + i end
      msg.cipher_suites = more
    end)
    _, s = pump.run(hc, hs)
    assert.matches("0xfa01 .* and 936 more; server: TLS_RSA_WITH_AES_128_GCM_SHA256$", s.failure.detail)
  end)

  it("has code, alert, origin, state, detail, message, and shows itself in words", function()
    local hc, hs = mutate.handshakes("rsa", { suites = { "TLS_RSA_WITH_AES_256_GCM_SHA384" } })
    local c, s = pump.run(hc, hs)
    local f = s.failure
    assert.equal("no_shared_suite", f.code)
    assert.equal("handshake_failure", f.alert)
    assert.equal("local", f.origin)
    assert.equal("wait_client_hello", f.state)
    assert.equal(akushu.errors.no_shared_suite.text .. ": " .. f.detail, f.message)
    assert.equal(f.message, tostring(f))
    assert.equal(f.message, s.message)
    assert.equal("akushu.Failure", getmetatable(f).__name)
    assert.is_nil(f.report)
    assert.equal(f.code, hs.failure.code)
    f = c.failure
    assert.equal("peer_alert", f.code)
    assert.equal("handshake_failure", f.alert)
    assert.equal("peer", f.origin)
    assert.equal("wait_server_hello", f.state)
    assert.is_truthy(f.message:find("handshake_failure (40)", 1, true))
  end)

  it("tells what a plain alert said that TLS 1.3 does not believe", function()
    for sent, said in pairs { ["\2\48"] = "unknown_ca", ["\2\0"] = "close_notify", ["\1\255"] = 255 } do
      local hc, hs = mutate.handshakes "tls13"
      assert(hs:step(hc:start()))
      local _, message, f = hs:step("\21\3\3\0\2" .. sent)
      assert.same({ "unexpected_record", "unexpected_message", "local", said }, { f.code, f.alert, f.origin, f.said })
      assert.matches("an unprotected record of type 21, an alert that says", message, 1, true)
      assert.equal(said, hs.failure.said)
    end
    local hc, hs = mutate.handshakes "tls13"
    assert(hs:step(hc:start()))
    local _, _, f = hs:step "\22\3\3\0\4\20\0\0\0"
    assert.same({ "unexpected_record" }, { f.code, f.said })
  end)

  it("of a certificate has the report", function()
    local _, s = mutate.contexts("ecdhe", nil, { identity = certs.ecdsa("expired").identity })
    local c = pump.run((mutate.handshakes "ecdhe"), s:handshake())
    assert.equal("certificate_expired", c.failure.code)
    assert.equal("certificate_expired", c.failure.report.verdict)
    assert.equal("certificate_expired", c.hs.failure.report.verdict)
  end)

  it("has a code that errors knows, each with a text", function()
    local n = 0
    for code, e in pairs(akushu.errors) do
      assert.is_truthy(code:find "^[%l%d_]+$", code)
      assert.is_string(e.text)
      n = n + 1
    end
    assert.is_true(n > 90)
  end)
end)

-- ---- certificates that nobody vouches for ----------------------------------------------------------------------------------------

describe("on_untrusted", function()
  local stranger = testca.new { name = "a stranger's CA" }
  local leaf = stranger:issue { names = { "localhost" } }
  local known = certs.ecdsa().trust

  local function meet(client, identity, options)
    local o = { trust = known }
    for k, v in pairs(client or {}) do o[k] = v end
    local c = mutate.contexts("ecdhe", o)
    local _, s = mutate.contexts("ecdhe", nil, { identity = identity or leaf.identity })
    local handshake = { server_name = "localhost" }
    for k, v in pairs(options or {}) do handshake[k] = v end
    local hs = c:handshake(handshake)
    local a, b = pump.run(hs, s:handshake())
    return a, b, c, s
  end

  it("is not there: unknown_ca, and the report and the chain can be read", function()
    local c, s = meet()
    assert.equal("unknown_ca", c.failure.code)
    assert.equal("unknown_ca", c.failure.alert)
    assert.equal("unknown_ca", s.failure.alert)
    local report = c.failure.report
    assert.equal("unknown_ca", report.verdict)
    assert.is_false(report.ok)
    assert.is_true(#report.reasons > 0)
    assert.is_truthy(tostring(report):find("a stranger's CA", 1, true), tostring(report))
    assert.equal(leaf.certificate, c.hs.peer[1])
    assert.equal("unknown_ca", c.hs.report.verdict)
  end)

  it("is asked with the report, and the handshake", function()
    local asked = {}
    local c = meet { on_untrusted = function(report, hs) asked = { report = report, hs = hs,
      state = hs.state, peer = hs.peer[1] } return true end }
    assert.is_truthy(c.session, c.message)
    assert.equal("unknown_ca", asked.report.verdict)
    assert.equal(c.hs, asked.hs)
    assert.equal("wait_certificate", asked.state)
    assert.equal(leaf.certificate, asked.peer)
    assert.equal("unknown_ca", c.session.report.verdict)
  end)

  for name, no in pairs { ["false"] = false, ["nil"] = "nil" } do
    it("says no with " .. name, function()
      local c, s = meet { on_untrusted = function() if no == "nil" then return nil end return false end }
      assert.equal("unknown_ca", c.failure.code)
      assert.equal("unknown_ca", s.failure.alert)
      assert.equal("unknown_ca", c.failure.report.verdict)
    end)
  end

  it("says no with an alert of its own", function()
    local c, s = meet { on_untrusted = function() return false, "bad_certificate" end }
    assert.equal("bad_certificate", c.failure.alert)
    assert.equal("bad_certificate", s.failure.alert)
    assert.equal("local", c.failure.origin)
  end)

  it("raises", function()
    local value = {}
    local c = meet { on_untrusted = function() error(value) end }
    assert.equal("hook_failed", c.failure.code)
    assert.equal(value, c.failure.error)
  end)

  it("may think about it for a while", function()
    local co = coroutine.create(meet)
    local ok, report = coroutine.resume(co, { on_untrusted = function(report) return coroutine.yield(report) end })
    assert.is_true(ok, report)
    assert.equal("unknown_ca", report.verdict)
    local _, c = coroutine.resume(co, true)
    assert.is_truthy(c.session, c.message)
  end)

  it("is asked for every reason", function()
    for code, identity in pairs { certificate_expired = certs.ecdsa("expired").identity, host_mismatch = certs.ecdsa("wrong_host").identity,
      self_signed = certs.self_signed("ecdsa").identity, wrong_purpose = certs.ecdsa("client").identity } do
      local verdict
      local c = meet({ on_untrusted = function(report) verdict = report.verdict return true end }, identity)
      assert.equal(code, verdict)
      assert.is_truthy(c.session, c.message)
    end
  end)

  it("is not asked when all is well", function()
    local c = meet({ on_untrusted = function() error "asked" end }, certs.ecdsa().identity)
    assert.is_truthy(c.session, c.message)
  end)

  it("is for this connection: such a session is not resumed", function()
    local asked = 0
    local function yes() asked = asked + 1 return true end
    local c, _, client, server = meet { on_untrusted = yes }
    local session = c.session:resumption()
    for _ = 1, 2 do
      local again = pump.run(client:handshake { server_name = "localhost", session = session }, server:handshake())
      assert.is_truthy(again.session, again.message)
      assert.is_false(again.session.resumed)
    end
    assert.equal(3, asked)
  end)

  it("unless it says so", function()
    local c, _, client, server = meet { on_untrusted = function() return "remember" end }
    local again = pump.run(client:handshake { server_name = "localhost", session = c.session:resumption() }, server:handshake())
    assert.is_true(again.session.resumed)
  end)

  it("on a server asks about clients", function()
    local verdict
    local c, s = mutate.contexts("client_auth", { identity = leaf.identity },
      { on_untrusted = function(report) verdict = report.verdict return true end })
    local a, b = pump.run(c:handshake { server_name = "localhost" }, s:handshake())
    assert.is_truthy(b.session, b.message)
    assert.is_truthy(a.session, a.message)
    assert.equal("unknown_ca", verdict)
  end)
end)

describe("verification", function()
  it("is off only in so many words", function()
    local leaf = testca.self_signed { names = { "elsewhere" } }
    local _, s = mutate.contexts("ecdhe", nil, { identity = leaf.identity })
    local c = mutate.contexts("ecdhe", { verify = false })
    local a = pump.run(c:handshake(), s:handshake())
    assert.is_truthy(a.session, a.message)
    assert.is_nil(a.session.report)
    assert.equal(leaf.certificate, a.session.peer[1])
  end)

  it("of the chain alone", function()
    local c = mutate.contexts("ecdhe", { verify = "chain" })
    local _, s = mutate.contexts("ecdhe", nil, { identity = certs.ecdsa("wrong_host").identity })
    local a = pump.run(c:handshake(), s:handshake())
    assert.is_truthy(a.session, a.message)
    assert.equal("ok", a.session.report.verdict)
    _, s = mutate.contexts("ecdhe", nil, { identity = certs.self_signed("ecdsa").identity })
    a = pump.run(c:handshake(), s:handshake())
    assert.equal("self_signed", a.failure.code)
  end)

  it("goes by the context's clock", function()
    for _, case in ipairs { { 10 * 365 * 86400, "certificate_expired" }, { -10 * 365 * 86400, "certificate_not_yet_valid" } } do
      local calls = 0
      local c = mutate.contexts("ecdhe", { clock = function() calls = calls + 1 return os.time() + case[1] end })
      local _, s = mutate.contexts "ecdhe"
      local a = pump.run(c:handshake { server_name = "localhost" }, s:handshake())
      assert.equal(case[2], a.failure.code)
      assert.is_true(calls > 0)
      c = mutate.contexts("ecdhe", { clock = os.time() + case[1] })
      a = pump.run(c:handshake { server_name = "localhost" }, s:handshake())
      assert.equal(case[2], a.failure.code)
    end
  end)

  it("of the name as it is written: case, a trailing dot, an address", function()
    local _, s = mutate.contexts "ecdhe"
    local c = mutate.contexts "ecdhe"
    for _, name in ipairs { "localhost", "LOCALHOST", "LocalHost", "localhost.", "127.0.0.1" } do
      local a = pump.run(c:handshake { server_name = name }, s:handshake())
      assert.is_truthy(a.session, a.message)
    end
    for _, name in ipairs { "localhos", "xlocalhost", "local.host", "127.0.0.2", "::1", "a.localhost" } do
      local a = pump.run(c:handshake { server_name = name }, s:handshake())
      assert.equal("host_mismatch", a.failure.code)
    end
  end)
end)
