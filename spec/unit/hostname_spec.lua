-- Host names against certificates: RFC 9525, row by row.
local x509 = require("akushu.core").x509
local testca = require "akushu.testca"

local ca = testca.new { name = "host name spec" }
local key = x509.private_key.generate "ec:secp256r1"

local made = {}
local function certificate(names)
  local id = table.concat(names, "\1")
  made[id] = made[id] or ca:issue { name = "common.example", names = names, key = key }.certificate
  return made[id]
end

local function result(names, host)
  local ok, _, failure = certificate(names):matches(host)
  return ok and "ok" or failure.code
end

-- { names in the certificate (a DNS name, or kind and colon), the name asked for, the answer }
local YES, NO, BAD = "ok", "host_mismatch", "bad_host_name"
local rows = {
  -- exactly the same
  { "example.com", "example.com", YES },
  { "example.com", "EXAMPLE.com", YES },
  { "EXAMPLE.COM", "example.com", YES },
  { "example.com", "example.com.", YES },
  { "example.com", "example.org", NO },
  { "example.com", "www.example.com", NO },
  { "www.example.com", "example.com", NO },
  { "example.com", "xample.com", NO },
  { "xample.com", "example.com", NO },
  { "example.com", "example.co", NO },
  { "example.co", "example.com", NO },
  { "localhost", "localhost", YES },
  { "localhost", "LocalHost", YES },
  { "a-b.example.com", "a-b.example.com", YES },
  { "a_b.example.com", "a_b.example.com", YES },
  { "_dmarc.example.com", "_dmarc.example.com", YES },
  { "1.example.com", "1.example.com", YES },
  { "123.example.com", "123.example.com", YES },
  { "xn--bcher-kva.example", "xn--bcher-kva.example", YES },
  { "xn--bcher-kva.example", "XN--BCHER-KVA.EXAMPLE", YES },
  { "bücher.example", "xn--bcher-kva.example", NO },
  -- wildcards: the whole leftmost label, exactly one label
  { "*.example.com", "www.example.com", YES },
  { "*.example.com", "WWW.Example.COM", YES },
  { "*.example.com", "www.example.com.", YES },
  { "*.EXAMPLE.com", "www.example.com", YES },
  { "*.example.com", "example.com", NO },
  { "*.example.com", ".example.com", BAD },
  { "*.example.com", "a.b.example.com", NO },
  { "*.example.com", "xn--bcher-kva.example.com", YES },
  { "*.example.com", "www.example.org", NO },
  { "*.example.com", "www-example.com", NO },
  { "*.example.com", "wwwexample.com", NO },
  { "*.a.example.com", "b.a.example.com", YES },
  { "*.a.example.com", "b.example.com", NO },
  { "w*.example.com", "www.example.com", NO },
  { "*w.example.com", "www.example.com", NO },
  { "w*w.example.com", "www.example.com", NO },
  { "www.*.com", "www.example.com", NO },
  { "www.example.*", "www.example.com", NO },
  { "*.*.com", "www.example.com", NO },
  { "*.*.example.com", "a.b.example.com", NO },
  { "**.example.com", "www.example.com", NO },
  { "*", "localhost", NO },
  { "*", "example.com", NO },
  { "*.", "localhost", NO },
  { "*.com", "example.com", NO },
  { "*.localhost", "a.localhost", NO },
  { "*.co.uk", "example.co.uk", YES }, -- the public suffix list is not known here
  { "xn--*.example.com", "xn--bcher-kva.example.com", NO },
  { "*example.com", "www.example.com", NO },
  { "*.example.com.", "www.example.com", NO },
  { "*..example.com", "www.example.com", NO },
  { "*.-example.com", "www.-example.com", BAD },
  -- presented names that are none
  { "example.com.", "example.com", NO },
  { ".example.com", "www.example.com", NO },
  { ".example.com", "example.com", NO },
  { "", "example.com", NO },
  { ".", "example.com", NO },
  { "example..com", "example.com", NO },
  { "example.com\0.evil.org", "example.com", NO },
  { "example.com\0", "example.com", NO },
  { "\0example.com", "example.com", NO },
  { " example.com", "example.com", NO },
  { "example.com ", "example.com", NO },
  { "example.com\n", "example.com", NO },
  { "-a.example.com", "a.example.com", NO },
  { ("a"):rep(64) .. ".example.com", "a.example.com", NO },
  -- references that are none
  { "example.com", "", BAD },
  { "example.com", ".", BAD },
  { "example.com", "..", BAD },
  { "example.com", ".com", BAD },
  { "example.com", "example..com", BAD },
  { "example.com", "example.com..", BAD },
  { "example.com", "*.example.com", BAD },
  { "*.example.com", "*.example.com", BAD },
  { "example.com", "*", BAD },
  { "example.com", "exa mple.com", BAD },
  { "example.com", " example.com", BAD },
  { "example.com", "example.com ", BAD },
  { "example.com", "example.com\0", BAD },
  { "example.com", "example.com\0.evil.org", BAD },
  { "example.com", "example.com:443", BAD },
  { "example.com", "https://example.com", BAD },
  { "example.com", "example.com/", BAD },
  { "example.com", "user@example.com", BAD },
  { "example.com", "-example.com", BAD },
  { "example.com", "example-.com", BAD },
  { "example.com", "example.com-", BAD },
  { "example.com", "bücher.example", BAD },
  { "example.com", "example.123", BAD },
  { "example.com", "1", BAD },
  { "example.com", "1.2.3", BAD },
  { "example.com", "1.2.3.4.5", BAD },
  { "example.com", ("a"):rep(64) .. ".com", BAD },
  { "example.com", ("a"):rep(63) .. ".com", NO },
  { "example.com", (("a"):rep(49) .. "."):rep(5) .. "com", NO },
  { "example.com", (("a"):rep(49) .. "."):rep(5) .. "comm", BAD },
  { ("a"):rep(63) .. ".com", ("a"):rep(63) .. ".com", YES },
  -- IPv4: from iPAddress alone, and in one form alone
  { "IP:192.0.2.1", "192.0.2.1", YES },
  { "IP:192.0.2.1", "192.0.2.2", NO },
  { "DNS:192.0.2.1", "192.0.2.1", NO },
  { "DNS:*.0.2.1", "192.0.2.1", NO },
  { "IP:192.0.2.1", "192.0.2.01", BAD },
  { "IP:192.0.2.1", "192.0.2.1.", BAD },
  { "IP:192.0.2.1", "192.0.2.256", BAD },
  { "IP:192.0.2.1", "192.0.2", BAD },
  { "IP:192.0.2.1", "0300.0.2.1", BAD },
  { "IP:192.0.2.1", "0xc0.0.2.1", BAD },
  { "IP:192.0.2.1", "3221225985", BAD },
  { "IP:192.0.2.1", "::ffff:192.0.2.1", NO },
  { "IP:192.0.2.1", "example.com", NO },
  { "IP:0.0.0.0", "0.0.0.0", YES },
  { "IP:255.255.255.255", "255.255.255.255", YES },
  -- IPv6
  { "IP:2001:db8::1", "2001:db8::1", YES },
  { "IP:2001:db8::1", "2001:DB8::1", YES },
  { "IP:2001:db8::1", "2001:0db8:0000:0000:0000:0000:0000:0001", YES },
  { "IP:2001:db8::1", "2001:db8:0:0:0:0:0:1", YES },
  { "IP:2001:db8::1", "2001:db8::2", NO },
  { "IP:::1", "::1", YES },
  { "IP:::1", "0:0:0:0:0:0:0:1", YES },
  { "IP:::", "::", YES },
  { "IP:::ffff:192.0.2.1", "::ffff:192.0.2.1", YES },
  { "IP:::ffff:192.0.2.1", "::ffff:c000:201", YES },
  { "IP:::ffff:192.0.2.1", "192.0.2.1", NO },
  { "IP:1::", "1::", YES },
  { "IP:1:2:3:4:5:6:7:8", "1:2:3:4:5:6:7:8", YES },
  { "IP:1:2:3:4:5:6:7:0", "1:2:3:4:5:6:7::", YES },
  { "DNS:::1", "::1", NO },
  { "IP:::1", "[::1]", BAD },
  { "IP:::1", "::1%lo", BAD },
  { "IP:::1", ":::1", BAD },
  { "IP:::1", "::1::", BAD },
  { "IP:::1", "1::2::3", BAD },
  { "IP:::1", ":1", BAD },
  { "IP:::1", "1:", BAD },
  { "IP:::1", "::00001", BAD },
  { "IP:::1", "1:2:3:4:5:6:7", BAD },
  { "IP:::1", "1:2:3:4:5:6:7:8:9", BAD },
  { "IP:::1", "1:2:3:4:5:6:7:8::", BAD },
  { "IP:::1", "::1.2.3", BAD },
  { "IP:::1", "::1.2.3.4:5", BAD },
  { "IP:::1", "1:2:3:4:5:6:7:1.2.3.4", BAD },
  { "IP:::1", "::g", BAD },
  { "IP:::1", "::-1", BAD },
  -- other kinds of names count for nothing, nor does the common name
  { "email:example.com", "example.com", NO },
  { "URI:https://example.com/", "example.com", NO },
  { "URI:example.com", "example.com", NO },
  { "DirName:example.com", "example.com", NO },
  { "other.example", "common.example", NO },
  { "email:a@common.example", "common.example", NO },
}

