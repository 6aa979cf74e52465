-- An oracle: hundreds of generated chains, good and bad, judged by us and by libcrypto's X509_verify_cert (through the openssl command).
-- The two must agree on whether a chain is good, and where one thing alone is wrong, on what.
local x509 = require("akushu.core").x509
local roots = require "spec.support.roots"
local testca = require "akushu.testca"
local merged = require "spec.support.merge"

local DAY = 86400
local NOW = 1800000000
local STRUCTURES, LEAVES = 40, 16

local keys = {}
for i = 1, 5 do keys[i] = x509.private_key.generate "ec:secp256r1" end
local rsa, short = x509.private_key.generate "rsa:2048", x509.private_key.generate "rsa:1024"

-- Left out, because we differ on purpose: the last second of the validity (it counts here, RFC 5280 §4.1.2.5, and not there), CAs with
-- anyExtendedKeyUsage, key identifiers that lie about a signature that holds or are missing where two CAs have one name (libcrypto looks no
-- further than the first), the common name as a host name. And policies: libcrypto 3.0.22 finds no valid policy in chains that the openssl
-- command itself makes with one policy throughout.
-- Each fault: what it changes, and what X509_verify_cert calls it (X509_V_ERR_…); nil: it depends on the rest.
local unknown = { oid = "1.2.3.4", critical = true, value = "" }
local leaf_faults = {
  {}, {}, {}, {},
  { not_after = NOW - 1, err = 10 }, { not_before = NOW + 1, err = 9 }, { not_before = NOW },
  { names = { "b.example" }, err = 62 }, { names = { "*.example" }, err = 62 }, { names = { "email:a@a.example" }, err = 62 },
  { names = { "A.EXAMPLE" } }, { names = { "x.example", "a.example", "192.0.2.1" } },
  { tamper = true, err = 7 }, { purpose = "client", err = 26 }, { purpose = "server" }, { purpose = false },
  { purpose = { "any" }, err = 26 },
  { key_usage = { "keyEncipherment" } }, { key_usage = { "cRLSign" }, err = 26 }, { key_usage = false },
  { key = short, err = 66 }, { key = rsa }, { key = "ed25519" }, { key = "ec:secp384r1" },
  { extensions = { unknown }, err = 34 }, { extensions = { { oid = "1.2.3.4", value = "" } } },
  { authority_key_id = false }, { is_ca = true },
  { names = { "a.example", "192.0.2.1" } }, { names = { "a.example", "10.1.2.3", "2001:db8::1" } },
  { names = { "a.example", "x.other.example" } },
  { names = { "a.example", "email:x@a.example", "URI:https://a.example/" } }, { name = { { "C", "FR" }, { "CN", "leaf" } } },
}
local ca_faults = {
  {}, {}, {}, {}, {}, {},
  { not_after = NOW - 1, err = 10 }, { not_before = NOW + 1, err = 9 }, { is_ca = false, key_usage = false, purpose = false, err = 24 },
  { key_usage = { "digitalSignature", "cRLSign" }, err = 24 }, { key_usage = false }, { purpose = "client", err = 24 },
  { purpose = "server" },
  { path_length = 0 }, { path_length = 1 }, { tamper = true, err = 7 }, { extensions = { unknown }, err = 34 }, { subject_key_id = false },
  { name_constraints = { permitted = { "DNS:a.example" } } }, { name_constraints = { permitted = { "DNS:example" } } },
  { name_constraints = { permitted = { "DNS:b.example" } } }, { name_constraints = { excluded = { "DNS:a.example" } } },
  { name_constraints = { excluded = { "DNS:other.example" } } }, { name_constraints = { permitted = { "IP:192.0.2.0/24" } } },
  { name_constraints = { excluded = { "IP:10.0.0.0/8" } } }, { name_constraints = { permitted = { "email:a.example" } } },
  { name_constraints = { permitted = { "URI:a.example" } } }, { name_constraints = { excluded = { "DNS:" } } },
}
local codes = { [7] = "certificate_signature", [9] = "certificate_not_yet_valid", [10] = "certificate_expired", [26] = "wrong_purpose",
  [34] = "unknown_critical_extension", [62] = "host_mismatch", [66] = "key_too_short" }

