-- Revocation: CRLs (RFC 5280 §5, §6.3), stapled OCSP responses (RFC 6960) and must-staple (RFC 7633).
local x509 = require("akushu.core").x509
local der = require "akushu.der"
local testca = require "akushu.testca"
local merged = require "spec.support.merge"

local DAY = 86400
local NOW = 1800000000
local keys = {}
for i = 1, 6 do keys[i] = x509.private_key.generate "ec:secp256r1" end

local period = { not_before = NOW - 100 * DAY, not_after = NOW + 200 * DAY }
local fresh = { this_update = NOW - DAY, next_update = NOW + DAY }

local ca = testca.new(merged(period, { name = "Root", key = keys[1] }))
local sub = ca:intermediate(merged(period, { name = "Intermediate", key = keys[2] }))
local function leaf(o) return sub:issue(merged(merged(period, { names = { "a.example" }, key = keys[3] }), o)) end
local good, other = leaf(), leaf { names = { "b.example" } }
local trust = ca:trust()

local function crl(by, o) return by:crl(merged(fresh, o)) end
local function verify(o, chain) return trust:verify((chain or good).chain or chain, merged({ time = NOW }, o)) end
local function is(code, r)
  assert.equal(code, r.verdict, r.text)
  return r
end
local function warns(r, code)
  for _, w in ipairs(r.warnings) do if w.code == code then return w end end
end
local function idp(...) return der.sequence(...) end

