-- Bad input, TLS 1.2: ServerKeyExchange, ServerHelloDone, ClientKeyExchange, Finished (RFC 5246 §7.4.3, §7.4.5, §7.4.7, §7.4.9; RFC 7919; RFC 8422).
local akushu = require "akushu"
local certs = require "spec.support.certs"
local mutate = require "spec.support.mutate"
local pump = require "spec.support.pump"

local flip, message = mutate.flip, mutate.message

local illegal, decode, decrypt, failure = "illegal_parameter", "decode_error", "decrypt_error", "handshake_failure"

-- ---- ServerKeyExchange: ECDHE ---------------------------------------------------------------------------------------------

local order8 = "\xe0\xeb\x7a\x7c\x3b\x41\xb8\xae\x16\x56\xe3\xfa\xf1\x9f\xc4\x6a\xda\x09\x8d\xeb\x9c\x32\xb1\xfd\x86\x62\x05\x16\x5f\x49\xb8\x00"
local x25519_bad = {
  { "zero", ("\0"):rep(32) },
  { "one", "\1" .. ("\0"):rep(31) },
  { "of order 8", order8 },
  { "p - 1", "\xec" .. ("\xff"):rep(30) .. "\x7f" },
  { "p", "\xed" .. ("\xff"):rep(30) .. "\x7f" },
  { "31 bytes", ("\9"):rep(31) },
  { "33 bytes", ("\9"):rep(33) },
}
-- P-256: the form byte, x, y. (1, 1) is not on the curve.
local one = ("\0"):rep(31) .. "\1"
local p256_bad = {
  { "not on the curve", "\4" .. one .. one },
  { "the point at infinity", "\0" },
  { "x and y zero", "\4" .. ("\0"):rep(64) },
  { "x not below p", "\4" .. ("\255"):rep(32) .. one },
  { "compressed", "\2\x6b\x17\xd1\xf2\xe1\x2c\x42\x47\xf8\xbc\xe6\xe5\x63\xa4\x40\xf2\x77\x03\x7d\x81\x2d\xeb\x33\xa0\xf4\xa1\x39\x45\xd8\x98\xc2\x96" },
  { "hybrid form", "\6" .. one .. one },
  { "a byte short", "\4" .. ("\1"):rep(63) },
  { "a byte long", "\4" .. ("\1"):rep(65) },
}

local groups_of = { x25519 = { "x25519", "secp256r1" }, secp256r1 = { "secp256r1" } } -- the certificate's curve, too

