-- Reading: certificates, keys, identities, trust stores, PEM. What they mean is in verify_spec.lua.
local x509 = require("akushu.core").x509
local checks = require "spec.support.checks"
local der = require "akushu.der"
local roots = require "spec.support.roots"
local testca = require "akushu.testca"

-- The message of a failure of this code.
local function fails(...) return checks.fails(...).message end

local function with_file(content, fn)
  local path = os.tmpname()
  local f = assert(io.open(path, "wb"))
  f:write(content)
  f:close()
  local ok, e = pcall(fn, path)
  os.remove(path)
  if not ok then error(e, 0) end
end

-- Everything that a certificate says, so that a test touches all of it.
local properties = { "subject", "issuer", "name", "subject_der", "issuer_der", "version", "serial", "not_before", "not_after", "dns_names",
  "ip_addresses", "email_addresses", "uris", "names", "der", "pem", "tbs", "signature", "signature_algorithm", "spki", "public_key",
  "fingerprint", "key_type", "key_bits", "key_group", "is_ca", "path_length", "key_usage", "ext_key_usage", "subject_key_id",
  "authority_key_id", "self_issued", "must_staple", "scts", "malformed", "extensions", "ocsp_urls", "issuer_urls", "crl_urls", "policies" }
local function touch(c)
  for _, name in ipairs(properties) do local _ = c[name] end
  local _ = tostring(c)
end

local ca = testca.new { name = { { "C", "DE" }, { "O", "Specs, Inc." }, { "CN", "Root" } }, not_before = 0, not_after = 4102444800 }
local key = x509.private_key.generate "ec:secp256r1"
local rich = ca:issue {
  name = { { "O", "Some + Org" }, { "CN", "rich.example" } }, key = key, serial = "00ff01", not_before = 1700000000, not_after = 2600000000,
  names = { "rich.example", "*.rich.example", "192.0.2.1", "2001:db8::1", "email:a@rich.example", "URI:https://rich.example/", "DirName:x",
    "RID:1.2.3" },
  must_staple = true, policies = { "1.2.3.4", "any" }, crl_urls = { "http://crl.example/1" }, ocsp_urls = { "http://ocsp.example" },
  issuer_urls = { "http://ca.example" }, scts = "\0\0", extensions = { { oid = "1.2.3.4.5", value = "hello" } },
}
local c = rich.certificate

