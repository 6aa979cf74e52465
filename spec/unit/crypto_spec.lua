-- The crypto room by itself: hashes and key derivation with published vectors; cipher suites.
local checks = require "spec.support.checks"
local crypto = require("akushu.core").crypto
local vectors = require "spec.support.vectors"

local bytes, is_hex = vectors.from_hex, checks.is_hex

describe("hashes", function()
  local empty = {
    md5 = "d41d8cd98f00b204e9800998ecf8427e",
    sha1 = "da39a3ee5e6b4b0d3255bfef95601890afd80709",
    sha256 = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    sha384 = "38b060a751ac96384cd9327eb1b1e36a21fdb71114be07434c0cc7bf63f6e1da274edebfe76f65fbd51ad2f14898b95b",
    sha512 = "cf83e1357eefb8bdf1542850d66d8007d620e4050b5715dc83f4a921d36ce9ce47d0d13c5d85f2b0ff8318d2877eec2f"
      .. "63b931bd47417a81a538327af927da3e",
    md5_sha1 = "d41d8cd98f00b204e9800998ecf8427eda39a3ee5e6b4b0d3255bfef95601890afd80709",
  }
  for name, value in pairs(empty) do
    it(name .. " of nothing, and again", function()
      is_hex(value, crypto.digest(name, ""))
      crypto.digest(name, ("x"):rep(1000))
      is_hex(value, crypto.digest(name, ""))
    end)
  end

  it("says how long they are", function()
    assert.same({ md5 = 16, sha1 = 20, sha256 = 32, sha384 = 48, sha512 = 64, md5_sha1 = 36 }, crypto.hashes())
  end)

  it("knows no others", function()
    assert.error_matches(function() crypto.digest("sha3", "") end, "unknown hash 'sha3'")
    assert.error_matches(function() crypto.hmac("md5_sha1", "", "") end, "no HMAC")
  end)
end)

describe("HMAC (RFC 4231)", function()
  local long_key = ("\xaa"):rep(131)
  local cases = {
    { ("\x0b"):rep(20), "Hi There",
      sha256 = "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7",
      sha384 = "afd03944d84895626b0825f4ab46907f15f9dadbe4101ec682aa034c7cebc59cfaea9ea9076ede7f4af152e8b2fa9cb6",
      sha512 = "87aa7cdea5ef619d4ff0b4241a1d6cb02379f4e2ce4ec2787ad0b30545e17cdedaa833b7d6b8a702038b274eaea3f4e4"
        .. "be9d914eeb61f1702e696c203a126854" },
    { "Jefe", "what do ya want for nothing?",
      sha256 = "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843",
      sha384 = "af45d2e376484031617f78d2b58a6b1b9c7ef464f5a01b47e42ec3736322445e8e2240ca5e69e2c78b3239ecfab21649" },
    { ("\xaa"):rep(20), ("\xdd"):rep(50),
      sha256 = "773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe" },
    { long_key, "Test Using Larger Than Block-Size Key - Hash Key First",
      sha256 = "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54",
      sha384 = "4ece084485813e9088d2c63a041bc5b44f9ef1012a2b588f3cd11f05033ac4c60c2ef6ab4030fe8296248df163f44952" },
    { long_key, "This is a test using a larger than block-size key and a larger than block-size data. The key needs to be"
      .. " hashed before being used by the HMAC algorithm.",
      sha256 = "9b09ffa71b942fcb27635fbcd5b0e944bfdc63644f0713938a7f51535c3a35e2" },
  }
  for i, case in ipairs(cases) do
    it("case " .. i, function()
      local checked = 0
      for name, value in pairs(case) do
        if type(name) == "string" then
          is_hex(value, crypto.hmac(name, case[1], case[2]))
          checked = checked + 1
        end
      end
      assert.is_true(checked > 0)
    end)
  end

  it("RFC 2202: MD5 and SHA-1", function()
    is_hex("9294727a3638bb1c13f48ef8158bfc9d", crypto.hmac("md5", ("\x0b"):rep(16), "Hi There"))
    is_hex("b617318655057264e28bc0b6fb378c8ef146be00", crypto.hmac("sha1", ("\x0b"):rep(20), "Hi There"))
  end)
end)

