-- A padding oracle hunt on one's own server, which must find nothing.
--
-- CBC suites pad, then encrypt (RFC 5246 §6.2.3.2); a server that tells wrong padding from a wrong MAC, by its alert or by what it does next,
-- lets anybody decrypt a byte with 256 questions (Vaudenay 2002, POODLE 2014, "zombie" POODLE 2019). RSA key exchange has the same hole
-- in another place: Bleichenbacher 1998, ROBOT 2017. hs:fork() asks all questions from one point of one connection: nothing but the question
-- differs, so that any difference in the answers is an oracle.
package.path = (arg[0]:match "^(.*/)" or "./") .. "?.lua;" .. package.path
local lib = require "lib"
local akushu = require "akushu"

local function flip(bytes, at, mask) return bytes:sub(1, at - 1) .. string.char(bytes:byte(at) ~ mask) .. bytes:sub(at + 1) end

-- What a fork of the server answers to these bytes: all that can be seen from outside.
local function answer(server, bytes)
  local copy = assert(server:fork())
  local out, _, failure = copy:step(bytes)
  local seen = out or copy:pending()
  copy:close()
  return (seen:gsub(".", function(c) return ("%02x"):format(c:byte()) end)), failure and failure.code or "accepted"
end

local function count(answers, key) answers[key] = (answers[key] or 0) + 1 end

local function kinds(answers)
  local out = {}
  for key, n in pairs(answers) do out[#out + 1] = ("%s (%d times)"):format(key, n) end
  return out
end

-- The records of a flight, one by one.
local function records(bytes)
  local out, at = {}, 1
  while at <= #bytes do
    local n = string.unpack(">I2", bytes, at + 3)
    out[#out + 1] = bytes:sub(at, at + 4 + n)
    at = at + 5 + n
  end
  return out
end

local lab = akushu.lab { seed = "oracle" }
local function pair(suite, more)
  local o = { versions = "1.2", profile = "classic", suites = { suite }, encrypt_then_mac = false, tickets = false }
  local client = lab:client(o):handshake { server_name = "localhost" }
  local server = lab:server(o):handshake {}
  if more then more(client) end
  local flight = assert(server:step(assert(client:start())))
  return server, records(assert(client:step(flight)))
end

for _, suite in ipairs { "TLS_RSA_WITH_AES_128_CBC_SHA", "TLS_RSA_WITH_AES_256_CBC_SHA256" } do
  lib.title("CBC padding: " .. suite)
  local server, flight = pair(suite)
  assert(server:step(flight[1] .. flight[2])) -- ClientKeyExchange, ChangeCipherSpec: keys are there, the Finished is what is asked about
  local finished = flight[3]
  local answers, codes, asked = {}, {}, 0
  local function ask(record)
    asked = asked + 1
    local bytes, code = answer(server, record)
    count(answers, bytes)
    count(codes, code)
  end
  -- Vaudenay's question: the last byte of the block before the last one, in all 255 ways; then the byte before it, as POODLE wants it.
  local n = #finished
  for mask = 1, 255 do ask(flip(finished, n - 16, mask)) end
  for mask = 1, 255 do ask(flip(finished, n - 17, mask)) end
  -- And every byte of the record's body: IV, message, MAC, padding.
  for at = 6, n do ask(flip(finished, at, 1)) end
  -- Lengths: fewer and more blocks.
  for blocks = 1, (n - 5) // 16 - 1 do ask(finished:sub(1, 3) .. string.pack(">s2", finished:sub(6, 5 + 16 * blocks))) end
  for blocks = 1, 8 do ask(finished:sub(1, 3) .. string.pack(">s2", finished:sub(6) .. ("\0"):rep(16 * blocks))) end
  print("  answers: " .. table.concat(kinds(answers), ", ") .. "; inside: " .. table.concat(kinds(codes), ", "))
  lib.claim(#kinds(answers) == 1 and answers["15030300020214"] == asked, "all %d questions get the same bytes: bad_record_mac", asked)
  local good = answer(server, finished)
  lib.claim(good ~= "15030300020214", "the record as it was is accepted: the questions were real ones")
end

lib.title "RSA: Bleichenbacher's question"
local answers, asked = {}, 0
local key = akushu.crypto.public_key(lab:identity("rsa").certificate.spki)
local function cke(encrypted) return "\22\3\3" .. string.pack(">s2", string.pack(">BI3", 16, #encrypted + 2) .. string.pack(">s2", encrypted)) end
local premaster = "\3\3" .. ("p"):rep(46)
local size = #key:encrypt(premaster)
-- A block of PKCS #1 as it should be, 00 02, at least eight bytes that are not 0, 00 and the secret, with one thing changed.
local function block(head, separator, secret)
  return key:encrypt(head .. ("\7"):rep(size - #head - #separator - #secret) .. separator .. secret, "block")
end
local questions = {
  ["begins with 01 instead of 00"] = block("\1\2", "\0", premaster),
  ["a block for signatures, 00 01"] = block("\0\1", "\0", premaster),
  ["no 00 before the secret"] = block("\0\2", "\7", premaster),
  ["a 00 among the first eight bytes of padding"] = block("\0\2\7\7\0", "\0", premaster),
  ["a 00 in the middle of the padding"] = block("\0\2" .. ("\7"):rep(20) .. "\0", "\0", premaster),
  ["nothing but padding"] = block("\0\2", "\0", ""),
  ["another version inside"] = key:encrypt("\3\1" .. ("p"):rep(46)),
  ["too short inside"] = key:encrypt(premaster:sub(1, 47)),
  ["too long inside"] = key:encrypt(premaster .. "p"),
  ["empty inside"] = key:encrypt "",
  ["no padding at all"] = ("\1"):rep(size),
  ["zeros"] = ("\0"):rep(size),
  ["damaged"] = flip(key:encrypt(premaster), size, 1),
  ["right, but not what the Finished is made of"] = key:encrypt(premaster),
}
local server, flight = pair "TLS_RSA_WITH_AES_128_GCM_SHA256"
local rows = {}
for name, encrypted in pairs(questions) do
  asked = asked + 1
  local bytes, code = answer(server, cke(encrypted) .. flight[2] .. flight[3])
  count(answers, bytes)
  rows[#rows + 1] = { name, code, bytes }
end
lib.columns(rows)
lib.claim(#kinds(answers) == 1, "all %d get the same answer, at the same place: the Finished does not open", asked)
lib.claim(answer(server, flight[1] .. flight[2] .. flight[3]) ~= next(answers), "the ClientKeyExchange as it was is accepted")