local function points(change)
  local rows = {}
  for group, list in pairs { x25519 = x25519_bad, secp256r1 = p256_bad } do
    for _, p in ipairs(list) do
      rows[#rows + 1] = change(group, ("a point of %s: %s"):format(group, p[1]), p[2])
    end
  end
  return rows
end

-- Changed at the compose gate: the signature is made afterwards, and right.
local function params(change)
  return function(m) change(m.params) end
end

describe("a ServerKeyExchange (ECDHE)", function()
  local function row(name, gate, change, code, alert, more)
    local r = { name, attack = "client", setup = "ecdhe", gate = gate, message = "server_key_exchange", change = change, code = code,
      alert = alert,
      state = "wait_server_key_exchange" }
    for k, v in pairs(more or {}) do r[k] = v end
    return r
  end

  local few = { client = { groups = { "x25519", "secp256r1" } } }
  mutate.rows(it, {
    row("with a group that was not offered", "compose", params(function(p) p.named_curve = "secp384r1" end), "wrong_group", illegal, few),
    row("with a group that nobody knows", "compose", params(function(p) p.named_curve = 0xfe01 end), "wrong_group", illegal),
    row("with a GREASE group", "compose", params(function(p) p.named_curve = 0x2a2a end), "wrong_group", illegal),
    row("with a finite-field group", "compose", params(function(p) p.named_curve = "ffdhe2048" end), "wrong_group", illegal),
    row("with an explicit prime curve", "send",
      function(_, ev) return mutate.body(ev.raw, "\1" .. ev.raw:sub(6)) end, "decode_error", decode),
    row("with an empty point", "compose", params(function(p) p.point = "" end), "decode_error", decode),
    row("with a scheme that was not offered", "send", function(m) m.algorithm = "ecdsa_sha1" end, "wrong_scheme", illegal),
    row("with a scheme for another key", "send", function(m) m.algorithm = "rsa_pss_rsae_sha256" end, "wrong_scheme", illegal),
    row("with a scheme that nobody knows", "send", function(m) m.algorithm = 0xfefe end, "wrong_scheme", illegal),
    row("with another hash than it was made with", "send",
      function(m) m.algorithm = "ecdsa_secp521r1_sha512" end, "bad_signature", decrypt),
    row("with a changed signature", "send", function(m) m.signature = flip(m.signature, #m.signature) end, "bad_signature", decrypt),
    row("with an empty signature", "send", function(m) m.signature = "" end, "bad_signature", decrypt),
    row("with a signature that is no DER", "send", function(m) m.signature = ("s"):rep(64) end, "bad_signature", decrypt),
    row("with bytes after the signature's DER", "send", function(m) m.signature = m.signature .. "\0" end, "bad_signature", decrypt),
    row("with bytes after it", "send", function(m) m.trailing = "x" end, "trailing_data", decode),
    row("with another point than was signed", "send", params(function(p) p.point = flip(p.point, 1) end), "bad_signature", decrypt),
    row("with another group than was signed", "send", params(function(p) p.named_curve = "secp256r1" end), "bad_signature", decrypt),
  })

  mutate.rows(it, points(function(group, name, point)
    return row(name, "compose", params(function(p) p.point = point end), "bad_key_share", illegal,
      { server = { groups = groups_of[group] } })
  end))

  it("with RSA: a changed signature", function()
    mutate.expect { setup = "ecdhe_rsa", attack = "client", message = "server_key_exchange",
      change = function(m) m.signature = flip(m.signature, 1) end,
      code = "bad_signature", alert = decrypt, state = "wait_server_key_exchange" }
  end)

  it("with RSA: PKCS#1 v1.5 padding where PSS is said", function()
    mutate.expect { setup = "ecdhe_rsa", attack = "client", server = { schemes = { "rsa_pkcs1_sha256" } }, message = "server_key_exchange",
      change = function(m) m.algorithm = "rsa_pss_rsae_sha256" end, code = "bad_signature", alert = decrypt,
        state = "wait_server_key_exchange" }
  end)

  it("of another handshake: the randoms are signed, too", function()
    local old
    mutate.attack { setup = "ecdhe", attack = "client", message = "server_key_exchange", change = function(_, ev) old = ev.raw end }
    mutate.expect { setup = "ecdhe", attack = "client", message = "server_key_exchange", change = function() return old end,
      code = "bad_signature",
      alert = decrypt, state = "wait_server_key_exchange" }
  end)

  it("signed with another key", function()
    local hc, hs = mutate.handshakes "ecdhe"
    local client_random
    hs:on("receive", "client_hello", function(m) client_random = m.random end)
    local server_random
    hs:on("send", "server_hello", function(m) server_random = m.random end)
    hs:on("send", "server_key_exchange", function(m, ev)
      local body = ev.raw:sub(5)
      local signed = body:sub(1, #body - 4 - #m.signature)
      m.signature = assert(certs.leaf("ecdsa", "client").identity.key:sign(m.algorithm, client_random .. server_random .. signed))
    end)
    local c, s = pump.run(hc, hs)
    mutate.failed_with(c, "bad_signature", decrypt, "wait_server_key_exchange")
    assert.equal(decrypt, s.failure.alert)
  end)
end)

-- ---- ServerKeyExchange: DHE ---------------------------------------------------------------------------------------------------

local function minus(bytes, n) -- a big-endian number that ends in more than n
  return bytes:sub(1, -2) .. string.char(bytes:byte(-1) - n)
end

-- A 512-bit prime, and the size of one that is none.
local small_prime = ("fca682ce8e12caba26efccf7110e526db078b05edecbcd1eb4a208f3ae1617ae01f35b91a47e6df63413c5e12ed0899bcd132acd50d99151bdc43ee737592e17")
  :gsub("%x%x", function(h) return string.char(tonumber(h, 16)) end)

describe("a ServerKeyExchange (DHE)", function()
  local function row(name, change, code, alert)
    return { name, attack = "client", setup = "dhe", gate = "compose", message = "server_key_exchange", change = params(change),
      code = code,
      alert = alert, state = "wait_server_key_exchange" }
  end
  mutate.rows(it, {
    row("with a public value of 0", function(p) p.dh_ys = "\0" end, "bad_key_share", failure),
    row("with a public value of 0, long", function(p) p.dh_ys = ("\0"):rep(256) end, "bad_key_share", failure),
    row("with a public value of 1", function(p) p.dh_ys = "\1" end, "bad_key_share", failure),
    row("with a public value of p - 1", function(p) p.dh_ys = minus(p.dh_p, 1) end, "bad_key_share", failure),
    row("with a public value of p", function(p) p.dh_ys = p.dh_p end, "bad_key_share", failure),
    row("with a public value above p", function(p) p.dh_ys = ("\255"):rep(#p.dh_p) end, "bad_key_share", failure),
    row("with a public value longer than p", function(p) p.dh_ys = "\1" .. p.dh_p end, "bad_key_share", failure),
    row("with an empty public value", function(p) p.dh_ys = "" end, "decode_error", decode),
    row("with an empty prime", function(p) p.dh_p = "" end, "decode_error", decode),
    row("with an empty generator", function(p) p.dh_g = "" end, "decode_error", decode),
    row("with a prime of 512 bits (Logjam)", function(p) p.dh_p, p.dh_ys = small_prime, "\5" end, "weak_dh_group", "insufficient_security"),
    row("with a prime of one bit", function(p) p.dh_p = "\1" end, "weak_dh_group", "insufficient_security"),
    row("with an even modulus", function(p) p.dh_p = minus(p.dh_p, 1) end, "illegal_parameter", illegal),
    row("with a modulus that is no prime", function(p) p.dh_p = minus(p.dh_p, 2) end, "weak_dh_group", "insufficient_security"),
    row("with a modulus of 16384 bits", function(p) p.dh_p = ("\255"):rep(2048) end, "illegal_parameter", illegal),
    row("with a generator of 0", function(p) p.dh_g = "\0" end, "illegal_parameter", illegal),
    row("with a generator of 1", function(p) p.dh_g = "\1" end, "illegal_parameter", illegal),
    row("with a generator of p - 1", function(p) p.dh_g = minus(p.dh_p, 1) end, "illegal_parameter", illegal),
  })

  it("with a group below the client's limit", function()
    mutate.expect { setup = "dhe", attack = "client", client = { min_dh_bits = 3072 }, server = { groups = { "ffdhe2048" } },
      code = "weak_dh_group",
      alert = "insufficient_security", state = "wait_server_key_exchange" }
  end)

  it("with parameters that were changed after they were signed", function()
    mutate.expect { setup = "dhe", attack = "client", message = "server_key_exchange", change = params(function(p) p.dh_g = "\3" end),
      code = "bad_signature", alert = decrypt, state = "wait_server_key_exchange" }
  end)
end)

-- ---- ServerHelloDone ------------------------------------------------------------------------------------------------------------

describe("a ServerHelloDone", function()
  it("with a body", function()
    mutate.expect { attack = "client", message = "server_hello_done", change = function() return message("server_hello_done", "x") end,
      code = "trailing_data", alert = decode, state = "wait_server_hello_done" }
  end)
end)

-- ---- ClientKeyExchange -----------------------------------------------------------------------------------------------------------

describe("a ClientKeyExchange", function()
  local function row(name, setup, change, code, alert, more)
    local r = { name, attack = "server", setup = setup, message = "client_key_exchange", change = change, code = code, alert = alert,
      state = "wait_client_key_exchange" }
    for k, v in pairs(more or {}) do r[k] = v end
    return r
  end
  mutate.rows(it, points(function(group, name, point)
    return row("ECDHE, " .. name, "ecdhe",
      function(m) m.point = point end, "bad_key_share", illegal, { server = { groups = groups_of[group] } })
  end))

  local prime
  local keep_prime = { hooks = { { "client", "receive", "server_key_exchange", function(m) prime = m.params.dh_p end } } }
  mutate.rows(it, {
    row("ECDHE: an empty point", "ecdhe", function(m) m.point = "" end, "decode_error", decode),
    row("ECDHE: bytes after the point", "ecdhe", function(m) m.trailing = "x" end, "trailing_data", decode),
    row("DHE: 0", "dhe", function(m) m.dh_yc = "\0" end, "bad_key_share", failure),
    row("DHE: 1", "dhe", function(m) m.dh_yc = "\1" end, "bad_key_share", failure),
    row("DHE: p - 1", "dhe", function(m) m.dh_yc = minus(prime, 1) end, "bad_key_share", failure, keep_prime),
    row("DHE: p", "dhe", function(m) m.dh_yc = prime end, "bad_key_share", failure, keep_prime),
    row("DHE: longer than p", "dhe", function(m) m.dh_yc = "\1" .. prime end, "bad_key_share", failure, keep_prime),
    row("DHE: empty (the server's certificate holds no key of this kind)", "dhe", function(m) m.dh_yc = "" end, "decode_error", decode),
    row("DHE: bytes after it", "dhe", function(m) m.trailing = "x" end, "trailing_data", decode),
    row("RSA: no length", "rsa", function() return message("client_key_exchange", "") end, "decode_error", decode),
    row("RSA: a length beyond the end", "rsa",
      function(_, ev) return mutate.body(ev.raw, "\2\0" .. ev.raw:sub(7)) end, "decode_error", decode),
    row("RSA: bytes after it", "rsa", function(m) m.trailing = "x" end, "trailing_data", decode),
  })
end)

-- RFC 5246 §7.4.7.1: whatever is wrong with the encrypted pre-master secret, the server goes on with a random one, and everything that can be seen from
-- outside is the same: where it fails, the code, the alert, each word.
describe("an RSA pre-master secret", function()
  local leaf = certs.rsa()
  local public = akushu.crypto.key(leaf.identity.key:reveal "pem")
  local size = 256

  local function encrypted(plain) return assert(public:encrypt(plain)) end

  local modulus_size_garbage = "\0" .. ("g"):rep(size - 1)
  local cases = {
    { "of the wrong version", function() return encrypted("\3\2" .. ("p"):rep(46)) end },
    { "of version 0", function() return encrypted("\0\0" .. ("p"):rep(46)) end },
    { "of a higher version", function() return encrypted("\3\4" .. ("p"):rep(46)) end },
    { "of 47 bytes", function() return encrypted("\3\3" .. ("p"):rep(45)) end },
    { "of 49 bytes", function() return encrypted("\3\3" .. ("p"):rep(47)) end },
    { "of no bytes", function() return encrypted "" end },
    { "of 245 bytes", function() return encrypted("\3\3" .. ("p"):rep(243)) end },
    { "with bad padding", function() return modulus_size_garbage end },
    { "that encrypts 0", function() return ("\0"):rep(size) end },
    { "that encrypts 1", function() return ("\0"):rep(size - 1) .. "\1" end },
    { "above the modulus", function() return ("\255"):rep(size) end },
    { "of the right version, but another one", function() return encrypted("\3\3" .. ("p"):rep(46)) end },
  }

  local seen = {}
  for _, case in ipairs(cases) do
    it(case[1], function()
      local attacked, other = mutate.expect { setup = "rsa", attack = "server", message = "client_key_exchange",
        change = function(m) m.encrypted_pre_master_secret = case[2]() end, code = "bad_record_mac", alert = "bad_record_mac",
          state = "wait_finished" }
      seen[#seen + 1] = table.concat({ attacked.message, attacked.failure.detail, other.message, attacked.bytes_out, attacked.hs.state },
        "|")
    end)
  end

  it("says the same in every case", function()
    assert.equal(#cases, #seen)
    for i = 2, #seen do assert.equal(seen[1], seen[i]) end
  end)

  -- A ciphertext that is not as long as the modulus is so for everybody to see.
  for _, n in ipairs { 0, 1, 48, 255, 257, 512 } do
    it(("with a ciphertext of %d bytes"):format(n), function()
      local attacked = mutate.attack { setup = "rsa", attack = "server", message = "client_key_exchange",
        change = function(m) m.encrypted_pre_master_secret = ("\1"):rep(n) end }
      assert.is_truthy(attacked.failure)
      assert.equal("local", attacked.failure.origin)
      assert.equal("bad_record_mac", attacked.failure.code)
      assert.equal("wait_finished", attacked.failure.state)
    end)
  end

  it("carries the version that was offered, not the one that was chosen (rollback)", function()
    local c = { versions = { "1.1", "1.2" }, suites = { "TLS_RSA_WITH_AES_128_CBC_SHA" } }
    local s = { versions = "1.1", suites = { "TLS_RSA_WITH_AES_128_CBC_SHA" } }
    local attacked = mutate.attack { setup = "cbc", client = c, server = s, attack = "server" }
    assert.is_truthy(attacked.session, attacked.message)
    assert.equal("1.1", attacked.session.version)
    mutate.expect { setup = "cbc", client = c, server = s, attack = "server", message = "client_key_exchange",
      change = function(m) m.encrypted_pre_master_secret = encrypted("\3\2" .. ("p"):rep(46)) end, code = "bad_record_mac",
        alert = "bad_record_mac",
      state = "wait_finished" }
  end)
end)

-- ---- Finished -----------------------------------------------------------------------------------------------------------------------

describe("a Finished", function()
  local rows = {}
  for _, attack in ipairs { "client", "server" } do
    local function add(name, change, code)
      rows[#rows + 1] = { name .. ", to a " .. attack, setup = "ecdhe", attack = attack, message = "finished", change = change, code = code,
        alert = decrypt, state = "wait_finished" }
    end
    for i = 1, 12 do
      add("with byte " .. i .. " wrong", function(m) m.verify_data = flip(m.verify_data, i, 128) end, "bad_finished")
    end
    add("of zeros", function(m) m.verify_data = ("\0"):rep(12) end, "bad_finished")
    add("that is empty", function(m) m.verify_data = "" end, "bad_finished")
    add("of 11 bytes", function(m) m.verify_data = m.verify_data:sub(1, 11) end, "bad_finished")
    add("of 13 bytes", function(m) m.verify_data = m.verify_data .. "\0" end, "bad_finished")
    add("of 36 bytes (SSL 3.0)", function(m) m.verify_data = m.verify_data:rep(3) end, "bad_finished")
  end
  mutate.rows(it, rows)

  it("that is the peer's own", function()
    local own
    mutate.expect { attack = "client", hooks = { { "client", "send", "finished", function(m) own = m.verify_data end } },
      message = "finished",
      change = function(m) m.verify_data = own end, code = "bad_finished", alert = decrypt, state = "wait_finished" }
  end)

  it("over a transcript that lacks a message", function()
    for _, m in ipairs { "certificate", "server_key_exchange", "server_hello_done" } do
      -- with extended_master_secret the keys differ already
      mutate.expect { setup = "ecdhe", attack = "server", client = { extended_master_secret = false }, hooks = { { "client", "receive", m,
        function(_, ev)
        ev.transcript = "none"
      end } }, code = "bad_finished", alert = decrypt, state = "wait_finished" }
    end
  end)
end)
