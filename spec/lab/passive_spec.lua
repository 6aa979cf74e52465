-- What the passive peer makes of keys: every key exchange of TLS 1.0 to 1.3 with the private value, the server's key, the pre-shared key or the pre-master secret
-- that belongs to it, alone and among wrong ones.
local akushu = require "akushu"
local passive = require "akushu.passive"

local lab = akushu.lab { seed = "passive" }
local leaf = lab:issue { names = { "localhost" }, key = "rsa" }
local psk = { identity = "me", key = ("k"):rep(20) }

-- A run with one suite; what the client drew as its private value.
local function recorded(version, suite, o)
  local l = lab:again()
  local options = { versions = version, suites = suite and { suite }, profile = "lab", security_level = 0, tickets = false }
  for k, v in pairs(o or {}) do options[k] = v end
  local client, server = {}, { identity = leaf.identity }
  for k, v in pairs(options) do client[k], server[k] = v, v end
  if suite and suite:find "PSK" then client.psk, server.psk = psk, psk end
  local t = l:run(l:client(client), l:server(server), { data = { "question", "answer" }, close = true })
  assert(t.ok, tostring(t:outcome()))
  local drawn = t:all("random", "key_share")
  return t, drawn[1] and drawn[1].bytes
end

local function opens(t, keys)
  local r = t:readable(keys)
  assert.same({}, r.problems)
  assert.is_true(r.everything)
  assert.same({ client = "question", server = "answer" }, r.data)
end

