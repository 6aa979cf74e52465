-- ChangeCipherSpec before its time (CVE-2014-0224, "CCS injection").
--
-- In TLS 1.2 ChangeCipherSpec means: from now on everything is protected. An OpenSSL of 2014 took it before there were keys, and made keys
-- of an empty pre-master secret, which an attacker knows. In TLS 1.3 it means nothing: it is tolerated after the first ClientHello and before
-- the peer's Finished (RFC 8446 §5), and nowhere else. Here it is sent before every message of both sides.
package.path = (arg[0]:match "^(.*/)" or "./") .. "?.lua;" .. package.path
local lib = require "lib"
local akushu = require "akushu"

local function experiment(version)
  lib.title("A ChangeCipherSpec before each message, TLS " .. version)
  local lab = akushu.lab { seed = "early ccs" }
  local function setup(l)
    local o = { versions = version, tickets = false }
    return l:client(o), l:server(o)
  end
  local rows = { { "before", "of", "the other side says" } }
  local refused, tolerated = 0, {}
  for _, m in ipairs(lab:attempt(setup):mutations "ccs") do
    local outcome = lab:attempt(setup, { m }):outcome()
    local other = m.from == "client" and outcome.server or outcome.client
    rows[#rows + 1] = { m.name, m.from, other.code and other.code .. ", alert " .. tostring(other.alert) or "nothing: it goes on" }
    if other.code then
      refused = refused + 1
      assert(other.alert == "unexpected_message" or other.alert == "bad_record_mac", other.alert)
    else
      tolerated[#tolerated + 1] = m.from .. "'s " .. m.name
    end
  end
  lib.columns(rows)
  return refused, table.concat(tolerated, ", "), #rows - 1
end

local refused, _, all = experiment "1.2"
lib.claim(refused == all, "TLS 1.2: at none of %d places is it taken", all)
local _, tolerated = experiment "1.3"
lib.claim(tolerated == "server's server_hello", "TLS 1.3: in the clear it is passed over (before: %s), under keys it never is", tolerated)

-- What the attack wanted: no key comes of it. The server's keys do not exist at that moment.
local lab = akushu.lab {}
local client = lab:client { versions = "1.2" }:handshake { server_name = "localhost" }
local server = lab:server { versions = "1.2" }:handshake {}
assert(server:step(assert(client:start())))
local out, _, failure = server:step "\20\3\3\0\1\1"
lib.claim(out == nil and failure.code == "ccs_early", "the server says %s", failure.message)
lib.claim(server:secret "master" == nil, "and never had a master secret")
