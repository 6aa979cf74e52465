-- akushu with itself, TLS 1.3: suites × groups × signatures × pre-shared keys × HelloRetryRequest × client authentication × early data ×
-- compatibility mode × fragments down to one byte (RFC 8446). Whatever was agreed must be what both sides say, and data must come through both ways.
local akushu = require "akushu"
local certs = require "spec.support.certs"
local mutate = require "spec.support.mutate"
local pump = require "spec.support.pump"
local merge = require "spec.support.merge"

local suites = {
  "TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256", "TLS_AES_128_CCM_SHA256", "TLS_AES_128_CCM_8_SHA256",
}
local sha384 = { TLS_AES_256_GCM_SHA384 = true }

-- What this libcrypto has; the largest groups are for the slow run.
local groups, large_groups = {}, {}
for _, name in ipairs { "x25519", "secp256r1", "secp384r1", "secp521r1", "x448", "ffdhe2048", "ffdhe3072", "X25519MLKEM768",
  "SecP256r1MLKEM768", "SecP384r1MLKEM1024" } do
  if akushu.supports("groups", name) then groups[#groups + 1] = name end
end
for _, name in ipairs { "ffdhe4096", "ffdhe6144", "ffdhe8192" } do
  if akushu.supports("groups", name) then large_groups[#large_groups + 1] = name end
end

-- Signature schemes, and the keys that make them.
local signatures = {
  { "ecdsa_secp256r1_sha256", "ecdsa" }, { "ecdsa_secp384r1_sha384", "ec:secp384r1" }, { "ecdsa_secp521r1_sha512", "ec:secp521r1" },
  { "ed25519", "ed25519" }, { "ed448", "ed448" }, { "rsa_pss_rsae_sha256", "rsa" }, { "rsa_pss_rsae_sha384", "rsa" },
  { "rsa_pss_rsae_sha512", "rsa" }, { "rsa_pss_pss_sha256", "rsa-pss:2048" }, { "rsa_pss_pss_sha384", "rsa-pss:2048" },
  { "rsa_pss_pss_sha512", "rsa-pss:2048" },
}
-- What a chain is signed with: it must be acceptable, too.
local chain_schemes = { "ecdsa_secp256r1_sha256", "rsa_pkcs1_sha256", "rsa_pss_rsae_sha256" }

-- A clock that stands still, for what goes by the age of a ticket: however long this process is kept waiting.
local began = os.time()
local function standing() return began end

-- contexts{ key =, client_key =, client =, server =, both = }
local function contexts(o)
  local leaf = certs.leaf(o.key or "ecdsa")
  local both = merge({ versions = "1.3" }, o.both or {})
  local client, server = merge(both, { trust = leaf.trust }, o.client or {}), merge(both, { identity = leaf.identity }, o.server or {})
  if o.client_key then
    local mine = certs.leaf(o.client_key, "client")
    client.identity, server.trust, server.client_auth = mine.identity, mine.trust, "require"
  end
  return akushu.client(client), akushu.server(server)
end

local function connect(client, server, o)
  o = o or {}
  local hc, hs = client:handshake { server_name = "localhost", session = o.session }, server:handshake()
  if o.early then assert(hc:send_early(o.early)) end
  local c, s = pump.run(hc, hs, { chunk = o.chunk })
  assert(c.session, c.message)
  assert(s.session, s.message)
  return c, s
end

local sizes = { 1, 100, 16384, 16385, 40000 }

local function talk(c, s, chunk)
  for i, n in ipairs(chunk and { 1, 300 } or sizes) do
    local data = string.char(96 + i):rep(n)
    assert.is_true(pump.transfer(c, s, data, chunk) == data)
    assert.is_true(pump.transfer(s, c, data:upper(), chunk) == data:upper())
  end
end

local function same(c, s, expected)
  local a, b = c.session, s.session
  assert.equal("1.3", a.version)
  for _, name in ipairs { "version", "suite", "group", "alpn", "resumed", "hello_retry", "early_data" } do
    assert.equal(a[name], b[name], name)
  end
  assert.equal(a:export("EXPORTER-spec", "context", 32), b:export("EXPORTER-spec", "context", 32))
  assert.not_equal(a:export("EXPORTER-spec", "context", 32), a:export("EXPORTER-other", "context", 32))
  for name, value in pairs(expected) do assert.equal(value, a[name], name) end
end

local function goodbye(c, s)
  s:deliver(c.session:close())
  assert.equal("closed", s.failure.code)
end

-- ---- full handshakes ----------------------------------------------------------------------------------------------------------

-- What a peer accepts: this scheme, and what the chains are signed with.
local function accepting(scheme)
  local out = { scheme }
  for _, other in ipairs(chain_schemes) do
    if other ~= scheme then out[#out + 1] = other end
  end
  return out
end

local function full(suite, group, signature, o)
  o = o or {}
  local client, server = contexts { key = signature[2], client_key = o.client_auth and signature[2], both = { suites = { suite },
    groups = { group } },
    client = { schemes = accepting(signature[1]), signing_schemes = { signature[1] } },
    server = { schemes = accepting(signature[1]), signing_schemes = { signature[1] } } }
  local c, s = connect(client, server, o)
  same(c, s, { suite = suite, group = group, scheme = signature[1], resumed = false, hello_retry = false, early_data = "none" })
  assert.equal(signature[1], s.session.own_scheme)
  if o.client_auth then
    assert.is_truthy(s.session.peer)
    assert.equal(c.session.own_scheme, s.session.scheme)
  else
    assert.is_nil(s.session.peer)
  end
  talk(c, s, o.chunk)
  goodbye(c, s)
end

describe("TLS 1.3 with itself: full handshakes", function()
  for _, suite in ipairs(suites) do
    it(suite .. " with every group", function()
      for _, group in ipairs(groups) do full(suite, group, signatures[1]) end
    end)
    it(suite .. " with every signature", function()
      for _, signature in ipairs(signatures) do full(suite, "x25519", signature) end
    end)
    it(suite .. " with every signature of the client's", function()
      for _, signature in ipairs(signatures) do full(suite, "x25519", signature, { client_auth = true }) end
    end)
  end
  it("every group with every signature", function()
    for _, group in ipairs(groups) do
      for _, signature in ipairs(signatures) do full(suites[1], group, signature) end
    end
  end)
  it("a byte at a time", function()
    for i, suite in ipairs(suites) do
      for k, signature in ipairs(signatures) do
        full(suite, groups[(i + k) % #groups + 1], signature, { chunk = 1, client_auth = k % 2 == 0 })
      end
    end
  end)
  it("of several identities one whose chain is signed as the peer says in signature_algorithms_cert (§4.2.3)", function()
    local testca = require "akushu.testca"
    local function issued(key)
      local ca = testca.new { key = key, name = "root of " .. key }
      return ca:issue({ key = "ec:secp256r1", names = { "localhost" } }).identity, ca
    end
    local by_ec, ec = issued "ec:secp256r1"
    local by_ed, ed = issued "ed25519"
    local trust = assert(akushu.trust { pem = ec:pem() .. ed:pem() })
    for _, row in ipairs { { "ecdsa_secp256r1_sha256", by_ec }, { "ed25519", by_ed }, { "rsa_pkcs1_sha256", by_ec } } do
      local client = akushu.client { versions = "1.3", trust = trust, cert_schemes = { row[1] }, identity = { by_ec, by_ed } }
      local server = akushu.server { versions = "1.3", identity = { by_ec, by_ed }, trust = trust, client_auth = "request",
        verify = false, cert_schemes = { row[1] } }
      local c, s = connect(client, server)
      assert.equal(row[2].chain[1].der, c.session.peer[1].der)
      assert.equal(row[2].chain[1].der, s.session.peer[1].der)
    end
  end)

  it("the largest groups #slow", function()
    for _, group in ipairs(large_groups) do full(suites[2], group, signatures[1]) end
  end)
  it("the whole product #slow", function()
    for _, suite in ipairs(suites) do
      for _, group in ipairs(groups) do
        for _, signature in ipairs(signatures) do
          for _, client_auth in ipairs { false, true } do full(suite, group, signature, { client_auth = client_auth }) end
        end
      end
    end
  end)
end)

-- ---- pre-shared keys, HelloRetryRequest ------------------------------------------------------------------------------------------

-- Who makes a HelloRetryRequest necessary: the client's share is not of the server's group.
local function with_retry(retry, client, server)
  if not retry then return client, server end
  return merge(client, { key_shares = { "x25519" }, groups = { "x25519", "secp256r1" } }), merge(server, { groups = { "secp256r1" } })
end

local psk_modes = { psk_dhe_ke = { "psk_dhe_ke" }, psk_ke = { "psk_ke" } }

local function resumed(suite, mode, o)
  local client, server = with_retry(o.retry, { psk_modes = psk_modes[mode], alpn = o.alpn }, { psk_modes = psk_modes[mode], alpn = o.alpn,
    early_data = o.early and 65536 or nil, sessions = o.store })
  client, server = contexts { both = { suites = { suite }, clock = standing }, client = client, server = server,
    client_key = o.client_auth and "ecdsa" or nil }
  local c, s = connect(client, server, { chunk = o.chunk })
  same(c, s, { resumed = false, hello_retry = o.retry or false })
  local first, second = assert(c.session:resumption()), assert(c.session:resumption())
  assert.equal("psk", first.kind)
  talk(c, s, o.chunk)
  goodbye(c, s)
  for i, session in ipairs { first, assert(akushu.resumption(second:serialize())) } do
    c, s = connect(client, server, { session = session, chunk = o.chunk, early = o.early })
    -- psk_ke needs no share: nothing is asked again
    local retry = (o.retry or false) and mode == "psk_dhe_ke"
    local early = not o.early and "none" or retry and "refused" or "accepted"
    same(c, s, { resumed = true, hello_retry = retry, suite = suite, early_data = early })
    assert.equal(mode == "psk_ke", c.session.group == nil)
    assert.is_truthy(c.session.peer)
    assert.equal(o.client_auth or false, s.session.peer ~= nil)
    if early == "accepted" then assert.equal(o.early, s.hs:take_early_data()) end
    talk(c, s, o.chunk)
    assert.is_truthy(c.session:resumption(), i)
  end
  return client, server
end

describe("TLS 1.3 with itself: resumption", function()
  for _, suite in ipairs(suites) do
    for _, mode in ipairs { "psk_dhe_ke", "psk_ke" } do
      for _, retry in ipairs { false, true } do
        it(("%s, %s%s"):format(suite, mode, retry and ", HelloRetryRequest" or ""), function()
          for _, client_auth in ipairs { false, true } do
            for _, early in ipairs { false, "early data" } do
              resumed(suite, mode, { retry = retry, client_auth = client_auth, early = early or nil, alpn = client_auth and { "h2",
                "http/1.1" } or nil })
            end
          end
        end)
      end
    end
    it(suite .. ", a byte at a time", function()
      for _, mode in ipairs { "psk_dhe_ke", "psk_ke" } do
        resumed(suite, mode, { chunk = 1, early = "early data", client_auth = true })
        resumed(suite, mode, { chunk = 1, early = "early data", retry = true })
      end
    end)
  end

  it("by an application's store, each session once", function()
    local kept, taken = {}, 0
    local store = {
      get = function(id) return kept[id] end,
      put = function(id, value) kept[id] = value end,
      remove = function(id)
        if kept[id] then taken = taken + 1 end
        kept[id] = nil
      end,
    }
    resumed(suites[1], "psk_dhe_ke", { store = store, early = "early" })
    assert.equal(2, taken)
    resumed(suites[2], "psk_dhe_ke", { store = store, retry = true })
    assert.equal(4, taken)
  end)

  it("between servers that share their ticket keys, and by keys that have been rotated", function()
    local client, one = contexts {}
    local _, two = contexts {}
    two:set_ticket_keys(one:ticket_keys():reveal())
    local c = connect(client, one)
    local tickets = { c.session:resumption(), c.session:resumption() }
    assert.is_true((connect(client, two, { session = tickets[1] })).session.resumed)
    two:rotate_ticket_keys()
    assert.is_true((connect(client, two, { session = tickets[2] })).session.resumed)
    c = connect(client, two)
    assert.is_false((connect(client, one, { session = c.session:resumption() })).session.resumed) -- `one` does not have the new key
    one:set_ticket_keys(two:ticket_keys():reveal())
    assert.is_true((connect(client, one, { session = c.session:resumption() })).session.resumed)
  end)

  it("gives as many tickets as was said, each for one handshake", function()
    for _, n in ipairs { 0, 1, 3 } do
      local client, server = contexts { server = { tickets = n } }
      local c = connect(client, server)
      for _ = 1, n do assert.is_truthy(c.session:resumption()) end
      assert.is_nil(c.session:resumption())
    end
    local client, server = contexts {}
    local ticket = (connect(client, server)).session:resumption()
    assert.is_true((connect(client, server, { session = ticket })).session.resumed)
    assert.is_false((connect(client, server, { session = ticket })).session.resumed)
    client, server = contexts { client = { reuse_tickets = true } }
    ticket = (connect(client, server)).session:resumption()
    for _ = 1, 2 do assert.is_true((connect(client, server, { session = ticket })).session.resumed) end
  end)

  it("not under another name, another key, or when its time is over", function()
    local now = began
    local client, server = contexts { both = { clock = function() return now end, session_lifetime = 100 } }
    local c = connect(client, server)
    local one, two = c.session:resumption(), c.session:resumption()
    now = now + 99
    assert.is_true((connect(client, server, { session = one })).session.resumed)
    now = now + 2
    c = connect(client, server, { session = two })
    assert.is_false(c.session.resumed)
    local three = c.session:resumption()
    server:set_ticket_keys(("k"):rep(48))
    assert.is_false((connect(client, server, { session = three })).session.resumed)
  end)
end)

describe("TLS 1.3 with itself: external pre-shared keys", function()
  for _, suite in ipairs(suites) do
    it(suite, function()
      local key = { identity = "both know it", key = akushu.secret(("k"):rep(32)), hash = sha384[suite] and "sha384" or "sha256" }
      for _, mode in ipairs { "psk_dhe_ke", "psk_ke" } do
        for _, retry in ipairs { false, true } do
          for _, chunk in ipairs { 0, 1 } do
            local client, server = with_retry(retry, {}, {})
            client, server = contexts { both = { suites = { suite }, psk = { key }, psk_modes = mode }, client = client, server = server }
            local c, s = connect(client, server, { chunk = chunk ~= 0 and chunk or nil })
            same(c, s, { resumed = false, hello_retry = retry and mode == "psk_dhe_ke" })
            assert.is_nil(c.session.peer)
            talk(c, s, chunk ~= 0 and chunk or nil)
          end
        end
      end
    end)
  end

  it("the first that both know, in a list; and one that the application knows", function()
    local function key(name) return { identity = name, key = name:rep(8) } end
    local client, server = contexts { client = { psk = { key "aaaa", key "bbbb", key "cccc" } }, server = { psk = { key "cccc",
      key "bbbb" } } }
    assert.is_nil((connect(client, server)).session.peer)
    local asked = {}
    client, server = contexts { client = { psk = { key "aaaa", key "bbbb" } }, server = { on_psk = function(identity)
      asked[#asked + 1] = identity
      return identity == "bbbb" and ("bbbb"):rep(8) or nil
    end } }
    local c, s = connect(client, server)
    assert.is_nil(c.session.peer)
    assert.same({ "aaaa", "bbbb" }, asked)
    talk(c, s)
  end)

  it("a question that yields", function()
    local client, server = contexts { client = { psk = { { identity = "i", key = "kkkk" } } }, server = { on_psk = function(identity)
      return coroutine.yield(identity)
    end } }
    local hc, hs = client:handshake { server_name = "localhost" }, server:handshake()
    local hello = hc:start()
    local co = coroutine.wrap(function() return hs:step(hello) end)
    assert.equal("i", co())
    hc:step(co "kkkk")
    assert.is_true(hc.done)
  end)

  it("a ticket and an external key in one ClientHello", function()
    local client, server = contexts { both = { psk = { { identity = "i", key = "kkkk" } } } }
    local other_client, other = contexts {}
    assert.is_truthy(other)
    local c = connect(other_client, other)
    local session = c.session:resumption()
    c = connect(client, server, { session = session }) -- the ticket is another server's: the key is taken
    assert.is_false(c.session.resumed)
    assert.is_nil(c.session.peer)
  end)
end)

-- ---- early data -----------------------------------------------------------------------------------------------------------------------

local function early_contexts(server, both)
  return contexts { server = merge({ early_data = 20000 }, server or {}), both = merge({ clock = standing }, both or {}) }
end

local function ticket_of(client, server) return assert((connect(client, server)).session:resumption()) end

describe("TLS 1.3 with itself: early data", function()
  it("of any length up to the limit, in one piece and in many", function()
    local client, server = early_contexts()
    for _, n in ipairs { 1, 16384, 16385, 20000 } do
      for _, chunk in ipairs { 0, 1, 1000 } do
        local data = ("e"):rep(n)
        local c, s = connect(client, server, { session = ticket_of(client, server), early = data, chunk = chunk ~= 0 and chunk or nil })
        assert.equal("accepted", c.hs.early_data)
        assert.is_true(s.hs:take_early_data() == data)
        talk(c, s)
      end
    end
    local hc = client:handshake { server_name = "localhost", session = ticket_of(client, server) }
    local ok, text, failure = hc:send_early(("e"):rep(20001))
    assert.is_nil(ok)
    assert.equal("too_much_early_data", failure.code, text)
  end)

  it("is at the server before its answer is at the client, and the answer before the client's Finished", function()
    local client, server = early_contexts()
    local hc, hs = client:handshake { server_name = "localhost", session = ticket_of(client, server) }, server:handshake()
    assert(hc:send_early "question")
    local flight = hs:step(hc:start())
    assert.equal("question", hs:take_early_data())
    assert.is_false(hs.done)
    local answer = assert(hs:send "answer")
    local finished = hc:step(flight)
    assert.is_true(hc.done)
    local session = hc:session()
    assert.equal("answer", (session:open(answer)))
    hs:step(finished)
    assert.is_true(hs.done)
  end)

  it("has an exporter of its own (§7.5)", function()
    for _, suite in ipairs(suites) do
      local client, server = early_contexts(nil, { suites = { suite } })
      local hc, hs = client:handshake { server_name = "localhost", session = ticket_of(client, server) }, server:handshake()
      local none, _, failure = hc:export_early("EXPORTER-spec", "context", 40)
      assert.is_nil(none)
      assert.equal("not_ready", failure.code)
      assert(hc:send_early "e")
      hs:step(hc:start())
      local value = assert(hc:export_early("EXPORTER-spec", "context", 40))
      assert.equal(40, #value)
      assert.equal(value, hs:export_early("EXPORTER-spec", "context", 40))
      assert.not_equal(value, hs:export_early("EXPORTER-other", "context", 40))
      assert.not_equal(value, hs:export_early("EXPORTER-spec", nil, 40))
    end
  end)

  it("has it as long as the handshake lives, accepted or refused", function()
    for _, suite in ipairs(suites) do
      for _, accepted in ipairs { true, false } do
        local client, server = early_contexts(nil, { suites = { suite } })
        local session = ticket_of(client, server)
        if not accepted then server:set_ticket_keys(("another key"):rep(5):sub(1, 48)) end
        local hc, hs = client:handshake { server_name = "localhost", session = session }, server:handshake()
        assert(hc:send_early "e")
        local hello = hc:start()
        local value = assert(hc:export_early("EXPORTER-spec", "context", 40))
        assert(hs:step(assert(hc:step(assert(hs:step(hello))))))
        assert.same({ true, true, accepted and "accepted" or "refused" }, { hc.done, hs.done, hc.early_data })
        assert.equal(value, hc:export_early("EXPORTER-spec", "context", 40))
        if accepted then
          assert.equal(value, hs:export_early("EXPORTER-spec", "context", 40))
        else
          local none, _, failure = hs:export_early("EXPORTER-spec", "context", 40)
          assert.is_nil(none)
          assert.equal("not_ready", failure.code)
        end
        for _, side in ipairs { hc, hs } do
          assert(side:session())
          local now, _, over = side:export_early("EXPORTER-spec", "context", 40)
          assert.is_true(now == value or over.code == "not_ready")
        end
      end
    end
  end)

  it("is refused, and passed over, for every reason that there is", function()
    local reasons = {
      { "the server does not take any", function(o) o.server2 = { early_data = 0 } end },
      { "another suite", function(o) o.both2 = { suites = { "TLS_CHACHA20_POLY1305_SHA256", "TLS_AES_128_GCM_SHA256" } } end,
        resumed = true, maybe = true },
      { "a HelloRetryRequest", function(o) o.server2 = { groups = { "secp384r1" } } end },
      { "keys that are not known any more", function(o) o.forget = true end },
      { "the application says no", function(o) o.server2 = { on_early_data = function() return false end } end },
    }
    for _, reason in ipairs(reasons) do
      for _, chunk in ipairs { 0, 1 } do
        local o = {}
        reason[2](o)
        local client, server = early_contexts()
        local session = ticket_of(client, server)
        local _, second = early_contexts(o.server2, o.both2)
        if not o.forget then second:set_ticket_keys(server:ticket_keys():reveal()) end
        local c, s = connect(client, second, { session = session, early = ("e"):rep(5000), chunk = chunk ~= 0 and chunk or nil })
        if not reason.maybe then
          assert.equal("refused", c.hs.early_data, reason[1])
          assert.equal("refused", s.hs.early_data, reason[1])
          assert.equal("", s.hs:take_early_data())
        end
        talk(c, s)
      end
    end
  end)

  it("needs a ticket of the right age (§8.3)", function()
    for _, late in ipairs { 0, 9, 11, 3600 } do
      local now = began
      local client, server = contexts { server = { early_data = 1000, clock = function() return now end }, client = { clock = standing } }
      local session = ticket_of(client, server)
      now = now + late -- the server's clock runs on, the client's does not
      local c = connect(client, server, { session = session, early = "e" })
      assert.equal(late <= 10 and "accepted" or "refused", c.hs.early_data, late .. " seconds")
      assert.is_true(c.session.resumed)
    end
  end)
end)

-- The client's first flight, byte for byte, sent again: what a network does that somebody else has.
local function replayed(server, flight)
  local hs = server:handshake()
  local out, text = hs:step(flight)
  assert.is_truthy(out, text)
  return hs
end

describe("TLS 1.3 with itself: a first flight that is sent again (§8)", function()
  local function flight_of(server_options, both)
    local client, server = early_contexts(server_options, both)
    local hc = client:handshake { server_name = "localhost", session = ticket_of(client, server) }
    assert(hc:send_early "pay 100 coins")
    return hc:start(), server
  end

  it("is taken once by the memory that a server has by itself", function()
    local flight, server = flight_of()
    local first, again = replayed(server, flight), replayed(server, flight)
    assert.equal("accepted", first.early_data)
    assert.equal("pay 100 coins", first:take_early_data())
    assert.equal("refused", again.early_data)
    assert.equal("", again:take_early_data())
  end)

  it("is taken once by an application's memory, which may yield", function()
    local seen = {}
    local flight, server = flight_of { on_early_data = function(key)
      coroutine.yield "a question to a database"
      local first = not seen[key]
      seen[key] = true
      return first
    end }
    local results = {}
    for i = 1, 2 do
      local hs = server:handshake()
      local co = coroutine.wrap(function() return assert(hs:step(flight)) end)
      assert.equal("a question to a database", co())
      co()
      results[i] = hs.early_data
    end
    assert.same({ "accepted", "refused" }, results)
  end)

  it("is taken as often as it comes when the application wants no memory", function()
    local flight, server = flight_of { on_early_data = function() return true end }
    for _ = 1, 3 do assert.equal("pay 100 coins", replayed(server, flight):take_early_data()) end
  end)

  it("is taken once when sessions are in a store", function()
    local kept = {}
    local flight, server = flight_of { sessions = {
      get = function(id) return kept[id] end, put = function(id, value) kept[id] = value end, remove = function(id) kept[id] = nil end,
    } }
    assert.equal("accepted", replayed(server, flight).early_data)
    local again = replayed(server, flight)
    assert.equal("refused", again.early_data)
    assert.is_false(again.resumed)
  end)

  it("is refused after the window, by a memory that has begun anew", function()
    local now = began
    local flight, server = flight_of({ clock = function() return now end })
    assert.equal("accepted", replayed(server, flight).early_data)
    now = now + 3600
    assert.equal("refused", replayed(server, flight).early_data)
    now = began + 5
    local _, fresh = early_contexts { clock = function() return now end }
    fresh:set_ticket_keys(server:ticket_keys():reveal())
    assert.equal("refused", replayed(fresh, flight).early_data)
  end)

  it("comes to nothing more in any case: the replayer has no keys for what follows", function()
    local flight, server = flight_of()
    local hs = replayed(server, flight)
    assert.is_false(hs.done)
    local out, _, failure = hs:step(flight)
    assert.is_nil(out)
    assert.equal("wrong_record_version", failure.code)
  end)
end)

-- ---- cookies (§4.2.2) -----------------------------------------------------------------------------------------------------------------------

describe("TLS 1.3 with itself: a HelloRetryRequest that carries a cookie", function()
  local now
  local function pair(o)
    now = began
    return contexts { client = merge({ key_shares = { "x25519" }, clock = standing }, o or {}),
      server = merge({ groups = { "secp256r1" }, cookie = true, ticket_keys = ("t"):rep(48), clock = function() return now end }, o or {}) }
  end

  -- The HelloRetryRequest comes from one handshake, everything after it from another, of another context.
  local function retold(client, one, two, session, change)
    local hc, first, second = client:handshake { server_name = "localhost", session = session }, one:handshake(), two:handshake()
    if change then hc:on("send", "client_hello", change) end
    local retry = assert(first:step(hc:start()))
    local hello = assert(hc:step(retry))
    assert.is_true(hc.hello_retry)
    local c, s = pump.join(hc, second)
    s:deliver(hello)
    pump.move(c, s)
    return c, s
  end

  it("within one handshake", function()
    for _, suite in ipairs(suites) do
      local client, server = pair { suites = { suite } }
      local c, s = connect(client, server)
      same(c, s, { hello_retry = true })
      c, s = connect(client, server, { session = c.session:resumption(), chunk = 1 })
      same(c, s, { hello_retry = true, resumed = true })
    end
  end)

  it("to a handshake that knows nothing but the cookie's key", function()
    for _, suite in ipairs(suites) do
      local client, one = pair { suites = { suite } }
      local _, two = pair { suites = { suite } }
      local c, s = retold(client, one, two)
      assert(c.session and s.session, c.message or s.message)
      same(c, s, { hello_retry = true, group = "secp256r1", suite = suite })
      talk(c, s)
      c, s = retold(client, one, two, c.session:resumption())
      assert(c.session and s.session, c.message or s.message)
      same(c, s, { hello_retry = true, resumed = true })
      talk(c, s)
    end
  end)

  it("and refuses what is none, what is old, and what does not go with it", function()
    local client, one = pair()
    local _, two = pair()
    local function refused(code, change, wait, to)
      local count = 0
      now = began
      local c, s = retold(client, one, to or two, nil, function(m)
        count = count + 1
        if count < 2 then return end
        now = now + (wait or 0)
        if change then return change(m) end
      end)
      assert.equal(code, s.failure and s.failure.code, s.message)
      assert.equal("illegal_parameter", s.failure.alert)
      assert.equal("peer_alert", c.failure.code)
    end
    local function cookie(m)
      for _, e in ipairs(m.extensions) do
        if e.type == "cookie" then return e.data end
      end
    end
    refused("bad_cookie", function(m) cookie(m).cookie = mutate.flip(cookie(m).cookie, #cookie(m).cookie) end)
    refused("bad_cookie", function(m) cookie(m).cookie = "x" end)
    refused("bad_cookie", function(m) cookie(m).cookie = ("x"):rep(500) end)
    refused("bad_cookie", nil, 121)
    -- two processes' clocks need not be the same to the second
    for _, skew in ipairs { -10, 119 } do
      local count = 0
      now = began
      local c, s = retold(client, one, two, nil, function()
        count = count + 1
        if count == 2 then now = now + skew end
      end)
      assert(c.session and s.session, c.message or s.message)
    end
    refused("bad_cookie", nil, -11)
    refused("hello_changed", function(m) m.random = ("r"):rep(32) end)
    local _, stranger = pair { ticket_keys = nil }
    stranger:set_ticket_keys(("s"):rep(48))
    refused("bad_cookie", nil, 0, stranger)
    -- without its cookie it is a first ClientHello like any other
    local count = 0
    local c, s = retold(client, one, two, nil, function(m)
      count = count + 1
      if count < 2 then return end
      for i, e in ipairs(m.extensions) do
        if e.type == "cookie" then table.remove(m.extensions, i) end
      end
    end)
    assert.is_false(s.hs.hello_retry)
    assert.equal("bad_record_mac", c.failure.code) -- the two have not seen the same
  end)
end)

-- ---- authentication after the handshake (§4.6.2) ------------------------------------------------------------------------------------------

describe("TLS 1.3 with itself: authentication after the handshake", function()
  local function pair(kind, o)
    o = o or {}
    local mine = certs.leaf(kind or "ecdsa", "client")
    return contexts { client = merge({ identity = o.nobody and {} or mine.identity, post_handshake_auth = true }, o.client or {}),
      server = merge({ trust = mine.trust, post_handshake_auth = true }, o.server or {}), both = o.both }
  end

  local function ask(c, s, chunk)
    local request = assert(s.session:request_certificate())
    for at = 1, #request, chunk or #request do c:deliver(request:sub(at, at + (chunk or #request) - 1)) end
    pump.move(c, s, chunk)
  end

  it("with every kind of key, between data, after key updates, and again", function()
    for _, suite in ipairs(suites) do
      for _, signature in ipairs(signatures) do
        local client, server = pair(signature[2], { both = { suites = { suite } } })
        local c, s = connect(client, server)
        assert.is_nil(s.session.peer)
        for _, chunk in ipairs { 16384, 1 } do
          ask(c, s, chunk)
          assert.is_nil(c.failure)
          assert.is_nil(s.failure)
          assert.is_truthy(s.session.peer)
          talk(c, s)
          s:deliver(assert(c.session:update_keys(true)))
          pump.move(c, s)
        end
        assert.equal(c.session:export("EXPORTER-spec", nil, 16), s.session:export("EXPORTER-spec", nil, 16))
      end
    end
  end)

  it("of a resumed session, after HelloRetryRequest and early data", function()
    local client, server = pair("ecdsa", { client = { key_shares = { "x25519" } }, server = { groups = { "secp256r1" },
      early_data = 1000 } })
    local session = ticket_of(client, server)
    local c, s = connect(client, server, { session = session, early = "e" })
    assert.is_true(c.session.resumed)
    ask(c, s)
    assert.is_truthy(s.session.peer, s.message)
    talk(c, s)
  end)

  it("by a client without a certificate: an empty answer, which the server may refuse", function()
    local client, server = pair("ecdsa", { nobody = true })
    local c, s = connect(client, server)
    ask(c, s)
    assert.is_nil(s.failure)
    assert.is_nil(s.session.peer)
    talk(c, s)
  end)

  it("only where both said so, and by the server", function()
    local client, server = pair("ecdsa", { client = { post_handshake_auth = false } })
    local _, s = connect(client, server)
    local none, _, failure = s.session:request_certificate()
    assert.is_nil(none)
    assert.equal("not_ready", failure.code)
    client, server = pair()
    local c = connect(client, server)
    assert.is_nil((c.session:request_certificate()))
  end)

  it("refuses a certificate of nobody who is trusted", function()
    local mine = certs.leaf("rsa", "client")
    local client, server = pair("ecdsa", { client = { identity = mine.identity } })
    local c, s = connect(client, server)
    ask(c, s)
    assert.equal("unknown_ca", s.failure.code)
    assert.equal("peer_alert", c.failure.code)
    assert.equal("unknown_ca", c.failure.alert)
  end)
end)

-- ---- forms on the wire ------------------------------------------------------------------------------------------------------------------

describe("TLS 1.3 with itself: forms on the wire", function()
  local function types(side)
    local found, bytes, at = {}, table.concat(side.sent), 1
    while at < #bytes do
      local kind, _, fragment, after = string.unpack(">BI2s2", bytes, at)
      found[#found + 1] = { kind, fragment }
      at = after
    end
    return found
  end

  local function count(side, kind)
    local n = 0
    for _, r in ipairs(types(side)) do
      if r[1] == kind then n = n + 1 end
    end
    return n
  end

  it("compatibility mode: a session id, and one ChangeCipherSpec from either side (§D.4)", function()
    for _, mine in ipairs { true, false } do
      for _, theirs in ipairs { true, false } do
        for _, retry in ipairs { false, true } do
          for _, early in ipairs { false, true } do
            local client, server = with_retry(retry, { middlebox_compat = mine }, { middlebox_compat = theirs, early_data = 1000 })
            client, server = contexts { client = client, server = server }
            local c, s = connect(client, server, { session = early and ticket_of(client, server) or nil, early = early and "e" or nil })
            assert.equal(mine and 32 or 0, #(c.session.session_id or ""))
            assert.equal(mine and 1 or 0, count(c, 20))
            assert.equal(mine and theirs and 1 or 0, count(s, 20))
            talk(c, s)
          end
        end
      end
    end
  end)

  it("fragments of every size, with every chunk", function()
    for _, fragment in ipairs { 1, 2, 63, 100, 1000, 16384 } do
      for _, chunk in ipairs { 0, 1, 7 } do
        local client, server = contexts { both = { max_fragment = fragment }, client_key = "ecdsa" }
        local c, s = connect(client, server, { chunk = chunk ~= 0 and chunk or nil })
        for _, side in ipairs { c, s } do
          for _, r in ipairs(types(side)) do assert.is_true(#r[2] <= fragment + 17) end
        end
        assert.equal("some data that is longer than a few bytes", pump.transfer(c, s, "some data that is longer than a few bytes"))
      end
    end
  end)

  it("record_size_limit, either way and both (RFC 8449)", function()
    for _, limits in ipairs { { 64, nil }, { nil, 64 }, { 512, 1000 }, { 16385, 16385 }, { 64, 16385 } } do
      local client, server = contexts { client = { record_size_limit = limits[1] }, server = { record_size_limit = limits[2] },
        client_key = "ecdsa" }
      local c, s = connect(client, server)
      talk(c, s)
      for _, pair in ipairs { { s, limits[1] }, { c, limits[2] } } do
        local most = limits[1] and pair[2] or 16385 -- a server says its own only to a client that has one
        for _, r in ipairs(types(pair[1])) do
          if r[1] == 23 then assert.is_true(#r[2] <= most + 16) end
        end
      end
    end
  end)

  it("padding to a multiple, as far as the peer's limit goes (§5.4)", function()
    for _, limit in ipairs { 16385, 1000 } do
      local client, server = contexts { both = { record_padding = 512 }, server = { record_size_limit = limit, tickets = false },
        client = { record_size_limit = limit } }
      local c, s = connect(client, server)
      local before = #types(c)
      talk(c, s)
      local list = types(c)
      for i = before + 1, #list do
        local plain = #list[i][2] - 17
        assert.is_true(plain % 512 == 0 or plain == limit - 1, plain)
        assert.is_true(plain >= 512)
      end
    end
  end)

  it("certificates compressed either way, where a library is there (RFC 8879)", function()
    local bytes = {}
    for _, algorithm in ipairs { false, "zlib", "brotli", "zstd" } do
      local o = algorithm and { certificate_compression = algorithm } or {}
      local client, server = contexts { both = o, client_key = "rsa", key = "rsa" }
      for _, chunk in ipairs { 0, 1 } do
        local hc, hs = client:handshake { server_name = "localhost" }, server:handshake()
        local seen = {}
        for _, h in ipairs { hc, hs } do
          h:on("receive", "*", function(_, ev)
            if ev.name == "certificate" or ev.name == "compressed_certificate" then seen[#seen + 1] = ev.name end
          end)
        end
        local c, s = pump.run(hc, hs, { chunk = chunk ~= 0 and chunk or nil })
        assert(c.session and s.session, c.message or s.message)
        assert.is_truthy(s.session.peer)
        local offered = algorithm and akushu.supports("certificate_compression", algorithm)
        local name = offered and "compressed_certificate" or "certificate"
        assert.same({ name, name }, seen)
        bytes[algorithm] = c.bytes_out + s.bytes_out
        assert.is_true(not offered or bytes[algorithm] < bytes[false])
        talk(c, s)
      end
    end
  end)

  it("certificates as they are when only one side compresses, or both have nothing in common", function()
    for _, pair in ipairs { { "zlib", nil }, { nil, "zlib" }, { "zlib", "brotli" }, { { "zstd", "zlib" }, { "brotli", "zlib" } } } do
      local client, server = contexts { client = { certificate_compression = pair[1] }, server = { certificate_compression = pair[2] },
        client_key = "ecdsa" }
      local c, s = connect(client, server)
      talk(c, s)
    end
  end)

  it("messages of their own or together", function()
    for _, together in ipairs { true, false } do
      local client, server = contexts { both = { coalesce = together }, client_key = "ecdsa" }
      local c, s = connect(client, server)
      talk(c, s)
    end
  end)

  it("GREASE (RFC 8701)", function()
    for _, retry in ipairs { false, true } do
      local client, server = with_retry(retry, { grease = true }, {})
      client, server = contexts { client = client, server = server }
      local c, s = connect(client, server)
      same(c, s, { hello_retry = retry })
      c, s = connect(client, server, { session = c.session:resumption() })
      same(c, s, { resumed = true })
    end
  end)

  it("GREASE of a server: an extension in CertificateRequest and NewSessionTicket (RFC 8701 §4.1)", function()
    local kinds = {}
    for i = 1, 12 do
      local found, hooks = {}, {}
      for _, name in ipairs { "certificate_request", "new_session_ticket" } do
        hooks[#hooks + 1] = { "send", name, function(m)
          for _, e in ipairs(m.extensions) do
            if akushu.wire.is_grease(e.type) then
              found[name] = (found[name] or 0) + 1
              kinds[e.type] = true
            end
          end
        end }
      end
      local client, server = contexts { server = { grease = i % 4 ~= 0, client_auth = "request", hooks = hooks }, client_key = "ecdsa" }
      local c, s = connect(client, server)
      talk(c, s)
      assert.same(i % 4 ~= 0 and { certificate_request = 1, new_session_ticket = 2 } or {}, found)
      c, s = connect(client, server, { session = c.session:resumption() })
      same(c, s, { resumed = true })
    end
    assert.is_truthy(next(kinds, (next(kinds))), "always the same")
  end)

  it("key updates from either side, asked for and not, between data (§4.6.3)", function()
    for _, suite in ipairs(suites) do
      local client, server = contexts { both = { suites = { suite } } }
      local c, s = connect(client, server)
      for i = 1, 6 do
        local from, to = c, s
        if i % 2 == 0 then from, to = s, c end
        to:deliver(assert(from.session:update_keys(i % 3 == 0)))
        pump.move(c, s)
        talk(c, s)
      end
      assert.is_nil(c.failure)
    end
  end)

  it("downgrades to 1.2 and 1.1 where one side has no more", function()
    local all = { "TLS_AES_128_GCM_SHA256", "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256", "TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA" }
    for _, versions in ipairs { { { "1.2", "1.3" }, "1.2" }, { "1.2", { "1.2", "1.3" } }, { { "1.1", "1.2", "1.3" }, "1.1" }, { "1.1",
      { "1.1", "1.2", "1.3" } } } do
      local leaf = certs.leaf "ecdsa"
      local client = akushu.client { suites = all, trust = leaf.trust, versions = versions[1] }
      local server = akushu.server { suites = all, identity = leaf.identity, versions = versions[2] }
      local c, s = connect(client, server)
      assert.equal(type(versions[1]) == "string" and versions[1] or versions[2], c.session.version)
      talk(c, s)
    end
  end)
end)
