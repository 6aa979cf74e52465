-- Key exchange by itself: published vectors, every group, explicit Diffie-Hellman parameters.
local checks = require "spec.support.checks"
local crypto = require("akushu.core").crypto
local vectors = require "spec.support.vectors"

local bytes, is_hex, fails, flipped = vectors.from_hex, checks.is_hex, checks.fails, checks.flipped

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

      -- libcrypto's key with one peer's value takes the next peer's.
      it("no peer's value stays where the next one's belongs, with refused ones between them", function()
        local one <close> = crypto.share(g.name)
        local other <close> = crypto.share(g.name)
        local to_one, to_other = { crypto.answer(g.name, one:public()) }, { crypto.answer(g.name, other:public()) }
        local refused = g.kind == "ec" and flipped(to_one[1], g.server_share) or ("\0"):rep(g.server_share)
        if g.kind == "hybrid" then refused = to_one[1]:sub(2) end
        for _ = 1, 2 do
          assert.equal(to_one[2], one:derive(to_one[1]))
          assert.equal(to_other[2], other:derive(to_other[1]))
          fails("bad_key_share", one:derive(refused))
          assert.equal(to_other[2], other:derive(to_other[1]))
        end
        assert.is_false(to_one[2] == to_other[2])
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
    -- 4^x for two private values: about one secret in 256 begins with a zero byte, and the second's does
    for zeros, private in pairs { [0] = ("\7"):rep(32), [1] = ("\7"):rep(31) .. "\1\164" } do
      local ours <close> = crypto.share("ffdhe2048", private)
      local whole = ours:derive(("\0"):rep(255) .. "\4")
      assert.equal(256, #whole)
      assert.equal(zeros, #whole:match "^\0*")
      assert.equal(whole:sub(zeros + 1), ours:derive("\4", true))
      fails("bad_key_share", ours:derive("\4"))
    end
    -- and for any other
    local ours <close> = crypto.share("ffdhe2048")
    local whole = ours:derive(("\0"):rep(255) .. "\4")
    assert.equal(256, #whole)
    assert.equal((whole:gsub("^\0+", "")), ours:derive("\4", true))
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