describe("host names (RFC 9525)", function()
  for _, row in ipairs(rows) do
    it(("%q for %q: %s"):format(row[1], row[2], row[3]):gsub("[^%g ]", "?"):gsub(("a"):rep(40), "a…"), function()
      local name = row[1]
      if not name:find "^%u?%u?%a+:" then name = "DNS:" .. name end
      assert.equal(row[3], result({ name }, row[2]))
    end)
  end

  it("finds the name among many", function()
    local names = { "IP:10.0.0.1", "email:x@example.com" }
    for i = 1, 200 do names[#names + 1] = "DNS:host" .. i .. ".example.com" end
    assert.equal("ok", result(names, "host200.example.com"))
    assert.equal("ok", result(names, "10.0.0.1"))
    assert.equal("host_mismatch", result(names, "host201.example.com"))
  end)

  it("a certificate without subjectAltName is for no host, whatever its common name", function()
    local c = ca:issue { name = "example.com", key = key }.certificate
    local ok, message, failure = c:matches "example.com"
    assert.is_nil(ok)
    assert.equal("host_mismatch", failure.code)
    assert.matches("common name", message)
    for _, bare in ipairs { "192.0.2.1", "localhost" } do
      assert.is_nil(ca:issue { name = bare, key = key }.certificate:matches(bare))
    end
  end)

  it("an iPAddress of another length makes the extension unreadable and matches nothing", function()
    for _, n in ipairs { 0, 3, 5, 8, 15, 17, 32 } do
      local c = ca:issue { name = "x", names = { { 0x87, ("\1"):rep(n) } }, key = key }.certificate
      assert.equal("subjectAltName", c.malformed)
      assert.is_nil(c:matches "1.1.1.1")
    end
  end)

  it("says what the certificate is for", function()
    local _, message = certificate { "DNS:a.example", "IP:192.0.2.7", "email:x@y.example" }:matches "b.example"
    assert.matches('"b.example" was asked for; it is for a.example, 192.0.2.7', message, 1, true)
    local names = {}
    for i = 1, 20 do names[i] = "DNS:h" .. i .. ".example" end
    _, message = certificate(names):matches "b.example"
    assert.matches("h6.example and 14 more", message, 1, true)
  end)

  it("shows no control characters of the peer's choosing", function()
    local _, message = certificate { "DNS:\27[2Jevil\n.example" }:matches "b.example"
    assert.matches("\\1B[2Jevil\\0A.example", message, 1, true)
  end)

  it("random bytes as names or references raise nothing and match nothing by accident", function()
    math.randomseed(9525)
    local c = certificate { "DNS:example.com", "DNS:*.example.org", "IP:192.0.2.1" }
    for _ = 1, 20000 do
      local s = {}
      for i = 1, math.random(0, 30) do
        s[i] = string.char(math.random() < 0.7 and ("ab.*-:12[]"):byte(math.random(10)) or math.random(0, 255))
      end
      local host = table.concat(s)
      local ok = c:matches(host)
      local right = host:lower():match "^[%w_-]+%.example%.org%.?$" or host:match "^example%.com%.?$" or host == "192.0.2.1"
      if ok then assert.is_truthy(right) end
    end
  end)

  it("SNI chooses identities by the same rule", function()
    local one = ca:issue { names = { "*.example.com", "192.0.2.9" }, key = key }
    assert.is_true(one.identity:serves "a.example.com")
    assert.is_true(one.identity:serves "192.0.2.9")
    assert.is_false(one.identity:serves "example.com")
    assert.is_false(one.identity:serves "")
  end)
end)
