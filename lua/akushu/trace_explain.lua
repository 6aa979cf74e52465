--- What a trace can say of its secrets and of what everything cost (trace.lua).
local show = require "akushu.show"
local misuse = require "akushu.misuse"
local crypto = require("akushu.core").crypto

local methods = {}

-- Operations that derive keys; what has which name is trace.lua's.
local derivations = { prf = true, hkdf_extract = true, hkdf_expand_label = true }

-- The messages whose transcript hash this is: names, or nil when it is none of this side's prefixes.
local function covered(self, side, hash_value)
  local hash = ({ [20] = "sha1", [32] = "sha256", [48] = "sha384", [36] = "md5_sha1", [64] = "sha512" })[#hash_value]
  if not hash then return nil end
  local bytes, names = "", {}
  if crypto.digest(hash, "") == hash_value then return { "nothing" } end
  for _, e in ipairs(self.entries) do
    if e.kind == "message" and e.side == side and not e.dropped and e.name ~= "change_cipher_spec" and e.name ~= "hello_request" then
      -- RFC 8446 §4.4.1: before a HelloRetryRequest the first ClientHello is replaced by its hash
      if e.name == "hello_retry_request" then
        local value = crypto.digest(hash, bytes)
        bytes = string.pack(">BI3", 254, #value) .. value
      end
      bytes = bytes .. e.bytes
      names[#names + 1] = e.name
      if crypto.digest(hash, bytes) == hash_value then return names end
    end
  end
  return nil
end

local Explanation = { __name = "akushu.Explanation" }
Explanation.__index = Explanation
Explanation.__tostring = function(self)
  local out = { ("%s (%s's): %s"):format(self.name, self.side, show.value(self.value, 64)), ("  made by  %s%s"):format(self.op,
    self.label and (" with label %q"):format(self.label) or "") }
  for _, from in ipairs(self.from) do out[#out + 1] = "  from     " .. from end
  if self.messages then out[#out + 1] = ("  over     the transcript %s"):format(table.concat(self.messages, ", ")) end
  if self.context then out[#out + 1] = ("  %s  %s"):format(self.messages and "hash   " or "context", show.value(self.context, 64)) end
  for _, use in ipairs(self.used_by) do out[#out + 1] = "  used by  " .. use end
  return table.concat(out, "\n")
end

local function add_once(list, seen, text)
  if seen[text] then return end
  seen[text] = true
  list[#list + 1] = text
end

--- What a secret was made of and what it was used for: a table with name, value, op, label, from, context, messages (of the transcript
-- hash), used_by; printable. nil, message when the trace does not have it; a name that no secret has raises. side: whose ("client" unless
-- only the server has it).
function methods:explain(name, side)
  local e = misuse.blame(2, self.find, self, "secret", name, side or "client") or not side and self:find("secret", name)
  if not e then return self:_no_secret(name, side) end
  local x = { name = e.name, side = e.side, value = e.value, op = e.op, label = e.label, from = e.from, context = e.context, used_by = {} }
  x.messages = e.context and covered(self, e.side, e.context)
  local seen = {}
  for _, other_entry in ipairs(self.entries) do
    if other_entry.side == e.side then
      if other_entry.kind == "secret" then
        for _, from in ipairs(other_entry.from) do
          if from == e.name then add_once(x.used_by, seen, other_entry.name) end
        end
      elseif other_entry.kind == "operation" and (other_entry.op == "seal" or other_entry.op == "open") and
        other_entry.secret == e.value then
        add_once(x.used_by, seen, (other_entry.op == "seal" and "sealing records" or "opening records") .. " (" .. other_entry.what .. ")")
      end
    end
  end
  if e.name == "key_block" then
    for _, o in ipairs(self.entries) do
      if o.side == e.side and o.kind == "operation" and (o.op == "seal" or o.op == "open") and o.secret and e.value:find(o.secret, 1,
        true) then
        add_once(x.used_by, seen, (o.op == "seal" and "sealing records" or "opening records") .. " (" .. o.what .. ")")
      end
    end
  end
  return setmetatable(x, Explanation)
end

-- ---- cost ------------------------------------------------------------------------------------------------------------------------

local Cost = { __name = "akushu.Cost" }
Cost.__index = Cost

local function add_cost(into, e)
  local key = e.op .. (e.what ~= "" and " " .. e.what or "")
  local row = into.by_operation[key]
  if not row then
    row = { name = key, count = 0, bytes = 0, microseconds = 0, public_key = e.public_key }
    into.by_operation[key] = row
    table.insert(into, row)
  end
  row.count, row.bytes, row.microseconds = row.count + 1, row.bytes + e.bytes, row.microseconds + e.ns / 1000
  local sum = e.public_key and into.public_key or into.symmetric
  sum.count, sum.bytes, sum.microseconds = sum.count + 1, sum.bytes + e.bytes, sum.microseconds + e.ns / 1000
end

--- What it cost: cost.client and cost.server, each a list of { name, count, bytes, microseconds, public_key } and the sums public_key,
-- symmetric; sent: bytes over the network. Microseconds are the processor's: they differ from run to run as any measurement does. Printable.
function methods:cost()
  local cost = {}
  for _, side in ipairs { "client", "server" } do
    local sum = function() return { count = 0, bytes = 0, microseconds = 0 } end
    local c = { by_operation = {}, public_key = sum(), symmetric = sum(), sent = 0 }
    for _, e in ipairs(self.entries) do
      if e.kind == "operation" and e.side == side then
        -- Key derivations inside records' and secrets' making are symmetric work like the records themselves.
        local labelled = derivations[e.op] and setmetatable({ what = "" }, { __index = e }) or e
        add_cost(c, labelled)
      elseif e.kind == "wire" and e.from == side then
        c.sent = c.sent + #e.bytes
      end
    end
    table.sort(c, function(a, b) return a.name < b.name end)
    cost[side] = c
  end
  return setmetatable(cost, Cost)
end

Cost.__tostring = function(self)
  local out = {}
  for _, side in ipairs { "client", "server" } do
    local c = self[side]
    out[#out + 1] = ("%s: %d bytes sent"):format(side, c.sent)
    for _, row in ipairs(c) do
      out[#out + 1] = ("  %-40s %4d ×  %8d bytes %10.1f µs"):format(row.name, row.count, row.bytes, row.microseconds)
    end
    for _, sum in ipairs { "public_key", "symmetric" } do
      out[#out + 1] = ("  %-40s %4d ×  %8d bytes %10.1f µs"):format("= " .. sum:gsub("_", " "), c[sum].count, c[sum].bytes,
        c[sum].microseconds)
    end
  end
  return table.concat(out, "\n")
end

return methods
