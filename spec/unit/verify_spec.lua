-- Verification: every way in which a chain can be wrong has its own code; and what is right passes.
local x509 = require("akushu.core").x509
local checks = require "spec.support.checks"
local der = require "akushu.der"
local testca = require "akushu.testca"
local merged = require "spec.support.merge"

local DAY = 86400
local NOW = 1800000000

-- Keys are made once: certificates cost nothing then.
local keys = {}
for i = 1, 8 do keys[i] = x509.private_key.generate "ec:secp256r1" end

local period = { not_before = NOW - 100 * DAY, not_after = NOW + 200 * DAY }
local function root(o) return testca.new(merged(merged(period, { name = "Root", key = keys[1] }), o)) end
local function inter(ca, o) return ca:intermediate(merged(merged(period, { name = "Intermediate", key = keys[2] }), o)) end
local function leaf(ca, o) return ca:issue(merged(merged(period, { names = { "a.example" }, key = keys[3] }), o)) end

local ca = root()
local sub = inter(ca)
local good = leaf(sub)
local trust = ca:trust()

local function verify(chain, o, t) return (t or trust):verify(chain.chain or chain, merged({ time = NOW, host = "a.example" }, o)) end

-- Checks the verdict and, with it, that the report is whole.
local function is(code, report)
  assert.equal(code, report.verdict, report.text)
  assert.equal(code == "ok", report.ok)
  assert.equal(tostring(report), report.text)
  if code == "ok" then
    assert.same({}, report.reasons)
    assert.is_true(report.anchored)
  else
    assert.equal(code, report.reasons[1].code)
    assert.matches("(" .. code .. ")", report.text, 1, true)
    for _, r in ipairs(report.reasons) do
      assert.is_string(r.text)
      assert.is_true(#r.text > 5)
      if r.certificate then
        assert.equal(r.certificate.subject, r.subject)
        assert.equal(r.certificate.serial, r.serial)
        assert.is_true(report.chain[r.depth + 1] == r.certificate, r.code)
      end
    end
  end
  return report
end

local function reasons(report)
  local out = {}
  for i, r in ipairs(report.reasons) do out[i] = r.code .. "@" .. (r.depth or "-") end
  return table.concat(out, " ")
end

local function warns(report, code)
  for _, w in ipairs(report.warnings) do if w.code == code then return w end end
end

describe("a good chain", function()
  it("is accepted, and the report says how", function()
    local r = is("ok", verify(good))
    assert.equal(3, #r.chain)
    assert.is_true(r.chain[1] == good.certificate)
    assert.is_true(r.chain[3] == ca.certificate)
    assert.equal("a.example", r.host)
    assert.equal(NOW, r.time)
    assert.equal("server", r.purpose)
    assert.equal(2, r.signatures)
    assert.equal(1, r.anchors)
    assert.matches('"Root" vouches for it through "Intermediate"', r.text, 1, true)
  end)

  it("in any order, with certificates that do not belong to it, and with the root or without", function()
    local other = inter(ca, { name = "Other", key = keys[4] })
    for _, chain in ipairs {
      { good.certificate, sub.certificate, ca.certificate }, { good.certificate, ca.certificate, sub.certificate },
      { good.certificate, other.certificate, sub.certificate }, { good.certificate, sub.certificate, sub.certificate },
      { good.certificate, good.certificate, sub.certificate },
    } do is("ok", verify(chain)) end
    is("unknown_ca", verify { good.certificate })
    is("ok", verify({ good.certificate }, { intermediates = { sub.certificate } }))
    is("ok", verify(good.certificate, { intermediates = sub.certificate.pem }))
  end)

  it("is taken as objects, DER, PEM, a bundle, or an identity", function()
    is("ok", verify { good.certificate.der, sub.certificate.pem })
    is("ok", trust:verify(good.pem_chain, { time = NOW, host = "a.example" }))
    is("ok", trust:verify(good.identity, { time = NOW, host = "a.example" }))
  end)

  it("of every kind of key, mixed", function()
    local rsa = x509.private_key.generate "rsa:2048"
    local kinds = { rsa, "ec:secp384r1", "ed25519", "rsa-pss:2048", "ec:secp521r1", "ed448" }
    for i, kind in ipairs(kinds) do
      local top = root { key = kind }
      local mid = inter(top, { key = kinds[i % #kinds + 1] })
      is("ok", verify(leaf(mid, { key = "ec:secp256r1" }), nil, top:trust()))
    end
    is("ok", verify(leaf(root { key = rsa, scheme = "rsa_pss_rsae_sha384" }, { scheme = "rsa_pss_rsae_sha256" }), nil,
      root({ key = rsa }):trust()))
  end)

  it("may end at a trusted end entity that is self-signed", function()
    local one = testca.self_signed(merged(period, { names = { "a.example" }, key = keys[5] }))
    is("self_signed", verify(one))
    local r = is("ok", verify(one, nil, x509.trust { certificates = { one.certificate } }))
    assert.equal(0, r.signatures)
    assert.matches("itself trusted", r.text)
    is("host_mismatch", verify(one, { host = "b.example" }, x509.trust { certificates = { one.certificate } }))
  end)

  it("may end at an intermediate only when partial chains are wanted", function()
    local all = { certificates = { sub.certificate } }
    is("unknown_ca", verify(good, nil, x509.trust(all)))
    local r = is("ok", verify(good, nil, x509.trust(merged(all, { partial_chain = true }))))
    assert.equal(2, #r.chain)
    is("unknown_ca", verify({ good.certificate }, nil, x509.trust { certificates = { good.certificate } }))
    is("ok", verify({ good.certificate }, nil, x509.trust { certificates = { good.certificate }, partial_chain = true }))
    -- without, it still helps to build
    is("ok", verify({ good.certificate }, nil, x509.trust { certificates = { sub.certificate, ca.certificate } }))
  end)

  it("may come from an old root without extensions", function()
    local old = root { version = 1 }
    is("ok", verify(leaf(old), nil, old:trust()))
    is("ok", verify(leaf(inter(old)), nil, old:trust()))
    is("not_a_ca", verify(leaf(inter(ca, { version = 1 }))))
  end)
end)

describe("what is wrong with one certificate", function()
  it("time: before, after, and both ends inclusive", function()
    is("certificate_expired", verify(good, { time = period.not_after + 1 }))
    is("certificate_not_yet_valid", verify(good, { time = period.not_before - 1 }))
    is("ok", verify(good, { time = period.not_after }))
    is("ok", verify(good, { time = period.not_before }))
    assert.equal("certificate_expired@0", reasons(verify(leaf(sub, { not_after = NOW - 1 }))))
    assert.equal("certificate_expired@1", reasons(verify(leaf(inter(ca, { not_after = NOW - 1 })))))
    local old = root { not_after = NOW - 1 }
    assert.equal("certificate_expired@1", reasons(verify(leaf(old), nil, old:trust())))
    assert.equal("certificate_not_yet_valid@1", reasons(verify(leaf(inter(ca, { not_before = NOW + 1 })))))
  end)

  it("host: another one, none, or no host at all", function()
    is("host_mismatch", verify(good, { host = "b.example" }))
    is("bad_host_name", verify(good, { host = "" }))
    is("bad_host_name", verify(good, { host = "*.example" }))
    is("ok", trust:verify(good.chain, { time = NOW }))
    assert.is_nil(trust:verify(good.chain, { time = NOW }).host)
  end)

  it("purpose", function()
    is("ok", verify(good, { purpose = "client" }))
    is("wrong_purpose", verify(leaf(sub, { purpose = "client" })))
    is("ok", verify(leaf(sub, { purpose = "client" }), { purpose = "client" }))
    is("wrong_purpose", verify(leaf(sub, { purpose = "server" }), { purpose = "client" }))
    is("ok", verify(leaf(sub, { purpose = false })))
    is("wrong_purpose", verify(leaf(sub, { purpose = { "any" } }))) -- an end entity must say it
    is("wrong_purpose", verify(leaf(sub, { purpose = { "codeSigning", "emailProtection" } })))
    assert.equal("wrong_purpose@1", reasons(verify(leaf(inter(ca, { purpose = "client" })))))
    is("ok", verify(leaf(inter(ca, { purpose = { "any" } }))))
    is("ok", verify(leaf(inter(ca, { purpose = "server" }))))
    is("wrong_purpose", verify(leaf(inter(ca, { purpose = "server" })), { purpose = "client" }))
    is("wrong_purpose", verify(leaf(sub, { key_usage = { "keyCertSign" }, is_ca = true })))
    is("wrong_purpose", verify(leaf(sub, { key_usage = { "keyEncipherment" } }), { purpose = "client" }))
    is("ok", verify(leaf(sub, { key_usage = { "keyEncipherment" } })))
    is("ok", verify(leaf(sub, { key_usage = false })))
    local client_root = root { purpose = "client" }
    is("wrong_purpose", verify(leaf(client_root), nil, client_root:trust()))
  end)

  it("signature: changed, of another key, unknown, or said twice differently", function()
    assert.equal("certificate_signature@0", reasons(verify(leaf(sub, { tamper = true }))))
    assert.equal("certificate_signature@1", reasons(verify(leaf(inter(ca, { tamper = true })))))
    is("certificate_signature", verify(leaf(sub, { outer_algorithm = der.sequence(der.oid "1.2.840.10045.4.3.3") })))
    is("unsupported_certificate", verify(leaf(sub, { inner_algorithm = der.sequence(der.oid "1.2.3.4"),
      outer_algorithm = der.sequence(der.oid "1.2.3.4") })))
    local null = der.sequence(der.oid "1.2.840.10045.4.3.2", der.null())
    is("unsupported_certificate", verify(leaf(sub, { inner_algorithm = null, outer_algorithm = null })))
    is("certificate_signature", verify(leaf(sub, { signature = "" })))
    is("certificate_signature", verify(leaf(sub, { signature = ("\0"):rep(72) })))
    local ed = der.sequence(der.oid "1.3.101.112")
    is("certificate_signature", verify(leaf(sub, { inner_algorithm = ed, outer_algorithm = ed, signature = ("\0"):rep(64) })))
  end)

  it("strength: SHA-1, MD5 and short keys at the level that forbids them", function()
    local rsa, short = x509.private_key.generate "rsa:2048", x509.private_key.generate "rsa:1024"
    local top = root { key = rsa }
    local weak = leaf(top, { hash = "sha1" })
    is("weak_signature", verify(weak, nil, top:trust()))
    is("weak_signature", verify(weak, { level = 1 }, top:trust()))
    local r = is("ok", verify(weak, { level = 0 }, top:trust()))
    assert.is_truthy(warns(r, "weak_signature"))
    local md5 = der.sequence(der.oid "1.2.840.113549.1.1.4", der.null())
    r = verify(leaf(top, { inner_algorithm = md5, outer_algorithm = md5 }), nil, top:trust())
    assert.is_truthy(reasons(r):find("weak_signature@0", 1, true))
    is("key_too_short", verify(leaf(top, { key = short }), nil, top:trust()))
    r = is("ok", verify(leaf(top, { key = short }), { level = 1 }, top:trust()))
    assert.is_truthy(warns(r, "short_key"))
    is("key_too_short", verify(leaf(top), { level = 3 }, top:trust())) -- RSA-2048 is worth 112 bits
    is("ok", verify(good, { level = 3 }))
    assert.is_truthy(reasons(verify(good, { level = 4 })):find("key_too_short@0", 1, true))
    local small_root = root { key = short }
    assert.equal("key_too_short@1", reasons(verify(leaf(small_root), nil, small_root:trust())))
    local old = root { key = rsa, hash = "sha1" }
    is("ok", verify(leaf(old, { hash = "sha256" }), nil, old:trust())) -- nobody looks at a root's own signature
    is("key_too_short", verify(leaf(top, { key = "rsa:1024", hash = "sha256" }), nil, top:trust()))
  end)

  it("critical extensions that are unknown, and precertificates", function()
    is("ok", verify(leaf(sub, { extensions = { { oid = "ocspNoCheck", critical = true, value = der.null() } } })))
    local r = is("unknown_critical_extension", verify(leaf(sub, { extensions = { { oid = "1.2.3.4", critical = true, value = "" } } })))
    assert.matches("1.2.3.4", r.reasons[1].text, 1, true)
    is("ok", verify(leaf(sub, { extensions = { { oid = "1.2.3.4", value = "" } } })))
    r = verify(leaf(inter(ca, { extensions = { { oid = "1.2.3.4", critical = true, value = "" } } })))
    assert.equal("unknown_critical_extension@1", reasons(r))
    for _, critical in ipairs { true, false } do
      local poison = { oid = "1.3.6.1.4.1.11129.2.4.3", critical = critical, value = der.null() }
      is("unknown_critical_extension", verify(leaf(sub, { extensions = { poison } })))
      -- features of TLS that nobody here watches over
      local features = { oid = "tlsFeature", critical = critical, value = der.sequence(der.integer(9)) }
      is(critical and "unknown_critical_extension" or "ok", verify(leaf(sub, { extensions = { features } })))
      features.value = der.sequence(der.integer(17))
      is("ok", verify(leaf(sub, { extensions = { features } })))
    end
  end)

  it("a key that cannot be used", function()
    local function spki(oid, bits) return der.sequence(der.sequence(der.oid(oid), der.oid "1.2.840.10045.3.1.7"), der.bits(bits)) end
    is("bad_certificate", verify(leaf(sub, { spki = spki("1.2.840.10045.2.1", "\4" .. ("\1"):rep(64)) }))) -- not on the curve
    is("bad_certificate", verify(leaf(sub, { spki = spki("1.2.840.10045.2.1", "") })))
    is("unsupported_certificate", verify(leaf(sub, { spki = spki("1.2.3.4", "x") })))
    local r = verify(leaf(inter(ca, { spki = spki("1.2.840.10045.2.1", "\4") })))
    assert.is_truthy(reasons(r):find("bad_certificate@1", 1, true))
  end)

  it("contradictions to RFC 5280's profile are refused; what is missing is a warning, or refused when strict", function()
    for _, o in ipairs {
      { is_ca = false, key_usage = { "digitalSignature", "keyCertSign" } }, { key_usage = {} }, { serial = ("7f"):rep(21) },
      { name = der.sequence(), names = {} }, { name_constraints = { permitted = { "DNS:a.example" } } },
      { extensions = { { oid = "basicConstraints", critical = true, value = der.sequence(der.integer(0)) } } },
    } do
      local r = verify(leaf(sub, o), { host = "a.example" })
      assert.is_truthy(reasons(r):find("certificate_profile@0", 1, true), r.text)
    end
    local odd = inter(ca, { path_length = 0, key_usage = { "cRLSign" } })
    assert.is_truthy(reasons(verify(leaf(odd))):find("certificate_profile@1", 1, true))
    for _, o in ipairs { { authority_key_id = false }, { serial = 0 }, { serial = -5 }, { critical = { authorityKeyIdentifier = true } },
      { name = der.sequence() }, { names = { "a.example", "a_b.example" } }, { names = { "-a.example", "a.example" } },
      { names = { "a.example", "*.a_b.example" } }, { names = { "a.example", "a..example" } } } do
      local one = leaf(sub, o)
      assert.is_truthy(warns(is("ok", verify(one)), "certificate_profile"))
      is("certificate_profile", verify(one, nil, ca:trust { strict = true }))
    end
    for _, o in ipairs { { subject_key_id = false }, { key_usage = false }, { critical = { basicConstraints = false } },
      { name_constraints = { permitted = { "DNS:a.example" } }, critical = { nameConstraints = false } } } do
      local one = leaf(inter(ca, o))
      assert.is_truthy(warns(is("ok", verify(one)), "certificate_profile"), next(o))
      is("certificate_profile", verify(one, nil, ca:trust { strict = true }))
    end
    is("ok", verify(good, nil, ca:trust { strict = true }))
    is("ok", verify(leaf(sub, { names = { "a.example", "*.example.org", "3com.example", "xn--bcher-kva.example", "URI:https://a_b.example/", "email:a_b@example.org" } }), nil,
      ca:trust { strict = true }))
  end)

  it("warnings: near its end, short of words on revocation", function()
    local r = is("ok", verify(leaf(sub, { not_after = NOW + 5 * DAY })))
    assert.matches("in 5 days", warns(r, "near_expiry").text, 1, true)
    assert.is_nil(warns(verify(leaf(sub, { not_after = NOW + 40 * DAY })), "near_expiry"))
    assert.is_nil(warns(verify(leaf(sub, { not_before = NOW - DAY, not_after = NOW + 5 * DAY })), "near_expiry")) -- it lives for six days
    assert.is_truthy(warns(verify(good), "no_revocation_answer"))
  end)
end)

describe("who vouches", function()
  it("nobody known", function()
    local stranger = testca.new(merged(period, { name = "Stranger", key = keys[6] }))
    local r = is("unknown_ca", verify(leaf(stranger)))
    assert.matches('"Stranger"', r.reasons[1].text, 1, true)
    assert.is_false(r.anchored)
    r = is("unknown_ca", verify { leaf(stranger).certificate, stranger.certificate })
    assert.equal(1, r.reasons[1].depth)
    r = is("unknown_ca", verify(good, nil, x509.trust {}))
    assert.matches("no CA at all", r.reasons[1].text)
    assert.matches("nobody trusted here vouches for", r.text, 1, true)
  end)

  it("somebody of the same name with another key", function()
    local impostor = root { key = keys[6] }
    is("unknown_ca", verify(leaf(impostor))) -- its key identifier says that it is another
    is("unknown_ca", verify { leaf(impostor).certificate, impostor.certificate })
    is("certificate_signature", verify(leaf(impostor, { authority_key_id = false })))
    is("certificate_signature", verify(leaf(impostor, { authority_key_id = testca.key_id(keys[1].spki) })))
    -- both trusted: the right one is found
    local both = x509.trust { certificates = { ca.certificate, impostor.certificate } }
    is("ok", verify(leaf(impostor), nil, both))
    is("ok", verify(leaf(impostor, { authority_key_id = false }), nil, both))
    is("ok", verify(leaf(ca, { authority_key_id = false }), nil, both))
  end)

  it("a certificate that is no CA", function()
    local fake = leaf(sub, { key = keys[4], names = { "middle.example" } })
    local function below(o)
      local middle = sub:intermediate(merged(merged(period, { name = "middle", key = keys[4] }), o))
      return leaf(middle)
    end
    assert.is_truthy(fake)
    is("not_a_ca", verify(below { is_ca = false, key_usage = { "digitalSignature" } }))
    is("not_a_ca", verify(below { omit = { "basicConstraints" }, key_usage = { "digitalSignature" } }))
    is("not_a_ca", verify(below { key_usage = { "cRLSign" } }))
    is("not_a_ca", verify(below { key_usage = { "digitalSignature" } }))
    local no_ca = root { is_ca = false, key_usage = false }
    is("not_a_ca", verify(leaf(no_ca), nil, no_ca:trust()))
  end)

  it("path lengths", function()
    local function chain(top_length, mid_length, self_issued)
      local top = root { path_length = top_length }
      local a = inter(top, { name = "A", key = keys[2], path_length = mid_length })
      local b = a:intermediate(merged(period, { name = self_issued and "A" or "B", key = keys[4] }))
      return verify(leaf(b), nil, top:trust())
    end
    is("ok", chain(nil, nil))
    is("ok", chain(2, 1))
    is("ok", chain(2, nil))
    is("ok", chain(1 << 40, 300)) -- INTEGER (0..MAX)
    for _, n in ipairs { 0, 127, 128, 255, 300, 32767 } do assert.equal(n, root({ path_length = n }).certificate.path_length) end
    is("path_too_long", chain(1, nil))
    is("path_too_long", chain(0, nil))
    is("path_too_long", chain(nil, 0))
    assert.equal("path_too_long@3 path_too_long@2", reasons(chain(0, 0)):gsub("(%S+@2) (%S+@3)", "%2 %1"))
    is("ok", chain(nil, 0, true)) -- self-issued ones do not count
    is("ok", chain(1, 0, true))
    is("path_too_long", chain(0, 0, true))
    is("ok", verify(leaf(root { path_length = 0 }), nil, root({ path_length = 0 }):trust()))
    -- a CA as the end entity
    is("ok", verify(leaf(inter(ca, { path_length = 0 }), { is_ca = true, key_usage = { "digitalSignature", "keyCertSign" } })))
  end)

  it("everything that is wrong is said, the most important first", function()
    local stranger = testca.new(merged(period, { name = "Stranger", key = keys[6] }))
    local bad = leaf(inter(stranger, { not_after = NOW - 1 }), { not_after = NOW - 1, purpose = "client", names = { "b.example" } })
    assert.equal("unknown_ca@1 wrong_purpose@0 certificate_expired@0 certificate_expired@1 host_mismatch@0", reasons(verify(bad)))
    local middle = inter(ca, { is_ca = false, key_usage = false, not_after = NOW - 1 })
    local r = verify(leaf(middle, { names = { "b.example" }, not_after = NOW - 2 }))
    assert.equal("not_a_ca@1 certificate_expired@0 certificate_expired@1 host_mismatch@0", reasons(r))
    assert.is_true(r.anchored)
  end)

  it("no chain, and chains that cannot be read", function()
    is("no_certificate", trust:verify({}, { time = NOW }))
    is("undecodable_certificate", trust:verify({ "garbage" }, { time = NOW }))
    is("bad_certificate", trust:verify({ der.sequence() }, { time = NOW }))
    is("bad_pem", trust:verify(keys[1]:reveal "pem", { time = NOW }))
    local long = {}
    for i = 1, 65 do long[i] = good.certificate end
    is("verify_budget", trust:verify(long, { time = NOW }))
  end)

  it("misuse raises, and names the option", function()
    for option, value in pairs { hots = "x", time = "now", purpose = "email", level = 6, depth = 0, host = 5, ocsp = { 5 }, crls = 5,
      intermediates = 5, must_staple = "no", max_paths = 1.5 } do
      assert.error_matches(function() trust:verify(good.chain, { [option] = value }) end, option)
    end
    assert.has_error(function() trust:verify(5) end)
    assert.has_error(function() trust:verify({ 5 }) end)
    assert.has_error(function() trust:verify() end)
  end)
end)

describe("finding a path", function()
  it("goes round an expired cross-sign", function()
    -- the new root, cross-signed by an old one that has expired, as happened on 30 May 2020
    local old = testca.new(merged(period, { name = "Old Root", key = keys[7], not_after = NOW - 1 }))
    local new = root { name = "New Root", key = keys[8] }
    local cross = old:intermediate(merged(period, { name = "New Root", key = keys[8] }))
    local mid = inter(new)
    local one = leaf(mid)
    local sent = { one.certificate, mid.certificate, cross.certificate, old.certificate }
    is("ok", verify(sent, nil, x509.trust { certificates = { old.certificate, new.certificate } }))
    is("certificate_expired", verify(sent, nil, x509.trust { certificates = { old.certificate } }))
    local r = is("ok", verify(sent, nil, x509.trust { certificates = { new.certificate } }))
    assert.equal(3, #r.chain)
  end)

  it("tries the next issuer when one does not do, and says what it tried", function()
    local wrong = {}
    for i = 1, 5 do wrong[i] = inter(ca, { not_after = NOW - i, serial = 100 + i }) end
    local constrained = inter(ca, { name_constraints = { permitted = { "DNS:other.example" } } })
    local right = inter(ca, { serial = 7 })
    local chain = { leaf(right).certificate, constrained.certificate }
    for _, w in ipairs(wrong) do chain[#chain + 1] = w.certificate end
    chain[#chain + 1] = right.certificate
    local r = is("ok", verify(chain))
    assert.is_true(r.chain[2] == right.certificate)
    assert.is_true(#r.paths >= 2)
    assert.equal("name_constraint", r.paths[1].code)
    assert.equal("ok", r.paths[#r.paths].code)
    assert.matches("Paths tried:", r.text, 1, true)
  end)

  it("does not run in circles", function()
    -- A and B signed each other, and neither is trusted
    local a = testca.new(merged(period, { name = "A", key = keys[4] }))
    local b = testca.new(merged(period, { name = "B", key = keys[5] }))
    local ab = a:intermediate(merged(period, { name = "B", key = keys[5] }))
    local ba = b:intermediate(merged(period, { name = "A", key = keys[4] }))
    local r = is("unknown_ca", verify { leaf(a).certificate, ab.certificate, ba.certificate, a.certificate, b.certificate })
    assert.is_true(r.signatures < 10)
    -- and when one of them is, it is found
    local top = inter(ca, { name = "A", key = keys[4] })
    is("ok", verify { leaf(a).certificate, ab.certificate, ba.certificate, top.certificate })
  end)

  it("has budgets: what a peer can make it search is bounded", function()
    -- layers of CAs of the same names, each signed by each: the number of paths is their product
    local chain, above = { false }, nil
    for layer = 1, 6 do
      local level = {}
      for i = 1, 5 do
        local o = merged(period, { name = "layer " .. layer, key = keys[i], authority_key_id = false })
        level[i] = above and above[1]:intermediate(o) or testca.new(o)
        if layer > 1 then chain[#chain + 1] = level[i].certificate end
      end
      above = level
    end
    chain[1] = leaf(above[1], { authority_key_id = false }).certificate
    while #chain > 32 do chain[#chain] = nil end
    local r = checks.within(3, function() return (verify(chain)) end)
    assert.is_false(r.ok)
    assert.is_true(r.signatures <= 100)
    r = verify(chain, { max_signatures = 7 })
    assert.is_true(r.signatures <= 7)
    assert.is_truthy(reasons(r):find "verify_budget")
    r = verify(chain, { max_paths = 3 })
    assert.is_truthy(reasons(r):find "verify_budget")
    is("ok", verify(good, { max_signatures = 2 }))
    assert.is_truthy(reasons(verify(good, { max_signatures = 1 })):find "verify_budget")
  end)

  it("slow keys, which a peer may make up, cost more of the budget than others", function()
    local rsa = der.sequence(der.oid "1.2.840.113549.1.1.11", der.null())
    local function checked(spki, algorithm)
      local chain = { ca:issue(merged(period, { names = { "a.example" }, key = keys[3], issuer_name = "I", authority_key_id = false, inner_algorithm = algorithm,
        outer_algorithm = algorithm })).certificate }
      for i = 1, 12 do
        chain[i + 1] = testca.new({ name = "Top", key = keys[1] }):issue(merged(period, { name = "I", is_ca = true, key_usage = { "keyCertSign" }, purpose = false, spki = spki(i),
          subject_key_id = false, authority_key_id = false })).certificate
      end
      return verify(chain, { max_signatures = 20 })
    end
    for bits, n in pairs { [2048] = 12, [4096] = 12, [8192] = 5, [16384] = 2 } do
      local r = checked(function(i)
        local modulus = "\xff" .. string.char(i) .. ("\x55"):rep(bits // 8 - 2)
        return der.sequence(der.sequence(der.oid "1.2.840.113549.1.1.1", der.null()), der.bits(der.sequence(der.integer(modulus), der.integer(65537))))
      end, rsa)
      assert.equal(n, r.signatures)
      assert.equal(n < 12, reasons(r):find "verify_budget" ~= nil)
    end
    for group, n in pairs { secp256r1 = 12, secp384r1 = 5 } do
      assert.equal(n, checked(function() return x509.private_key.generate("ec:" .. group).spki end).signatures)
    end
  end)

  it("finds the right one among many of the same name", function()
    local chain = { leaf(sub, { authority_key_id = false }).certificate }
    for i = 1, 50 do
      local key = x509.private_key.generate "ec:secp256r1"
      chain[i + 1] = inter(ca, { key = key, authority_key_id = false, subject_key_id = false }).certificate
    end
    chain[#chain + 1] = sub.certificate
    is("ok", verify(chain))
    local extra = {}
    for i = 1, 128 do extra[i] = chain[i % 50 + 2] end
    extra[128] = sub.certificate
    is("ok", verify({ chain[1] }, { intermediates = extra }))
    extra[129] = sub.certificate
    is("verify_budget", verify({ chain[1] }, { intermediates = extra }))
  end)

  it("has a depth", function()
    local at, chain = ca, {}
    for i = 1, 13 do
      at = at:intermediate(merged(period, { name = "level " .. i, key = keys[i % 2 + 2] }))
      table.insert(chain, 1, at.certificate)
      if i == 10 then is("ok", verify { leaf(at).certificate, table.unpack(chain) }) end -- twelve with both ends
    end
    table.insert(chain, 1, leaf(at).certificate)
    is("verify_budget", verify(chain))
    is("ok", verify(chain, { depth = 16 }))
    is("verify_budget", verify(good, { depth = 2 }))
    is("ok", verify(good, { depth = 3 }))
  end)

  it("checks each signature once", function()
    local copies = {}
    for i = 1, 10 do copies[i] = inter(ca, { serial = 1000 + i, not_after = NOW - 1 }).certificate end
    local r = is("certificate_expired", verify { good.certificate, table.unpack(copies) })
    assert.is_true(r.signatures <= 11)
  end)
end)

describe("what a trust store says is not to be trusted", function()
  local function without(list, o) return ca:trust(merged({ distrusted = list }, o)) end

  it("is on no path, whatever else the store says", function()
    for depth, one in ipairs { good.certificate, sub.certificate, ca.certificate } do
      local r = is("distrusted", verify(good, nil, without { one }))
      assert.equal(depth - 1, r.reasons[1].depth)
      assert.matches("given up", r.text, 1, true)
    end
    is("distrusted", verify(good, { purpose = "client" }, without { sub.certificate.pem }))
    is("distrusted", verify(good, nil, without({ sub.certificate }, { certificates = { sub.certificate, ca.certificate }, partial_chain = true })))
    is("ok", verify(good, nil, without { leaf(sub, { key = keys[4] }).certificate }))
    is("ok", verify(good, nil, without { inter(ca, { key = keys[4] }).certificate }))
  end)

  it("is a name and a key: another certificate of the same CA does not help", function()
    local again = inter(ca, { path_length = 3 })
    is("distrusted", verify(good, nil, without { again.certificate }))
    -- but another way round it does
    local other = root { name = "Other root", key = keys[6] }
    local cross = other:intermediate(merged(period, { name = "Root", key = keys[1] }))
    local t = x509.trust { certificates = { ca.certificate, other.certificate }, distrusted = { other.certificate } }
    is("ok", verify({ good.certificate, sub.certificate, cross.certificate }, nil, t))
  end)

  it("may be said by OpenSSL's trusted certificates, for each use", function()
    local server, client, mail, any = "1.3.6.1.5.5.7.3.1", "1.3.6.1.5.5.7.3.2", "1.3.6.1.5.5.7.3.4", "2.5.29.37.0"
    local function verdicts(trusted, rejected)
      local function list(ids)
        local out = {}
        for i, id in ipairs(ids) do out[i] = der.oid(id) end
        return table.concat(out)
      end
      local settings = der.sequence(trusted and der.sequence(list(trusted)) or "", rejected and der.context(0, list(rejected)) or "", der.utf8 "alias")
      local t = assert(x509.trust.pem(testca.pem("TRUSTED CERTIFICATE", ca.certificate.der .. settings)))
      return verify(good, nil, t).verdict .. " " .. verify(good, { purpose = "client" }, t).verdict
    end
    assert.equal("ok ok", verdicts())
    assert.equal("ok distrusted", verdicts { server })
    assert.equal("distrusted ok", verdicts { client })
    assert.equal("ok ok", verdicts { any })
    assert.equal("distrusted distrusted", verdicts { mail })
    assert.equal("distrusted ok", verdicts(nil, { server }))
    assert.equal("ok distrusted", verdicts({ server, client }, { client }))
    assert.equal("distrusted distrusted", verdicts(nil, { any }))
    assert.equal("ok ok", verdicts(nil, { mail }))
    for _, settings in ipairs { "\0", "\48\1", der.sequence(der.sequence "\5\0") } do
      assert.is_nil(x509.trust.pem(testca.pem("TRUSTED CERTIFICATE", ca.certificate.der .. settings)))
    end
  end)

  it("ends resumption, and no server asks for it", function()
    local akushu = require "akushu"
    local pump = require "spec.support.pump"
    local top = testca.new { name = "today" }
    local id = top:issue({ names = { "localhost" } })
    local server = akushu.server { identity = id.identity }
    local function shake(distrusted, session)
      local client = akushu.client { trust = top:trust { distrusted = distrusted } }
      return pump.run(client:handshake { server_name = "localhost", session = session }, server:handshake {})
    end
    local c, s = shake()
    pump.transfer(s, c, "x")
    local kept = c.session:resumption():serialize()
    assert.is_true(shake(nil, akushu.resumption(kept)).session.resumed)
    assert.equal("distrusted", shake({ id.certificate }, akushu.resumption(kept)).failure.code)

    local second = testca.new { name = "second" }
    local both = x509.trust { certificates = { top.certificate, second.certificate }, distrusted = { second.certificate } }
    local asked
    local client = akushu.client { trust = top:trust(), on_identity = function(names)
      asked = names
      return id.identity
    end }
    c, s = pump.run(client:handshake { server_name = "localhost" },
      akushu.server({ identity = id.identity, client_auth = "require", trust = both }):handshake {})
    assert.is_truthy(c.session and s.session)
    assert.same({ top.certificate.subject_der }, asked.der)
  end)
end)

describe("name constraints (RFC 5280 §4.2.1.10)", function()
  local function under(permitted, excluded, names, o)
    local mid = inter(ca, { name_constraints = { permitted = permitted, excluded = excluded } })
    return (trust:verify(leaf(mid, merged({ names = names, name = "leaf" }, o)).chain, { time = NOW }))
  end
  local rows = {
    { { "DNS:example.com" }, nil, "example.com", "ok" }, { { "DNS:example.com" }, nil, "a.example.com", "ok" },
    { { "DNS:example.com" }, nil, "a.b.example.com", "ok" }, { { "DNS:EXAMPLE.com" }, nil, "A.example.COM", "ok" },
    { { "DNS:example.com" }, nil, "aexample.com" }, { { "DNS:example.com" }, nil, "example.org" },
    { { "DNS:a.example.com" }, nil, "example.com" },
    { { "DNS:.example.com" }, nil, "a.example.com", "ok" }, { { "DNS:.example.com" }, nil, "example.com" },
    { { "DNS:" }, nil, "anything.example", "ok" }, { nil, { "DNS:" }, "anything.example" },
    { nil, { "DNS:example.com" }, "example.com" }, { nil, { "DNS:example.com" }, "a.example.com" },
    { nil, { "DNS:example.com" }, "example.org", "ok" }, { nil, { "DNS:.example.com" }, "example.com" },
    { { "DNS:example.com" }, nil, "*.example.com", "ok" }, { { "DNS:a.example.com" }, nil, "*.example.com" },
    { nil, { "DNS:a.example.com" }, "*.example.com" }, { nil, { "DNS:a.b.example.com" }, "*.example.com", "ok" },
    { { "DNS:example.com" }, nil, "example.com." }, { { "DNS:example.com" }, nil, "DNS:a..example.com" },
    { { "DNS:example.com" }, nil, "DNS:a example.com" }, { { "DNS:example.com" }, { "DNS:b.example.com" }, "a.example.com", "ok" },
    { { "DNS:example.com" }, { "DNS:b.example.com" }, "b.example.com" }, { { "DNS:a.example", "DNS:b.example" }, nil, "b.example", "ok" },
    -- kinds do not touch each other
    { { "DNS:example.com" }, nil, "192.0.2.1", "ok" }, { { "IP:192.0.2.0/24" }, nil, "example.com", "ok" },
    { { "IP:192.0.2.0/24" }, nil, "192.0.2.9", "ok" }, { { "IP:192.0.2.0/24" }, nil, "192.0.3.9" },
    { { "IP:0.0.0.0/0" }, nil, "192.0.3.9", "ok" }, { nil, { "IP:0.0.0.0/0" }, "192.0.3.9" },
    { nil, { "IP:0.0.0.0/0" }, "2001:db8::1", "ok" },
    { { "IP:192.0.2.0/24" }, nil, "2001:db8::1" }, { { "IP:2001:db8::/32" }, nil, "2001:db8:1::1", "ok" },
    { { "IP:2001:db8::/32" }, nil, "2001:db9::1" }, { nil, { "IP:2001:db8::/33" }, "2001:db8:7fff::1" },
    { nil, { "IP:2001:db8::/33" }, "2001:db8:8000::1", "ok" },
    { { "email:example.com" }, nil, "email:a@example.com", "ok" }, { { "email:example.com" }, nil, "email:a@b.example.com" },
    { { "email:.example.com" }, nil, "email:a@b.example.com", "ok" }, { { "email:.example.com" }, nil, "email:a@example.com" },
    { { "email:a@example.com" }, nil, "email:a@EXAMPLE.com", "ok" }, { { "email:a@example.com" }, nil, "email:A@example.com" },
    { { "email:a@example.com" }, nil, "email:b@example.com" }, { nil, { "email:example.com" }, "email:a@example.com" },
    { { "email:example.com" }, nil, "email:a@b@example.com" }, { { "email:example.com" }, nil, "email:example.com" },
    { { "URI:example.com" }, nil, "URI:https://example.com/x", "ok" }, { { "URI:example.com" }, nil, "URI:https://a.example.com/x" },
    { { "URI:.example.com" }, nil, "URI:https://u@a.example.com:8443/x", "ok" },
    { { "URI:example.com" }, nil, "URI:https://example.com?x", "ok" },
    { { "URI:example.com" }, nil, "URI:urn:x" }, { { "URI:example.com" }, nil, "URI:https://192.0.2.1/" },
    { nil, { "URI:example.com" }, "URI:https://example.com#x" }, { nil, { "URI:example.com" }, "URI:https://example.org/", "ok" },
    -- a URI has its host behind its scheme, not wherever "://" stands
    { { "URI:example.com" }, nil, "URI:urn:x?://example.com/" }, { { "URI:example.com" }, nil, "URI:://example.com/" },
    -- quoted local parts have several spellings: not compared
    { { "email:foo@example.com" }, nil, [[email:"\f\o\o"@example.com]] }, { nil, { "email:foo@example.com" }, [[email:"foo"@example.com]] },
    { { "email:example.com" }, nil, [[email:"foo"@example.com]], "ok" },
    -- what is to be excluded and is no domain would exclude nothing: then nobody passes
    { nil, { "DNS:*.example.com" }, "a.example.org" }, { nil, { "DNS:example.com." }, "a.example.org" }, { nil, { "DNS:." }, "a.example.org" },
    { nil, { "DNS:bad example" }, "192.0.2.1", "ok" }, { nil, { "email:a@" }, "email:a@example.org", "ok" },
    { nil, { "email:a@b c" }, "email:a@example.org" }, { nil, { "URI:https://example.com" }, "URI:https://example.org" },
    { { "DNS:*.example.com" }, nil, "a.example.com" },
    { { "DirName:dir" }, nil, "DirName:other" }, { { "RID:1.2.3" }, nil, "RID:1.2.3" }, { { "RID:1.2.3" }, nil, "example.com", "ok" },
  }
  for _, row in ipairs(rows) do
    local shown = ("permitted %s, excluded %s, name %s: %s"):format(row[1] and table.concat(row[1], " ") or "-",
      row[2] and table.concat(row[2], " ") or "-", row[3], row[4] or "refused")
    it(shown, function()
      local o
      if row[1] and row[1][1] == "DirName:dir" then o = { name = "dir" } end
      is(row[4] or "name_constraint", under(row[1], row[2], { row[3] }, o))
    end)
  end

  it("subjects are directory names", function()
    local function dn(...) return testca.name { ... } end
    local function tree(...) return { 0xa4, dn(...) } end
    local function of(name, permitted, excluded) return under(permitted, excluded, { "a.example" }, { name = name }).verdict end
    local name = dn({ "C", "DE" }, { "O", "Org" }, { "CN", "x" })
    assert.equal("ok", of(name, { tree({ "C", "DE" }, { "O", "Org" }) }))
    assert.equal("ok", of(name, { tree({ "C", "de" }, { "O", "org" }) }))
    assert.equal("name_constraint", of(name, { tree({ "C", "FR" }) }))
    assert.equal("name_constraint", of(name, nil, { tree({ "C", "DE" }) }))
    assert.equal("ok", of(name, nil, { tree({ "O", "Org" }) }))
    assert.equal("name_constraint", of(dn { "C", "DE" }, { tree({ "C", "DE" }, { "O", "Org" }) }))
    assert.equal("name_constraint", of(dn({ "CN", "x" }, { "emailAddress", "a@evil.example" }), { "email:good.example" }))
    assert.equal("ok", of(dn({ "CN", "x" }, { "emailAddress", "a@good.example" }), { "email:good.example" }))
    -- beside names in the extension, too
    is("name_constraint", under({ "email:good.example" }, nil, { "email:a@good.example" }, { name = dn { "emailAddress", "a@evil.example" } }))
  end)

  it("bind everybody below, the anchor's too; self-issued CAs aside", function()
    local top = root { name_constraints = { permitted = { "DNS:example.com" } } }
    local mid = inter(top, { name_constraints = { permitted = { "DNS:a.example.com" } } })
    local t = top:trust()
    is("ok", trust.verify(t, leaf(mid, { names = { "x.a.example.com" } }).chain, { time = NOW }))
    is("name_constraint", t:verify(leaf(mid, { names = { "x.b.example.com" } }).chain, { time = NOW }))
    is("name_constraint", t:verify(leaf(mid, { names = { "x.example.org" } }).chain, { time = NOW }))
    local renewed = mid:intermediate(merged(period, { name = "Intermediate", names = { "outside.example" }, key = keys[5] }))
    is("ok", t:verify(leaf(renewed, { names = { "x.a.example.com" } }).chain, { time = NOW }))
    local below = mid:intermediate(merged(period, { name = "Below", names = { "outside.example" }, key = keys[5] }))
    is("name_constraint", t:verify(leaf(below, { names = { "x.a.example.com" } }).chain, { time = NOW }))
  end)

  it("a subject of a thousand addresses costs one walk, on whatever path", function()
    local name = { { "CN", "leaf" } }
    for i = 1, 1500 do name[i + 1] = { "emailAddress", "a@b.c" } end
    local many, above = {}, root { key = keys[8] } -- of the right name and a wrong key: each of them may be above the leaf
    for i = 1, 40 do
      many[i + 1] = inter(above, { name = "I", key = keys[i % 8 + 1], serial = i, authority_key_id = false, subject_key_id = false,
        name_constraints = { permitted = { "DNS:a.example" } } }).certificate
    end
    many[1] = testca.new({ name = "I" }):issue(merged(period, { name = name, names = { "a.example" }, authority_key_id = false })).certificate
    assert.is_false(checks.within(1, function() return verify(many).ok end))
  end)

  it("a flood of names and constraints costs no more than its budget", function()
    local permitted, names = {}, {}
    for i = 1, 1500 do
      permitted[i] = "DNS:c" .. i .. ".example"
      names[i] = "DNS:c1500.example"
    end
    local r = checks.within(5, function() return (under(permitted, nil, names)) end)
    assert.is_truthy(reasons(r):find "verify_budget")
  end)

  it("a name of white space costs what it is long, however short the constraints are", function()
    local function cn(value) return der.sequence(der.set(der.sequence(der.oid "2.5.4.3", der.utf8(value)))) end
    local spaces = { oid = "2.5.29.17", value = der.sequence(der.context(4, cn("a" .. (" "):rep(20000) .. "b"))) }
    local subtree = der.sequence(der.context(4, cn "a c"))
    local constraint = { oid = "2.5.29.30", critical = true, value = der.sequence(der.context(1, subtree:rep(600))) }
    local top = root { key = keys[5] }
    local mid = inter(top, { extensions = { constraint } })
    local r = top:trust():verify(leaf(mid, { extensions = { spaces } }).chain, { time = NOW })
    assert.equal("verify_budget", r.verdict)
  end)

  it("a long directory name among the constraints costs what it is long, for every name and on every path", function()
    local parts, names = {}, {}
    for i = 1, 1200 do
      parts[i] = der.set(der.sequence(der.oid "2.5.4.3", der.utf8("part " .. i)))
      names[i] = "a" .. i .. ".example"
    end
    local subtree = der.sequence(der.context(4, der.sequence(table.concat(parts))))
    local constraint = { oid = "2.5.29.30", critical = true, value = der.sequence(der.context(1, subtree)) }
    local tops = {}
    for i = 1, 6 do tops[i] = root { name = "T", key = keys[i + 2], subject_key_id = false, authority_key_id = false } end
    local mid = inter(tops[1], { extensions = { constraint }, subject_key_id = false, authority_key_id = false })
    local chain = leaf(mid, { names = names, authority_key_id = false }).chain
    for i = 1, 6 do chain[#chain + 1] = tops[i].certificate end
    assert.is_false(checks.within(1, function() return trust:verify(chain, { time = NOW }).ok end))
  end)
end)

describe("a report of names that are made to mislead", function()
  local function of(name, o)
    local stranger = testca.new(merged(period, { name = name, key = keys[4] }))
    return trust:verify(leaf(stranger, merged({ name = name }, o)).chain, { time = NOW })
  end
  it("shows no quotation mark of theirs as its own, and nothing that turns or hides text", function()
    local text = of('x" vouches for it through "Root\27[2J\n\u{202e}\u{61c}\u{3164}').text
    assert.is_nil(text:find('x" vouches', 1, true))
    assert.is_truthy(text:find([[x\" vouches for it through \"Root\1B[2J\0A\E2\80\AE\D8\9C\E3\85\A4]], 1, true))
  end)
  it("stays short, and text", function()
    for shift = 0, 3 do
      local r = of(("a"):rep(shift) .. ("\u{1f600}"):rep(5000))
      assert.is_true(#r.text < 4000)
      assert.is_truthy(utf8.len(r.text))
      for _, reason in ipairs(r.reasons) do assert.is_truthy(utf8.len(reason.text)) end
      assert.is_truthy(r.text:find "…")
    end
    local r = of(("\27"):rep(30000))
    assert.is_true(#r.text < 4000)
  end)
end)

describe("policies (RFC 5280 §6.1)", function()
  local function chain(top, mid, low)
    local r = root(top)
    local a = inter(r, merged({ name = "A" }, mid))
    return (verify(leaf(a, low), nil, r:trust())).verdict
  end
  local P, Q = "1.2.3.1", "1.2.3.2"
  it("matter only when somebody demands one", function()
    assert.equal("ok", chain({}, { policies = { P } }, { policies = { Q } }))
    assert.equal("ok", chain({}, {}, { policies = { Q } }))
  end)
  it("must then hold all the way", function()
    assert.equal("ok", chain({}, { require_policy = 0, policies = { P } }, { policies = { P } }))
    assert.equal("ok", chain({}, { require_policy = 0, policies = { "any" } }, { policies = { P } }))
    assert.equal("certificate_policy", chain({}, { require_policy = 0, policies = { P } }, { policies = { Q } }))
    assert.equal("certificate_policy", chain({}, { require_policy = 0, policies = { P } }, {}))
    assert.equal("certificate_policy", chain({}, { require_policy = 0 }, { policies = { P } }))
    assert.equal("certificate_policy", chain({}, { policies = { P } }, { policies = { Q }, require_policy = 0 }))
    assert.equal("ok", chain({}, { require_policy = 5, policies = { P } }, { policies = { Q } }))
    -- the anchor's say nothing
    assert.equal("ok", chain({ policies = { Q } }, { require_policy = 0, policies = { P } }, { policies = { P } }))
  end)
  it("may be mapped, unless that is inhibited", function()
    local mapped = { require_policy = 0, policies = { P }, policy_mappings = { { P, Q } } }
    assert.equal("ok", chain({}, mapped, { policies = { Q } }))
    assert.equal("certificate_policy", chain({}, mapped, { policies = { P } }))
    assert.equal("certificate_policy", chain({}, { policies = { P }, policy_mappings = { { "2.5.29.32.0", Q } } }, { policies = { Q } }))
    local r = root()
    local a = inter(r, { name = "A", policies = { P }, require_policy = 0, inhibit_mapping = 0 })
    local b = a:intermediate(merged(period, { name = "B", key = keys[4], policies = { P }, policy_mappings = { { P, Q } } }))
    assert.equal("certificate_policy", verify(leaf(b, { policies = { Q } }), nil, r:trust()).verdict)
  end)
  it("that are critical must have qualifiers that are understood (§4.2.1.4)", function()
    local function policy(critical, ...)
      local qualifiers = {}
      for i, id in ipairs { ... } do qualifiers[i] = der.sequence(der.oid(id), der.ia5 "http://x") end
      local value = der.sequence(der.sequence(der.oid(P), der.sequence(table.concat(qualifiers))))
      return { extensions = { { oid = "certificatePolicies", critical = critical, value = value } } }
    end
    local cps, notice = "1.3.6.1.5.5.7.2.1", "1.3.6.1.5.5.7.2.2"
    assert.equal("ok", chain({}, policy(true, cps, notice), {}))
    assert.equal("ok", chain({}, policy(false, "1.2.3"), {}))
    assert.equal("unknown_critical_extension", chain({}, policy(true, cps, "1.2.3"), {}))
    assert.equal("unknown_critical_extension", chain({}, {}, policy(true, "1.2.3")))
    assert.equal("bad_certificate", chain({}, policy(false), {})) -- an empty list of qualifiers
  end)
  it("of the user's choice: those he takes, and what he demands (§6.1.1)", function()
    local r = root()
    local function says(o, top, low)
      local a = inter(r, merged({ name = "A" }, top))
      return verify(leaf(a, low), nil, r:trust(o)).verdict
    end
    local one, two = { policies = { P } }, { policies = { Q } }
    assert.equal("ok", says({ policies = { Q } }, one, one)) -- nobody demands any
    assert.equal("certificate_policy", says({ policies = { Q }, require_policy = true }, one, one))
    assert.equal("ok", says({ policies = { Q, P }, require_policy = true }, one, one))
    assert.equal("ok", says({ policies = { "2.5.29.32.0" }, require_policy = true }, one, one))
    assert.equal("ok", says({ require_policy = true }, one, one))
    assert.equal("certificate_policy", says({ require_policy = true }, one, two))
    assert.equal("certificate_policy", says({ require_policy = true }, {}, one))
    assert.equal("certificate_policy", says({ policies = { Q } }, merged(one, { require_policy = 0 }), one))
    assert.equal("ok", says({ policies = { Q }, require_policy = true }, { policies = { "any" } }, two))
    assert.equal("certificate_policy", says({ policies = { Q }, require_policy = true }, { policies = { "any" } }, one))
    assert.equal("ok", says({ policies = { P }, require_policy = true }, { policies = { "any" } }, { policies = { "any" } }))
    assert.equal("certificate_policy", says({ require_policy = true, inhibit_any_policy = true }, { policies = { "any" } }, two))
    -- mapped: what counts is the name on the user's side
    local mapped = { policies = { P }, policy_mappings = { { P, Q } } }
    assert.equal("ok", says({ policies = { P }, require_policy = true }, mapped, two))
    assert.equal("certificate_policy", says({ policies = { Q }, require_policy = true }, mapped, two))
    assert.equal("certificate_policy", says({ require_policy = true, inhibit_mapping = true }, mapped, two))
    local from_any = { policies = { "any" }, policy_mappings = { { P, Q } } }
    assert.equal("ok", says({ policies = { P }, require_policy = true }, from_any, two))
    assert.equal("certificate_policy", says({ policies = { Q }, require_policy = true }, from_any, two))
    -- large numbers, and what is none
    local large = { policies = { "2.999.18446744073709.1", "1.39.0" } }
    assert.equal("ok", says({ policies = { "1.39.0" }, require_policy = true }, large, large))
    assert.equal("ok", says({ policies = { "2.999.18446744073709.1" }, require_policy = true }, large, large))
    for _, bad in ipairs { "1.2.", ".1", "3.1", "1.40", "1", "", "1.02", "a", 12, "1.2.99999999999999999999", P } do
      assert.error_matches(function() x509.trust { policies = bad == P and P or { bad } } end, "option 'policies'", 1, true)
    end
    assert.has_error(function() x509.trust { policies = {} } end)
  end)
  it("anyPolicy may be inhibited", function()
    local r = root()
    local a = inter(r, { name = "A", policies = { P }, require_policy = 0, inhibit_any_policy = 0 })
    assert.equal("ok", verify(leaf(a, { policies = { P } }), nil, r:trust()).verdict)
    assert.equal("certificate_policy", verify(leaf(a, { policies = { "any" } }), nil, r:trust()).verdict)
    local b = inter(r, { name = "B", policies = { P }, require_policy = 0 })
    assert.equal("ok", verify(leaf(b, { policies = { "any" } }), nil, r:trust()).verdict)
  end)
end)