describe("HKDF (RFC 5869)", function()
  local function run(from, to)
    local t = {}
    for i = from, to do t[#t + 1] = string.char(i) end
    return table.concat(t)
  end
  local cases = {
    { "sha256", ("\x0b"):rep(22), run(0, 12), run(0xf0, 0xf9), 42,
      "077709362c2e32df0ddc3f0dc47bba6390b6c73bb50f9c3122ec844ad7c2b3e5",
      "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865" },
    { "sha256", run(0, 0x4f), run(0x60, 0xaf), run(0xb0, 0xff), 82,
      "06a6b88c5853361a06104c9ceb35b45cef760014904671014a193f40c15fc244",
      "b11e398dc80327a1c8e7f78c596a49344f012eda2d4efad8a050cc4c19afa97c59045a99cac7827271cb41c65e590e09"
        .. "da3275600c2f09b8367793a9aca3db71cc30c58179ec3e87c14c01d5c1f3434f1d87" },
    { "sha256", ("\x0b"):rep(22), "", "", 42,
      "19ef24a32c717b167f33a91d6f648bdf96596776afdb6377ac434c1c293ccb04",
      "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d9d201395faa4b61a96c8" },
    { "sha1", ("\x0b"):rep(11), run(0, 12), run(0xf0, 0xf9), 42,
      "9b6c18c432a7bf8f0e71c8eb88f4b30baa2ba243",
      "085a01ea1b10f36933068b56efa5ad81a4f14b822f5b091568a9cdd4f155fda2c22e422478d305f3f896" },
    { "sha1", run(0, 0x4f), run(0x60, 0xaf), run(0xb0, 0xff), 82,
      "8adae09a2a307059478d309b26c4115a224cfaf6",
      "0bd770a74d1160f7c9f12cd5912a06ebff6adcae899d92191fe4305673ba2ffe8fa3f1a4e5ad79f3f334b3b202b2173c"
        .. "486ea37ce3d397ed034c7f9dfeb15c5e927336d0441f4c4300e2cff0d0900b52d3b4" },
    { "sha1", ("\x0b"):rep(22), "", "", 42,
      "da8c8a73c7fa77288ec6f5e7c297786aa0d32d01",
      "0ac1af7002b3d761d1e55298da9d0506b9ae52057220a306e07b6b87e8df21d0ea00033de03984d34918" },
    { "sha1", ("\x0c"):rep(22), nil, "", 42,
      "2adccada18779e7c2077ad2eb19d3f3e731385dd",
      "2c91117204d745f3500d636a62f64f0ab3bae548aa53d423b0d1f27ebba6f5e5673a081d70cce7acfc48" },
  }
  for i = 1, 7 do
    local hash, ikm, salt, info, n, prk, okm = table.unpack(cases[i], 1, 7)
    it("case " .. i, function()
      is_hex(prk, crypto.hkdf_extract(hash, salt, ikm))
      is_hex(okm, crypto.hkdf_expand(hash, bytes(prk), info, n))
    end)
  end

  it("has its limits", function()
    assert.equal(255 * 32, #crypto.hkdf_expand("sha256", ("k"):rep(32), "", 255 * 32))
    assert.error_matches(function() crypto.hkdf_expand("sha256", "", "", 255 * 32 + 1) end, "a number from 0 to 8160 expected, got 8161")
    assert.equal("", crypto.hkdf_expand("sha256", "k", "", 0))
    assert.error_matches(function() crypto.hkdf_expand_label("sha256", "", ("x"):rep(250), "", 1) end, "label too long")
    assert.error_matches(function() crypto.hkdf_expand_label("sha256", "", "a\0b", "", 1) end, "zero byte")
    assert.error_matches(function() crypto.hkdf_expand_label("sha256", "", "a", ("x"):rep(256), 1) end, "context too long")
    assert.error_matches(function() crypto.derive_secret("sha256", "", "a", "short") end, "not as long")
  end)
end)

describe("the PRF of TLS 1.2 (RFC 5246 §5)", function()
  local long = [[
    e3f229ba727be17b8d122620557cd453c2aab21d07c3d495329b52d4e61edb5a6b301791e90d35c9c9a46b4e14baf9af0fa022f7077def17abfd3797c0564bab
    4fbc91666e9def9b97fce34f796789baa48082d122ee42c5a72e5a5110fff70187347b66]]
  local secret, seed = bytes "9bbe436ba940f017b17652849a71db35", bytes "a0ba9f936cda311827a6f796ffd5198c"

  it("with SHA-256", function() is_hex(long, crypto.prf("sha256", secret, "test label", seed, 100)) end)

  it("any shorter output is a prefix", function()
    for n = 0, 99 do
      assert.equal(crypto.prf("sha256", secret, "test label", seed, 100):sub(1, n), crypto.prf("sha256", secret, "test label", seed, n))
    end
  end)

  it("with SHA-384", function()
    is_hex([[
      7b0c18e9ced410ed1804f2cfa34a336a1c14dffb4900bb5fd7942107e81c83cde9ca0faa60be9fe34f82b1233c9146a0e534cb400fed2700884f9dc236f80edd
      8bfa961144c9e8d792eca722a7b32fc3d416d473ebc2c5fd4abfdad05d9184259b5bf8cd4d90fa0d31e2dec479e4f1a26066f2eea9a69236a3e52655c9e9aee6
      91c8f3a26854308d5eaa3be85e0990703d73e56f]],
      crypto.prf("sha384", bytes "b80b733d6ceefcdc71566ea48e5567df", "test label", bytes "cd665cf6a8447dd6ff8b27555edb7465", 148))
  end)

  it("and of TLS 1.0, with MD5 and SHA-1 (RFC 2246 §5)", function()
    is_hex([[
      d3d4d1e349b5d515044666d51de32bab258cb521b6b053463e354832fd976754443bcf9a296519bc289abcbc1187e4ebd31e602353776c408aafb74cbc85eff6
      9255f9788faa184cbb957a9819d84a5d7eb006eb459d3ae8de9810454b8b2d8f1afbc655a8c9a013]],
      crypto.prf("md5_sha1", ("\xab"):rep(48), "PRF Testvector", ("\xcd"):rep(64), 104))
  end)

  it("shares the middle byte of a secret of odd length", function()
    local md5 = crypto.prf("md5", "abc", "l", "s", 40)
    local sha1 = crypto.prf("sha1", "cde", "l", "s", 40)
    local mixed = md5:gsub("()(.)", function(i, c) return string.char(c:byte() ~ sha1:byte(i)) end)
    assert.equal(mixed, crypto.prf("md5_sha1", "abcde", "l", "s", 40))
    assert.equal(40, #crypto.prf("md5_sha1", "", "l", "s", 40))
  end)
end)

describe("the key schedule of RFC 8448 §3", function()
  local zeros = ("\0"):rep(32)
  local early = bytes "33ad0a1c607ec03b09e6cd9893680ce210adf300aa1f2660e1b22e10f170f92a"
  local handshake = bytes "1dc826e93606aa6fdc0aadc12f741b01046aa6b99f691ed221a9f0ca043fbeac"
  local shared = bytes "8bd4054fb55b9d63fdfbacf9f04b9f0d35e6d63f537563efd46272900f89492d"
  local hello_hash = bytes "860c06edc07858ee8e78f0e7428c58edd6b43f2ca3e6e95f02ed063cf0e1cad8"

  it("early → handshake → master secret", function()
    assert.equal(early, crypto.hkdf_extract("sha256", "", ""))
    assert.equal(early, crypto.hkdf_extract("sha256", zeros, zeros))
    local derived = crypto.derive_secret("sha256", early, "derived")
    is_hex("6f2615a108c702c5678f54fc9dbab69716c076189c48250cebeac3576c3611ba", derived)
    assert.equal(handshake, crypto.hkdf_extract("sha256", derived, shared))
    derived = crypto.derive_secret("sha256", handshake, "derived", crypto.digest("sha256", ""))
    is_hex("43de77e0c77713859a944db9db2590b53190a65b3ee2e4f12dd7a0bb7ce254b4", derived)
    is_hex("18df06843d13a08bf2a449844c5f8a478001bc4d4c627984d5a41da8d0402919", crypto.hkdf_extract("sha256", derived, zeros))
  end)

  it("traffic secrets, keys and the Finished key", function()
    is_hex("b3eddb126e067f35a780b3abf45e2d8f3b1a950738f52e9600746a0e27a55a21",
      crypto.derive_secret("sha256", handshake, "c hs traffic", hello_hash))
    local server = crypto.derive_secret("sha256", handshake, "s hs traffic", hello_hash)
    is_hex("b67b7d690cc16c4e75e54213cb2d37b4e9c912bcded9105d42befd59d391ad38", server)
    is_hex("3fce516009c21727d0f2e4e86ee403bc", crypto.hkdf_expand_label("sha256", server, "key", "", 16))
    is_hex("5d313eb2671276ee13000b30", crypto.hkdf_expand_label("sha256", server, "iv", "", 12))
    is_hex("008d3b66f816ea559f96b537e885c31fc068bf492c652f01f288a1d8cdc19fc8",
      crypto.hkdf_expand_label("sha256", server, "finished", nil, 32))
  end)

  it("the key shares", function()
    local client = crypto.share("x25519", bytes "49af42ba7f7994852d713ef2784bcbcaa7911de26adc5642cb634540e7ea5005")
    local server = crypto.share("x25519", bytes "b1580eeadf6dd589b8ef4f2d5652578cc810e9980191ec8d058308cea216a21e")
    is_hex("99381de560e4bd43d23d8e435a7dbafeb3c06e51c13cae4d5413691e529aaf2c", client:public())
    is_hex("c9828876112095fe66762bdbf7c672e156d6cc253b833df1dd69b1b04e751f0f", server:public())
    assert.equal(shared, client:derive(server:public()))
    assert.equal(shared, server:derive(client:public()))
  end)
end)

describe("cipher suites", function()
  local suites, by_name, by_id = crypto.suites(), {}, {}
  for _, s in ipairs(suites) do
    assert(not by_name[s.name] and not by_id[s.id], s.name)
    by_name[s.name], by_id[s.id] = s, s
  end

  -- the name says what the suite is made of; the table must say the same
  it("are what their names say", function()
    local key_exchange = {
      RSA = "rsa/rsa", DHE_RSA = "dhe/rsa", ECDHE_RSA = "ecdhe/rsa", ECDHE_ECDSA = "ecdhe/ecdsa", PSK = "psk/psk", DHE_PSK = "dhe_psk/psk",
      PSK_DHE = "dhe_psk/psk", ECDHE_PSK = "ecdhe_psk/psk", RSA_PSK = "rsa_psk/rsa", DH_anon = "dhe/anon", ECDH_anon = "ecdhe/anon",
    }
    local hashes = { MD5 = "md5", SHA = "sha1", SHA256 = "sha256", SHA384 = "sha384" }
    for _, s in ipairs(suites) do
      local kx, rest = s.name:match("^TLS_(.-)_WITH_(.+)$")
      assert.equal(kx and key_exchange[kx] or "tls13/tls13", s.kx .. "/" .. s.auth, s.name)
      rest = rest or s.name:sub(5)
      local cipher, hash = rest:match("^(.+)_([^_]+)$")
      if not hashes[hash] then cipher, hash = rest, nil end
      cipher = cipher:gsub("_8$", ""):gsub("3DES_EDE", "DES-EDE3"):gsub("_", "-"):upper()
      assert.equal(cipher, s.cipher:upper(), s.name)
      assert.equal(rest:find("CCM_8", 1, true) and 8 or s.kind == "aead" and 16 or 0, s.tag_bytes, s.name)
      local bits = tonumber(cipher:match("%-(%d+)%-"))
      if bits then assert.equal(bits // 8, s.key_bytes, s.name) end
      assert.equal(s.kind == "aead" and "none" or hashes[hash], s.mac, s.name)
      assert.equal(hash == "SHA384" and "sha384" or "sha256", s.prf, s.name)
      assert.equal(not kx, s.min_version == 0x0304, s.name)
      assert.equal(not kx, s.max_version == 0x0304, s.name)
      if s.kind == "aead" and kx then assert.equal(0x0303, s.min_version, s.name) end
    end
  end)

  it("have the numbers that IANA gives them", function()
    for name, id in pairs {
      TLS_AES_128_GCM_SHA256 = 0x1301, TLS_AES_128_CCM_8_SHA256 = 0x1305, TLS_RSA_WITH_NULL_MD5 = 0x0001,
      TLS_RSA_WITH_AES_128_CBC_SHA = 0x002f, TLS_DHE_RSA_WITH_AES_256_GCM_SHA384 = 0x009f, TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256 = 0xc02f,
      TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA384 = 0xc024, TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256 = 0xcca8,
      TLS_ECDHE_PSK_WITH_AES_128_GCM_SHA256 = 0xd001, TLS_PSK_DHE_WITH_AES_256_CCM_8 = 0xc0ab, TLS_DH_anon_WITH_AES_128_CBC_SHA = 0x0034,
      TLS_ECDHE_ECDSA_WITH_ARIA_128_GCM_SHA256 = 0xc05c, TLS_RSA_WITH_3DES_EDE_CBC_SHA = 0x000a,
    } do
      assert.equal(id, by_name[name] and by_name[name].id, name)
    end
  end)

  local function has(profile, name)
    for i, s in ipairs(crypto.profile(profile)) do if s == name then return i end end
  end

  it("come in profiles", function()
    assert.same({ "TLS_RSA_WITH_AES_128_GCM_SHA256", "TLS_RSA_WITH_AES_256_GCM_SHA384", "TLS_RSA_WITH_AES_128_CBC_SHA",
      "TLS_RSA_WITH_AES_128_CBC_SHA256", "TLS_RSA_WITH_AES_256_CBC_SHA", "TLS_RSA_WITH_AES_256_CBC_SHA256" }, crypto.profile("classic"))
    for _, name in ipairs(crypto.profile("modern")) do
      local s = by_name[name]
      assert.equal("aead", s.kind, name)
      assert.equal(16, s.tag_bytes, name)
      assert.truthy(s.kx == "tls13" or s.kx:find("dhe"), name)
      assert.is_not.equal("anon", s.auth, name)
    end
    assert.equal("TLS_AES_128_GCM_SHA256", crypto.profile("modern")[1])
    local compatible = crypto.profile("compatible")
    local forward_secret = true
    for _, name in ipairs(compatible) do
      local s = by_name[name]
      assert.truthy(s.auth ~= "anon" and s.kind ~= "null" and not s.cipher:find("DES"), name)
      local forward = s.kx == "tls13" or s.kx:find("dhe") ~= nil
      assert.truthy(forward_secret or not forward, name .. " comes after a suite without forward secrecy")
      forward_secret = forward
    end
    assert.truthy(has("compatible", "TLS_RSA_WITH_AES_128_CBC_SHA"))
    assert.equal(#suites, #crypto.profile("lab"))
    assert.truthy(has("lab", "TLS_RSA_WITH_NULL_MD5") > has("lab", "TLS_RSA_WITH_AES_256_CBC_SHA"))
    assert.error_matches(function() crypto.profile("modem") end, "unknown profile 'modem'")
  end)
end)

it("names the libcrypto in use", function() assert.truthy(crypto.version():match("^OpenSSL 3%.")) end)
