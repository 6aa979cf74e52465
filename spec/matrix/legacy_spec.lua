-- akushu with akushu, what is old or rare: TLS 1.1, TLS 1.0 and SSL 3.0, pre-shared keys of TLS 1.2 and below, anonymous and NULL suites, max_fragment_length,
-- record_size_limit, GREASE.
local akushu = require "akushu"
local certs = require "spec.support.certs"
local mutate = require "spec.support.mutate"
local pump = require "spec.support.pump"
local merge = require "spec.support.merge"

local numbers = { ["3.0"] = 0x0300, ["1.0"] = 0x0301, ["1.1"] = 0x0302, ["1.2"] = 0x0303 }
local text = ("0123456789abcdef"):rep(2500)

-- All suites of a version that this libcrypto can do, for which `wanted` holds.
local function suites(version, wanted)
  local out = {}
  for _, s in ipairs(akushu.crypto.suites()) do
    if s.usable and s.min_version <= numbers[version] and s.max_version >= numbers[version] and wanted(s) then out[#out + 1] = s end
  end
  return out
end

local function needs_psk(s) return s.kx:find "psk" ~= nil end

local psk = { identity = "somebody", key = ("secret"):rep(6) }

-- Contexts for a suite: what it needs by its key exchange. SSL 3.0, and suites that prove nobody or encrypt nothing, are for the profile "lab" alone.
local function contexts(suite, version, both, client, server)
  both = merge({ versions = version, profile = "lab", suites = { suite.name }, security_level = 0, tickets = false }, both or {})
  local c, s = {}, {}
  local kind = (suite.auth == "rsa" or suite.auth == "ecdsa") and suite.auth or nil
  if kind then
    local leaf = certs.leaf(kind)
    c.trust, s.identity = leaf.trust, leaf.identity
  else
    c.verify = false
  end
  if needs_psk(suite) then c.psk, s.psk = psk, { { identity = "nobody", key = "another key" }, psk } end
  return akushu.client(merge(both, c, client or {})), akushu.server(merge(both, s, server or {}))
end

local function both_ways(c, s, sizes, chunk)
  for _, n in ipairs(sizes or { 1, 300 }) do
    assert.equal(text:sub(1, n), pump.transfer(c, s, text:sub(1, n), chunk))
    assert.equal(text:sub(1, n), pump.transfer(s, c, text:sub(1, n), chunk))
  end
end

-- One connection: both ends see the same; returns what can be resumed, and the ends.
local function meet(c, s, expected, o)
  o = o or {}
  local one, two = pump.run(c:handshake { server_name = "localhost", session = o.session }, s:handshake(), { chunk = o.chunk })
  assert.is_truthy(one.session, one.message)
  assert.is_truthy(two.session, two.message)
  for _, name in ipairs { "version", "suite", "group", "resumed", "extended_master_secret", "encrypt_then_mac", "secure_renegotiation" } do
    assert.equal(one.session[name], two.session[name], name)
  end
  for name, value in pairs(expected) do assert.equal(value, one.session[name], name) end
  both_ways(one, two, o.sizes, o.chunk)
  local kept = one.session:resumption()
  two:deliver(one.session:close_write())
  assert.equal("peer_closed", two.session.state)
  return kept, one, two
end

local function full_and_resumed(suite, version, both, o)
  local c, s = contexts(suite, version, both)
  local expected = { version = version, suite = suite.name, resumed = false }
  local kept = meet(c, s, expected, o)
  assert.is_truthy(kept, "nothing to resume")
  meet(c, s, merge(expected, { resumed = true }), merge(o or {}, { session = akushu.resumption(kept:serialize()) }))
end

-- ---- old versions ----------------------------------------------------------------------------------------------------------------

for _, version in ipairs { "1.1", "1.0", "3.0" } do
  describe("every suite of " .. (version == "3.0" and "SSL " or "TLS ") .. version, function()
    for _, suite in ipairs(suites(version, function(s) return not needs_psk(s) end)) do
      it(suite.name, function()
        full_and_resumed(suite, version)
        if version ~= "3.0" then
          full_and_resumed(suite, version, { tickets = true, encrypt_then_mac = false, extended_master_secret = false })
        end
      end)
    end
  end)
end

describe("old versions", function()
  local suite = suites("1.0", function(s) return s.name == "TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA" end)[1]
  local rsa = suites("3.0", function(s) return s.name == "TLS_RSA_WITH_AES_128_CBC_SHA" end)[1]

  it("are off unless they are named", function()
    for _, version in ipairs { "1.1", "1.0", "3.0" } do
      local s = akushu.server { identity = certs.rsa().identity, profile = "compatible", security_level = 0 }
      local c = contexts(rsa, version)
      local one, two = pump.run(c:handshake { server_name = "localhost" }, s:handshake())
      assert.equal("unsupported_version", two.failure.code)
      assert.equal("protocol_version", one.failure.alert)
      c = akushu.client { trust = certs.rsa().trust, profile = "compatible", security_level = 0 }
      local _, old = contexts(rsa, version)
      one, two = pump.run(c:handshake { server_name = "localhost" }, old:handshake())
      assert.is_nil(one.session)
      assert.is_nil(two.session)
    end
  end)

  it("are agreed on: the highest of both", function()
    local all = { "3.0", "1.0", "1.1", "1.2" }
    for i, theirs in ipairs(all) do
      local c, s = contexts(rsa, all, nil, nil, { versions = { table.unpack(all, 1, i) } })
      meet(c, s, { version = theirs })
      c, s = contexts(rsa, all, nil, { versions = { table.unpack(all, 1, i) } })
      meet(c, s, { version = theirs })
    end
  end)

  it("split the first byte of CBC data off: 1/n-1 against BEAST (TLS 1.0 and SSL 3.0)", function()
    for version, split in pairs { ["3.0"] = true, ["1.0"] = true, ["1.1"] = false, ["1.2"] = false } do
      local c, s = contexts(rsa, version, { encrypt_then_mac = false })
      local one = pump.run(c:handshake { server_name = "localhost" }, s:handshake())
      local bytes = assert(one.session:seal(("x"):rep(1000)))
      local lengths, at = {}, 1
      while at <= #bytes do
        local kind, _, fragment, after = string.unpack(">BI2s2", bytes, at)
        assert.equal(23, kind)
        lengths[#lengths + 1], at = #fragment, after
      end
      assert.equal(split and 2 or 1, #lengths, version)
      if split then
        assert.equal(32, lengths[1])
        assert.equal(1008 + 16, lengths[2])
      end
    end
  end)

  it("show a client's certificate, signed with MD5 and SHA-1 or with SHA-1", function()
    for _, version in ipairs { "1.1", "1.0", "3.0" } do
      for _, kind in ipairs { "rsa", "ecdsa" } do
        if version ~= "3.0" or kind == "rsa" then
          local mine = certs.leaf(kind, "client")
          local which = version == "3.0" and rsa or suite
          local c, s = contexts(which, version, nil, { identity = mine.identity }, { client_auth = "require", trust = mine.trust })
          local _, _, two = meet(c, s, { version = version })
          assert.equal(mine.identity.chain[1], two.session.peer[1])
        end
      end
    end
  end)

  it("carry data of every size, in records of every size", function()
    for _, version in ipairs { "1.1", "1.0", "3.0" } do
      for _, fragment in ipairs { 1, 100, 16384 } do
        local c, s = contexts(rsa, version, { max_fragment = fragment })
        local sizes = fragment == 1 and { 1, 40 } or { 1, 15, 16, 17, 1000, 16385, 40000 }
        meet(c, s, { version = version }, { sizes = sizes, chunk = fragment == 100 and 7 or nil })
      end
    end
  end)
end)

-- ---- pre-shared keys ---------------------------------------------------------------------------------------------------------------

describe("every suite with a pre-shared key (RFC 4279, RFC 5487, RFC 5489)", function()
  for _, suite in ipairs(suites("1.2", needs_psk)) do
    it(suite.name, function() full_and_resumed(suite, "1.2") end)
  end

  for _, version in ipairs { "1.1", "1.0" } do
    it("in TLS " .. version, function()
      for _, suite in ipairs(suites(version, needs_psk)) do full_and_resumed(suite, version, { encrypt_then_mac = false }) end
    end)
  end
end)

describe("a pre-shared key of TLS 1.2", function()
  local kinds = {}
  for _, name in ipairs { "TLS_PSK_WITH_AES_128_GCM_SHA256", "TLS_DHE_PSK_WITH_AES_128_GCM_SHA256", "TLS_RSA_PSK_WITH_AES_128_GCM_SHA256",
    "TLS_ECDHE_PSK_WITH_AES_128_CBC_SHA256" } do
    kinds[#kinds + 1] = suites("1.2", function(s) return s.name == name end)[1]
  end

  local function run(suite, client, server)
    local c, s = contexts(suite, "1.2", nil, client, server)
    return pump.run(c:handshake { server_name = "localhost" }, s:handshake())
  end

  for _, suite in ipairs(kinds) do
    describe(suite.kx, function()
      it("is found by its identity, or by the application", function()
        local asked
        local one, two = run(suite, nil, { psk = { { identity = "nobody", key = "another key" } }, on_psk = function(identity)
          asked = identity
          return psk.key
        end })
        assert.is_truthy(one.session, one.message)
        assert.is_truthy(two.session, two.message)
        assert.equal(psk.identity, asked)
        both_ways(one, two)
      end)

      it("is found by a function that yields", function()
        local _, s = contexts(suite, "1.2", nil, nil, { psk = { { identity = "nobody", key = "another key" } }, on_psk = function(identity)
          return coroutine.yield(identity)
        end })
        local c = contexts(suite, "1.2")
        local hc, hs = c:handshake { server_name = "localhost" }, s:handshake()
        local flight = assert(hs:step(hc:start()))
        local answer = assert(hc:step(flight))
        local thread = coroutine.create(function() return hs:step(answer) end)
        local ok, asked = coroutine.resume(thread)
        assert.is_true(ok)
        assert.equal(psk.identity, asked)
        local fine, finished, message = coroutine.resume(thread, psk.key)
        assert.is_true(fine)
        assert.is_truthy(hc:step(assert(finished, message)))
        assert.is_true(hc.done and hs.done)
      end)

      it("with another key: a Finished that cannot be read", function()
        local one, two = run(suite, { psk = { identity = psk.identity, key = "wrong" } })
        assert.equal("bad_record_mac", two.failure.code)
        assert.equal("bad_record_mac", one.failure.alert)
      end)

      it("that nobody knows: unknown_psk_identity", function()
        local one, two = run(suite, { psk = { identity = "stranger", key = psk.key } })
        assert.equal("local", two.failure.origin)
        assert.equal("unknown_psk_identity", two.failure.alert)
        assert.equal("unknown_psk_identity", one.failure.alert)
      end)

      it("that nobody knows, where that is hidden: as with another key (RFC 4279 §2)", function()
        local one, two = run(suite, { psk = { identity = "stranger", key = psk.key } }, { hide_unknown_psk = true })
        assert.equal("bad_record_mac", two.failure.code)
        assert.equal("bad_record_mac", one.failure.alert)
      end)

      it("whose identity is empty (RFC 4279 §2), where TLS 1.3, that wants one, is not done", function()
        local nameless = { identity = "", key = psk.key }
        local one, two = run(suite, { psk = nameless }, { psk = nameless })
        assert.is_truthy(one.session, one.message)
        both_ways(one, two)
        assert.error_matches(function() akushu.client { psk = nameless, verify = false } end, "has 1 to 65529 bytes")
      end)

      it("chosen by the server's hint", function()
        local mine = { { identity = "first", key = "1" }, { identity = "second", key = "2" } }
        local one, two = run(suite, { psk = mine }, { psk = { mine[2] }, psk_hint = "second" })
        assert.is_truthy(one.session, one.message)
        both_ways(one, two)
        one = run(suite, { psk = mine }, { psk = { mine[1] }, psk_hint = "something else" })
        assert.is_truthy(one.session, one.message)
      end)
    end)
  end
end)

-- ---- anonymous and NULL ---------------------------------------------------------------------------------------------------------------

describe("anonymous and NULL suites", function()
  local weak = suites("1.2", function(s) return s.auth == "anon" or s.kind == "null" end)

  it("exist", function() assert.is_true(#weak > 20, #weak) end)

  it("are in no profile but lab", function()
    local named = {}
    for _, s in ipairs(weak) do named[s.name] = true end
    for _, profile in ipairs { "modern", "compatible", "classic" } do
      local offered
      local hs = akushu.client { verify = false, profile = profile }:handshake {}
      hs:on("send", "client_hello", function(m) offered = m.cipher_suites end)
      assert(hs:start())
      for _, s in ipairs(offered) do assert.is_nil(named[s], profile .. ": " .. tostring(s)) end
    end
  end)

  it("are refused by a server that has them not, whoever asks", function()
    for _, s in ipairs(weak) do
      if not needs_psk(s) then
        local c = contexts(s, "1.2")
        local two = akushu.server { identity = certs.rsa().identity, profile = "compatible", security_level = 0 }
        local one, other = pump.run(c:handshake { server_name = "localhost" }, two:handshake())
        assert.equal("no_shared_suite", other.failure.code, s.name)
        assert.equal("handshake_failure", one.failure.alert)
      end
    end
  end)

  it("NULL: the data is there for everybody to read, and for nobody to change", function()
    local suite = suites("1.2", function(s) return s.name == "TLS_RSA_WITH_NULL_SHA256" end)[1]
    local c, s = contexts(suite, "1.2")
    local one, two = pump.run(c:handshake { server_name = "localhost" }, s:handshake())
    local bytes = assert(one.session:seal "plain to see")
    assert.is_truthy(bytes:find("plain to see", 1, true))
    local plain, _, failure = two.session:open(mutate.flip(bytes, 7))
    assert.is_nil(plain)
    assert.equal("bad_record_mac", failure.code)
  end)

  it("anonymous: nobody shows a certificate", function()
    local suite = suites("1.2", function(s) return s.name == "TLS_DH_anon_WITH_AES_128_GCM_SHA256" end)[1]
    local _, one, two = meet(select(1, contexts(suite, "1.2")), select(2, contexts(suite, "1.2")), { suite = suite.name })
    assert.is_nil(one.session.peer)
    assert.is_nil(two.session.peer)
  end)
end)

-- ---- sizes ------------------------------------------------------------------------------------------------------------------------------

-- The longest plaintext of a record that this end sends for n bytes, with a suite whose overhead is known (GCM: 8 + 16).
local function longest(side, n)
  local most, bytes, at = 0, assert(side.session:seal(text:sub(1, n))), 1
  while at <= #bytes do
    local _, _, fragment, after = string.unpack(">BI2s2", bytes, at)
    most, at = math.max(most, #fragment - 24), after
  end
  return most
end

local gcm = suites("1.2", function(s) return s.name == "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256" end)[1]

describe("max_fragment_length (RFC 6066 §4)", function()
  for _, n in ipairs { 512, 1024, 2048, 4096 } do
    it(n .. " bytes, both ways, kept in a resumed session", function()
      for _, tickets in ipairs { false, true } do
        local c, s = contexts(gcm, "1.2", { tickets = tickets }, { max_fragment_length = n })
        local kept = meet(c, s, { resumed = false }, { sizes = { 1, n, n + 1, 10000 } })
        assert.is_truthy(kept)
        local one, two = pump.run(c:handshake { server_name = "localhost" }, s:handshake())
        assert.equal(n, longest(one, 10000))
        assert.equal(n, longest(two, 10000))
        one, two = pump.run(c:handshake { server_name = "localhost", session = kept }, s:handshake())
        assert.is_true(one.session.resumed)
        assert.equal(n, longest(one, 10000))
        assert.equal(n, longest(two, 10000))
      end
    end)
  end

  it("holds for the handshake's records, too", function()
    local c, s = contexts(gcm, "1.2", nil, { max_fragment_length = 512 })
    local hc, hs = c:handshake { server_name = "localhost" }, s:handshake()
    local most = 0
    hs:on("plain_out", "handshake", function(bytes) most = math.max(most, #bytes) end)
    local one = pump.run(hc, hs)
    assert.is_truthy(one.session, one.message)
    assert.equal(512, most)
  end)

  it("a longer record is record_overflow", function()
    mutate.expect { setup = "ecdhe", attack = "client", client = { max_fragment_length = 512 }, gate = "plain_out", message = "handshake",
      change = function(bytes) return #bytes == 512 and bytes .. ("\0"):rep(2000) or nil end, code = "plaintext_too_long", alert = "record_overflow" }
  end)

  it("an answer that differs is illegal_parameter", function()
    mutate.expect { setup = "ecdhe", attack = "client", client = { max_fragment_length = 512 }, message = "server_hello",
      change = function(m) mutate.with(m, "max_fragment_length", "\2") end, code = "illegal_parameter", alert = "illegal_parameter" }
  end)

  it("a value that does not exist is illegal_parameter", function()
    mutate.expect { setup = "ecdhe", attack = "server", message = "client_hello",
      change = function(m) mutate.with(m, "max_fragment_length", "\9") end, code = "illegal_parameter", alert = "illegal_parameter" }
  end)
end)

describe("record_size_limit (RFC 8449)", function()
  for _, pair in ipairs { { 64, 16384 }, { 16384, 64 }, { 100, 1000 }, { 512, 512 } } do
    it(("a client that takes %d and a server that takes %d bytes"):format(pair[1], pair[2]), function()
      local c, s = contexts(gcm, "1.2", nil, { record_size_limit = pair[1] }, { record_size_limit = pair[2] })
      local kept = meet(c, s, { resumed = false }, { sizes = { 1, 63, 64, 65, 20000 } })
      for _, session in ipairs { false, kept } do
        local one, two = pump.run(c:handshake { server_name = "localhost", session = session or nil }, s:handshake())
        assert.equal(session and true or false, one.session.resumed)
        assert.equal(pair[2], longest(one, 20000))
        assert.equal(pair[1], longest(two, 20000))
      end
    end)
  end

  it("said by one side alone: a server answers a client that says it, and cannot say it first", function()
    local c, s = contexts(gcm, "1.2", nil, { record_size_limit = 64 })
    local one, two = pump.run(c:handshake { server_name = "localhost" }, s:handshake())
    assert.equal(16384, longest(one, 20000))
    assert.equal(64, longest(two, 20000))
    c, s = contexts(gcm, "1.2", nil, nil, { record_size_limit = 64 })
    one, two = pump.run(c:handshake { server_name = "localhost" }, s:handshake())
    assert.equal(16384, longest(one, 20000))
    assert.equal(16384, longest(two, 20000))
  end)

  it("goes before max_fragment_length (§5)", function()
    local c, s = contexts(gcm, "1.2", nil, { record_size_limit = 700, max_fragment_length = 512 }, { record_size_limit = 900 })
    local hc, hs = c:handshake { server_name = "localhost" }, s:handshake()
    local answered = {}
    hs:on("send", "server_hello", function(m)
      for _, e in ipairs(m.extensions) do answered[e.type] = true end
    end)
    local one, two = pump.run(hc, hs)
    assert.is_truthy(one.session, one.message)
    assert.is_true(answered.record_size_limit)
    assert.is_nil(answered.max_fragment_length)
    assert.equal(900, longest(one, 20000))
    assert.equal(700, longest(two, 20000))
  end)

  it("below 64 is illegal_parameter, from either side", function()
    local set = function(m) mutate.with(m, "record_size_limit", "\0\63") end
    mutate.expect { setup = "ecdhe", attack = "server", client = { record_size_limit = 100 }, server = { record_size_limit = 100 },
      message = "client_hello", change = set, code = "illegal_parameter", alert = "illegal_parameter" }
    mutate.expect { setup = "ecdhe", attack = "client", client = { record_size_limit = 100 }, server = { record_size_limit = 100 },
      message = "server_hello", change = set, code = "illegal_parameter", alert = "illegal_parameter" }
  end)

  it("a longer record is record_overflow", function()
    mutate.expect { setup = "ecdhe", attack = "client", client = { record_size_limit = 100 }, server = { record_size_limit = 100 },
      gate = "plain_out", message = "handshake", change = function(bytes) return bytes:sub(1, 4) == "\20\0\0\12" and bytes .. ("\0"):rep(200) or nil end,
      code = "plaintext_too_long", alert = "record_overflow" }
  end)
end)

-- ---- GREASE -----------------------------------------------------------------------------------------------------------------------------

describe("GREASE (RFC 8701)", function()
  local function is_grease(v)
    if type(v) == "string" then return v:find "GREASE" ~= nil end
    return v & 0x0f0f == 0x0a0a and v >> 8 == v & 0xff
  end

  it("is sent on demand: suites, groups, schemes, versions, extensions", function()
    local seen = { suites = {}, extensions = {}, groups = {} }
    for _ = 1, 20 do
      local c = contexts(gcm, "1.2", nil, { grease = true })
      local hs = c:handshake { server_name = "localhost" }
      local found = {}
      hs:on("send", "client_hello", function(m)
        for _, v in ipairs(m.cipher_suites) do if is_grease(v) then found.suites = v end end
        for _, e in ipairs(m.extensions) do if is_grease(e.type) then found.extensions = e.type end end
        for _, v in ipairs(mutate.extension(m, "supported_groups").data.named_group_list) do if is_grease(v) then found.groups = v end end
      end)
      assert(hs:start())
      for k, t in pairs(seen) do
        assert.is_truthy(found[k], k)
        t[found[k]] = true
      end
    end
    for k, t in pairs(seen) do assert.is_truthy(next(t, (next(t))), k .. " are always the same") end
  end)

  it("is not sent unless it is asked for", function()
    local hs = contexts(gcm, "1.2"):handshake { server_name = "localhost" }
    hs:on("send", "client_hello", function(m)
      for _, v in ipairs(m.cipher_suites) do assert.is_false(is_grease(v)) end
      for _, e in ipairs(m.extensions) do assert.is_false(is_grease(e.type)) end
    end)
    assert(hs:start())
  end)

  for _, version in ipairs { "1.0", "1.1", "1.2" } do
    it("is put up with by a server of TLS " .. version, function()
      local suite = suites("1.0", function(s) return s.name == "TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA" end)[1]
      for _ = 1, 10 do
        local c, s = contexts(suite, version, nil, { grease = true })
        local kept = meet(c, s, { resumed = false, version = version })
        meet(c, s, { resumed = true }, { session = kept })
      end
    end)
  end

  it("chosen as a suite by a server ends the connection, whether it was sent or not", function()
    for _, case in ipairs { { false, "wrong_suite_chosen" }, { true, "unknown_suite_chosen" } } do
      local sent
      mutate.expect { setup = "ecdhe", attack = "client", client = { grease = true }, message = "server_hello",
        hooks = { { "client", "send", "client_hello", function(_, ev)
          local _, suites_at = string.unpack("s1", ev.raw, 39)
          sent = string.unpack(">I2", ev.raw, suites_at + 2)
        end } },
        change = function(m) m.cipher_suite = case[1] and sent or sent ~ 0x1010 end, code = case[2], alert = "illegal_parameter" }
    end
  end)

  it("sent back as an extension ends the connection, even the one that was sent", function()
    for _, nth in ipairs { 1, 2 } do
      local sent
      mutate.expect { setup = "ecdhe", attack = "client", client = { grease = true }, message = "server_hello",
        hooks = { { "client", "send", "client_hello", function(m)
          local n = 0
          for _, e in ipairs(m.extensions) do
            if is_grease(e.type) then
              n = n + 1
              if n <= nth then sent = e.type end
            end
          end
        end } },
        change = function(m) table.insert(m.extensions, { type = sent, data = "" }) end, code = "unsolicited_extension",
        alert = "unsupported_extension" }
    end
  end)
end)

-- ---- everything with everything --------------------------------------------------------------------------------------------------------

describe("old and rare, the whole product #slow", function()
  for _, version in ipairs { "1.2", "1.1", "1.0", "3.0" } do
    for _, suite in ipairs(suites(version, function(s) return version ~= "1.2" or needs_psk(s) or s.auth == "anon" or s.kind == "null" end)) do
      it(("%s: %s"):format(version, suite.name), function()
        for _, tickets in ipairs(version == "3.0" and { false } or { false, true }) do
          for _, ems in ipairs(version == "3.0" and { false } or { true, false }) do
            for _, etm in ipairs(suite.kind == "cbc" and version ~= "3.0" and { true, false } or { false }) do
              for _, fragment in ipairs { 1, 64, 16384 } do
                full_and_resumed(suite, version,
                  { tickets = tickets, extended_master_secret = ems, encrypt_then_mac = etm, max_fragment = fragment },
                  { chunk = fragment == 64 and 5 or nil })
              end
            end
          end
        end
      end)
    end
  end
end)
