-- 120 recorded connections of TLS 1.0 to 1.3 (Go's test data), read by the passive peer with the keys that they were made with: RSA key
-- exchange with the server's key, (EC)DHE because the recording side drew nothing but zeros as randomness. What a connection carried
-- must come out, and both Finished messages must be what the keys give.
local akushu = require "akushu"
local passive = require "akushu.passive"
local vectors = require "spec.support.vectors"

local names = vectors.recorded()

-- Go's key generation on zeros: X25519 takes them as they are, the NIST curves' rejection loop changes the second byte (crypto/ecdh).
local x25519_value = ("\0"):rep(32)
local p256_value = "\0\x42" .. ("\0"):rep(30)
local premaster = "\3\3" .. ("\0"):rep(46)

-- Suites with RC4 are none of akushu's.
local rc4 = { ["Client-TLSv10-RSA-RC4"] = true, ["Client-TLSv11-RSA-RC4"] = true, ["Client-TLSv12-RSA-RC4"] = true,
  ["Server-TLSv10-RSA-RC4"] = true,
  ["Server-TLSv11-RSA-RC4"] = true, ["Server-TLSv12-RSA-RC4"] = true }

-- Connections that were refused, with the alert that ended them.
local refused = { ["Server-TLSv11-FallbackSCSV"] = "inappropriate_fallback", ["Server-TLSv12-ALPN-NoMatch"] = "no_application_protocol",
  ["Server-TLSv13-ALPN-NoMatch"] = "no_application_protocol", ["Server-TLSv13-RSA-RSAPSS-TooSmall"] = "handshake_failure",
  ["Client-TLSv10-ClientCert-Ed25519"] = "internal_error" }

-- Recordings without a byte in them.
local empty = { ["Client-TLSv10-Ed25519"] = true, ["Client-TLSv11-Ed25519"] = true }

describe("recorded connections", function()
  if not names then
    pending "the vectors are not here"
    return
  end

  local keys = { server_key = { assert(vectors.read "go-recorded/keys/rsa1024.key"), assert(vectors.read "go-recorded/keys/rsa2048.key") },
    premaster = premaster, ephemeral = { x25519_value, p256_value, "\0\x42" .. ("\0"):rep(46) }, sessions = {} }

  local function read(name) return passive.read(vectors.load(name), keys) end

  local opened = 0

  for _, name in ipairs(names) do
    if empty[name] then
      it(name .. ": is empty", function() assert.equal(0, #vectors.load(name)) end)
    elseif rc4[name] then
      it(name .. ": RC4 is not opened, and the handshake in the clear is read", function()
        local p = read(name)
        assert.matches("RC4", p.suite)
        assert.is_nil(p.finished.client)
        assert.equal("", p.data.client .. p.data.server)
        assert.matches("not among the suites", p.problems[1])
        assert.equal("client_hello", p.trace:messages()[1].name)
      end)
    elseif refused[name] then
      it(name .. ": ends with " .. refused[name], function()
        local p = read(name)
        local alert = assert(p.trace:find "alert")
        assert.equal(refused[name], alert.description)
        assert.equal("fatal", alert.level)
        assert.equal("", p.data.client .. p.data.server)
      end)
    else
      it(name .. ": opens to its data", function()
        local p = read(name)
        assert.same({}, p.problems)
        assert.same({ client = true, server = true }, p.finished)
        assert.equal(name:match "TLSv1(%d)", p.version:sub(3))
        -- Both ends of Go's tests say the same every time. The client's KeyUpdate test says it three times.
        if name:find "^Server" then
          assert.equal("hello, world\n", p.data.server)
        else
          assert.equal("hello\n", p.data.client:sub(1, 6))
        end
        local close = p.trace:all("alert", "close_notify")
        assert.is_true(#close >= 1)
        opened = opened + 1
      end)
    end
  end

  it("opens all that it can", function() assert.equal(107, opened) end)

  it("resumes what was kept of the connection before", function()
    for _, version in ipairs { "12", "13" } do
      local sessions = {}
      local with = { server_key = keys.server_key, premaster = premaster, ephemeral = keys.ephemeral, sessions = sessions }
      passive.read(vectors.load("Server-TLSv" .. version .. "-IssueTicket"), with)
      local p = passive.read(vectors.load("Server-TLSv" .. version .. "-Resume"), with)
      assert.is_true(p.resumed)
      assert.same({ client = true, server = true }, p.finished)
      assert.equal("hello, world\n", p.data.server)
    end
  end)

  it("reads the two directions one after the other as well as in their order", function()
    for _, name in ipairs { "Server-TLSv12-RSA-AES", "Server-TLSv12-X25519", "Client-TLSv13-KeyUpdate",
      "Server-TLSv13-HelloRetryRequest" } do
      local whole = { client = "", server = "" }
      for _, f in ipairs(vectors.load(name)) do whole[f.from] = whole[f.from] .. f.bytes end
      local in_order = read(name)
      for _, order in ipairs { { "client", "server" }, { "server", "client" } } do
        local flows = {}
        for i, from in ipairs(order) do flows[i] = { from = from, bytes = whole[from] } end
        local p = passive.read(flows, keys)
        assert.same({}, p.problems)
        assert.same(in_order.data, p.data)
      end
    end
  end)

  it("reads byte by byte", function()
    local p = passive.new(keys)
    for _, f in ipairs(vectors.load "Client-TLSv12-RenegotiateOnce") do
      for b in f.bytes:gmatch "." do p:feed(f.from, b) end
    end
    p:finish()
    assert.same({}, p.problems)
    assert.equal(2, p.handshakes)
  end)

  it("says so when no key fits", function()
    local p = passive.read(vectors.load "Server-TLSv12-RSA-AES", {})
    assert.matches("no key opens this rsa key exchange", p.problems[1])
    assert.equal("", p.data.server)
    p = passive.read(vectors.load "Server-TLSv13-X25519", { ephemeral = ("\1"):rep(32) })
    assert.matches("no key gives the handshake traffic secrets", p.problems[1])
  end)

  it("says so when the wrong key is given", function()
    local key = akushu.crypto.generate "rsa:2048"
    local p = passive.read(vectors.load "Server-TLSv12-RSA-AES", { server_key = key })
    assert.equal("", p.data.server)
    assert.is_true(#p.problems > 0)
  end)
end)
