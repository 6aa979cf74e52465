-- Two servers, one hello: what do they do differently?
--
-- The same script, with the same randomness, talks to two servers; what they answer is compared message by message, field by field. That is
-- how differential testing finds disagreements in the reading of an RFC, and how a fingerprint of a server is made.
package.path = (arg[0]:match "^(.*/)" or "./") .. "?.lua;" .. package.path
local lib = require "lib"
local akushu = require "akushu"

local lab = akushu.lab { seed = "differential" }
local patience = { timeout = lib.patience }
local issued = lab:issue { names = { "localhost" } }

local function hello_1_2(peer)
  peer:send(peer:client_hello { suites = { "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256", "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384" },
    server_name = "localhost" })
  for _, name in ipairs { "server_hello", "certificate", "server_key_exchange", "server_hello_done" } do peer:expect(name, patience) end
end

local function hello_1_3(peer)
  peer:send(peer:client_hello { versions = { "TLS 1.3" }, server_name = "localhost" })
  for _, name in ipairs { "server_hello", "encrypted_extensions", "certificate", "certificate_verify", "finished" } do peer:expect(name, patience) end
end

local function server(o)
  o.identity = issued.identity
  return lab:server(o)
end

lib.title "akushu and akushu, one with another taste"
lib.claim(lab:compare(server { max_version = "1.2" }, server { max_version = "1.2" }, { script = hello_1_2 }) == nil, "the same twice: no difference")
local d = lab:compare(server { max_version = "1.2" }, server { max_version = "1.2", suites = { "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384" } },
  { script = hello_1_2 })
print("  " .. tostring(d))
lib.claim(d.name == "server_hello" and d.path == "cipher_suite", "the suite differs, and that is what is found")
d = lab:compare(server { max_version = "1.2" }, server { max_version = "1.2", groups = { "secp256r1" } }, { script = hello_1_2 })
print("  " .. tostring(d))
lib.claim(d.name == "server_key_exchange" and d.a == "x25519" and d.b == "secp256r1", "the group differs")

local real = lib.openssl_server(issued)
if real then
  for _, row in ipairs { { "1.2", hello_1_2 }, { "1.3", hello_1_3 } } do
    local version, script = row[1], row[2]
    lib.title("akushu and openssl s_server, TLS " .. version)
    local other = lab:compare(server { versions = version }, real.connect, { script = script })
    for _, one in ipairs(other and other.all or {}) do print("  " .. tostring(one)) end
    local wrong
    for _, one in ipairs(other and other.all or {}) do
      if one.path == nil or one.path == "cipher_suite" or one.path:find "selected_version" or one.path:find "cert_data" then wrong = one end
    end
    lib.claim(wrong == nil, "the same messages in the same order, the same suite, version and certificate; %d fields differ",
      other and #other.all or 0)
  end

  lib.title "And to a hello that is wrong"
  -- No compression method at all: RFC 8446 §4.1.2 wants exactly one.
  local said = {}
  local function bad(peer)
    peer:send(peer:client_hello { versions = { "TLS 1.3" }, fields = { compression_methods = { "null", 1 } } })
    said[#said + 1] = peer:expect_alert(nil, patience)
  end
  local both = lab:compare(server { versions = "1.3" }, real.connect, { script = bad })
  lib.claim(both == nil and said[1] == "illegal_parameter" and said[2] == said[1], "both say illegal_parameter to a second compression method in TLS 1.3%s",
    both and ": " .. tostring(both) or "")
  real.close()
end