describe("CRLs", function()
  local root_crl = crl(ca)

  it("that list nobody on the path change nothing, and say so", function()
    local r = is("ok", verify { crls = { crl(sub), root_crl } })
    assert.equal("good", r.revocation)
    assert.equal("crl", r.revocation_by)
    assert.same({}, r.warnings)
    is("ok", verify { crls = { crl(sub, { revoked = { other } }), root_crl } })
  end)

  it("revoke end entities and intermediates, with the reason and the time", function()
    local entry = { certificate = good, reason = "keyCompromise", time = NOW - DAY }
    local r = is("certificate_revoked", verify { crls = { crl(sub, { revoked = { entry } }) } })
    assert.equal("revoked", r.revocation)
    assert.matches("keyCompromise", r.reasons[1].text, 1, true)
    assert.matches("2027-01-14 08:00:00", r.reasons[1].text, 1, true)
    assert.equal(0, r.reasons[1].depth)
    r = is("certificate_revoked", verify { crls = { crl(ca, { revoked = { sub } }) } })
    assert.equal(1, r.reasons[1].depth)
    is("certificate_revoked", verify { crls = { crl(sub, { revoked = { { certificate = good, reason = "certificateHold" } } }) } })
  end)

  it("are found among thousands of entries", function()
    local revoked = {}
    for i = 1, 3000 do revoked[i] = { serial = i * 7919 } end
    local big = crl(sub, { revoked = revoked })
    is("ok", verify { crls = { big, root_crl } })
    revoked[1500] = { certificate = good }
    is("certificate_revoked", verify { crls = { crl(sub, { revoked = revoked }) } })
    for _, serial in ipairs { 1, 127, 128, 255, 256, -1, "00ff", ("7f"):rep(20) } do
      local one = leaf { serial = serial }
      is("certificate_revoked", verify({ crls = { crl(sub, { revoked = { one, other } }) } }, one))
      is("ok", verify({ crls = { crl(sub, { revoked = { other } }), root_crl } }, one))
    end
  end)

  it("may stand in the trust store, as PEM, DER and in a list", function()
    local revoking = crl(sub, { revoked = { good } })
    is("certificate_revoked", ca:trust({ crls = { revoking } }):verify(good.chain, { time = NOW }))
    is("certificate_revoked", verify { crls = testca.pem("X509 CRL", revoking) })
    is("certificate_revoked", verify { crls = revoking })
    local store = ca:trust()
    assert.is_true(store:add_crl(revoking) == store)
    is("certificate_revoked", store:verify(good.chain, { time = NOW }))
    is("certificate_revoked", x509.trust({ pem = ca:pem() .. testca.pem("X509 CRL", revoking) }):verify(good.chain, { time = NOW }))
  end)

  it("that are missing are a warning, for each certificate", function()
    local r = is("ok", verify { crls = { crl(testca.new { name = "Stranger" }) } })
    assert.equal("none", r.revocation)
    assert.equal(2, #r.warnings)
    assert.equal("revocation_unknown", r.warnings[1].code)
    r = is("ok", verify { crls = { root_crl } })
    assert.equal(0, warns(r, "revocation_unknown").depth)
  end)

  it("that cannot be believed are a failure", function()
    is("bad_crl", verify { crls = { crl(sub, { next_update = NOW - 1 }), root_crl } })
    is("bad_crl", verify { crls = { crl(sub, { this_update = NOW + 1 }), root_crl } })
    is("bad_crl", verify { crls = { crl(sub, { tamper = true }), root_crl } })
    is("bad_crl", verify { crls = { crl(sub, { hash = "sha1" }), root_crl } })
    is("bad_crl", verify { crls = { crl(sub, { outer_algorithm = der.sequence(der.oid "1.2.840.10045.4.3.3") }), root_crl } })
    is("bad_crl", verify { crls = { crl(sub, { extensions = { { oid = "1.2.3", critical = true, value = "" } } }), root_crl } })
    is("ok", verify { crls = { crl(sub, { extensions = { { oid = "1.2.3", value = "" } } }), root_crl } })
    is("bad_crl", verify { crls = { crl(sub, { revoked = { { serial = 1, extensions =
      der.sequence(der.oid "1.2.3", der.boolean(true), der.octets "") } } }), root_crl } })
    local impostor = testca.new(merged(period, { name = "Intermediate", key = keys[5] }))
    is("bad_crl", verify { crls = { crl(impostor, { revoked = { good } }), root_crl } })
    is("ok", verify { crls = { crl(sub, { next_update = false }), root_crl } })
    local mute = ca:intermediate(merged(period, { name = "Mute", key = keys[4], key_usage = { "keyCertSign" } }))
    local one = mute:issue(merged(period, { names = { "a.example" }, key = keys[3] }))
    is("bad_crl", verify({ crls = { crl(mute, { revoked = { one } }), root_crl } }, one))
  end)

  it("the newest that can be believed counts", function()
    local old, new = crl(sub, { revoked = { good }, this_update = NOW - 2 * DAY }), crl(sub)
    is("ok", verify { crls = { old, new, root_crl } })
    is("ok", verify { crls = { new, old, root_crl } })
    is("certificate_revoked", verify { crls = { old, crl(sub, { tamper = true }), root_crl } })
    is("certificate_revoked", verify { crls = { crl(sub, { this_update = NOW - 2 * DAY }), crl(sub, { revoked = { good } }), root_crl } })
  end)

  it("without a number are not believed by a strict store", function()
    local function numbered(o) return ca:trust({ strict = true }):verify(good.chain, { time = NOW, crls = { crl(sub, o), root_crl } }) end
    assert.equal("good", is("ok", numbered {}).revocation)
    for _, o in ipairs { { number = false }, { number = false, extensions = { { oid = "2.5.29.20", critical = true, value = der.integer(1) } } } } do
      is("bad_crl", numbered(o))
      is("ok", verify { crls = { crl(sub, o), root_crl } })
    end
  end)

  it("deltas add to their base and take away from it", function()
    local held = { certificate = good, reason = "certificateHold" }
    local base, base_held = crl(sub, { number = 5 }), crl(sub, { number = 5, revoked = { held } })
    local adds = crl(sub, { number = 6, delta = 5, revoked = { good }, this_update = NOW - 60 })
    local removal = { { certificate = good, reason = "removeFromCRL" } }
    local removes = crl(sub, { number = 6, delta = 5, revoked = removal, this_update = NOW - 60 })
    is("certificate_revoked", verify { crls = { base, adds, root_crl } })
    is("certificate_revoked", verify { crls = { adds, base, root_crl } })
    is("certificate_revoked", verify { crls = { base_held, root_crl } })
    is("ok", verify { crls = { base_held, removes, root_crl } })
    -- of a later base: no business of this one
    local later = crl(sub, { number = 9, delta = 8, this_update = NOW - 60, revoked = removal })
    is("certificate_revoked", verify { crls = { base_held, later, root_crl } })
    -- as old as the base: it has nothing to add
    for _, number in ipairs { 4, 5 } do
      local earlier = crl(sub, { number = number, delta = 4, this_update = NOW - 60, revoked = removal })
      is("certificate_revoked", verify { crls = { base_held, earlier, root_crl } })
    end
    -- a delta alone says nothing
    local r = is("ok", verify { crls = { adds, root_crl } })
    assert.equal("unknown", r.revocation)
  end)

  it("have a scope (issuingDistributionPoint)", function()
    local revoked = { revoked = { good } }
    local function with(scope) return { crls = { crl(sub, merged(revoked, { scope = scope })), root_crl } } end
    is("certificate_revoked", verify(with(idp(der.primitive(1, "\xff"))))) -- end entities only
    local r = is("ok", verify(with(idp(der.primitive(2, "\xff"))))) -- CAs only
    assert.is_truthy(warns(r, "revocation_unknown"))
    is("ok", verify(with(idp(der.primitive(5, "\xff"))))) -- attribute certificates only
    local function name(url) return der.context(0, der.context(0, der.primitive(6, url))) end
    is("ok", verify(with(idp(name "http://x/1")))) -- the certificate names no such place
    local placed = leaf { crl_urls = { "http://x/0", "http://x/1" } }
    local at = crl(sub, { revoked = { placed }, scope = idp(name "http://x/1") })
    is("certificate_revoked", verify({ crls = { at, root_crl } }, placed))
    at = crl(sub, { revoked = { placed }, scope = idp(name "http://x/2") })
    is("ok", verify({ crls = { at, root_crl } }, placed))
    -- some reasons only: a hit counts, a miss leaves the rest open
    is("certificate_revoked", verify(with(idp(der.primitive(3, "\5\x60")))))
    r = is("ok", verify { crls = { crl(sub, { scope = idp(der.primitive(3, "\5\x60")) }), root_crl } })
    assert.equal("unknown", r.revocation)
  end)

  it("that are for some reasons each say good only when they speak of all of them (§6.3.2)", function()
    local function for_reasons(...) return crl(sub, { scope = idp(der.primitive(3, (der.named_bits({ ... }):sub(3)))) }) end
    local function revocation(...) return is("ok", verify { crls = { root_crl, ... } }).revocation end
    assert.equal("good", revocation(for_reasons(1, 2, 3), for_reasons(4, 5, 6, 7, 8)))
    assert.equal("good", revocation(for_reasons(1, 2, 3, 4, 5, 6, 7, 8)))
    for without = 1, 8 do
      local some = {}
      for bit = 1, 8 do some[#some + 1] = bit ~= without and bit or nil end
      assert.equal("unknown", revocation(for_reasons(table.unpack(some))), without)
    end
    is("bad_crl", verify { crls = { crl(sub, { scope = idp(der.primitive(3, "\7\xff")) }) } }) -- bits that are none
  end)

  it("have a place that may be named in full or by what it adds to its issuer's name", function()
    local function relative(cn) return der.context(0, der.context(1, der.sequence(der.oid "2.5.4.3", der.utf8(cn)))) end
    local function full(...) return der.context(0, der.context(0, der.context(4, testca.name { ... }))) end
    local long = ("long "):rep(60)
    local one = { relative "part 1", full({ "CN", "Intermediate" }, { "CN", "part 1" }) }
    local far = { relative(long), full({ "CN", "Intermediate" }, { "CN", long }) }
    local elsewhere = { relative "part 2", full({ "CN", "Intermediate" }, { "CN", "part 2" }), full { "CN", "part 1" } }
    local function verdict(point, scope, issuer)
      local about = leaf { extensions = { { oid = "cRLDistributionPoints", value = der.sequence(der.sequence(point, issuer or "")) } } }
      return verify({ crls = { crl(sub, { revoked = { about }, scope = idp(scope) }), root_crl } }, about).verdict
    end
    for _, same in ipairs { one, far } do
      for _, a in ipairs(same) do
        for _, b in ipairs(same) do assert.equal("certificate_revoked", verdict(a, b)) end
        for _, b in ipairs(elsewhere) do
          assert.equal("ok", verdict(a, b))
          assert.equal("ok", verdict(b, a))
        end
      end
    end
    local named = der.context(2, der.context(4, testca.name "Intermediate"))
    assert.equal("certificate_revoked", verdict(one[1], one[2], named)) -- relative to the cRLIssuer
    assert.equal("certificate_revoked", verdict("", full { "CN", "Intermediate" }, named)) -- nothing but the cRLIssuer
    assert.equal("ok", verdict("", one[1], named))
  end)

  it("are asked only about paths whose signatures are good", function()
    local forged = leaf { tamper = true }
    local crls = { crl(sub, { revoked = { forged } }), crl(ca, { revoked = { sub } }) }
    local r = is("certificate_signature", verify({ crls = crls }, forged))
    assert.equal("none", r.revocation)
    for _, reason in ipairs(r.reasons) do assert.are_not.equal("certificate_revoked", reason.code) end
    r = is("certificate_revoked", verify({ crls = crls }, leaf { not_after = NOW - 1 })) -- signed by the CA: withdrawn, and expired
    assert.equal("certificate_expired", r.reasons[#r.reasons].code)
    -- nor may a certificate send them to any number of places
    local function places(n)
      local urls = {}
      for i = 1, n do urls[i] = "http://x/" .. i end
      return leaf { crl_urls = urls }
    end
    is("ok", verify({}, places(64)))
    is("bad_certificate", verify({}, places(65)))
  end)

  it("may be signed by another key of the same CA that the path vouches for", function()
    local signer = ca:intermediate(merged(period, { name = "Intermediate", key = keys[6], key_usage = { "cRLSign" } }))
    local revoking = crl(signer, { revoked = { good } })
    is("bad_crl", verify { crls = { revoking, root_crl } })
    is("certificate_revoked", verify { crls = { revoking, root_crl }, intermediates = { signer.certificate } })
    local forged = testca.new(merged(period, { name = "Intermediate", key = keys[6] }))
    is("bad_crl", verify { crls = { crl(forged, { revoked = { good } }), root_crl }, intermediates = { forged.certificate } })
  end)

  it("may be signed by a CA further up that has the same name, as when its key is renewed", function()
    local renewed = ca:intermediate(merged(period, { name = "Root", key = keys[4] })) -- the old key signs the new one
    local below = renewed:issue(merged(period, { names = { "a.example" }, key = keys[3] }))
    is("certificate_revoked", verify({ crls = { crl(ca, { revoked = { below } }) } }, below))
    assert.equal("good", is("ok", verify({ crls = { root_crl } }, below)).revocation)
    is("certificate_revoked", verify({ crls = { crl(ca, { revoked = { renewed } }) } }, below))
    -- but nobody vouches for himself
    is("bad_crl", verify({ crls = { crl(renewed) } }, { renewed:issue(merged(period, { names = { "a.example" }, key = keys[3] })).certificate,
      renewed.certificate }))
  end)

  it("are not believed when their signer is revoked", function()
    local signer = ca:intermediate(merged(period, { name = "Intermediate", key = keys[6], key_usage = { "cRLSign" } }))
    local clean, helpers = crl(signer), { signer.certificate }
    is("ok", verify { crls = { clean, root_crl }, intermediates = helpers })
    is("bad_crl", verify { crls = { clean, crl(ca, { revoked = { signer } }) }, intermediates = helpers })
    local weak = ca:intermediate(merged(period, { name = "Intermediate", key = "rsa:1024", key_usage = { "cRLSign" } }))
    is("bad_crl", verify { crls = { crl(weak), root_crl }, intermediates = { weak.certificate } })
  end)

  it("may be indirect: signed by whom the certificate names, about others' certificates", function()
    local speaker = ca:intermediate(merged(period, { name = "Speaker", key = keys[6], key_usage = { "cRLSign" } }))
    local point = der.sequence(der.sequence(der.context(0, der.context(0, der.primitive(6, "http://x"))),
      der.context(2, der.context(4, testca.name "Speaker"))))
    local one = leaf { extensions = { { oid = "cRLDistributionPoints", value = point } } }
    local scope = idp(der.context(0, der.context(0, der.primitive(6, "http://x"))), der.primitive(4, "\xff"))
    local names = der.sequence(der.oid "2.5.29.29", der.boolean(true), der.octets(der.sequence(der.context(4, testca.name "Intermediate"))))
    local function says(entry) return crl(speaker, { scope = scope, revoked = { entry } }) end
    local helpers = { speaker.certificate }
    local hit = says { certificate = one, extensions = names }
    is("certificate_revoked", verify({ crls = { hit, root_crl }, intermediates = helpers }, one))
    is("ok", verify({ crls = { says { certificate = one }, root_crl }, intermediates = helpers }, one)) -- the speaker's own serial
    is("ok", verify({ crls = { hit, root_crl }, intermediates = helpers }, good)) -- which names nobody else
  end)

  it("that are broken are refused when they are given", function()
    local whole = crl(sub, { revoked = { good, { serial = 5, reason = "superseded" } } })
    for n = 0, #whole - 1 do
      local store, _, failure = x509.trust { crls = { whole:sub(1, n) } }
      assert.is_nil(store)
      assert.is_truthy(failure.code == "bad_crl" or failure.code == "file_unreadable")
    end
    is("bad_crl", verify { crls = { whole .. "\0" } })
    -- an issuingDistributionPoint is never empty, and says only one "only" (RFC 5280 §5.2.5)
    is("bad_crl", verify { crls = { crl(sub, { scope = idp() }) } })
    is("bad_crl", verify { crls = { crl(sub, { scope = idp(der.primitive(1, "\xff"), der.primitive(2, "\xff")) }) } })
    for _, name in ipairs { "", der.context(0), der.context(1), der.context(1, "\5\0"), der.context(2) } do
      is("bad_crl", verify { crls = { crl(sub, { scope = idp(der.context(0, name)) }) } })
    end
    is("bad_pem", verify { crls = { ca:pem() } })
    -- DER has one form of a serial number: another would be looked up in vain
    local listed = crl(sub, { revoked = { { serial = 0x1bcd } } })
    for _, serial in ipairs { "\0\x7f", "\xff\x80" } do
      local other_form, n = listed:gsub("\2\2\x1b\xcd\x17\x0d", "\2\2" .. serial .. "\x17\x0d") -- with its time's header: nothing by chance
      assert.equal(1, n)
      local store, _, failure = x509.trust { crls = { other_form } }
      assert.is_nil(store)
      assert.equal("bad_crl", failure.code)
    end
  end)

  it("mutated ones crash nothing and clear nobody", function()
    math.randomseed(6)
    local whole = crl(sub, { revoked = { good, { serial = 5, reason = "superseded" } }, scope = idp(der.primitive(1, "\xff")) })
    for _ = 1, 5000 do
      local at = math.random(#whole)
      local s = whole:sub(1, at - 1) .. string.char(math.random(0, 255)) .. whole:sub(at + math.random(0, 2))
      local r = verify { crls = { s, root_crl } }
      if r.revocation == "good" then assert.equal(whole, s) end
    end
  end)
end)

describe("an answer may be demanded", function()
  local all = { crl(sub), crl(ca) }
  local function with(demand, o)
    return ca:trust({ revocation = demand }):verify(good.chain, merged({ time = NOW }, o))
  end
  local function missing(r)
    local out = {}
    for i, reason in ipairs(is("revocation_unknown", r).reasons) do out[i] = reason.depth end
    return out
  end

  it("of nobody, unless said", function()
    assert.equal("if_given", trust.revocation)
    is("ok", with(nil))
    is("ok", with "if_given")
    is("certificate_revoked", with("if_given", { crls = { crl(sub, { revoked = { good } }) } }))
  end)

  it("of the end entity", function()
    assert.same({ 0 }, missing(with "leaf"))
    assert.same({ 0 }, missing(with("leaf", { crls = { all[2] } })))
    is("ok", with("leaf", { crls = { all[1] } }))
    local staple = { this_update = NOW - 60, next_update = NOW + DAY, produced_at = NOW - 60 }
    local r = is("ok", with("leaf", { ocsp = sub:ocsp(good, staple) }))
    assert.equal("leaf", ca:trust({ revocation = "leaf" }).revocation)
    assert.is_nil(warns(r, "revocation_unknown"))
    assert.same({ 0 }, missing(with("leaf", { ocsp = sub:ocsp(good, merged(staple, { status = "unknown" })) })))
    is("bad_ocsp_response", with("leaf", { ocsp = sub:ocsp(good, merged(staple, { tamper = true })) }))
  end)

  it("of the whole path", function()
    assert.same({ 0, 1 }, missing(with "chain"))
    assert.same({ 1 }, missing(with("chain", { crls = { all[1] } })))
    is("ok", with("chain", { crls = all }))
    is("certificate_revoked", with("chain", { crls = { all[1], crl(ca, { revoked = { sub } }) } }))
    local some = crl(sub, { scope = idp(der.primitive(3, "\5\x60")) }) -- for some reasons only
    assert.same({ 0 }, missing(with("chain", { crls = { some, all[2] } })))
    assert.matches("withdrawn", with("chain").text, 1, true)
  end)

  it("of an end entity that is itself trusted: of nobody", function()
    local one = testca.self_signed(merged(period, { names = { "a.example" }, key = keys[5] }))
    is("ok", x509.trust({ certificates = { one.certificate }, revocation = "chain" }):verify(one.chain, { time = NOW }))
  end)

  it("ends a handshake with its own code and alert", function()
    local akushu = require "akushu"
    local pump = require "spec.support.pump"
    local root = testca.new { name = "today" }
    local server = akushu.server { identity = root:issue({ names = { "localhost" } }).identity }
    local function shake(t) return (pump.run(akushu.client({ trust = t }):handshake { server_name = "localhost" }, server:handshake {})) end
    local c = shake(root:trust { revocation = "chain" })
    assert.equal("revocation_unknown", c.failure.code)
    assert.equal("certificate_unknown", c.failure.alert)
    assert.is_truthy(shake(root:trust { revocation = "chain", crls = { root:crl() } }).session)
  end)

  it("by a word that is known", function()
    for _, v in ipairs { "all", "", true, 1 } do
      assert.error_matches(function() x509.trust { revocation = v } end, "option 'revocation'", 1, true)
    end
  end)
end)

describe("a stapled OCSP response", function()
  local soon = { this_update = NOW - 60, next_update = NOW + DAY, produced_at = NOW - 60 }
  local function ocsp(o, by, about) return (by or sub):ocsp(about or good, merged(soon, o)) end
  local function with(o, by, about) return verify { ocsp = ocsp(o, by, about) } end

  it("of each kind", function()
    local r = is("ok", with {})
    assert.equal("good", r.revocation)
    assert.equal("ocsp", r.revocation_by)
    assert.is_nil(warns(r, "no_revocation_answer"))
    r = is("certificate_revoked", with { status = "revoked", reason = "superseded", revoked_at = NOW - DAY })
    assert.matches("superseded", r.reasons[1].text, 1, true)
    assert.matches("2027-01-14", r.reasons[1].text, 1, true)
    r = is("ok", with { status = "unknown" })
    assert.equal("unknown", r.revocation)
    assert.is_truthy(warns(r, "revocation_unknown"))
    is("ok", with { by_name = true })
    is("ok", with { id_hash = "sha256" })
    is("ok", with { id_hash = "sha384" })
  end)

  it("has a time", function()
    is("bad_ocsp_response", with { next_update = NOW - 600 })
    is("ok", with { next_update = NOW - 100 }) -- clocks differ
    is("bad_ocsp_response", with { this_update = NOW + 600 })
    is("ok", with { this_update = NOW + 100 })
    is("ok", with { next_update = false })
    is("bad_ocsp_response", with { next_update = false, this_update = NOW - 8 * DAY })
  end)

  it("is about this certificate", function()
    is("bad_ocsp_response", with({}, sub, other))
    is("bad_ocsp_response", with({}, ca))
    local same_name = testca.new(merged(period, { name = "Intermediate", key = keys[5] }))
    is("bad_ocsp_response", with({}, same_name))
  end)

  it("may hold several answers: the newest counts, of those of one time the worst", function()
    local revoked, unknown = { status = "revoked" }, { status = "unknown" }
    is("certificate_revoked", with { more = { merged(soon, revoked) } })
    is("certificate_revoked", with(merged(revoked, { more = { soon } })))
    assert.equal("unknown", with({ more = { merged(soon, unknown) } }).revocation)
    is("certificate_revoked", with(merged(unknown, { more = { merged(soon, revoked), soon } })))
    local hold = merged(soon, { status = "revoked", this_update = NOW - 3600 })
    assert.equal("good", is("ok", with { more = { hold } }).revocation) -- given up since
    assert.equal("good", is("ok", with { more = { merged(soon, { status = "revoked", certificate = other }) } }).revocation)
  end)

  it("is signed by the issuer, or by somebody it delegated", function()
    is("bad_ocsp_response", with { tamper = true })
    is("bad_ocsp_response", with { hash = "sha1" })
    local function delegate(by, o) return by:issue(merged(merged(period, { name = "Responder", key = keys[6], purpose = "ocsp" }), o)) end
    is("ok", with { responder = delegate(sub) })
    is("ok", with { responder = delegate(sub), by_name = true })
    is("certificate_revoked", with { responder = delegate(sub), status = "revoked" })
    is("bad_ocsp_response", with { responder = delegate(sub), certificates = { good.certificate } })
    is("ok", with { responder = delegate(sub), certificates = { good.certificate, delegate(sub).certificate } })
    is("bad_ocsp_response", with { responder = delegate(ca) }) -- somebody else's delegate
    is("bad_ocsp_response", with { responder = delegate(sub, { purpose = "server" }) })
    is("bad_ocsp_response", with { responder = delegate(sub, { purpose = false }) })
    is("bad_ocsp_response", with { responder = delegate(sub, { purpose = { "any" } }) })
    is("bad_ocsp_response", with { responder = delegate(sub, { not_after = NOW - 1 }) })
    is("bad_ocsp_response", with { responder = delegate(sub, { tamper = true }) })
    is("bad_ocsp_response", with { responder = delegate(sub, { key_usage = { "keyEncipherment" } }) })
    is("bad_ocsp_response", with { responder = delegate(sub, { extensions = { { oid = "1.2.3", critical = true, value = "" } } }) })
    is("bad_ocsp_response", with { responder = good, certificates = { good.certificate } })
  end)

  it("that only says that there is none is no answer", function()
    local words = { [1] = "malformedRequest", [2] = "internalError", [3] = "tryLater", [5] = "sigRequired", [6] = "unauthorized" }
    for status, word in pairs(words) do
      local r = is("bad_ocsp_response", verify { ocsp = der.sequence(der.enumerated(status)) })
      assert.matches(word, r.reasons[1].text, 1, true)
    end
    is("bad_ocsp_response", verify { ocsp = der.sequence(der.enumerated(0)) })
    is("bad_ocsp_response", verify { ocsp = der.sequence(der.enumerated(4)) })
    is("bad_ocsp_response", verify { ocsp = "garbage" })
    is("bad_ocsp_response", verify { ocsp = "\0" })
  end)

  it("is read to its end, and every prefix and mutation is refused", function()
    local whole = ocsp { responder = sub:issue(merged(period, { name = "Responder", key = keys[6], purpose = "ocsp" })) }
    is("ok", verify { ocsp = whole })
    for n = 1, #whole - 1 do assert.equal("bad_ocsp_response", verify({ ocsp = whole:sub(1, n) }).verdict) end
    is("bad_ocsp_response", verify { ocsp = whole .. "\0" })
    math.randomseed(6960)
    for _ = 1, 3000 do
      local at = math.random(#whole)
      local s = whole:sub(1, at - 1) .. string.char(math.random(0, 255)) .. whole:sub(at + math.random(0, 2))
      local r = verify { ocsp = s }
      if r.ok and s ~= whole then
        -- only what is not signed may differ: the responder's certificate's own unsigned bytes do not exist, so nothing may
        assert.equal(whole, s)
      end
    end
  end)

  it("agrees with the openssl command", function()
    local dir = os.tmpname()
    os.remove(dir)
    assert(os.execute("mkdir " .. dir))
    local function put(name, content)
      local f = assert(io.open(dir .. "/" .. name, "wb"))
      f:write(content)
      f:close()
    end
    put("ca.pem", ca:pem())
    put("sub.pem", sub:pem())
    put("leaf.pem", good.certificate.pem)
    for status, word in pairs { good = "leaf.pem: good", revoked = "leaf.pem: revoked", unknown = "leaf.pem: unknown" } do
      put("response.der", ocsp { status = status })
      local pipe = io.popen(("cd %s && openssl ocsp -respin response.der -issuer sub.pem -cert leaf.pem -CAfile ca.pem " ..
        "-verify_other sub.pem -attime %d -no_nonce -validity_period 1000000000 2>&1"):format(dir, NOW))
      local text = pipe:read "a"
      pipe:close()
      assert.matches("Response verify OK", text, 1, true)
      assert.matches(word, text, 1, true)
    end
    os.execute("rm -r " .. dir)
  end)
end)

describe("must-staple", function()
  local promising = leaf { must_staple = true }
  local answer = sub:ocsp(promising, { this_update = NOW - 60, next_update = NOW + DAY })
  it("demands a response", function()
    is("must_staple", verify({}, promising))
    is("ok", verify({ ocsp = answer }, promising))
    is("ok", verify({ must_staple = false }, promising))
    local unknown = sub:ocsp(promising, { status = "unknown", this_update = NOW - 60, next_update = NOW + DAY })
    is("must_staple", verify({ ocsp = unknown }, promising))
    is("ok", verify({ purpose = "client" }, promising)) -- a client has nothing to staple to
  end)
end)