local function split(fault)
  local o = merged(fault)
  o.err = nil
  return o, fault.err
end

local function pick(list) return list[math.random(#list)] end

local function put(path, content)
  local f = assert(io.open(path, "wb"))
  f:write(content)
  f:close()
end

-- one root, one to three CAs below it, and LEAVES end entities; most of them have one fault at most
local function structure(n)
  local period = { not_before = NOW - 100 * DAY, not_after = NOW + 200 * DAY }
  local top = testca.new(merged(period, { name = "Root " .. n, key = keys[1] }))
  local at, faults, untrusted, twins = top, {}, {}, math.random() < 0.2
  for depth = 1, math.random(3) do
    local o, err = split(math.random() < 0.5 and {} or pick(ca_faults))
    local self_issued = twins and depth > 1
    if twins then o.subject_key_id = nil end
    local name = self_issued and "CA " .. (depth - 1) or "CA " .. depth
    at = at:intermediate(merged(merged(period, { name = name, key = keys[depth + 1] }), o))
    untrusted[#untrusted + 1] = at
    faults[#faults + 1] = err
  end
  local leaves = {}
  for i = 1, LEAVES do
    local o, err = split(pick(leaf_faults))
    if twins then o.authority_key_id = nil end
    local plain = merged(period, { name = { { "C", "DE" }, { "CN", "leaf" } }, names = { "a.example" }, key = keys[5] })
    local one = at:issue(merged(plain, o))
    leaves[i] = { issued = one, faults = #faults + (err and 1 or 0), err = err or faults[1] }
  end
  return top, untrusted, leaves
end

describe("libcrypto's X509_verify_cert", function()
  it(("agrees on %d chains"):format(STRUCTURES * LEAVES), function()
    math.randomseed(tonumber(os.getenv "AKUSHU_SEED") or 20261122)
    local dir = os.tmpname()
    os.remove(dir)
    assert(os.execute("mkdir " .. dir))
    local good, bad = 0, 0
    for n = 1, STRUCTURES do
      local top, untrusted, leaves = structure(n)
      local trust = top:trust()
      put(dir .. "/root.pem", top:pem())
      local chain, files = {}, {}
      for i, ca in ipairs(untrusted) do chain[i] = ca:pem() end
      put(dir .. "/chain.pem", table.concat(chain))
      for i, l in ipairs(leaves) do
        put(dir .. "/" .. i .. ".pem", l.issued.certificate.pem)
        files[i] = i .. ".pem"
      end
      local pipe = io.popen(("cd %s && openssl verify -no-CApath -no-CAstore -CAfile root.pem -untrusted chain.pem -purpose sslserver " ..
        "-verify_hostname a.example -auth_level 2 -attime %d %s 2>&1"):format(dir, NOW, table.concat(files, " ")))
      local text = pipe:read "a"
      pipe:close()
      for i, l in ipairs(leaves) do
        local theirs = text:find("%f[%d]" .. i .. "%.pem: OK") ~= nil
        local r = trust:verify(l.issued.chain, { time = NOW, host = "a.example" })
        assert.equal(theirs, r.ok, ("structure %d, leaf %d\n%s\n%s"):format(n, i, text, r.text))
        if theirs then good = good + 1 else bad = bad + 1 end
        if l.faults == 1 and #r.reasons == 1 and codes[l.err] then
          assert.equal(codes[l.err], r.verdict, r.text)
        end
      end
    end
    os.execute("rm -r " .. dir)
    assert.is_true(good > 80 and bad > 80, good .. " good, " .. bad .. " bad")
  end)

  it("agrees on the system's roots: each is good as an anchor for a chain below it, or both say why not", function()
    -- what can be compared without their private keys: a root as its own end entity fails for both, by purpose or by time
    local store, n = roots.store(), 0
    for _, root in ipairs(store.certificates) do
      if root.self_issued then -- somebody may have put an intermediate CA among them
        local r = store:verify({ root }, { time = NOW })
        assert.is_true(r.anchored)
        assert.equal(1, #r.chain)
        n = n + 1
      end
    end
    assert.is_true(n > 50, n)
  end)
end)
