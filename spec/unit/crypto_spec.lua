-- The crypto room by itself: published vectors, key exchange in every group, signatures in every scheme, RSA key exchange.
local crypto = require("akushu.core").crypto

local function bytes(hex)
  return (hex:gsub("%s", ""):gsub("%x%x", function(pair) return string.char(tonumber(pair, 16)) end))
end

local function hex(s) return (s:gsub(".", function(c) return ("%02x"):format(c:byte()) end)) end

local function is_hex(expected, got) assert.equal((expected:gsub("%s", "")), hex(got)) end

local function fails(code, ...)
  local value, message, failure = ...
  assert.is_nil(value)
  assert.is_string(message)
  assert.equal(code, failure.code)
  return failure
end

local function flipped(s, at, mask)
  return s:sub(1, at - 1) .. string.char(s:byte(at) ~ (mask or 1)) .. s:sub(at + 1)
end

-- DER, as much as the specs need
local function tlv(tag, content)
  local n = #content
  local length = n < 128 and string.char(n) or n < 256 and string.char(0x81, n) or string.char(0x82, n >> 8, n & 255)
  return string.char(tag) .. length .. content
end
local function integer(magnitude) return tlv(2, (magnitude:byte() >= 128 and "\0" or "") .. magnitude) end
local function sequence(...) return tlv(0x30, table.concat { ... }) end
local oid = {
  rsa = bytes "06092a864886f70d010101",
  pss = bytes "06092a864886f70d01010a",
  mgf1 = bytes "06092a864886f70d010108",
  sha256 = bytes "0609608648016503040201",
  ec = bytes "06072a8648ce3d0201",
  p256 = bytes "06082a8648ce3d030107",
  ed25519 = bytes "06032b6570",
  x25519 = bytes "06032b656e",
}
local null = "\5\0"
local function spki(algorithm, key) return sequence(sequence(algorithm), tlv(3, "\0" .. key)) end

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

