-- akushu.testca: certificates made in memory, and the small DER writer under it.
local x509 = require("akushu.core").x509
local der = require "akushu.der"
local testca = require "akushu.testca"

local hex = require("spec.support.vectors").to_hex

local function openssl(pem, command)
  local path = os.tmpname()
  local f = assert(io.open(path, "wb"))
  f:write(pem)
  f:close()
  local pipe = io.popen("openssl " .. command .. " -in " .. path .. " 2>&1")
  local text = pipe:read "a"
  pipe:close()
  os.remove(path)
  return text
end

describe("the DER writer", function()
  it("writes lengths in as few bytes as there are", function()
    assert.equal("0400", hex(der.octets ""))
    assert.equal("047f", hex(der.octets(("x"):rep(127)):sub(1, 2)))
    assert.equal("048180", hex(der.octets(("x"):rep(128)):sub(1, 3)))
    assert.equal("0481ff", hex(der.octets(("x"):rep(255)):sub(1, 3)))
    assert.equal("04820100", hex(der.octets(("x"):rep(256)):sub(1, 4)))
    assert.equal("0483010000", hex(der.octets(("x"):rep(65536)):sub(1, 5)))
  end)
  it("writes integers as X.690 §8.3 has them", function()
    for n, bytes in pairs { [0] = "020100", [1] = "020101", [127] = "02017f", [128] = "02020080", [255] = "020200ff", [256] = "02020100",
      [-1] = "0201ff", [-128] = "020180", [-129] = "0202ff7f", [65537] = "0203010001" } do assert.equal(bytes, hex(der.integer(n))) end
    assert.equal("02020080", hex(der.integer "\x80"))
    assert.equal("02017f", hex(der.integer "\0\0\x7f"))
    assert.equal("020100", hex(der.integer "\0"))
  end)
  it("writes object identifiers, bits, times and booleans", function()
    assert.equal("0603551d11", hex(der.oid "2.5.29.17"))
    assert.equal("06092a864886f70d01010b", hex(der.oid "1.2.840.113549.1.1.11"))
    assert.equal("0603883703", hex(der.oid "2.999.3"))
    assert.has_error(function() der.oid "x" end)
    assert.equal("03020780", hex(der.named_bits { 0 }))
    assert.equal("03020106", hex(der.named_bits { 5, 6 }))
    assert.equal("0303070080", hex(der.named_bits { 8 }))
    assert.equal("030100", hex(der.named_bits {}))
    assert.equal("\x17\x0d700101000000Z", der.time(0))
    assert.equal("\x17\x0d491231235959Z", der.time(2524607999))
    assert.equal("\x18\x0f20500101000000Z", der.time(2524608000))
    assert.equal("\x18\x0f19491231235959Z", der.time(-631152001))
    assert.equal("0101ff", hex(der.boolean(true)))
    assert.equal("a00105", hex(der.context(0, "\5")))
    assert.equal("820161", hex(der.primitive(2, "a")))
  end)
  it("reads what it wrote", function()
    local tag, content, whole, after = der.read(der.sequence(der.octets(("x"):rep(300)), der.null()))
    assert.equal(0x30, tag)
    assert.equal(306, #content)
    assert.equal(310, #whole)
    assert.equal(311, after)
    for _, broken in ipairs { "", "0", "0\1", "0\x81", "0\x80", "0\x85\0\0\0\0\1x", "0\x82\1\0" } do assert.is_nil(der.read(broken)) end
  end)
end)

describe("a test CA", function()
  local ca = testca.new { name = "Root" }

  it("makes chains that verify, with nothing but names given", function()
    local leaf = ca:intermediate():intermediate { name = "Second" }:issue { names = { "localhost", "127.0.0.1", "::1" } }
    local trust = ca:trust()
    for _, host in ipairs { "localhost", "127.0.0.1", "::1" } do
      local r = trust:verify(leaf.chain, { host = host })
      assert.is_true(r.ok, r.text)
      assert.equal(4, #r.chain)
    end
    assert.is_true(trust:verify(leaf.chain, { purpose = "client" }).ok)
    assert.equal(3, #leaf.chain)
    assert.equal("CN=localhost", leaf.certificate.subject)
    assert.equal("CN=Second", leaf.certificate.issuer)
    assert.is_true(ca:trust({ strict = true }):verify(leaf.chain).ok)
  end)

  it("gives objects and PEM", function()
    local leaf = ca:intermediate():issue { names = { "a.example" } }
    assert.equal(2, #x509.certificates(leaf.pem_chain))
    assert.is_true(x509.private_key(leaf.pem_key) == leaf.key)
    assert.matches("^akushu.Identity", tostring(leaf.identity))
    assert.is_true(leaf.identity == leaf.identity)
    assert.is_true(x509.certificate(ca:pem()) == ca.certificate)
    assert.equal("akushu.TestCA (CN=Root)", tostring(ca))
    assert.is_nil(leaf.nothing)
  end)

  it("writes what the openssl command reads without complaint", function()
    local leaf = ca:issue { names = { "a.example", "192.0.2.1", "2001:db8::1", "email:a@b", "URI:https://a/" }, must_staple = true,
      name_constraints = { permitted = { "DNS:a.example", "IP:10.0.0.0/8", "DirName:x" }, excluded = { "email:.b" } }, is_ca = true,
      path_length = 3, policies = { "any" }, crl_urls = { "http://c/" }, ocsp_urls = { "http://o/" }, inhibit_any_policy = 1,
      require_policy = 2, inhibit_mapping = 3, policy_mappings = { { "1.2.3.4", "1.2.3.5" } } }
    local text = openssl(leaf.certificate.pem, "x509 -noout -text")
    for _, part in ipairs { "Version: 3", "CA:TRUE, pathlen:3", "DNS:a.example, IP Address:192.0.2.1, IP Address:2001:DB8:0:0:0:0:0:1",
      "email:a@b, URI:https://a/", "status_request", "IP:10.0.0.0/255.0.0.0", "Permitted:", "Excluded:", "X509v3 Any Policy",
      "URI:http://c/", "OCSP - URI:http://o/", "Require Explicit Policy:2, Inhibit Policy Mapping:3", "1.2.3.4:1.2.3.5",
      "X509v3 Inhibit Any Policy" } do assert.matches(part, text, 1, true) end
    assert.is_nil(text:find("Error", 1, true), text)
    text = openssl(testca.pem("X509 CRL", ca:crl { revoked = { { certificate = leaf, reason = "keyCompromise" } }, number = 7 }),
      "crl -noout -text")
    assert.matches("Key Compromise", text, 1, true)
    assert.matches(leaf.certificate.serial:upper(), text, 1, true)
    assert.matches("X509v3 CRL Number: %s+7", text)
  end)

  it("takes keys of every kind, made anew or given", function()
    local key = x509.private_key.generate "rsa:2048"
    for _, kind in ipairs { key, "ec:secp256r1", "ec:secp384r1", "ec:secp521r1", "ed25519", "ed448", "rsa-pss:2048" } do
      local top = testca.new { key = kind }
      assert.is_true(top:trust():verify(top:issue({ names = { "a" }, key = kind }).chain).ok)
    end
    assert.is_true(testca.new({ key = key }).key == key)
    assert.same({ "digitalSignature", "keyEncipherment" }, ca:issue({ names = { "a" }, key = key }).certificate.key_usage)
    assert.has_error(function() testca.new { key = "ec:none" } end)
  end)

  it("gives every certificate of a key another serial number, and the same ones when all is repeated", function()
    local key = x509.private_key.generate()
    local seen = {}
    for _ = 1, 50 do
      local serial = ca:issue({ names = { "a" }, key = key }).certificate.serial
      assert.is_nil(seen[serial])
      assert.equal(32, #serial)
      seen[serial] = true
    end
    local function run()
      local again = x509.private_key(key:reveal "pem")
      local top = testca.new { key = again, not_before = 1000, not_after = 2000000000 }
      return top:issue({ names = { "a" }, key = again, not_before = 1000, not_after = 2000000000 }).certificate.tbs
    end
    assert.equal(run(), run())
  end)

  it("does what it is told, right or wrong", function()
    assert.equal("05", ca:issue({ names = { "a" }, serial = 5 }).certificate.serial)
    assert.equal("-05", ca:issue({ names = { "a" }, serial = -5 }).certificate.serial)
    assert.equal("abcdef", ca:issue({ names = { "a" }, serial = "abcdef" }).certificate.serial)
    for _, serial in ipairs { "abc", "0abc" } do -- in a CRL, too
      local listed = ca:trust():verify(ca:issue({ names = { "a" }, serial = "abc" }).chain, { crls = { ca:crl { revoked = { { serial = serial } } } } })
      assert.equal("certificate_revoked", listed.verdict)
    end
    assert.equal("CN=akushu test", ca:issue({ names = { { 0xa4, testca.name "d" }, "a" } }).certificate.subject)
    local nameless = ca:issue { name = {}, names = { "a.example" } }
    assert.equal("ok", ca:trust({ strict = true }):verify(nameless.chain, { host = "a.example" }).verdict)
    assert.equal(1, ca:issue({ names = { "a" }, version = 1 }).certificate.version)
    assert.equal(0, #ca:issue({ names = { "a" }, version = 1 }).certificate.extensions)
    assert.equal("CN=Somebody", ca:issue({ names = { "a" }, issuer_name = "Somebody" }).certificate.issuer)
    assert.is_nil(ca:issue({ names = { "a" }, key_usage = false }).certificate.key_usage)
    assert.is_nil(ca:issue({ names = { "a" }, purpose = false }).certificate.ext_key_usage)
    assert.same({ "serverAuth" }, ca:issue({ names = { "a" }, purpose = "server" }).certificate.ext_key_usage)
    assert.same({ "codeSigning", "other" }, ca:issue({ names = { "a" }, purpose = { "codeSigning", "1.2.3" } }).certificate.ext_key_usage)
    assert.same({}, ca:issue({ name = "x" }).certificate.names)
    assert.same({ "DNS:a" }, ca:issue({ names = { "a" }, omit = { "keyUsage", "1.2.3" } }).certificate.names)
    assert.is_nil(ca:issue({ names = { "a" }, omit = { "keyUsage" } }).certificate.key_usage)
    local own = ca:issue({ names = { "a" }, extensions = { { oid = "subjectAltName", critical = true,
      value = der.sequence(testca.general_name "b") } } }).certificate
    assert.same({ "b" }, own.dns_names)
    assert.equal("C=DE,O=x", testca.self_signed({ name = { { "O", "x" }, { "C", "DE" } }, names = { "a" } }).certificate.subject)
    assert.is_nil(ca:issue({ names = { "a" }, tamper = true }).certificate:signed_by(ca.certificate))
    assert.is_true(ca:self_signed({ names = { "a" } }).certificate.self_issued)
  end)

  it("writes addresses of every form", function()
    for text, bytes in pairs { ["::"] = ("\0"):rep(16), ["::1"] = ("\0"):rep(15) .. "\1", ["1::"] = "\0\1" .. ("\0"):rep(14),
      ["1:2:3:4:5:6:7:8"] = "\0\1\0\2\0\3\0\4\0\5\0\6\0\7\0\8", ["::ffff:192.0.2.1"] = ("\0"):rep(10) .. "\xff\xff\xc0\0\2\1",
      ["192.0.2.1"] = "\xc0\0\2\1" } do
      assert.equal(hex(der.primitive(7, bytes)), hex(testca.general_name(text)))
    end
    assert.equal(hex(der.primitive(7, "\10\0\0\0\xff\x80\0\0")), hex(testca.general_name("IP:10.0.0.0/9", true)))
    assert.equal(hex(der.primitive(2, "1.2.3.4.5")), hex(testca.general_name "1.2.3.4.5"))
    assert.equal(hex(der.primitive(2, "1.2.3.999")), hex(testca.general_name "1.2.3.999"))
  end)

  it("misuse raises, naming the option", function()
    assert.error_matches(function() testca.new { nmae = "x" } end, "unknown option 'nmae'")
    assert.error_matches(function() ca:issue { host = "x" } end, "unknown option 'host'")
    assert.error_matches(function() ca:crl { revoke = {} } end, "unknown option 'revoke'")
    assert.error_matches(function() ca:ocsp(ca.certificate, { state = "good" }) end, "unknown option 'state'")
    assert.error_matches(function() ca:issue "x" end, "table of options expected")
    assert.error_matches(function() ca:issue { names = { "a" }, purpose = "fun" } end, "purpose")
    assert.error_matches(function() ca:issue { names = { "a" }, key_usage = { "flying" } } end, "flying")
    assert.error_matches(function() ca:issue { names = { "a" }, key = "rsa" } end, "")
  end)
end)

describe("a mistake with testca stands at its line:", function()
  it("what is no list, no time, no key, no certificate", function()
    local ca = testca.new {}
    for said, fn in pairs {
      ["issue: option 'names': a list of names expected, got string"] = function() local x = ca:issue { names = "localhost" } return x end,
      ["issue: option 'name': a string or a list of { attribute, value } expected, got number"] = function() local x = ca:issue { name = 5 } return x end,
      ["issue: option 'not_after': seconds since 1970 expected, got string"] = function() local x = ca:issue { not_after = "tomorrow" } return x end,
      ["option 'key': no such kind of key: \"foo\"; there are rsa:BITS, rsa-pss:BITS, ec:GROUP, ed25519, ed448"] =
        function() local x = ca:issue { key = "foo" } return x end,
      ["option 'key': a kind of key such as \"rsa:2048\", or a PrivateKey, expected, got boolean"] = function() local x = testca.new { key = true } return x end,
      ["crl: option 'next_update': seconds since 1970 expected, got string"] = function() local x = ca:crl { next_update = "x" } return x end,
      ["crl: option 'revoked': a Certificate, or what issue gave, expected, got number"] = function() local x = ca:crl { revoked = { 1 } } return x end,
      ["ocsp: a Certificate, or what issue gave, expected, got nil"] = function() local x = ca:ocsp() return x end,
      ["ocsp: option 'status': \"good\", \"revoked\" or \"unknown\" expected, got 'fine'"] = function() local x = ca:ocsp(ca, { status = "fine" }) return x end,
    } do
      local ok, message = pcall(fn)
      assert.is_false(ok)
      assert.matches(said, message, 1, true)
      assert.matches("^[^:]*testca_spec.lua:%d+: ", message)
    end
  end)
end)