local function stays_closed(t, keys)
  local r = t:readable(keys)
  assert.is_true(r.nothing)
  assert.is_true(#r.problems > 0)
end

local other = lab:key "rsa:2048" -- the same in every run

describe("a passive peer opens", function()
  for _, version in ipairs { "1.0", "1.1", "1.2" } do
    it("TLS " .. version .. "'s finite-field key exchange with either side's private value", function()
      local t, private = recorded(version, "TLS_DHE_RSA_WITH_AES_128_CBC_SHA")
      local drawn = t:all("random", "key_share")
      assert.equal(2, #drawn)
      assert.not_equal(drawn[1].side, drawn[2].side)
      for _, d in ipairs(drawn) do opens(t, { ephemeral = { ("x"):rep(32), d.bytes } }) end
      stays_closed(t, { ephemeral = private:reverse() })
    end)

    for suite, both in pairs { TLS_ECDHE_PSK_WITH_AES_128_CBC_SHA = "ephemeral", TLS_DHE_PSK_WITH_AES_128_CBC_SHA = "ephemeral",
      TLS_RSA_PSK_WITH_AES_128_CBC_SHA = "server_key", TLS_PSK_WITH_AES_128_CBC_SHA = false } do
      it(suite .. " of TLS " .. version .. " with the pre-shared key" .. (both and " and " .. both .. ", and not with one of them" or ""), function()
        local t, private = recorded(version, suite)
        local keys = { psk = { me = psk.key } }
        if both then keys[both] = both == "server_key" and leaf.key or private end
        opens(t, keys)
        stays_closed(t, { psk = ("x"):rep(20), ephemeral = keys.ephemeral, server_key = keys.server_key })
        if both then
          stays_closed(t, { psk = psk.key })
          stays_closed(t, { [both] = keys[both] })
        end
      end)
    end

    it("TLS " .. version .. "'s RSA key exchange with one of several keys, whatever form they have", function()
      local t = recorded(version, "TLS_RSA_WITH_AES_128_CBC_SHA")
      for _, key in ipairs { leaf.key, leaf.key:reveal "pem", leaf.key:reveal "der", akushu.crypto.key(leaf.key:reveal "pem") } do
        opens(t, { server_key = key })
        opens(t, { server_key = { other, key } })
        opens(t, { server_key = { key, other } })
      end
      stays_closed(t, { server_key = other })
    end)

    it("any key exchange of TLS " .. version .. " with its pre-master secret among others", function()
      for _, suite in ipairs { "TLS_RSA_WITH_AES_128_CBC_SHA", "TLS_DHE_RSA_WITH_AES_128_CBC_SHA", "TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA", "TLS_PSK_WITH_AES_128_CBC_SHA" } do
        for _, etm in ipairs { true, false } do
          local t = recorded(version, suite, { encrypt_then_mac = etm })
          local premaster = t:find("secret", "premaster_secret") and t:secret "premaster_secret" or t:find("secret", "shared_secret") and t:secret "shared_secret"
          if suite:find "PSK" then premaster = string.pack(">s2s2", ("\0"):rep(20), psk.key) end
          opens(t, { premaster = premaster })
          opens(t, { premaster = { ("a"):rep(48), ("b"):rep(48), premaster, ("c"):rep(48) } })
          stays_closed(t, { premaster = { ("a"):rep(48), ("b"):rep(48) } })
        end
      end
    end)
  end

  it("RFC 7919's groups in TLS 1.3 with either private value, and the secret that it had found is the run's own", function()
    local t = recorded("1.3", nil, { groups = { "ffdhe2048" } })
    for _, d in ipairs(t:all("random", "key_share")) do
      assert.equal(64, #d.bytes)
      opens(t, { ephemeral = d.bytes })
      assert.equal(t:secret "shared_secret", t:readable { ephemeral = d.bytes }.trace:secret "shared_secret")
    end
  end)
end)

describe("a private value that is given", function()
  it("in a finite field makes the public one, and none is taken that is not in it", function()
    local crypto = akushu.crypto
    assert.equal("\8", crypto.dh_share("\0\23", "\5", "\6"):public()) -- 5^6 = 15625 = 679 * 23 + 8
    local one, two = crypto.share("ffdhe3072", ("\1"):rep(40)), crypto.share "ffdhe3072"
    assert.equal("ffdhe3072", one:group())
    assert.equal(one:public(), crypto.share("ffdhe3072", ("\1"):rep(40)):public())
    assert.equal(two:derive(one:public()), one:derive(two:public()))
    for _, wrong in ipairs { "", "\0", "\23", "\24", "\1\1" } do
      local share, message, failure = crypto.dh_share("\23", "\5", wrong)
      assert.is_nil(share)
      assert.is_string(message)
      assert.equal("illegal_parameter", failure.code)
    end
    assert.is_nil((crypto.share("ffdhe2048", ("\255"):rep(256))))
  end)

  it("to a lab is what its peers use", function()
    local private = ("\7"):rep(64)
    local l = akushu.lab { seed = "given", values = { key_share = private } }
    local t = l:run(l:client { versions = "1.3", groups = { "ffdhe2048" } }, l:server { versions = "1.3", groups = { "ffdhe2048" } })
    local sent = t:find("message", "client_hello").message.extensions:find "key_share".data.key_shares[1]
    assert.equal(akushu.crypto.share("ffdhe2048", private):public(), sent.key_exchange)
  end)
end)

describe("a passive peer says which key is none:", function()
  local t = recorded("1.2")

  it("at the caller's line", function()
    for said, keys in pairs {
      ["passive.new: option 'keylog': bytes or a list of them expected, got 1"] = { keylog = 1 },
      ["passive.new: option 'premaster'[2]: bytes expected, got boolean"] = { premaster = { "x", true } },
      ["passive.new: option 'ephemeral': bytes or a list of them expected, got function"] = { ephemeral = print },
      ["passive.new: option 'server_key': a private key cannot be read"] = { server_key = "no key" },
      ["passive.new: option 'server_key': PEM, DER, a PrivateKey or a list of them expected, got 7"] = { server_key = 7 },
      ["passive.new: option 'psk': bytes, or a table of them by identity expected, got 5"] = { psk = 5 },
      ["passive.new: option 'psk': the key of me: bytes expected, got table"] = { psk = { me = {} } },
      ["passive.new: option 'sessions': a table to keep them in expected, got string"] = { sessions = "s" },
      ["passive.new: unknown option 'key'"] = { key = "x" },
      ["passive.new: a table of options expected, got string"] = "keylog",
    } do
      for _, read in ipairs { function() local p = passive.new(keys) return p end, function() local r = t:readable(keys) return r end,
        function() local p = passive.read({}, keys) return p end } do
        local ok, message = pcall(read)
        assert.is_false(ok)
        assert.matches(said, message, 1, true)
        assert.matches("^[^:]*passive_spec.lua:%d+: ", message)
      end
    end
    for _, wrong in ipairs { function() passive.new():feed("client", 1) end, function() passive.read(1) end, function() passive.read { { from = "x", bytes = "" } } end,
      function() passive.read { 1 } end, function() passive.pcap(nil) end, function() passive.pcap("", { psk = 1 }) end, function() passive.pcap("", 1) end } do
      local ok, message = pcall(wrong)
      assert.is_false(ok)
      assert.matches("^[^:]*passive_spec.lua:%d+: ", message)
    end
  end)
end)