describe("key exchange", function()
  local usable = {}
  for _, g in ipairs(crypto.groups()) do if g.usable then usable[#usable + 1] = g end end

  it("X25519 (RFC 7748 §5.2)", function()
    is_hex("c3da55379de9c6908e94ea4df28d084f32eccf03491c71f754b4075577a28552",
      crypto.share("x25519", bytes "a546e36bf0527c9d3b16154b82465edd62144c0ac1fc5a18506a2244ba449ac4")
        :derive(bytes "e6db6867583030db3594c1a424b15f7c726624ec26b3353b10a903a6d0ab1c4c"))
    is_hex("95cbde9476e8907d7aade45cb4b873f88b595a68799fa152e6f8f7647aac7957",
      crypto.share("x25519", bytes "4b66e9d4d1b4673c5ad22691957d6af5c11b6421e0ea01d42ca4169e7918ba0d")
        :derive(bytes "e5210f12786811d3f4b7959d0538ae2c31dbe7106fc03c3efc4cd549c715a493"))
  end)

  it("X448 (RFC 7748 §5.2)", function()
    is_hex("ce3e4ff95a60dc6697da1db1d85e6afbdf79b50a2412d7546d5f239fe14fbaadeb445fc66a01b0779d98223961111e21766282f73dd96b6f",
      crypto.share("x448", bytes
        "3d262fddf9ec8e88495266fea19a34d28882acef045104d0d1aae121700a779c984c24f8cdd78fbff44943eba368f54b29259a4f1c600ad3")
        :derive(bytes
        "06fce640fa3487bfda5f6cf2d5263f8aad88334cbd07437f020f08f9814dc031ddbdc38c19c6da2583fa5429db94ada18aa7a7fb4ef8a086"))
  end)

  it("secp256r1 (RFC 5903 §8.1)", function()
    local i = crypto.share("secp256r1", bytes "C88F01F510D9AC3F70A292DAA2316DE544E9AAB8AFE84049C62A9C57862D1433")
    local r = crypto.share("secp256r1", bytes "C6EF9C5D78AE012A011164ACB397CE2088685D8F06BF9BE0B283AB46476BEE53")
    is_hex("04dad0b65394221cf9b051e1feca5787d098dfe637fc90b9ef945d0c37725811805271a0461cdb8252d61f1c456fa3e59ab1f45b33accf5f58389e0577"
      .. "b8990bb3", i:public())
    is_hex("04d12dfb5289c8d4f81208b70270398c342296970a0bccb74c736fc7554494bf6356fbf3ca366cc23e8157854c13c58d6aac23f046ada30f8353e74f33"
      .. "039872ab", r:public())
    is_hex("d6840f6b42f6edafd13116e0e12565202fef8e9ece7dce03812464d04b9442de", i:derive(r:public()))
    assert.equal(i:derive(r:public()), r:derive(i:public()))
  end)

  it("zero is an x coordinate like any other: y² = b (SP 800-186 §3.2.1)", function()
    for name, y in pairs {
      secp256r1 = "66485c780e2f83d72433bd5d84a06bb6541c2af31dae871728bf856a174f93f4",
      secp384r1 = "c306610fb0ae5a159cf45c06069f22a6c5eb3641c602d42dea2c4b4f75550793406d80d2b91ad54f9048bd487af1ade1",
      secp521r1 = "012df13601594a883ef2d935e44bb90bf4d6619b74e52af7552f97769011c0719eb439cfab2a88d40fe59a2bed1f43557169a2d0a2ccd280c607b92bbf51ffe0b078",
    } do
      local size = #y // 2
      local zero = ("\0"):rep(size)
      assert.equal(zero, crypto.share(name, zero:sub(2) .. "\1"):derive("\4" .. zero .. bytes(y)), name)
    end
  end)

  it("takes private values of the right length and range alone", function()
    assert.error_matches(function() crypto.share("x25519", ("\1"):rep(31)) end, "not as long")
    for _, wrong in ipairs { "", "\0", ("\255"):rep(256), ("\1"):rep(257) } do assert.is_nil((crypto.share("ffdhe2048", wrong))) end
    assert.equal(256, #crypto.share("ffdhe2048", ("\1"):rep(255)):public())
    assert.error_matches(function() crypto.share("secp192r1") end, "unknown group 'secp192r1'")
    fails("randomness", crypto.share("secp256r1", ("\0"):rep(32)))
    fails("randomness", crypto.share("secp256r1", ("\xff"):rep(32)))
    assert.truthy(crypto.share("secp256r1", ("\0"):rep(31) .. "\1"))
  end)

  it("has the groups that every supported libcrypto has", function()
    local have = {}
    for _, name in ipairs(crypto.group_names()) do have[name] = true end
    for _, name in ipairs { "x25519", "x448", "secp256r1", "secp384r1", "secp521r1", "ffdhe2048", "ffdhe3072", "ffdhe4096", "ffdhe6144",
      "ffdhe8192" } do
      assert.is_true(have[name], name)
    end
    assert.equal("secp256r1", crypto.share("P-256"):group())
    assert.equal("secp256r1", crypto.share(23):group())
  end)

  it("says so when a group is not there", function()
    local missing = 0
    for _, g in ipairs(crypto.groups()) do
      if not g.usable then
        missing = missing + 1
        fails("unsupported", crypto.share(g.name))
      end
    end
    assert.equal(#crypto.groups(), #usable + missing)
  end)

  for _, g in ipairs(usable) do
    describe(g.name, function()
      it("both sides agree", function()
        local ours <close> = crypto.share(g.name)
        assert.equal(g.client_share, #ours:public())
        local public, secret = crypto.answer(g.name, ours:public())
        assert.equal(g.server_share, #public)
        assert.equal(g.secret, #secret)
        assert.equal(secret, ours:derive(public))
        assert.is_false(crypto.answer(g.name, ours:public()) == public)
      end)

      it("refuses values of another length", function()
        local ours <close> = crypto.share(g.name)
        local public = crypto.answer(g.name, ours:public())
        for _, bad in ipairs { "", "\4", public:sub(1, -2), public .. "\0", public:sub(2) } do
          assert.equal("illegal_parameter", fails("bad_key_share", ours:derive(bad)).alert)
        end
        for _, bad in ipairs { "", "\4", ours:public():sub(1, -2), ours:public() .. "\0" } do
          fails("bad_key_share", crypto.answer(g.name, bad))
        end
      end)

      if g.kind == "ec" then
        it("refuses points off the curve, infinity and other encodings", function()
          local ours <close> = crypto.share(g.name)
          local point = crypto.share(g.name):public()
          local half = (#point - 1) // 2
          local odd = point:byte(-1) & 1
          for name, bad in pairs {
            off_curve = flipped(point, #point),
            zero = "\4" .. ("\0"):rep(2 * half),
            too_large = "\4" .. ("\xff"):rep(2 * half),
            infinity = "\0",
            padded_infinity = ("\0"):rep(#point),
            compressed = string.char(2 + odd) .. point:sub(2, 1 + half),
            hybrid = string.char(6 + odd) .. point:sub(2),
          } do
            assert.is_nil(ours:derive(bad), name)
            fails("bad_key_share", ours:derive(bad))
            fails("bad_key_share", crypto.answer(g.name, bad))
          end
          assert.equal(g.secret, #ours:derive(point))
        end)
      elseif g.kind == "x" then
        it("refuses values whose result is all zeros", function()
          local ours <close> = crypto.share(g.name)
          local n = g.client_share
          local small = { ("\0"):rep(n), "\1" .. ("\0"):rep(n - 1) }
          if g.name == "x25519" then -- points of order 8, and p itself
            small[#small + 1] = bytes "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800"
            small[#small + 1] = bytes "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157"
            small[#small + 1] = "\xed" .. ("\xff"):rep(30) .. "\x7f"
          end
          for _, bad in ipairs(small) do
            fails("bad_key_share", ours:derive(bad))
            fails("bad_key_share", crypto.answer(g.name, bad))
          end
        end)
      elseif g.kind == "ff" then
        it("refuses 0, 1, p-1, p and more", function()
          local ours <close> = crypto.share(g.name)
          local n = g.client_share
          for _, bad in ipairs { ("\0"):rep(n), ("\0"):rep(n - 1) .. "\1", ("\xff"):rep(n), ("\xff"):rep(n - 1) .. "\xfe" } do
            fails("bad_key_share", ours:derive(bad))
            fails("bad_key_share", ours:derive(bad, true))
            fails("bad_key_share", crypto.answer(g.name, bad))
          end
        end)
      end
    end)
  end

  it("a finite-field value may be short in TLS 1.2, and the secret loses its leading zeros", function()
    local ours <close> = crypto.share("ffdhe2048")
    local four = ours:derive(("\0"):rep(255) .. "\4") -- 4^x
    assert.equal(256, #four)
    assert.equal((four:gsub("^\0+", "")), ours:derive("\4", true))
    fails("bad_key_share", ours:derive("\4"))
    -- about one secret in 256 begins with a zero byte: look for one
    local seen
    for i = 2, 4000 do
      local peer = ("\0"):rep(254) .. string.char(i >> 8, i & 255)
      local whole = ours:derive(peer)
      local stripped = ours:derive(peer, true)
      assert.equal(256, #whole)
      assert.equal((whole:gsub("^\0+", "")), stripped)
      seen = #stripped < 256
      if seen then break end
    end
    assert.is_true(seen)
  end)

  it("refuses a closed share", function()
    local s = crypto.share("x25519")
    s:close()
    s:close()
    assert.error_matches(function() s:public() end, "closed")
    assert.equal("key share (closed)", tostring(s))
  end)
end)

describe("explicit Diffie-Hellman parameters", function()
  -- RFC 3526 §3, the 2048-bit MODP group
  local modp2048 = bytes [[
    FFFFFFFF FFFFFFFF C90FDAA2 2168C234 C4C6628B 80DC1CD1 29024E08 8A67CC74 020BBEA6 3B139B22 514A0879 8E3404DD EF9519B3 CD3A431B
    302B0A6D F25F1437 4FE1356D 6D51C245 E485B576 625E7EC6 F44C42E9 A637ED6B 0BFF5CB6 F406B7ED EE386BFB 5A899FA5 AE9F2411 7C4B1FE6
    49286651 ECE45B3D C2007CB8 A163BF05 98DA4836 1C55D39A 69163FA8 FD24CF5F 83655D23 DCA3AD96 1C62F356 208552BB 9ED52907 7096966D
    670C354E 4ABC9804 F1746C08 CA18217C 32905E46 2E36CE3B E39E772C 180E8603 9B2783A2 EC07A28F B5C55DF0 6F4C52C9 DE2BCBF6 95581718
    3995497C EA956AE5 15D22618 98FA0510 15728E5A 8AACAA68 FFFFFFFF FFFFFFFF]]
  local two = "\2"
  local mersenne = "\x7f" .. ("\xff"):rep(15) -- 2^127 - 1, which no list has

  it("accepts known and other primes", function()
    assert.is_true(crypto.dh_check(modp2048, two))
    assert.is_true(crypto.dh_check("\0\0" .. modp2048, two))
    assert.is_true(crypto.dh_check(mersenne, "\3", 127))
    assert.is_true(crypto.dh_check(mersenne, "\3", 127))
  end)

  it("refuses short, composite and even moduli, and bad generators", function()
    assert.equal("insufficient_security", fails("weak_dh_group", crypto.dh_check(modp2048, two, 3072)).alert)
    fails("weak_dh_group", crypto.dh_check(mersenne, "\3"))
    fails("weak_dh_group", crypto.dh_check(flipped(modp2048, 256, 2), two))
    -- a Carmichael number, 17 · 353 · 1201: every base passes Fermat's test
    fails("weak_dh_group", crypto.dh_check(bytes "6df921", two, 16))
    fails("illegal_parameter", crypto.dh_check(flipped(modp2048, 256), two))
    for _, g in ipairs { "", "\0", "\1", modp2048, flipped(modp2048, 256), "\1" .. modp2048 } do
      fails("illegal_parameter", crypto.dh_check(modp2048, g))
    end
    fails("illegal_parameter", crypto.dh_check("", two))
    fails("illegal_parameter", crypto.dh_check(("\xff"):rep(1025), two))
  end)

  it("both sides agree", function()
    for _, prime in ipairs { modp2048 } do
      local a <close> = crypto.dh_share(prime, two)
      local b <close> = crypto.dh_share(prime, two)
      assert.is_nil(a:group())
      assert.equal(#prime, #a:public())
      assert.equal(a:derive(b:public(), true), b:derive(a:public(), true))
      for _, bad in ipairs { "", "\0", "\1", prime, flipped(prime, #prime), "\1" .. prime } do
        fails("bad_key_share", a:derive(bad, true))
      end
    end
  end)
end)

-- The RSA key and the self-signed certificate of RFC 8448 §2 and §3
local rfc8448 = {
  n = bytes [[
    b4bb498f8279303d980836399b36c6988c0c68de55e1bdb826d3901a2461eafd2de49a91d015abbc9a95137ace6c1af19eaa6af98c7ced43120998e187a80ee0
    ccb0524b1b018c3e0b63264d449a6d38e22a5fda430846748030530ef0461c8ca9d9efbfae8ea6d1d03e2bd193eff0ab9a8002c47428a6d35a8d88d79f7f1e3f]],
  e = bytes "010001",
  d = bytes [[
    04dea705d43a6ea7209dd8072111a83c81e322a59278b33480641eaf7c0a6985b8e31c44f6de62e1b4c2309f6126e77b7c41e923314bbfa3881305dc1217f16c
    819ce538e922f369828d0e57195d8c8488460207b2faa726bcf708bbd7db7f679f893492fc2a622e08970aac441ce4e0c3088df25ae679233df8a3bda2ff9941]],
  p = bytes [[
    e435fb7cc83737756dacea96ab7f59a2cc1069db7deb190e17e33a532b273f30a327aa0aaabc58cd67466af9845fadc675fe094af92c4bd1f2c1bc33dd2e0515]],
  q = bytes [[
    cabd3bc0e0438664c8d4cc9f99977a94d9bbfead8e43870abae3f7eb8b4e0eee8af1d9b4719ba6196cf2cbbaeeebf8b3490afe9e9ffa74a88aa51fc645629303]],
  dp = bytes [[
    3f57345c27fe1b687e6e761627b78b1b826433dd760fa0bea6a6acf39490aa1b47cda4869d68f584dd5b5029bd32093b8258661fe715025e5d70a45a08d3d319]],
  dq = bytes [[
    183da01363bd2f2885cacbdc9964bf4764f1517636f86401286f71893c52ccfe40a6c23d0d086b47c6fb10d8fd1041e04def7e9a40ce957c417794e10412d139]],
  qi = bytes [[
    839ca9a085e4286b2c90e466997a2c681f21339aa3477814e4dec11833050ed50dd13cc038048a43c59b2acc416889c037665fe5afa605969f8c01dfa5ca969d]],
  tbs = bytes [[
    30820115a003020102020102300d06092a864886f70d01010b0500300e310c300a06035504031303727361301e170d3136303733303031323335395a170d3236
    303733303031323335395a300e310c300a0603550403130372736130819f300d06092a864886f70d010101050003818d0030818902818100b4bb498f8279303d
    980836399b36c6988c0c68de55e1bdb826d3901a2461eafd2de49a91d015abbc9a95137ace6c1af19eaa6af98c7ced43120998e187a80ee0ccb0524b1b018c3e
    0b63264d449a6d38e22a5fda430846748030530ef0461c8ca9d9efbfae8ea6d1d03e2bd193eff0ab9a8002c47428a6d35a8d88d79f7f1e3f0203010001a31a30
    1830090603551d1304023000300b0603551d0f0404030205a0]],
  signature = bytes [[
    85aad2a0e5b9276b908c65f73a7267170618a54c5f8a7b337d2df7a594365417f2eae8f8a58c8f8172f9319cf36b7fd6c55b80f21a03015156726096fd335e5e
    67f2dbf102702e608ccae6bec1fc63a42a99be5c3eb7107c3c54e9b9eb2bd5203b1c3b84e0a8b2f759409ba3eac9d91d402dcc0cc8f8961229ac9187b42b4de1]],
}
rfc8448.spki = spki(oid.rsa .. null, sequence(integer(rfc8448.n), integer(rfc8448.e)))
rfc8448.pkcs1 = sequence(integer "\0", integer(rfc8448.n), integer(rfc8448.e), integer(rfc8448.d), integer(rfc8448.p), integer(rfc8448.q),
  integer(rfc8448.dp), integer(rfc8448.dq), integer(rfc8448.qi))

describe("public keys", function()
  local point = crypto.share("secp256r1"):public()

  it("reads RSA, and checks a real certificate's signature with it", function()
    local key = crypto.public_key(rfc8448.spki)
    assert.same({ kind = "rsa", bits = 1024, private = false }, key:info())
    assert.is_true(key:verify("rsa_pkcs1_sha256", rfc8448.tbs, rfc8448.signature))
    fails("bad_signature", key:verify("rsa_pkcs1_sha256", rfc8448.tbs .. "\0", rfc8448.signature))
    fails("bad_signature", key:verify("rsa_pkcs1_sha384", rfc8448.tbs, rfc8448.signature))
    fails("bad_signature", key:verify("rsa_pss_rsae_sha256", rfc8448.tbs, rfc8448.signature))
    fails("bad_signature", key:verify("ed25519", rfc8448.tbs, rfc8448.signature))
    assert.equal(rfc8448.spki, key:spki())
  end)

  it("reads EC points, uncompressed and compressed", function()
    local key = crypto.public_key(spki(oid.ec .. oid.p256, point))
    assert.same({ kind = "ec", bits = 256, private = false, group = "secp256r1" }, key:info())
    local compressed = string.char(2 + (point:byte(-1) & 1)) .. point:sub(2, 33)
    assert.is_true(key:same(crypto.public_key(spki(oid.ec .. oid.p256, compressed))))
    assert.is_false(key:same(crypto.public_key(spki(oid.ec .. oid.p256, crypto.share("secp256r1"):public()))))
  end)

  it("knows curves that TLS has no group for", function()
    local secp256k1 = bytes "06052b8104000a"
    local base = bytes [[04 79be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798
      483ada7726a3c4655da4fbfc0e1108a8fd17b448a68554199c47d08ffb10d4b8]]
    local info = crypto.public_key(spki(oid.ec .. secp256k1, base)):info()
    assert.equal("ec", info.kind)
    assert.is_nil(info.group)
    fails("bad_certificate", crypto.public_key(spki(oid.ec .. secp256k1, flipped(base, 65))))
  end)

  it("leaves what it cannot use as other", function()
    local unknown = {
      spki(oid.x25519, ("\9"):rep(32)),
      spki(bytes "06022a03", "abc"),
      spki(oid.ec .. bytes "06022a03", point),          -- a curve that nobody has
      spki(oid.ec .. sequence(integer "\1"), point),    -- explicit parameters (RFC 5480 §2.1.1 forbids them)
    }
    for _, der in ipairs(unknown) do
      local key = crypto.public_key(der)
      assert.equal("other", key:info().kind)
      for _, scheme in ipairs(crypto.schemes()) do assert.is_false(key:fits(scheme.name, 0x0303)) end
      fails("bad_signature", key:verify("rsa_pkcs1_sha256", "", ""))
      fails("wrong_certificate_type", key:encrypt("x"))
    end
  end)

  it("refuses malformed keys", function()
    local n, e = rfc8448.n, rfc8448.e
    local bad = {
      even_modulus = spki(oid.rsa .. null, sequence(integer(flipped(n, #n)), integer(e))),
      exponent_1 = spki(oid.rsa .. null, sequence(integer(n), integer "\1")),
      even_exponent = spki(oid.rsa .. null, sequence(integer(n), integer "\4")),
      huge_exponent = spki(oid.rsa .. null, sequence(integer(n), integer(("\1"):rep(9)))),
      exponent_of_34_bits = spki(oid.rsa .. null, sequence(integer(n), integer "\2\0\0\0\1")),
      huge_modulus = spki(oid.rsa .. null, sequence(integer(("\x7f"):rep(2049)), integer(e))),
      zero_modulus = spki(oid.rsa .. null, sequence(integer "\0", integer(e))),
      negative_modulus = spki(oid.rsa .. null, sequence(tlv(2, n), integer(e))),
      padded_modulus = spki(oid.rsa .. null, sequence(tlv(2, "\0\0" .. n), integer(e))),
      third_number = spki(oid.rsa .. null, sequence(integer(n), integer(e), integer(e))),
      after_the_key = spki(oid.rsa .. null, sequence(integer(n), integer(e)) .. "\0"),
      rsa_parameters = spki(oid.rsa .. integer "\1", sequence(integer(n), integer(e))),
      unused_bits = sequence(sequence(oid.rsa, null), tlv(3, "\4" .. sequence(integer(n), integer(e)))),
      after_the_end = rfc8448.spki .. "\0",
      off_curve = spki(oid.ec .. oid.p256, flipped(point, 65)),
      infinity = spki(oid.ec .. oid.p256, "\0"),
      empty_point = spki(oid.ec .. oid.p256, ""),
      hybrid_form = spki(oid.ec .. oid.p256, string.char(6 + (point:byte(-1) & 1)) .. point:sub(2)),
      long_point = spki(oid.ec .. oid.p256, point .. "\0"),
      short_ed25519 = spki(oid.ed25519, ("\1"):rep(31)),
      ed25519_parameters = spki(oid.ed25519 .. null, ("\1"):rep(32)),
      nothing = "",
    }
    for name, der in pairs(bad) do
      assert.is_nil(crypto.public_key(der), name)
      fails("bad_certificate", crypto.public_key(der))
    end
  end)

  it("refuses every prefix, and survives any changed byte", function()
    for _, der in ipairs { rfc8448.spki, spki(oid.ec .. oid.p256, point) } do
      for n = 0, #der - 1 do fails("bad_certificate", crypto.public_key(der:sub(1, n))) end
      for at = 1, #der do
        for _, mask in ipairs { 1, 0x80, 0xff } do
          local key, _, failure = crypto.public_key(flipped(der, at, mask))
          if key then key:close() else assert.equal("bad_certificate", failure.code) end
        end
      end
    end
  end)

  describe("of RSASSA-PSS", function()
    local rsa = sequence(integer(rfc8448.n), integer(rfc8448.e))
    local sha256 = sequence(oid.sha256, null)
    local function restricted(hash, mgf1_hash, salt)
      return sequence(tlv(0xa0, hash), tlv(0xa1, sequence(oid.mgf1, mgf1_hash)), tlv(0xa2, integer(salt)))
    end
    local function fits(params)
      local key = assert(crypto.public_key(spki(oid.pss .. params, rsa)))
      assert.equal("rsa_pss", key:info().kind)
      local list = {}
      for _, s in ipairs(crypto.schemes()) do
        if key:fits(s.name, 0x0304) then list[#list + 1] = s.name end
      end
      return list
    end

    it("without parameters any hash that fits the modulus will do", function()
      assert.same({ "rsa_pss_pss_sha256", "rsa_pss_pss_sha384" }, fits "") -- 1024 bits are too short for SHA-512
    end)

    it("its own parameters name one hash", function()
      assert.same({ "rsa_pss_pss_sha256" }, fits(restricted(sha256, sha256, "\32")))
      assert.same({}, fits(restricted(sha256, sha256, "\33")))              -- a longer salt than TLS uses
      assert.same({}, fits(restricted(sha256, sequence(bytes "06052b0e03021a"), "\32"))) -- MGF1 with another hash
      assert.same({}, fits(sequence()))                                     -- the defaults: SHA-1
    end)

    it("malformed parameters are refused", function()
      for _, params in ipairs {
        null, sequence(tlv(0xa0, "")), sequence(tlv(0xa4, "")), sequence(tlv(0xa3, integer "\2")), sequence(tlv(0xa2, tlv(2, "\xff"))),
        sequence(tlv(0xa1, sequence(oid.rsa, sha256))), restricted(sha256, sha256, "\32") .. null,
      } do
        fails("bad_certificate", crypto.public_key(spki(oid.pss .. params, rsa)))
      end
    end)
  end)
end)

describe("private keys", function()
  local key = crypto.key(rfc8448.pkcs1)

  it("PKCS#1 DER: makes the signature that RFC 8448's certificate carries", function()
    assert.same({ kind = "rsa", bits = 1024, private = true }, key:info())
    assert.equal(rfc8448.signature, key:sign("rsa_pkcs1_sha256", rfc8448.tbs))
    assert.equal(rfc8448.signature, key:sign("rsa_pkcs1_sha256", rfc8448.tbs))
    assert.is_true(key:same(crypto.public_key(rfc8448.spki)))
  end)

  it("out and in again", function()
    for _, spec in ipairs { "ec:secp256r1", "ec:secp384r1", "ec:secp521r1", "ed25519", "ed448", "rsa:1024", "rsa-pss:1024" } do
      local k = assert(crypto.generate(spec))
      for _, format in ipairs { "pem", "der" } do
        local again = assert(crypto.key(k:export(format)))
        assert.is_true(again:same(k))
        assert.same(k:info(), again:info())
        assert.equal(k:spki(), again:spki())
      end
      assert.is_true(crypto.public_key(k:spki()):same(k))
    end
  end)

  it("says what is wrong", function()
    fails("bad_pem", crypto.key(""))
    fails("bad_pem", crypto.key("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"))
    fails("bad_key", crypto.key("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"))
    fails("bad_key", crypto.key("not a key"))
    fails("bad_key", crypto.key(rfc8448.pkcs1 .. "\0"))
    fails("bad_key", crypto.key(rfc8448.pkcs1:sub(1, -2)))
    fails("bad_key", crypto.key(rfc8448.spki))
    fails("bad_key", crypto.generate("rsa:17"))
    fails("bad_key", crypto.generate("rsa:2048x"))
    fails("bad_key", crypto.generate("ec:x25519"))
    fails("bad_key", crypto.generate("dsa:1024"))
  end)

  it("finds the key among other PEM blocks", function()
    local pem = crypto.generate("ec:secp256r1"):export("pem")
    local parameters = "-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n"
    assert.truthy(crypto.key("some words\n" .. parameters .. pem .. parameters))
  end)

  it("opens an encrypted key with its password alone, and never asks for one", function()
    -- PBES2, AES-128-CBC; made with openssl genpkey -algorithm ed25519 -aes-128-cbc -pass pass:secret
    local encrypted = [[
-----BEGIN ENCRYPTED PRIVATE KEY-----
MIGbMFcGCSqGSIb3DQEFDTBKMCkGCSqGSIb3DQEFDDAcBAgLnVg4wut/7gICCAAw
DAYIKoZIhvcNAgkFADAdBglghkgBZQMEAQIEENmD1qbGPdap74udSAjiVGgEQDet
BTL/vwxy2xczlyMLXWWzlmpE927kznv0+WlIPB1beCggJTKlg7oZnvlRdRvPZfHY
svOa++r6Rsx435I822w=
-----END ENCRYPTED PRIVATE KEY-----]]
    assert.equal("ed25519", assert(crypto.key(encrypted, "secret")):info().kind)
    fails("bad_password", crypto.key(encrypted))
    fails("bad_password", crypto.key(encrypted, "Secret"))
    fails("bad_password", crypto.key(encrypted, ("x"):rep(5000)))
    assert.error_matches(function() crypto.key(encrypted, "a\0b") end, "zero byte")
  end)

  it("a public key signs nothing, and is not exported as a private one", function()
    local public = crypto.public_key(rfc8448.spki)
    fails("crypto_failed", public:sign("rsa_pkcs1_sha256", ""))
    fails("crypto_failed", public:export())
    fails("internal_error", public:premaster(("\1"):rep(128), 0x0303))
  end)
end)

describe("signature schemes", function()
  local keys = {
    rsa = crypto.generate("rsa:2048"), rsa_pss = crypto.generate("rsa-pss:2048"),
    p256 = crypto.generate("ec:secp256r1"), p384 = crypto.generate("ec:secp384r1"), p521 = crypto.generate("ec:secp521r1"),
    ed25519 = crypto.generate("ed25519"), ed448 = crypto.generate("ed448"),
    short_rsa = crypto.generate("rsa:512"),
  }
  local ecdsa = { "ecdsa_secp256r1_sha256", "ecdsa_secp384r1_sha384", "ecdsa_secp521r1_sha512", "ecdsa_sha1" }
  local pss = { "rsa_pss_rsae_sha256", "rsa_pss_rsae_sha384", "rsa_pss_rsae_sha512" }
  local pss_pss = { "rsa_pss_pss_sha256", "rsa_pss_pss_sha384", "rsa_pss_pss_sha512" }
  local pkcs1 = { "rsa_pkcs1_sha256", "rsa_pkcs1_sha384", "rsa_pkcs1_sha512", "rsa_pkcs1_sha1" }
  local function join(a, b) return table.move(b, 1, #b, #a + 1, table.move(a, 1, #a, 1, {})) end
  -- key → schemes at TLS 1.2, TLS 1.3, TLS 1.1
  local expected = {
    rsa = { join(pss, pkcs1), pss, { "rsa_pkcs1_md5_sha1" } },
    rsa_pss = { pss_pss, pss_pss, {} },
    p256 = { ecdsa, { ecdsa[1] }, { "ecdsa_sha1" } },
    p384 = { ecdsa, { ecdsa[2] }, { "ecdsa_sha1" } },
    p521 = { ecdsa, { ecdsa[3] }, { "ecdsa_sha1" } },
    ed25519 = { { "ed25519" }, { "ed25519" }, {} },
    ed448 = { { "ed448" }, { "ed448" }, {} },
    short_rsa = { { "rsa_pkcs1_sha256", "rsa_pkcs1_sha1" }, {}, { "rsa_pkcs1_md5_sha1" } },
  }
  local all = { "rsa_pkcs1_md5_sha1" }
  for _, s in ipairs(crypto.schemes()) do all[#all + 1] = s.name end

  it("are the sixteen of RFC 8446 that can be used", function()
    assert.equal(16, #crypto.schemes())
  end)

  for name, lists in pairs(expected) do
    it("fit " .. name .. " as the version says", function()
      for i, version in ipairs { 0x0303, 0x0304, 0x0302 } do
        local want, got = {}, {}
        for _, s in ipairs(lists[i]) do want[s] = true end
        for _, s in ipairs(all) do got[s] = keys[name]:fits(s, version) or nil end
        assert.same(want, got)
      end
    end)

    it("sign and verify with " .. name .. ", any number of times", function()
      local key, done = keys[name], 0
      local public = crypto.public_key(key:spki())
      for _ = 1, 2 do
        for _, scheme in ipairs(all) do
          if key:fits(scheme, 0x0303) or key:fits(scheme, 0x0301) then
            local signature = assert(key:sign(scheme, "signed"))
            assert.is_true(public:verify(scheme, "signed", signature))
            fails("bad_signature", public:verify(scheme, "Signed", signature))
            fails("bad_signature", public:verify(scheme, "signed", flipped(signature, #signature)))
            fails("bad_signature", public:verify(scheme, "signed", signature:sub(1, -2)))
            fails("bad_signature", public:verify(scheme, "signed", signature .. "\0"))
            fails("bad_signature", public:verify(scheme, "signed", ""))
            assert.is_true(public:verify(scheme, "signed", signature))
            done = done + 1
          elseif keys[name] ~= keys.short_rsa then
            fails("crypto_failed", key:sign(scheme, "signed"))
          end
        end
      end
      assert.is_true(done >= 2)
    end)
  end

  it("an RSA key too short for a scheme fails openly", function()
    fails("crypto_failed", keys.short_rsa:sign("rsa_pss_rsae_sha512", "x"))
    fails("bad_signature", keys.short_rsa:verify("rsa_pss_rsae_sha512", "x", ("\1"):rep(64)))
  end)

  it("a PSS salt is as long as the hash: other lengths are refused", function()
    -- a signature over the same data with a salt of 20 bytes, made by openssl dgst with rsa_pss_saltlen:20 and the key of RFC 8448
    local signature = bytes [[
      32814f30c0e47b055fddac70e3e7e5d958e267ac7afa9de110eecc362c1497b8bf869afe7f84f62121c23766dc88c2ab4860785b9a66ad1fcf3e853eac20466d
      793c9df1331511d21dbb17f56158e92b031541f6ebee7dd218feabd1733340d97248d49e038617827a9161dc7265bf583fd7ef8e6b3f16234fac0e889b977ac2]]
    local right = bytes [[
      75fb277440854228c64f741b977a2993de9bf56352ab72bdf4468208abf2d88f6ef40c526632cc435759297572d48cc33fc428d600a8ee77535eee2b79d84a05
      a6f08ed052e38b5c8733b59249bf62709d326ba9e4408cf2ab84141d9541a405a4953f5cfd56a542ecb1de094b0a1949a88a0ddb8d59c7ed7e907bbd5c6af09b]]
    local key = crypto.public_key(rfc8448.spki)
    assert.is_true(key:verify("rsa_pss_rsae_sha256", "salt", right))
    fails("bad_signature", key:verify("rsa_pss_rsae_sha256", "salt", signature))
  end)

  it("Ed25519 (RFC 8032 §7.1, test 3)", function()
    local seed = bytes "c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7"
    local key = crypto.key(sequence(integer "\0", sequence(oid.ed25519), tlv(4, tlv(4, seed))))
    is_hex("6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc659"
      .. "4a7c15e9716ed28dc027beceea1ec40a",
      key:sign("ed25519", bytes "af82"))
  end)
end)

describe("RSA key exchange", function()
  local key = crypto.key(rfc8448.pkcs1)
  local public = crypto.public_key(rfc8448.spki)
  local premaster = "\3\3" .. ("\7"):rep(46)

  it("brings the pre-master secret across", function()
    for _ = 1, 3 do
      local ciphertext = public:encrypt(premaster)
      assert.equal(128, #ciphertext)
      assert.equal(premaster, key:premaster(ciphertext, 0x0303))
    end
  end)

  -- RFC 5246 §7.4.7.1: every wrong one continues with 48 random bytes, and nothing tells which it was
  local good = public:encrypt(premaster)
  local wrong = {
    { "another version", good, 0x0302 },
    { "a changed ciphertext", flipped(good, 64) },
    { "47 bytes", public:encrypt(premaster:sub(1, 47)) },
    { "49 bytes", public:encrypt(premaster .. "\7") },
    { "no bytes", public:encrypt("") },
    { "a short ciphertext", good:sub(2) },
    { "a long ciphertext", "\0" .. good },
    { "an empty ciphertext", "" },
    { "zero", ("\0"):rep(128) },
    { "one", ("\0"):rep(127) .. "\1" },
    { "a number over the modulus", ("\xff"):rep(128) },
    { "the modulus", rfc8448.n },
  }
  for _, case in ipairs(wrong) do
    it("answers " .. case[1] .. " with random bytes", function()
      local version = case[3] or 0x0303
      local first, second = key:premaster(case[2], version), key:premaster(case[2], version)
      assert.equal(48, #first)
      assert.equal(48, #second)
      assert.is_false(first == second)
      assert.is_false(first == premaster)
    end)
  end

  it("works again after them", function() assert.equal(premaster, key:premaster(good, 0x0303)) end)

  it("has no use for other keys", function()
    local ec = crypto.generate("ec:secp256r1")
    fails("wrong_certificate_type", ec:encrypt(premaster))
    fails("internal_error", ec:premaster(good, 0x0303))
    fails("crypto_failed", public:encrypt(("x"):rep(118)))
    -- a key too short to hold 48 bytes
    assert.equal(48, #crypto.generate("rsa:512"):premaster(("\1"):rep(64), 0x0303))
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
