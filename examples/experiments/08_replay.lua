-- 0-RTT replay, with and without anti-replay (RFC 8446 §8).
--
-- Early data goes out with the ClientHello, before the server has said anything fresh: whoever records that flight can send it again. TLS
-- has no cure for it in general; a server can remember what it has seen, and refuse early data that is too old. akushu's does both by
-- itself; what it remembers can be put elsewhere (on_early_data), or, as here in the second half, nowhere.
package.path = (arg[0]:match "^(.*/)" or "./") .. "?.lua;" .. package.path
local lib = require "lib"
local akushu = require "akushu"

-- A first flight with early data, recorded, the server that it is for, and the lab.
local function flight(server_options)
  local lab = akushu.lab { seed = "replay" }
  server_options.versions, server_options.early_data = "1.3", 1000
  local client, server = lab:client { versions = "1.3" }, lab:server(server_options)
  local session = assert(lab:run(client, server).client.session:resumption())
  lab:advance(5)
  local hs = client:handshake { server_name = "localhost", session = session }
  assert(hs:send_early "pay 100 coins to Mallory")
  return assert(hs:start()), server, lab
end

-- Somebody sends these bytes to the server; what it takes of them.
local function sent_to(server, bytes)
  local hs = server:handshake {}
  assert(hs:step(bytes))
  return hs:take_early_data(), hs.early_data, hs.early_data_reason
end

lib.title "With anti-replay, as it comes"
local bytes, server, lab = flight {}
local data, state = sent_to(server, bytes)
lib.claim(data == "pay 100 coins to Mallory" and state == "accepted", "the first time: %q", data)
local reason
for n = 2, 4 do
  data, state, reason = sent_to(server, bytes)
  lib.claim(data == "" and state == "refused", "time %d: refused (%s)", n, tostring(reason))
end
lab:advance(3600)
data, state, reason = sent_to(server, bytes)
lib.claim(data == "" and state == "refused", "an hour later: refused (%s)", tostring(reason))

lib.title "Without: a server that remembers nothing"
bytes, server, lab = flight { on_early_data = function() return true end }
local taken = 0
for _ = 1, 5 do
  data = sent_to(server, bytes)
  if data ~= "" then taken = taken + 1 end
end
lib.claim(taken == 5, "all 5 times %q was taken", data ~= "" and data or "pay 100 coins to Mallory")
lab:advance(3600)
data, state = sent_to(server, bytes)
lib.claim(data == "" and state == "refused", "an hour later it is refused all the same: the ticket's age does not fit")

lib.title "Two servers with the same ticket keys"
local function memory()
  local seen = {}
  return function(key)
    local first = not seen[key]
    seen[key] = true
    return first
  end
end
local keys = ("k"):rep(48)
local function two(memory_of_one, memory_of_other)
  local first_flight, one, its_lab = flight { ticket_keys = keys, on_early_data = memory_of_one }
  local other = its_lab:server { versions = "1.3", early_data = 1000, ticket_keys = keys, on_early_data = memory_of_other }
  local times = 0
  for _, s in ipairs { one, other, one, other } do
    if sent_to(s, first_flight) ~= "" then times = times + 1 end
  end
  return times
end
lib.claim(two(memory(), memory()) == 2, "each with a memory of its own: it is taken twice")
local shared = memory()
lib.claim(two(shared, shared) == 1, "with one memory for both: once")
lib.claim(two(nil, nil) == 0, "akushu's own memory knows that it is not alone, and takes no ticket that is older than itself: never")
