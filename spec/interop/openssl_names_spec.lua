-- What openssl calls its suites is what akushu takes those names for, in the messages for who has written one.
local core = require "akushu.core"
local interop = require "spec.support.interop"
local names = require "akushu.openssl_names"
local peers = require "spec.support.peers"

interop.describe("names of OpenSSL's", { "openssl" }, function()
  it("are taken for the suites that they are", function()
    local process <close> = peers.spawn { "openssl", "ciphers", "-stdname", "ALL:COMPLEMENTOFALL:@SECLEVEL=0" }
    assert.equal(0, process:wait())
    local ours, theirs = {}, {}
    for iana, name in process:log():gmatch "(TLS_%S+)%s+%-%s+(%S+)" do
      if core.find_suite(iana) and not name:find "^TLS_" then ours[name], theirs[name] = names.suite(name), iana end
    end
    assert.is_string(next(theirs))
    assert.same(theirs, ours)
  end)

  it("that are none are taken for nothing", function()
    for _, name in ipairs { "", "HIGH", "-", "ECDHE-", "AES128", ("A"):rep(1000), "TLS_AES_128_GCM_SHA256", "ECDHE-RSA-AES128-\0" } do
      assert.is_nil(core.find_suite(names.suite(name)))
    end
    assert.is_nil(names.group "secp256k1")
    assert.is_number(core.find_group(names.group "prime256v1"))
  end)
end)
