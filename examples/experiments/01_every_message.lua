-- Drop, double and swap every message of a handshake, one at a time, and see what the other side says to it.
--
-- A state machine that goes on when a message is missing has given away what the message was for (SMACK and FREAK, 2015: skipped
-- ServerKeyExchange, CertificateVerify, ChangeCipherSpec). Here each message of each side is dropped, sent twice, or sent after the next
-- one, against akushu and against a real `openssl s_server`; nobody may end up connected, but for what comes after the handshake.
package.path = (arg[0]:match "^(.*/)" or "./") .. "?.lua;" .. package.path
local lib = require "lib"
local akushu = require "akushu"
local mutations = require "akushu.mutations"

local kinds = { "drop", "duplicate", "swap" }
local after_the_handshake = { new_session_ticket = true }

-- The last message of a flight has no next one to be swapped with.
local function no_partner(m) return m.kind == "swap" and m.last end

local function words(o)
  if o.code and o.origin == "local" then return "fails: " .. o.alert end
  if o.code then return "is told: " .. tostring(o.alert) end
  return o.done and "done" or "waits"
end

local function experiment(version)
  lib.title("akushu against akushu, TLS " .. version)
  local lab = akushu.lab { seed = "every message" }
  local function setup(l) return l:client { versions = version }, l:server { versions = version } end
  local rows, tried, connected = { { "message", "of", "drop", "duplicate", "swap" } }, 0, 0
  local row
  for _, m in ipairs(lab:attempt(setup):mutations(kinds)) do
    if m.kind == "drop" then
      row = { m.name, m.from }
      rows[#rows + 1] = row
    end
    if no_partner(m) then
      row[#row + 1] = "-"
    else
      local outcome = lab:attempt(setup, { m }):outcome()
      tried = tried + 1
      row[#row + 1] = words(m.from == "client" and outcome.server or outcome.client)
      if outcome.client.done and outcome.server.done and not outcome.client.code and not outcome.server.code and
        not after_the_handshake[m.name] then connected = connected + 1 end
    end
  end
  lib.columns(rows)
  lib.claim(connected == 0, "none of the %d wrong handshakes was completed by both sides", tried)
end

-- Plays a client: "accepts" is said only of a server that has answered a line with the line reversed, as `s_server -rev` does. Whoever says nothing for
-- `seconds` in the middle of a handshake waits.
local function drive(hs, s, seconds)
  local out = assert(hs:start())
  while not hs.done do
    s:send(out)
    local bytes, why = lib.receive(s, seconds)
    if not bytes then return why == "timeout" and "waits" or "closes" end
    local message, failure
    out, message, failure = hs:step(bytes)
    if not out then return failure.origin == "peer" and "says " .. failure.alert or "we say: " .. message end
  end
  s:send(out)
  -- Whether the other end agrees is seen by what it answers to the last flight, and to data.
  local session, heard = assert(hs:session()), ""
  s:send(assert(session:seal "hello\n"))
  while true do
    local bytes, why = lib.receive(s, lib.patience)
    if not bytes then return why == "timeout" and "waits" or "closes" end
    local plain, _, failure = session:open(bytes)
    if not plain then return failure.origin == "peer" and failure.alert and "says " .. failure.alert or "closes" end
    heard = heard .. plain
    if heard == "olleh\n" then return "accepts" end
  end
end

local function against_openssl(version)
  local lab = akushu.lab { seed = "every message" }
  local server = lib.openssl_server(lab:issue { names = { "localhost" } })
  if not server then return print "  (no openssl or no LuaSocket here: this part is left out)" end
  lib.title("the client's messages against openssl s_server, TLS " .. version)
  local client = lab:client { versions = version, tickets = false }
  local function connect(list)
    local s, hs = server.connect(), assert(client:handshake { server_name = "localhost" })
    mutations.apply(list, hs, nil)
    local answer = drive(hs, s, list[1] and 1 or lib.patience) -- nothing is amiss: what comes is waited for
    s:close()
    return answer
  end
  local usual = connect {}
  lib.claim(usual == "accepts", "an unchanged handshake is accepted")
  local good = lab:run(lab:client { versions = version, tickets = false }, lab:server { versions = version, tickets = false })
  local rows, accepted, row = { { "message", "drop", "duplicate", "swap" } }, 0, nil
  for _, m in ipairs(good:mutations(kinds, { from = "client" })) do
    if m.kind == "drop" then
      row = { m.name }
      rows[#rows + 1] = row
    end
    row[#row + 1] = no_partner(m) and "-" or connect { m }
    if row[#row] == "accepts" then accepted = accepted + 1 end
  end
  server.close()
  lib.columns(rows)
  lib.claim(accepted == 0, "openssl accepts none of them either")
end

for _, version in ipairs { "1.2", "1.3" } do
  experiment(version)
  against_openssl(version)
end
