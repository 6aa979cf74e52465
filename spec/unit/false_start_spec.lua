-- False Start (RFC 7918): a TLS 1.2 client's data behind its Finished, before the server's; where it may be had, where not, and how it ends.
local akushu = require "akushu"
local certs = require "spec.support.certs"
local mutate = require "spec.support.mutate"
local pump = require "spec.support.pump"
local merge = require "spec.support.merge"

local AEAD = "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256"

local function client(o) return akushu.client(merge({ trust = certs.leaf "ecdsa".trust, versions = "1.2", false_start = true }, o or {})) end
local function server(o) return akushu.server(merge({ identity = certs.leaf "ecdsa".identity, versions = "1.2" }, o or {})) end

-- As far as the client's second flight. Returns both handshakes, and that flight.
local function half_way(c, s, options)
  local hc, hs = c:handshake(merge({ server_name = "localhost" }, options or {})), s:handshake()
  hs:start()
  local second = assert(hc:step((assert(hs:step((assert(hc:start())))))))
  return hc, hs, second
end

local function types(bytes)
  local out, at = {}, 1
  while at <= #bytes do
    local kind, _, fragment, after = string.unpack(">BI2s2", bytes, at)
    out[#out + 1], at = { kind, #fragment }, after
  end
  return out
end

local function not_ready(h, data)
  assert.is_false(h.may_send)
  local out, message, failure = h:send(data or "x")
  assert.is_nil(out)
  assert.is_string(message)
  assert.equal("not_ready", failure.code)
end

describe("False Start", function()
  for _, suite in ipairs { AEAD, "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256", "TLS_ECDHE_ECDSA_WITH_AES_128_CCM", "TLS_DHE_RSA_WITH_AES_256_GCM_SHA384" } do
    it("sends data behind Finished that the server has in one flight with it: " .. suite, function()
      local leaf = certs.leaf(suite:find "_RSA_" and "rsa" or "ecdsa")
      local hc, hs, second = half_way(client { suites = { suite }, trust = leaf.trust }, server { suites = { suite }, identity = leaf.identity })
      assert.is_true(hc.may_send)
      assert.is_false(hc.done)
      local data = assert(hc:send "early ") .. assert(hc:send "bird")
      assert.same({ 22, 20, 22, 23, 23 }, (function()
        local kinds = {}
        for i, t in ipairs(types(second .. data)) do kinds[i] = t[1] end
        return kinds
      end)())
      local third = assert(hs:step(second .. data))
      assert.is_true(hs.done)
      local two = assert(hs:session())
      assert.equal("early bird", (two:open ""))
      assert.equal("", (assert(hc:step(third))))
      assert.is_true(hc.done)
      not_ready(hc)
      local one = assert(hc:session())
      assert.equal("and then", (two:open(one:seal "and then")))
      assert.equal("worm", (one:open(two:seal "worm")))
    end)
  end

  it("is had a byte at a time, with client authentication, tickets and ALPN, too", function()
    local mine = certs.leaf("ecdsa", "client")
    local c = client { identity = mine.identity, alpn = { "h2" } }
    local s = server { trust = mine.trust, client_auth = "require", alpn = { "h2" } }
    local hc, hs, second = half_way(c, s)
    local all = second .. assert(hc:send "hello")
    local answer, two, heard = {}, nil, ""
    for i = 1, #all do
      if two then heard = heard .. assert(two:open(all:sub(i, i)))
      else answer[#answer + 1] = assert(hs:step(all:sub(i, i))) end
      if hs.done and not two then two = assert(hs:session()) end
    end
    assert.equal("hello", heard)
    for byte in table.concat(answer):gmatch "." do assert(hc:step(byte)) end
    assert.is_true(hc.done)
    assert.equal("h2", hc.alpn)
    assert.equal("ticket", hc:session():resumption().kind)
  end)

  it("stays within the length that was agreed for records", function()
    local hc, hs, second = half_way(client { max_fragment_length = 512 }, server())
    local data = assert(hc:send(("x"):rep(1200)))
    local records = types(data)
    assert.equal(3, #records)
    for _, r in ipairs(records) do assert.is_true(r[1] == 23 and r[2] <= 512 + 24) end
    assert(hs:step(second .. data))
    assert.equal(1200, #(hs:session():open ""))
  end)

  it("is not had unless it was asked for", function()
    local hc, hs, second = half_way(client { false_start = false }, server())
    not_ready(hc)
    hc:step(hs:step(second))
    assert.is_true(hc.done)
    not_ready((half_way(akushu.client { trust = certs.leaf "ecdsa".trust, versions = "1.2" }, server())))
  end)

  it("is not had before Finished has gone out", function()
    local hc, hs = client():handshake { server_name = "localhost" }, server():handshake()
    not_ready(hc)
    local hello = assert(hc:start())
    not_ready(hc)
    local flight = assert(hs:step(hello))
    assert(hc:step(flight:sub(1, -2)))
    not_ready(hc)
    hc:on("send", "finished", function() assert.is_false(hc.may_send) end)
    assert(hc:step(flight:sub(-1)))
    assert.is_true(hc.may_send)
    assert.is_nil(hc.failure)
  end)

  it("is not a server's", function()
    local hc, hs, second = half_way(client(), server())
    not_ready(hs)
    hs:step(second)
    not_ready(hs)
    assert.is_true(hc.may_send)
    assert.has_error(function() server { false_start = true } end)
  end)

  for name, o in pairs {
    ["with RSA key exchange (RFC 7918 §5.3)"] = { both = { suites = { "TLS_RSA_WITH_AES_128_GCM_SHA256" } } },
    ["with CBC (§5.1)"] = { both = { suites = { "TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA256" } } },
    ["with a cipher that encrypts nothing (§5.1)"] = { both = { suites = { "TLS_RSA_WITH_NULL_SHA256" }, profile = "lab" } },
    ["without a certificate (§5.3)"] = { both = { suites = { "TLS_DH_anon_WITH_AES_128_GCM_SHA256" }, profile = "lab" }, anonymous = true },
    ["with a pre-shared key (§5.3)"] = { both = { suites = { "TLS_DHE_PSK_WITH_AES_128_GCM_SHA256" }, psk = { identity = "me", key = ("k"):rep(16) } } },
  } do
    it("is not had " .. name, function()
      local leaf = certs.leaf "rsa"
      local hc, hs, second = half_way(client(merge({ trust = leaf.trust, verify = not o.anonymous }, o.both)), server(merge({ identity = leaf.identity }, o.both)))
      not_ready(hc)
      assert(hc:step(assert(hs:step(second))))
      assert.is_true(hc.done)
    end)
  end

  for name, versions in pairs { ["before TLS 1.2 (§5.2)"] = "1.1", ["in TLS 1.3"] = "1.3" } do
    it("is not had " .. name, function()
      local both = { versions = { "1.1", "1.2", "1.3" }, profile = "compatible", security_level = 0 }
      local hc, hs = client(both):handshake { server_name = "localhost" }, server(merge(both, { versions = versions })):handshake()
      local bytes = assert(hc:start())
      while not hc.done do
        bytes = assert(hs:step(bytes))
        if #bytes == 0 then break end
        bytes = assert(hc:step(bytes))
        not_ready(hc)
      end
      assert.equal(versions, hc.version)
      assert.is_true(hc.done)
    end)
  end

  for name, o in pairs { id = { tickets = false }, ticket = { session_ids = false } } do
    it("is not had in a resumption by " .. name .. ", which the server finishes first", function()
      local c, s = client(o), server(o)
      local hc, hs, second = half_way(c, s)
      assert(hc:step(assert(hs:step(second))))
      local again = c:handshake { server_name = "localhost", session = assert(hc:session():resumption()) }
      local resumed = s:handshake()
      local last = assert(again:step((assert(resumed:step((assert(again:start())))))))
      assert.is_true(again.resumed)
      assert.is_true(again.done)
      not_ready(again)
      assert(resumed:step(last))
      assert.is_true(resumed.done)
    end)
  end

  it("is contradicted by versions without TLS 1.2", function()
    for _, versions in ipairs { "1.3", "1.1" } do
      assert.error_matches(function() client { versions = versions, profile = "compatible" } end, "option 'false_start' needs TLS 1.2")
    end
  end)
end)

describe("after a False Start", function()
  it("a server's Finished that is wrong ends the handshake, and nothing more is sent", function()
    local hc, hs, second = half_way(client(), server())
    hs:on("send", "finished", function(m) m.verify_data = mutate.flip(m.verify_data, 1) end)
    local data = assert(hc:send "said already")
    local out, _, failure = hc:step(assert(hs:step(second .. data)))
    assert.is_nil(out)
    assert.equal("bad_finished", failure.code)
    not_ready(hc)
    assert.is_true(#hc:pending() > 0) -- the alert
  end)

  it("a server that refuses is heard", function()
    local hc, hs, second = half_way(client(), server())
    hs:on("receive", "finished", function(_, ev) ev:fail "handshake_failure" end)
    assert(hc:send "said already")
    assert.is_nil((hs:step(second)))
    local out, _, failure = hc:step(hs:pending())
    assert.is_nil(out)
    assert.equal("peer_alert", failure.code)
    assert.equal("handshake_failure", failure.alert)
    not_ready(hc)
  end)

  it("the end of the stream is a truncation", function()
    local hc = half_way(client(), server())
    assert(hc:send "said already")
    local ok, _, failure = hc:eof()
    assert.is_nil(ok)
    assert.equal("truncated", failure.code)
  end)

  it("a server that would speak before its Finished is refused", function()
    local hc, hs, second = half_way(client(), server())
    hs:on("send", "change_cipher_spec", function(_, ev) ev:before { content_type = "application_data", bytes = "too early" } end)
    local out, _, failure = hc:step(assert(hs:step(second .. assert(hc:send "hello"))))
    assert.is_nil(out)
    assert.equal("application_data_early", failure.code)
  end)

  it("a fork has its own keys from there", function()
    local hc, hs, second = half_way(client(), server())
    local other = assert(hc:fork())
    assert.is_true(other.may_send)
    local one, two = assert(hc:send "one"), assert(other:send "two")
    assert.equal(#one, #two)
    assert.not_equal(one, two)
    local served = assert(hs:fork())
    hc:step(hs:step(second .. one))
    other:step(served:step(second .. two))
    assert.equal("one", (hs:session():open ""))
    assert.equal("two", (served:session():open ""))
    assert.is_true(hc.done and other.done)
  end)

  it("a hook may speak while it waits", function()
    local hc, hs, second = half_way(client(), server())
    local said
    hc:on("receive", "new_session_ticket", function() said = hc.may_send and hc:send "from a hook" end)
    local third = assert(hs:step(second))
    assert.is_true(hs.done)
    assert(hc:step(third))
    assert.is_true(hc.done)
    assert.equal("from a hook", (hs:session():open(said)))
  end)

  it("what was sent without it is the same", function()
    local now = os.time()
    local function run(o)
      local lab = akushu.lab { seed = "false start", clock = now }
      local leaf = certs.leaf "ecdsa"
      local c = lab:client(merge({ trust = leaf.trust, versions = "1.2" }, o))
      local s = lab:server { identity = leaf.identity, versions = "1.2" }
      local one, two = pump.run(c:handshake { server_name = "localhost" }, s:handshake())
      assert.is_truthy(one.session, one.message)
      return table.concat(one.sent) .. "|" .. table.concat(two.sent)
    end
    assert.equal(run {}, run { false_start = true })
  end)
end)
