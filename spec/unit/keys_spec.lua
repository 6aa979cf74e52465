-- Keys by themselves: public ones read, private ones read and written, signatures in every scheme, RSA key exchange.
local asn1 = require "akushu.der"
local checks = require "spec.support.checks"
local crypto = require("akushu.core").crypto
local vectors = require "spec.support.vectors"

local bytes, is_hex, fails, flipped = vectors.from_hex, checks.is_hex, checks.fails, checks.flipped

local tlv, integer, sequence, null = asn1.tlv, asn1.integer, asn1.sequence, asn1.null()
local oid = {
  rsa = asn1.oid "1.2.840.113549.1.1.1",
  pss = asn1.oid "1.2.840.113549.1.1.10",
  mgf1 = asn1.oid "1.2.840.113549.1.1.8",
  sha256 = asn1.oid "2.16.840.1.101.3.4.2.1",
  ec = asn1.oid "1.2.840.10045.2.1",
  p256 = asn1.oid "1.2.840.10045.3.1.7",
  ed25519 = asn1.oid "1.3.101.112",
  x25519 = asn1.oid "1.3.101.110",
}
local function spki(algorithm, key) return sequence(sequence(algorithm), asn1.bits(key)) end

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
  end)

  it("makes no kinds of key but those it knows: that is misuse", function()
    for _, spec in ipairs { "rsa:17", "rsa:8193", "rsa:2048x", "rsa:", "rsa-pss:17", "ec:x25519", "ec:", "dsa:1024", "ed25519 ", "" } do
      for _, generate in ipairs { crypto.generate, require("akushu").private_key.generate } do
        local ok, message = pcall(generate, spec)
        assert.is_false(ok)
        assert.matches(("(no such kind of key: \"%s\"; there are rsa:BITS, rsa-pss:BITS, ec:GROUP, ed25519, ed448)"):format(spec), message, 1, true)
      end
    end
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