describe("a certificate", function()
  it("says what is in it", function()
    assert.equal("CN=rich.example,O=Some \\+ Org", c.subject)
    assert.equal("CN=Root,O=Specs\\, Inc.,C=DE", c.issuer)
    assert.equal("rich.example", c.name)
    assert.equal(3, c.version)
    assert.equal("ff01", c.serial)
    assert.equal(1700000000, c.not_before)
    assert.equal(2600000000, c.not_after) -- GeneralizedTime: after 2049
    assert.same({ "rich.example", "*.rich.example" }, c.dns_names)
    assert.same({ "192.0.2.1", "2001:db8::1" }, c.ip_addresses)
    assert.same({ "a@rich.example" }, c.email_addresses)
    assert.same({ "https://rich.example/" }, c.uris)
    assert.same({ "DNS:rich.example", "DNS:*.rich.example", "IP:192.0.2.1", "IP:2001:db8::1", "email:a@rich.example",
      "URI:https://rich.example/", "DirName:CN=x", "RID:1.2.3" }, c.names)
    assert.equal("ec", c.key_type)
    assert.equal(256, c.key_bits)
    assert.equal("secp256r1", c.key_group)
    assert.equal("ecdsa-with-SHA256", c.signature_algorithm)
    assert.is_false(c.is_ca)
    assert.is_nil(c.path_length)
    assert.same({ "digitalSignature" }, c.key_usage)
    assert.same({ "serverAuth", "clientAuth" }, c.ext_key_usage)
    assert.is_true(c.must_staple)
    assert.same({ "1.2.3.4", "2.5.29.32.0" }, c.policies)
    assert.same({ "http://crl.example/1" }, c.crl_urls)
    assert.same({ "http://ocsp.example" }, c.ocsp_urls)
    assert.same({ "http://ca.example" }, c.issuer_urls)
    assert.equal("\0\0", c.scts)
    assert.equal(ca.certificate.subject_key_id, c.authority_key_id)
    assert.is_nil(c.malformed)
    assert.is_false(c.self_issued)
    assert.is_true(ca.certificate.self_issued)
    assert.is_true(ca.certificate.is_ca)
    assert.equal(key.spki, c.spki)
    assert.equal("akushu.Certificate (CN=rich.example,O=Some \\+ Org)", tostring(c))
  end)

  it("gives its extensions in their order, known or not", function()
    local list = c.extensions
    assert.equal(11, #list)
    assert.equal("keyUsage", list[1].name)
    assert.is_true(list[1].critical)
    assert.equal("2.5.29.15", list[1].oid)
    assert.same({ oid = "1.2.3.4.5", critical = false, value = "hello" }, list[11])
  end)

  it("says the same as the openssl command", function()
    with_file(c.pem, function(path)
      local options = " -noout -serial -subject -nameopt RFC2253 -fingerprint -sha256 -startdate"
      local pipe = assert(io.popen("openssl x509 -in " .. path .. options))
      local text = pipe:read "a"
      pipe:close()
      assert.matches("serial=0?0?FF01", text)
      assert.matches("subject=CN=rich.example,O=Some \\+ Org", text, 1, true)
      assert.matches(c.fingerprint:upper(), (text:gsub(":", "")), 1, true)
      assert.matches("notBefore=Nov 14 22:13:20 2023 GMT", text, 1, true)
    end)
  end)

  it("is equal to another with the same bytes", function()
    assert.is_true(x509.certificate(c.der) == c)
    assert.is_true(x509.certificate(c.pem) == c)
    assert.is_false(ca.certificate == c)
    assert.equal(c.der, x509.certificate(c.pem).der)
  end)

  it("can be closed", function()
    local d = x509.certificate(c.der)
    do local _ <close> = d end
    assert.error_matches(function() return d.subject end, "property 'subject' of an akushu.Certificate that was closed")
    assert.equal("akushu.Certificate (closed)", tostring(d))
    assert.has_error(function() d:matches "x" end)
  end)

  it("checks signatures without saying anything about trust", function()
    assert.is_true(c:signed_by(ca.certificate))
    fails("certificate_signature", c:signed_by(c))
    local signature = key:sign("ecdsa_secp256r1_sha256", "data")
    assert.is_true(c:verify("ecdsa_secp256r1_sha256", "data", signature))
    fails("bad_signature", c:verify("ecdsa_secp256r1_sha256", "date", signature))
    assert.error_matches(function() c:verify("rsa_pkcs1_sha256", "data", signature) end, "does not fit")
  end)

  it("of every kind of key and hash is read, and its signature holds", function()
    local rsa = x509.private_key.generate "rsa:2048"
    for _, row in ipairs {
      { "ec:secp256r1", "ec", 256, "ecdsa-with-SHA256" }, { "ec:secp384r1", "ec", 384, "ecdsa-with-SHA384" },
      { "ec:secp521r1", "ec", 521, "ecdsa-with-SHA512" }, { "ed25519", "ed25519", nil, "Ed25519" }, { "ed448", "ed448", nil, "Ed448" },
      { "rsa-pss:2048", "rsa_pss", 2048, "rsassaPss" }, { rsa, "rsa", 2048, "sha256WithRSAEncryption" },
      { rsa, "rsa", 2048, "sha384WithRSAEncryption", hash = "sha384" }, { rsa, "rsa", 2048, "sha512WithRSAEncryption", hash = "sha512" },
      { rsa, "rsa", 2048, "sha1WithRSAEncryption", hash = "sha1" }, { rsa, "rsa", 2048, "rsassaPss", scheme = "rsa_pss_rsae_sha256" },
      { rsa, "rsa", 2048, "rsassaPss", scheme = "rsa_pss_rsae_sha512" },
      { "ec:secp256r1", "ec", 256, "ecdsa-with-SHA512", hash = "sha512" },
    } do
      local one = testca.new { name = "kind", key = row[1], hash = row.hash, scheme = row.scheme }.certificate
      assert.equal(row[2], one.key_type)
      if row[3] then assert.equal(row[3], one.key_bits) end
      assert.equal(row[4], one.signature_algorithm)
      assert.is_true(one:signed_by(one), row[4])
    end
  end)

  it("signed with RSASSA-PSS may have a salt of any length", function()
    local function made(salt)
      local pipe = assert(io.popen("openssl req -x509 -newkey rsa:2048 -nodes -keyout /dev/null -sha256 -subj /CN=pss -days 2"
        .. " -sigopt rsa_padding_mode:pss -sigopt rsa_pss_saltlen:" .. salt .. " 2>/dev/null"))
      local one = x509.certificate(pipe:read "a")
      pipe:close()
      assert.equal("rsassaPss", one.signature_algorithm)
      return one
    end
    for _, salt in ipairs { -2, -1, 0, 20, 100 } do -- -2, the longest that fits, is what the command takes unless told otherwise
      local one = made(salt)
      assert.is_true(one:signed_by(one), salt)
    end
    -- another length than the one that was signed with is a wrong signature
    local one, from, to = made(100), der.context(2, der.integer(100)), der.context(2, der.integer(101))
    local other, n = one.der:gsub(from:gsub("%p", "%%%0"), to)
    assert.equal(2, n)
    fails("certificate_signature", x509.certificate(other):signed_by(one))
  end)

  it("of a CA whose RSASSA-PSS key is for one hash is signed with that one (RFC 4055 §3.3)", function()
    local pss = x509.private_key.generate "rsa-pss:2048"
    local _, inside = der.read(pss.spki)
    local _, _, _, at = der.read(inside)
    local function holds(hash, mgf1, salt) -- of a signature with SHA-256 and a salt of 32 bytes
      local function algorithm(id) return der.sequence(der.oid("2.16.840.1.101.3.4.2." .. id), der.null()) end
      local restrictions = der.sequence(der.context(0, algorithm(hash)), der.context(1, der.sequence(der.oid "1.2.840.113549.1.1.8", algorithm(mgf1))),
        der.context(2, der.integer(salt)))
      local top = testca.new { key = pss, spki = der.sequence(der.sequence(der.oid "1.2.840.113549.1.1.10", restrictions), inside:sub(at)) }
      return top:trust():verify(top:issue({ names = { "a" }, key = key }).chain).verdict
    end
    assert.equal("ok", holds(1, 1, 32))
    assert.equal("ok", holds(1, 1, 20)) -- the least that it may be
    for _, other in ipairs { { 1, 1, 33 }, { 2, 2, 20 }, { 4, 4, 20 }, { 1, 2, 20 } } do -- 4 is SHA-224, which nothing here is signed with
      assert.equal("certificate_signature", holds(table.unpack(other)))
    end
  end)

  it("names of all string types are compared as RFC 5280 §7.1 says", function()
    -- the CA's name written in other ways must still find it
    local function name(tag, value) return der.sequence(der.set(der.sequence(der.oid "2.5.4.3", der.tlv(tag, value)))) end
    local root = testca.new { name = name(0x0c, "Some  Root") }
    local trust = root:trust()
    local function verdict(issuer) return trust:verify(root:issue { names = { "a" }, key = key, issuer_name = issuer }.chain).verdict end
    assert.equal("ok", verdict(name(0x0c, "Some  Root")))
    assert.equal("ok", verdict(name(0x13, "SOME ROOT")))
    assert.equal("ok", verdict(name(0x13, "  some \t root ")))
    assert.equal("ok", verdict(name(0x1e, "\0S\0o\0m\0e\0 \0R\0o\0o\0t")))
    assert.equal("unknown_ca", verdict(name(0x0c, "SomeRoot")))
    assert.equal("unknown_ca", verdict(name(0x0c, "\xe0\x81\x93ome Root"))) -- no UTF-8, though it could be read as "S" (RFC 3629 §3)
    assert.equal("unknown_ca", verdict(name(0x0c, "Some Root 2")))
    assert.equal("unknown_ca", verdict(der.sequence()))
    assert.equal("unknown_ca", verdict(der.sequence(der.set(der.sequence(der.oid "2.5.4.10", der.utf8 "Some Root")))))
  end)

  it("shows names without letting them touch the terminal", function()
    local function subject(tag, value)
      local name = der.sequence(der.set(der.sequence(der.oid "2.5.4.3", der.tlv(tag, value))))
      return ca:issue { name = name, names = { "a" }, key = key }.certificate.subject
    end
    assert.equal("CN=a\\1Bb", subject(0x0c, "a\27b"))
    assert.equal("CN=bücher", subject(0x0c, "bücher"))
    assert.equal("CN=b\\FFcher", subject(0x0c, "b\xffcher"))
    assert.equal("CN=\\E0\\81\\81\\ED\\A0\\80", subject(0x0c, "\xe0\x81\x81\xed\xa0\x80")) -- "A", longer than it has to be, and half a pair
    assert.equal("CN=bücher", subject(0x14, "b\xfccher")) -- TeletexString, taken for Latin-1 as everybody does
    assert.equal("CN=\\E2\\80\\AEevil", subject(0x0c, "\u{202e}evil"))
    assert.equal("CN=\\#x\\ ", subject(0x0c, "#x "))
    assert.equal("CN=#ff00", subject(0x04, "\xff\0"))
    assert.equal("CN=\\00", subject(0x0c, "\0"))
    assert.equal("CN=日本", subject(0x1e, "\x65\xe5\x67\x2c"))
  end)
end)

describe("bytes that are no certificate", function()
  it("every prefix is refused", function()
    for n = 0, #c.der - 1 do
      local value, _, failure = x509.certificate(c.der:sub(1, n))
      assert.is_nil(value)
      assert.is_truthy(failure.code == "undecodable_certificate" or failure.code == "bad_certificate")
    end
    fails("undecodable_certificate", x509.certificate(c.der .. "\0"))
    fails("undecodable_certificate", x509.certificate "")
    fails("undecodable_certificate", x509.certificate "garbage")
  end)

  it("what lies within has the form that RFC 5280 §4.1 gives it", function()
    local _, inside = der.read(c.der)
    local _, _, tbs, at = der.read(inside)
    local rest = inside:sub(at)
    local _, fields = der.read(tbs)
    local parts, pos = {}, 1
    while pos <= #fields do
      local _, _, whole, after = der.read(fields, pos)
      parts[#parts + 1], pos = whole, after
    end
    assert.equal(8, #parts) -- version serial algorithm issuer validity subject spki extensions
    local function with(i, bytes)
      local copy = table.move(parts, 1, #parts, 1, {})
      copy[i] = bytes
      return x509.certificate(der.sequence(der.sequence(table.concat(copy)), rest))
    end
    assert.is_truthy(with(1, parts[1]))
    for _, row in ipairs {
      { 1, der.context(0, der.integer(3)), "version" }, { 1, der.context(0, der.integer(-1)), "version" },
      { 1, der.context(0, der.integer(2), "\0\0"), "version" }, { 1, "", "not of version 3" },
      { 1, der.context(0, der.integer(1)), "version 3" },
      { 2, "", "serial" }, { 2, der.tlv(2), "serial" }, { 2, der.tlv(2, "\0\1"), "serial" }, { 2, der.octets "1", "serial" },
      { 3, der.oid "1.2.3", "signature" }, { 4, der.set(), "issuer" }, { 4, der.sequence(der.set()), "issuer" },
      { 4, der.sequence(der.sequence(der.set(der.sequence(der.oid "2.5.4.3", der.utf8 "x")))), "issuer" },
      { 4, der.sequence(der.set(der.sequence(der.oid "2.5.4.3"))), "issuer" },
      { 4, der.sequence(der.set(der.sequence(der.oid "2.5.4.3", der.utf8 "x", der.null()))), "issuer" },
      { 5, der.sequence(der.time(0)), "validity" }, { 5, der.sequence(der.time(0), der.time(0), der.time(0)), "validity" },
      { 5, der.sequence(der.tlv(0x17, "700101000000"), der.time(0)), "validity" },
      { 5, der.sequence(der.tlv(0x17, "7001010000Z"), der.time(0)), "validity" },
      { 5, der.sequence(der.tlv(0x17, "701301000000Z"), der.time(0)), "validity" },
      { 5, der.sequence(der.tlv(0x17, "700230000000Z"), der.time(0)), "validity" },
      { 5, der.sequence(der.tlv(0x17, "700101240000Z"), der.time(0)), "validity" },
      { 5, der.sequence(der.tlv(0x17, "700101000060Z"), der.time(0)), "validity" },
      { 5, der.sequence(der.tlv(0x17, "700101000000+0000"), der.time(0)), "validity" },
      { 5, der.sequence(der.tlv(0x17, "7001010000 0Z"), der.time(0)), "validity" },
      { 5, der.sequence(der.tlv(0x18, "700101000000Z"), der.time(0)), "validity" },
      { 5, der.sequence(der.tlv(0x18, "19700101000000.0Z"), der.time(0)), "validity" },
      { 5, der.sequence(der.octets "700101000000Z", der.time(0)), "validity" },
      { 6, der.sequence(der.null()), "subject" }, { 7, der.sequence(), "public key" },
      { 7, der.sequence(der.sequence(), der.tlv(3, "\1\2")), "public key" },
      { 8, der.context(3), "extensions" }, { 8, der.context(3, der.sequence()), "extensions" },
      { 8, der.context(3, der.sequence(der.sequence(der.oid "1.2.3"))), "extensions" },
      { 8, der.context(3, der.sequence(der.sequence(der.oid "1.2.3", der.octets ""), der.null())), "extensions" },
      { 8, der.context(3, der.sequence(der.sequence(der.oid "1.2.3", der.tlv(1, "\1"), der.octets ""))), "extensions" },
      { 8, der.context(3, der.sequence(der.sequence(der.oid "1.2.3", der.octets "", der.null()))), "extensions" },
      { 8, der.context(4), "left over" }, { 8, parts[8] .. der.null(), "left over" },
      { 8, der.primitive(1, "") .. parts[8], "unique identifier" }, { 8, der.primitive(1, "\8\1") .. parts[8], "unique identifier" },
      -- object identifiers that do not end, or are longer than they have to be
      { 4, der.sequence(der.set(der.sequence(der.tlv(6, "\x55\x84"), der.utf8 "x"))), "issuer" },
      { 6, der.sequence(der.set(der.sequence(der.tlv(6, "\x55\x80\4\3"), der.utf8 "x"))), "subject" },
      { 8, der.context(3, der.sequence(der.sequence(der.tlv(6, "\x80\1"), der.octets ""))), "extensions" },
      { 8, der.context(3, der.sequence(der.sequence(der.tlv(6, "\x2a\x83"), der.octets ""))), "extensions" },
    } do
      local message = fails("bad_certificate", with(row[1], row[2]))
      assert.matches(row[3], message, 1, true)
    end
    for _, good in ipairs { { 5, der.sequence(der.tlv(0x17, "000229235959Z"), der.time(4102444800)) },
      { 8, "" }, { 1, der.context(0, der.integer(2)) }, { 8, der.primitive(1, "\0\1") .. der.primitive(2, "\0\2") .. parts[8] } } do
      assert.is_truthy(with(good[1], good[2]))
    end
  end)

  it("a known extension that cannot be read is said, and the rest stays readable", function()
    for _, row in ipairs {
      { "basicConstraints", der.sequence(der.tlv(1, "\1")) }, { "basicConstraints", der.sequence(der.boolean(true), der.integer(-1)) },
      { "basicConstraints", der.sequence(der.boolean(true), der.integer(1), der.null()) }, { "basicConstraints", "" },
      { "keyUsage", der.octets "\1" }, { "keyUsage", der.tlv(3, "\1\xff") }, { "keyUsage", der.tlv(3, "") },
      { "keyUsage", der.tlv(3, "\8\0") },
      { "extKeyUsage", der.sequence() }, { "extKeyUsage", der.sequence(der.null()) }, { "subjectAltName", der.sequence() },
      { "subjectAltName", der.sequence(der.utf8 "x") }, { "subjectAltName", der.sequence(der.primitive(7, "123")) },
      { "subjectAltName", der.sequence(der.context(4, der.null())) }, { "subjectAltName", der.sequence(der.primitive(2, "a")) .. "\0" },
      { "subjectAltName", der.sequence(der.primitive(9, "a")) }, { "nameConstraints", der.sequence() },
      { "nameConstraints", der.sequence(der.context(0)) },
      { "nameConstraints", der.sequence(der.context(0, der.sequence(der.primitive(7, "1234")))) },
      { "nameConstraints", der.sequence(der.context(0, der.sequence(der.primitive(7, "1234\xff\0\xff\0")))) },
      { "nameConstraints", der.sequence(der.context(0, der.sequence(der.primitive(2, "a"), der.primitive(0, "\1")))) },
      { "nameConstraints", der.sequence(der.context(0, der.sequence(der.primitive(2, "a"), der.primitive(1, "\1")))) },
      { "certificatePolicies", der.sequence() },
      { "certificatePolicies", der.sequence(der.sequence(der.oid "1.2.3"), der.sequence(der.oid "1.2.3")) },
      { "policyMappings", der.sequence(der.sequence(der.oid "1.2.3")) }, { "policyConstraints", der.sequence() },
      { "policyConstraints", der.sequence(der.primitive(0, "")) }, { "policyConstraints", der.sequence(der.primitive(0, "\xff")) },
      { "inhibitAnyPolicy", der.octets "\0" }, { "inhibitAnyPolicy", der.integer(-1) },
      { "cRLDistributionPoints", der.sequence(der.null()) }, { "cRLDistributionPoints", der.sequence(der.sequence()) },
      { "cRLDistributionPoints", der.sequence(der.sequence(der.primitive(1, "\5\x60"))) },
      { "cRLDistributionPoints", der.sequence(der.sequence(der.context(0))) }, { "cRLDistributionPoints", der.sequence(der.sequence(der.context(0, der.context(0)))) },
      { "cRLDistributionPoints", der.sequence(der.sequence(der.context(0, der.context(1, der.utf8 "x")))) },
      { "cRLDistributionPoints", der.sequence(der.sequence(der.context(0, der.context(1)))) },
      { "subjectAltName", der.sequence(der.context(0, der.oid "1.2.3")) }, { "subjectAltName", der.sequence(der.context(0, der.oid "1.2.3", der.utf8 "x")) },
      { "cRLDistributionPoints", der.sequence(der.sequence(der.context(0, der.context(0, der.primitive(6, "http://x/"))), der.primitive(1, "\7\xff"))) },
      { "extKeyUsage", der.sequence(der.oid "1.3.6.1.5.5.7.3.1", der.tlv(6, "\x2a\x83")) }, { "extKeyUsage", der.sequence(der.tlv(6)) },
      { "certificatePolicies", der.sequence(der.sequence(der.tlv(6, "\x2a\x80\1"))) }, { "subjectAltName", der.sequence(der.primitive(8, "\x80\1")) },
      { "basicConstraints", der.sequence(der.boolean(true), der.tlv(2, "\0\0")) },
      { "authorityInfoAccess", der.sequence(der.sequence(der.oid "1.2.3")) }, { "authorityKeyIdentifier", der.null() },
      { "authorityKeyIdentifier", der.sequence(der.context(1)) }, { "subjectKeyIdentifier", der.null() }, { "tlsFeature", der.sequence() },
      { "signedCertificateTimestamps", der.null() },
    } do
      local bad = ca:issue { names = { "a.example" }, key = key, extensions = { { oid = row[1], value = row[2] } } }
      assert.equal(row[1], bad.certificate.malformed, row[1])
      assert.equal("CN=a.example", bad.certificate.subject)
      touch(bad.certificate)
      local report = ca:trust():verify(bad.chain)
      assert.equal("bad_certificate", report.verdict)
      assert.matches(row[1], report.text, 1, true)
    end
    for _, row in ipairs {
      { "cRLDistributionPoints", der.sequence(der.sequence(der.context(0, der.context(1, der.sequence(der.oid "2.5.4.3", der.utf8 "x"))))) },
      { "subjectAltName", der.sequence(der.primitive(2, "a.example"), der.context(0, der.oid "1.2.3", der.context(0, der.utf8 "x"))) },
    } do
      assert.is_nil(ca:issue({ names = { "a.example" }, key = key, extensions = { { oid = row[1], value = row[2] } } }).certificate.malformed)
    end
    local twice = ca:issue { names = { "a" }, key = key, extensions = { { oid = "1.2.3", value = "" }, { oid = "1.2.3", value = "" } } }
    assert.equal("an extension appears twice", twice.certificate.malformed)
    assert.equal("bad_certificate", ca:trust():verify(twice.chain).verdict)
    local many = {}
    for i = 1, 65 do many[i] = { oid = "1.2.3." .. i, value = "" } end
    assert.error_matches(function() ca:issue { names = { "a" }, key = key, extensions = many }.certificate:matches "a" end, "")
  end)

  it("mutations of certificates crash nothing, and never verify", function()
    math.randomseed(5280)
    local trust, verified, parsed = ca:trust(), 0, 0
    local seeds = { c.der, ca.certificate.der }
    for i = 1, 20000 do
      local s = seeds[i % #seeds + 1]
      for _ = 1, math.random(3) do
        local at = math.random(#s)
        local kind = math.random(4)
        if kind == 1 then s = s:sub(1, at - 1) .. string.char(math.random(0, 255)) .. s:sub(at + 1)
        elseif kind == 2 then s = s:sub(1, at - 1) .. s:sub(at + math.random(4))
        elseif kind == 3 then s = s:sub(1, at) .. string.char(math.random(0, 255)) .. s:sub(at + 1)
        else s = s:sub(1, at - 1) .. string.char(s:byte(at) ~ 1 << math.random(0, 7)) .. s:sub(at + 1) end
        if s == "" then break end
      end
      local m = x509.certificate(s)
      if m then
        parsed = parsed + 1
        touch(m)
        if i % 4 == 0 then
          local report = trust:verify({ m, ca.certificate }, { time = 1800000000 })
          assert.is_string(report.text)
          if report.ok and m ~= c and m ~= ca.certificate then verified = verified + 1 end
        end
      end
    end
    assert.equal(0, verified)
    assert.is_true(parsed > 1000)
  end)
end)

describe("PEM", function()
  local pem = c.pem
  it("is written in lines of 64", function()
    assert.matches("^%-%-%-%-%-BEGIN CERTIFICATE%-%-%-%-%-\n", pem)
    assert.matches("\n%-%-%-%-%-END CERTIFICATE%-%-%-%-%-\n$", pem)
    for line in pem:gmatch "[^\n]+" do assert.is_true(#line <= 64) end
    for n = 0, 200 do
      local s = ("x"):rep(n)
      local text = testca.pem("CERTIFICATE", der.octets(s))
      local _, message = x509.certificate(text)
      assert.is_not.matches("damaged", message)
    end
  end)

  it("is read with text around it, other line ends and several blocks", function()
    local two = "comment\n" .. pem .. "subject=/CN=x\n\n" .. ca:pem()
    assert.equal(2, #x509.certificates(two))
    assert.is_true(x509.certificates(two)[2] == ca.certificate)
    assert.is_true(x509.certificate(two) == c)
    assert.is_true(x509.certificate((pem:gsub("\n", "\r\n"))) == c)
    assert.is_true(x509.certificate((pem:gsub("\n$", ""))) == c)
    assert.is_true(x509.certificate((pem:gsub("(%-%-%-%-%-\n)(.-)(\n%-%-)", function(a, b, d) return a .. b:gsub("\n", "") .. d end))) == c)
    assert.equal(1, #x509.certificates(key:reveal "pem" .. pem))
    assert.equal(2, #x509.certificates { c, ca:pem() })
    assert.equal(2, #x509.certificates { c.der, ca.certificate.der })
  end)

  it("may be indented, and its lines may end with CR alone", function()
    local secret = key:reveal "pem"
    for _, form in ipairs { { "\n", "\n\t  " }, { "\n", "\r" }, { "\n", " \r\n   " } } do
      local function as(text) return "  " .. text:gsub(form[1], form[2]) end
      assert.is_true(x509.certificate(as(pem)) == c)
      assert.equal(1, #x509.trust.pem(as(pem)))
      assert.is_true(x509.private_key(as(secret)) == key)
      assert.is_truthy(x509.identity { chain = as(pem), key = as(secret) })
      assert.is_truthy(x509.identity { chain = as(pem .. secret) })
    end
    fails("undecodable_certificate", x509.certificate("x " .. pem))
  end)

  it("may have a byte order mark in front, and behind another text", function()
    local marked = "\xef\xbb\xbf" .. pem
    assert.is_true(x509.certificate(marked) == c)
    assert.equal(2, #x509.certificates(marked .. "\xef\xbb\xbf" .. ca:pem()))
    assert.equal(1, #x509.trust.pem(marked))
    assert.is_true(x509.private_key("\xef\xbb\xbf" .. key:reveal "pem") == key)
    fails("undecodable_certificate", x509.certificate("x\xef\xbb\xbf" .. pem))
  end)

  it("that is broken is refused", function()
    fails("bad_pem", x509.certificate(pem:sub(1, -12)))
    fails("bad_pem", x509.certificate(pem:gsub("END CERT", "END X")))
    fails("bad_pem", x509.certificate((pem:gsub("\nM", "\n*", 1))))
    fails("bad_pem", x509.certificate "-----BEGIN CERTIFICATE-----\nMA=A\n-----END CERTIFICATE-----\n")
    fails("bad_pem", x509.certificate "-----BEGIN CERTIFICATE-----\nMAB=\n-----END CERTIFICATE-----\n")
    fails("bad_pem", x509.certificate "-----BEGIN CERTIFICATE-----\nM\n-----END CERTIFICATE-----\n")
    fails("bad_pem", x509.certificate "-----BEGIN CERTIFICATE-----")
    fails("bad_pem", x509.certificate "-----BEGIN ")
    fails("bad_pem", x509.certificate(key:reveal "pem"))
    fails("undecodable_certificate", x509.certificate "-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n")
    for n = 1, #pem - 2 do assert.is_nil(x509.certificate(pem:sub(1, n))) end
  end)

  it("a million begin marks take no time", function()
    for _, line_end in ipairs { "\n", "\r" } do
      local s = ("-----BEGIN CERTIFICATE-----" .. line_end):rep(200000)
      checks.within(2, function()
        fails("bad_pem", x509.certificates(s))
        fails("bad_pem", x509.trust.pem(s))
      end)
    end
  end)
end)

describe("certificates of a file", function()
  it("are read like its content", function()
    with_file("some words before\n" .. c.pem .. ca:pem(), function(path)
      assert.is_true(assert(x509.certificate.file(path)) == c)
      local all = assert(x509.certificates.file(path))
      assert.equal(2, #all)
      assert.is_true(all[2] == ca.certificate)
    end)
    with_file(c.der, function(path) assert.equal(c.fingerprint, x509.certificate.file(path).fingerprint) end)
    with_file("nothing of the kind", function(path) assert.matches(path, fails("undecodable_certificate", x509.certificates.file(path)), 1, true) end)
    assert.matches("/nonexistent/a.pem", fails("file_unreadable", x509.certificate.file "/nonexistent/a.pem"), 1, true)
    assert.error_matches(function() x509.certificate.file() end, "certificate.file: a path expected, got nil")
    assert.error_matches(function() x509.certificates.file { "a.pem" } end, "certificates.file: a path expected, got table")
    assert.error_matches(function() x509.certificates() end, "#1")
  end)
end)

describe("private keys", function()
  it("say what they are, and give themselves away only when asked", function()
    assert.equal("ec", key.type)
    assert.equal(256, key.bits)
    assert.equal("secp256r1", key.group)
    assert.equal("akushu.PrivateKey (ec, 256 bits)", tostring(key))
    local again = x509.private_key(key:reveal "pem")
    assert.is_true(again == key)
    assert.is_true(x509.private_key(key:reveal "der") == key)
    assert.is_false(x509.private_key.generate() == key)
  end)

  it("are repeated in no message, where somebody gives one for something else", function()
    local own = ca:pem()
    for _, kind in ipairs { "ec:secp256r1", "ed25519" } do
      local secret = x509.private_key.generate(kind)
      local text = secret:reveal "pem"
      local base64 = text:gsub("%-%-%-%-%-[^\n]+\n", ""):gsub("\n", "")
      local bytes = secret:reveal "der"
      local forms = { text, base64, bytes, text:gsub("\n", "\\n"), text:sub(3), base64:sub(1, 64) .. "\n" .. base64:sub(65),
        (bytes:gsub(".", function(b) return ("%02x"):format(b:byte()) end)) }
      for i, form in ipairs(forms) do
        for name, given in pairs {
          private_key = function() return x509.private_key(form:sub(1, -12)) end,
          ["private_key.file"] = function() return x509.private_key.file(form) end,
          ["private_key.generate"] = function() return x509.private_key.generate(form) end,
          ["certificate.file"] = function() return x509.certificate.file(form) end,
          certificate = function() return x509.certificate(form) end,
          ["trust.file"] = function() return x509.trust.file(form) end,
          ["trust.dir"] = function() return x509.trust.dir(form) end,
          crls = function() return x509.trust { crls = { form } } end,
          chain = function() return x509.identity { chain = form } end,
          key = function() return x509.identity { chain = own, key = form } end,
          ["testca"] = function() return testca.new { key = form } end,
        } do
          local ok, result, message = pcall(given)
          assert.is_true(not ok or result == nil, name)
          message = tostring(ok and message or result)
          for at = 23, #base64 - 11 do -- in front of it stands what kind of key it is
            assert.is_nil(message:find(base64:sub(at, at + 11), 1, true), name .. " " .. i .. ": " .. message)
          end
          assert.is_nil(message:find(forms[7]:sub(73, 84), 1, true), name .. " " .. i .. ": " .. message)
        end
      end
    end
    local long = ("M"):rep(63)
    assert.matches(long, fails("file_unreadable", x509.private_key.file(long)), 1, true)
  end)

  it("are read encrypted, from files, and refused in words", function()
    local text = key:reveal "pem"
    with_file(text, function(path)
      assert.is_true(x509.private_key.file(path) == key)
      local pipe = io.popen("openssl pkcs8 -topk8 -in " .. path .. " -passout pass:secret 2>/dev/null")
      local encrypted = pipe:read "a"
      pipe:close()
      assert.is_true(x509.private_key(encrypted, "secret") == key)
      fails("bad_password", x509.private_key(encrypted))
      fails("bad_password", x509.private_key(encrypted, "wrong"))
    end)
    fails("bad_pem", x509.private_key(c.pem))
    local message = fails("file_unreadable", x509.private_key.file "/nonexistent/key.pem")
    assert.matches("/nonexistent/key.pem", message, 1, true)
    assert.error_matches(function() x509.private_key() end, "#1")
    assert.error_matches(function() x509.private_key("", {}) end, "#2")
    assert.has_error(function() x509.private_key("a\0b", "p\0q") end)
  end)

  it("can be closed", function()
    local k = x509.private_key.generate "ed25519"
    k:close()
    assert.error_matches(function() local x = k.type return x end, "property 'type' of an akushu.PrivateKey that was closed")
    assert.has_error(function() k:sign("ed25519", "x") end)
    assert.equal("akushu.PrivateKey (closed)", tostring(k))
  end)
end)

describe("an identity", function()
  it("is a chain and its key, from objects, PEM, or files", function()
    local i = x509.identity { chain = rich.chain, key = key }
    assert.equal(1, #i.chain)
    assert.is_true(i.certificate == c)
    assert.is_true(i.key == key)
    assert.matches("^akushu.Identity %(CN=rich.example", tostring(i))
    assert.is_truthy(x509.identity { chain = rich.pem_chain, key = rich.pem_key })
    assert.is_truthy(x509.identity { chain = rich.pem_chain .. rich.pem_key })
    assert.is_truthy(x509.identity { chain = c, key = key })
    assert.is_truthy(x509.identity { chain = c.der, key = key:reveal "der" })
    with_file(rich.pem_chain .. ca:pem(), function(chain)
      with_file(rich.pem_key, function(keyfile)
        assert.equal(2, #x509.identity { chain = chain, key = keyfile }.chain)
      end)
      local message = fails("bad_pem", x509.identity { chain = chain })
      assert.matches(chain, message, 1, true)
    end)
  end)

  it("says what is wrong", function()
    local other = x509.private_key.generate "ec:secp256r1"
    fails("key_mismatch", x509.identity { chain = c, key = other })
    local _, problem = x509.identity { chain = {}, key = key }
    assert.equal("a certificate is needed, and there is none: an identity needs at least one certificate", problem)
    assert.matches("not PEM either", fails("undecodable_certificate", x509.identity { chain = "", key = key }))
    fails("bad_pem", x509.identity { chain = rich.pem_key, key = key })
    local message = fails("file_unreadable", x509.identity { chain = "/nonexistent/chain.pem", key = key })
    assert.matches("/nonexistent/chain.pem", message, 1, true)
    assert.matches("no/key", fails("file_unreadable", x509.identity { chain = c, key = "/no/key" }), 1, true)
    assert.error_matches(function() x509.identity { chain = c, kye = key } end, "unknown option 'kye'")
    assert.error_matches(function() x509.identity { key = key } end, "'chain' is missing")
    assert.error_matches(function() x509.identity { chain = { c } } end, "'key' is missing")
    assert.error_matches(function() x509.identity { chain = 5, key = key } end, "'chain': a path, PEM, DER or Certificate expected, got number")
    assert.error_matches(function() x509.identity { chain = c, key = key, ocsp = 5 } end, "'ocsp': a string or an array of strings expected")
    assert.error_matches(function() x509.identity { chain = c, key = 5 } end, "PrivateKey expected")
    assert.error_matches(function() x509.identity "x" end, "table of options")
    local long = {}
    for n = 1, 65 do long[n] = c end
    fails("verify_budget", x509.identity { chain = long, key = key })
  end)

  it("carries a stapled response and SCTs", function()
    local list = "\0\5\0\3sct"
    local i = x509.identity { chain = c, key = key, ocsp = "\48\3\10\1\3", scts = list }
    assert.equal("\48\3\10\1\3", i.ocsp)
    assert.equal(list, i.scts)
    fails("bad_scts", x509.identity { chain = c, key = key, scts = "list" })
    assert.equal("\48\3\10\1\6", i:set_ocsp("\48\3\10\1\6").ocsp)
    assert.is_nil(i:set_ocsp(nil).ocsp)
  end)
end)

describe("a trust store", function()
  it("holds certificates from PEM, DER, objects and files, each once", function()
    local t = x509.trust { pem = ca:pem(), certificates = { ca.certificate, ca.certificate.der, c } }
    assert.equal(2, #t)
    assert.is_true(t:has(ca.certificate))
    assert.is_true(t:has(x509.certificate(c.der)))
    assert.is_true(t:add(testca.new {}.certificate) == t)
    assert.equal(3, #t)
    assert.equal(3, #t.certificates)
    assert.equal(0, #x509.trust {})
    with_file(ca:pem() .. c.pem, function(path)
      local from = x509.trust.file(path)
      assert.equal(2, #from)
      assert.same({ path }, from.sources)
      assert.same({ path }, x509.trust { file = { path } }.sources)
      assert.equal("akushu.TrustStore (2 certificates, " .. path .. ")", tostring(from))
    end)
    with_file(ca.certificate.der, function(path) assert.equal(1, #x509.trust.file(path)) end)
  end)

  it("reads a directory, and leaves alone what is none of its business", function()
    local dir = os.tmpname()
    os.remove(dir)
    assert(os.execute("mkdir " .. dir))
    local function put(name, content)
      local f = assert(io.open(dir .. "/" .. name, "wb"))
      f:write(content)
      f:close()
    end
    put("a.pem", ca:pem())
    put("12345678.0", c.pem)
    put("readme.txt", testca.new {}:pem())
    put("broken.crt", "nothing")
    local t = x509.trust.dir(dir)
    assert.same({ dir, dir }, x509.trust({ dir = { dir, dir }, pem = ca:pem() }).sources) -- nothing new in it is not nothing
    local empty = x509.trust.dir(dir .. "/none")
    os.execute("rm -r " .. dir)
    assert.equal(2, #t)
    assert.same({ dir }, t.sources)
    assert.is_nil(empty)
  end)

  it("of the system says which file it read", function()
    local n, sources = roots.found ""
    assert.is_true(n > 50, n)
    assert.is_true(#sources > 0)
    local f = assert(io.open(sources[1], "rb")) -- a file, or the directory that SSL_CERT_DIR names
    local content = f:read "a"
    f:close()
    if content then assert.is_truthy(content:find("BEGIN CERTIFICATE", 1, true)) end
  end)

  it("of the system is read whole, and soon", function()
    local t = checks.within(2, roots.store) -- some 10 ms where this was written
    assert.equal((roots.found ""), #t)
    for _, one in ipairs(t.certificates) do
      assert.is_nil(one.malformed)
      assert.is_true(t:has(one))
      touch(one)
    end
  end)

  it("of the system heeds SSL_CERT_FILE and SSL_CERT_DIR", function()
    with_file(ca:pem(), function(path)
      local function found(variables) return { roots.found(variables) } end
      assert.same({ 1, { path } }, found("SSL_CERT_FILE=" .. path))
      local dir = path .. ".d"
      assert(os.execute("mkdir " .. dir .. " && cp " .. path .. " " .. dir .. "/ca.pem"))
      local one, list = found("SSL_CERT_DIR=" .. dir), found("SSL_CERT_DIR=/nonexistent::" .. dir)
      os.execute("rm -r " .. dir)
      assert.same({ 1, { dir } }, one)
      assert.same({ 1, { dir } }, list)
    end)
  end)

  it("says what is wrong", function()
    local message = fails("file_unreadable", x509.trust.file "/nonexistent/ca.pem")
    assert.matches("/nonexistent/ca.pem", message, 1, true)
    fails("file_unreadable", x509.trust.dir "/nonexistent")
    fails("bad_pem", x509.trust.pem "nothing")
    fails("bad_pem", x509.trust.pem(key:reveal "pem"))
    fails("bad_pem", x509.trust.pem "-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n")
    fails("bad_crl", x509.trust { crls = { "0\0" } })
    with_file("nothing", function(path) assert.matches(path, fails("bad_pem", x509.trust.file(path)), 1, true) end)
    assert.error_matches(function() x509.trust { files = "x" } end, "unknown option 'files'")
    assert.error_matches(function() x509.trust { file = 5 } end, "'file'")
    assert.error_matches(function() x509.trust { pem = { 5 } } end, "'pem'")
    assert.error_matches(function() x509.trust { certificates = { 5 } } end, "'certificates': PEM, DER or Certificate expected")
    assert.error_matches(function() x509.trust { partial_chain = 1 } end, "'partial_chain'")
    assert.error_matches(function() x509.trust "x" end, "table of options")
    assert.has_error(function() x509.trust.file "a\0b" end)
  end)

  it("leaves out a broken certificate of a bundle and keeps the others", function()
    local text = ca:pem() .. "-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n" .. c.pem
    assert.equal(2, #x509.trust.pem(text))
  end)

  it("takes OpenSSL's trusted certificates", function()
    local text = testca.pem("TRUSTED CERTIFICATE", ca.certificate.der .. der.sequence())
    assert.is_true(x509.trust.pem(text):has(ca.certificate))
  end)

  it("gives their certificates without the settings", function()
    local text = testca.pem("TRUSTED CERTIFICATE", ca.certificate.der .. der.sequence()) .. c.pem
    assert.is_true(assert(x509.certificate(text)) == ca.certificate)
    local all = assert(x509.certificates(text))
    assert.equal(2, #all)
    assert.equal(ca.certificate.der, all[1].der)
    assert.is_true(all[2] == c)
    fails("undecodable_certificate", x509.certificate(testca.pem("TRUSTED CERTIFICATE", "\48\9")))
  end)

  it("finds anchors among many of the same name", function()
    local t, tops = x509.trust {}, {}
    for i = 1, 40 do
      tops[i] = testca.new { name = i % 2 == 0 and "same" or "root " .. i, key = key, serial = i }
      t:add(tops[i].certificate)
    end
    assert.equal(40, #t)
    for _, root in ipairs(tops) do assert.is_true(t:has(root.certificate)) end
  end)

  it("can be closed", function()
    local t = x509.trust { certificates = { ca.certificate } }
    t:close()
    assert.equal("akushu.TrustStore (closed)", tostring(t))
    assert.has_error(function() return #t end)
    assert.error_matches(function() return t.sources end, "property 'sources' of an akushu.TrustStore that was closed")
  end)
end)
