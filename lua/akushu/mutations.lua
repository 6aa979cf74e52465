--- Mutations of handshakes: small things done wrong on purpose, one message each, as data: they can be listed, applied, written down,
-- and reduced to those that matter.
--
--     local list = trace:mutations { "drop", "duplicate", "swap", "truncate", "bitflip" }
--     for _, m in ipairs(list) do
--       print(m, lab:attempt(setup, { m }):outcome())
--     end
--
-- A mutation has kind, from ("client" or "server"), n (which of that side's messages, counted as they are sent, ChangeCipherSpec too),
-- name (of that message), and by kind at (a byte's place in the message, from 1), bit, size, seed.
--
--     drop        it is not sent
--     duplicate   it is sent twice
--     swap        it is sent after the next one of its flight; the last one has none, and goes out as it is (m.last: true)
--     truncate    its body ends before byte `at`; its length says so
--     extend      its body is `size` bytes longer; its length says so
--     empty       it has no body
--     bitflip     bit `bit` of byte `at` is the other one; its length as well, when that is where it is
--     retype      it says that it is another kind of message
--     fragment    in records of one byte (of `size` bytes); nothing is wrong with that
--     coalesce    in one record with the next one
--     ccs         a ChangeCipherSpec goes before it
--     warning     a warning alert goes before it
--     alert       a fatal alert goes before it
local misuse = require "akushu.misuse"

local mutations = {}

local Mutation = { __name = "akushu.Mutation" }
Mutation.__index = Mutation

local function ordinal(n)
  local last = n % 10
  if n % 100 - last == 10 then return n .. "th" end
  return n .. (last == 1 and "st" or last == 2 and "nd" or last == 3 and "rd" or "th")
end

Mutation.__tostring = function(self)
  local more = ""
  if self.kind == "bitflip" then more = (", bit %d of byte %d"):format(self.bit, self.at)
  elseif self.kind == "truncate" then more = (" before byte %d"):format(self.at)
  elseif self.kind == "retype" then more = (" to %d"):format(self.type) end
  return ("%s %s (%s's %s message)%s"):format(self.kind, self.name, self.from, ordinal(self.n), more)
end

-- ---- what they do at the send gate ---------------------------------------------------------------------------------------------

local function with_body(bytes, body) return bytes:sub(1, 1) .. string.pack(">I3", #body) .. body end

-- For a ChangeCipherSpec, which has no header, the whole is the body.
local function change_body(ev, f)
  local raw = ev.raw
  if ev.content_type == "change_cipher_spec" or #raw < 4 then return f(raw) end
  return with_body(raw, f(raw:sub(5)))
end

local apply = {}

function apply.drop() return false end

function apply.duplicate(_, _, ev)
  if ev.content_type == "change_cipher_spec" then return ev:before(ev.content_type) end
  ev:after(ev.raw)
end

function apply.swap(_, _, ev) ev:delay() end

function apply.coalesce(_, _, ev)
  if ev.content_type ~= "change_cipher_spec" then ev:coalesce() end
end

function apply.truncate(self, _, ev)
  return change_body(ev, function(body) return body:sub(1, math.max(0, self.at - 1 - (#ev.raw - #body))) end)
end

function apply.extend(self, _, ev)
  return change_body(ev, function(body) return body .. ("\0"):rep(self.size or 1) end)
end

function apply.empty(_, _, ev) return change_body(ev, function() return "" end) end

function apply.bitflip(self, _, ev)
  local at = (self.at - 1) % #ev.raw + 1
  return ev.raw:sub(1, at - 1) .. string.char(ev.raw:byte(at) ~ 1 << self.bit) .. ev.raw:sub(at + 1)
end

function apply.retype(self, _, ev) return string.char(self.type) .. ev.raw:sub(2) end

function apply.fragment(self, _, ev)
  if ev.content_type == "change_cipher_spec" then return end
  ev:fragment(self.size or 1)
end

function apply.ccs(_, _, ev) ev:before "change_cipher_spec" end

function apply.warning(_, _, ev) ev:before { alert = "user_canceled", level = "warning" } end

function apply.alert(_, _, ev) ev:before { alert = "internal_error" } end

mutations.kinds = {}
for kind in pairs(apply) do mutations.kinds[#mutations.kinds + 1] = kind end
table.sort(mutations.kinds)

local function check_kind(kind, level)
  if not apply[kind] then error(("no mutation '%s'; there are %s"):format(tostring(kind), table.concat(mutations.kinds, ", ")), level + 1) end
end

--- A mutation from its fields (as written down by someone).
function mutations.new(fields)
  misuse.want("mutation", "table", "its fields", fields)
  check_kind(fields.kind, 2)
  if fields.from ~= "client" and fields.from ~= "server" then error("mutation: 'from' is \"client\" or \"server\"", 2) end
  if math.type(fields.n) ~= "integer" or fields.n < 1 then error("mutation: 'n' is the number of a message, from 1", 2) end
  local m = setmetatable({}, Mutation)
  for k, v in pairs(fields) do m[k] = v end
  m.name = m.name or "message"
  m.at, m.bit, m.type = m.at or 5, m.bit or 0, m.type or 0
  for field, most in pairs { at = 1 << 24, bit = 7, type = 255, size = 1 << 24 } do
    local v = m[field]
    if v ~= nil and (math.type(v) ~= "integer" or v < 0 or v > most) then misuse.expected(("mutation: '%s'"):format(field), "a number up to " .. most, v) end
  end
  return m
end

--- Puts mutations into two handshakes, before they start: client or server may be nil. A mutation without a message to meet does nothing.
function mutations.apply(list, client, server)
  misuse.want("mutations.apply", "table", "a list of mutations", list)
  for side, hs in pairs { client = client, server = server } do misuse.want("mutations.apply: the " .. side, "akushu.Handshake", "a handshake", hs) end
  for side, hs in pairs { client = client, server = server } do
    local mine, sent = {}, 0
    for _, m in ipairs(list) do
      if m.from == side then
        mine[m.n] = mine[m.n] or {}
        table.insert(mine[m.n], m)
      end
    end
    if next(mine) then
      local now
      -- Several mutations of one message are hooks one after the other: each sees what the one before it made.
      hs:on("send", "*", function()
        sent = sent + 1
        now = mine[sent]
      end)
      local most = 0
      for _, of_one in pairs(mine) do most = math.max(most, #of_one) end
      for i = 1, most do
        hs:on("send", "*", function(msg, ev)
          local m = now and now[i]
          if m and #ev.raw > 0 then return apply[m.kind](m, msg, ev) end
        end)
      end
    end
  end
end

-- ---- which there are -------------------------------------------------------------------------------------------------------------

-- A small generator of its own, so that a seed gives the same list everywhere (SplitMix64).
local function generator(seed)
  local state = 0x2545F4914F6CDD1D
  for i = 1, #seed do state = (state ~ seed:byte(i)) * 0x100000001B3 end
  return function(n)
    state = state + 0x9E3779B97F4A7C15
    local z = state
    z = (z ~ z >> 30) * 0xBF58476D1CE4E5B9
    z = (z ~ z >> 27) * 0x94D049BB133111EB
    z = z ~ z >> 31
    return (z >> 1) % n
  end
end
mutations.generator = generator

-- What a kind needs to know besides.
local function fill(m, message, random)
  if m.kind == "bitflip" then m.at, m.bit = 1 + random(#message.bytes), random(8)
  elseif m.kind == "truncate" then m.at = #message.bytes > 4 and 5 + random(#message.bytes - 4) or 1
  elseif m.kind == "retype" then
    repeat m.type = random(26) until m.type ~= message.bytes:byte()
  end
  return m
end

local list_options = { from = true, message = { "string", "the name of a message" }, seed = true, each = { "integer", "a number" },
  count = { "integer", "a number" } }

-- The messages that can be met: those sent, each with its number on its side.
local function sent_messages(trace, o)
  local out, count = {}, { client = 0, server = 0 }
  for _, e in ipairs(trace.entries) do
    if e.kind == "message" and not e.received then
      count[e.from] = count[e.from] + 1
      if (o.from == nil or o.from == e.from) and (o.message == nil or o.message == e.name) then
        out[#out + 1] = { from = e.from, n = count[e.from], name = e.name, bytes = e.bytes, entry = e }
      end
    end
  end
  local following
  local is_last = {}
  for i = #trace.entries, 1, -1 do
    local e = trace.entries[i]
    if e.kind == "message" and not e.received then
      is_last[e] = following ~= e.from
      following = e.from
    end
  end
  for _, message in ipairs(out) do message.last = is_last[message.entry] or nil end
  return out
end

--- trace:mutations(kinds [, o]): every mutation of these kinds for every message that was sent in the trace. o.from, o.message: only one
-- side's, only messages of one name; o.each: how many of the kinds that have many forms (bitflip, truncate, retype) for each message (1);
-- o.count: that many, drawn at random (a mutation may come twice), instead of all; o.seed: of what is drawn.
function mutations.list(trace, kinds, o)
  if getmetatable(trace) ~= require("akushu.trace").class then misuse.expected("mutations", "a trace", trace) end
  o = misuse.options("mutations", list_options, o) -- the tail call of trace:mutations
  if o.from ~= nil and o.from ~= "client" and o.from ~= "server" then error("mutations: 'from' is \"client\" or \"server\"", 2) end
  kinds = kinds or mutations.kinds
  if type(kinds) == "string" then kinds = { kinds } end
  misuse.want("mutations", "table", "a list of kinds", kinds)
  for _, kind in ipairs(kinds) do check_kind(kind, 2) end
  local seed = misuse.seed("mutations: option 'seed'", o.seed)
  local random, messages, out = generator(seed or "mutations"), sent_messages(trace, o), {}
  local function one(kind, message)
    out[#out + 1] = fill(mutations.new { kind = kind, from = message.from, n = message.n, name = message.name, last = message.last }, message, random)
  end
  if o.count then
    for _ = 1, #messages > 0 and #kinds > 0 and o.count or 0 do one(kinds[1 + random(#kinds)], messages[1 + random(#messages)]) end
    return out
  end
  for _, message in ipairs(messages) do
    for _, kind in ipairs(kinds) do
      local many = kind == "bitflip" or kind == "truncate" or kind == "retype"
      for _ = 1, many and o.each or 1 do one(kind, message) end
    end
  end
  return out
end

-- ---- fewer of them -----------------------------------------------------------------------------------------------------------------

local function without(list, first, last)
  local out = {}
  for i, m in ipairs(list) do
    if i < first or i > last then out[#out + 1] = m end
  end
  return out
end

--- The smallest part of a list for which differs(part) still holds: no single item can be left out of it (delta debugging). differs is
-- asked for the whole list first; nil when it does not hold there.
function mutations.shrink(list, differs)
  misuse.want("mutations.shrink", "table", "a list", list)
  misuse.want("mutations.shrink", "callable", "a function", differs)
  if not differs(list) then return nil end
  local size = math.max(#list // 2, 1)
  while #list > 0 do
    local smaller = false
    local at = 1
    while at <= #list do
      local rest = without(list, at, at + size - 1)
      if differs(rest) then
        list, smaller = rest, true
      else
        at = at + size
      end
    end
    if size == 1 and not smaller then break end
    size = math.max(size // 2, 1)
  end
  return list
end

mutations.class = Mutation
return mutations
