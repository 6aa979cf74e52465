--- The first difference between two traces, or between two peers that one script talks to.
--
--     print(lab:compare(trace_a, trace_b))
--     print(lab:compare(server_a, server_b, { script = function(peer) … end }))
--
-- A difference has n (of the message), name, path (of the field), a, b (the values; nil: there is none), offset (of the first byte that
-- differs, in the message), bytes_a, bytes_b (the messages), all (every difference, in order). nil: there is none.
--
-- o.script   a function(peer) as for akushu.script, or a list of messages that are sent (the answers are collected until the peer waits)
-- o.role     whose part the script plays ("client")
-- o.ignore   fields that may differ: by default those that are random or made of what is random; {}: none
-- o.app      what the engine's application answers (akushu.script)
local core = require "akushu.core"
local misuse = require "akushu.misuse"
local trace = require "akushu.trace"
local show = require "akushu.show"
local wire = core.wire

local compare = {}

local usually_random = { "random", "session_id", "key_exchange", "point", "signature", "verify_data", "ticket", "ticket_nonce",
  "ticket_age_add", "encrypted_pre_master_secret", "dh_ys", "dh_yc" }

local Difference = { __name = "akushu.Difference" }
Difference.__index = Difference

local function value(v) return v == nil and "(nothing)" or show.value(v, 24) end

Difference.__tostring = function(self)
  if not self.path then return ("message %d: %s | %s"):format(self.n, self.a or "(nothing)", self.b or "(nothing)") end
  return ("message %d, %s, %s%s: %s | %s"):format(self.n, self.name, self.path, self.offset and (" (byte %d)"):format(self.offset) or "",
    value(self.a), value(self.b))
end

-- Lists of extensions and their like: items are known by their type, so that another order is one difference, not as many as there are items.
local function typed(node)
  if #node == 0 then return false end
  for _, item in ipairs(node) do
    if type(item) ~= "table" or item.type == nil or item.data == nil then return false end
  end
  return true
end

-- A node's leaves in their order: { path, name, value, span (the codec's path) }.
local function leaves(node, path, name, out, span)
  span = span or path
  if type(node) ~= "table" then
    out[#out + 1] = { path = path, name = name, value = node, span = span }
    return out
  end
  local names = {}
  for key in pairs(node) do
    if type(key) == "string" and key ~= "notes" and key ~= "what" and key ~= "form" and key ~= "raw" then names[#names + 1] = key end
  end
  table.sort(names)
  for _, key in ipairs(names) do leaves(node[key], path == "" and key or path .. "." .. key, key, out, span == "" and key or span .. "." .. key) end
  if not typed(node) then
    for i, item in ipairs(node) do leaves(item, ("%s[%d]"):format(path, i), name, out, ("%s[%d]"):format(span, i)) end
    return out
  end
  local order, count = {}, {}
  for i, item in ipairs(node) do
    local kind = tostring(item.type)
    order[i], count[kind] = kind, (count[kind] or 0) + 1
    leaves(item.data, ("%s.%s%s"):format(path, kind, count[kind] > 1 and "#" .. count[kind] or ""), kind, out, ("%s[%d].data"):format(span, i))
  end
  out[#out + 1] = { path = path .. " (order)", name = "order", value = table.concat(order, " "), span = span }
  return out
end

local function first_byte(a, b)
  for i = 1, math.min(#a, #b) do
    if a:byte(i) ~= b:byte(i) then return i - 1 end
  end
  return math.min(#a, #b)
end

-- The byte where this field differs; nil when the codec does not know where it stands.
local function offset_of(a, b, path)
  if type(a.message) ~= "table" then return first_byte(a.bytes, b.bytes) end
  local ok, offset = pcall(wire.span, a.message, path)
  return ok and offset or first_byte(a.bytes, b.bytes)
end

local function add(all, fields) all[#all + 1] = setmetatable(fields, Difference) end

local function compare_messages(n, a, b, ignored, all)
  local left, right = leaves(a.message, "", nil, {}), leaves(b.message, "", nil, {})
  local by_path = {}
  for _, leaf in ipairs(right) do by_path[leaf.path] = leaf end
  local seen, before = {}, #all
  for _, leaf in ipairs(left) do
    seen[leaf.path] = true
    local other = by_path[leaf.path]
    if not ignored[leaf.name] and (not other or other.value ~= leaf.value) then
      add(all, { n = n, name = a.name, path = leaf.path, a = leaf.value, b = other and other.value, offset = offset_of(a, b, leaf.span),
        bytes_a = a.bytes, bytes_b = b.bytes })
    end
  end
  for _, leaf in ipairs(right) do
    if not seen[leaf.path] and not ignored[leaf.name] then
      add(all, { n = n, name = a.name, path = leaf.path, b = leaf.value, offset = offset_of(b, a, leaf.span), bytes_a = a.bytes,
        bytes_b = b.bytes })
    end
  end
  -- The same fields and not the same bytes, with nothing that was ignored to account for it: said as bytes.
  if #all == before and a.bytes ~= b.bytes and not next(ignored) then
    add(all, { n = n, name = a.name, path = "bytes", a = a.bytes, b = b.bytes, offset = first_byte(a.bytes, b.bytes), bytes_a = a.bytes,
      bytes_b = b.bytes })
  end
end

-- Two lists of { name, message, bytes } → all differences.
local function compare_lists(a, b, ignored)
  local all = {}
  for n = 1, math.max(#a, #b) do
    local x, y = a[n], b[n]
    if not x or not y or x.name ~= y.name then
      add(all, { n = n, name = x and x.name or y.name, a = x and x.name, b = y and y.name, bytes_a = x and x.bytes, bytes_b = y and y.bytes })
      break
    end
    compare_messages(n, x, y, ignored, all)
  end
  return all
end

-- ---- what is compared ------------------------------------------------------------------------------------------------------------

local function item_of(item)
  return { name = tostring(item.name), bytes = item.bytes, message = item.message or { kind = item.kind, level = item.level,
    bytes = item.kind ~= "close" and item.bytes or nil } }
end

-- What a script's peer receives, written down as it comes.
local function listening(fn, heard)
  return function(peer)
    local receive = peer.receive
    rawset(peer, "receive", function(self, o)
      local again = #self.items > 0
      local item, why = receive(self, o)
      if item and not again then heard[#heard + 1] = item_of(item) end
      return item, why
    end)
    return fn(peer)
  end
end

local function sender(list)
  return function(peer)
    for _, m in ipairs(list) do peer:send(m) end
    while true do
      local item = peer:receive { timeout = 0.5 }
      if not item or item.kind == "close" then return true end
    end
  end
end

local function heard_from(lab, peer, o)
  local fn = type(o.script) == "table" and sender(o.script) or o.script
  local heard = {}
  if type(peer) == "userdata" and getmetatable(peer).__name == "akushu.Context" then
    peer = assert(peer:handshake(peer.role == "client" and { server_name = "localhost" } or {}))
  elseif type(peer) == "function" then
    peer = peer()
  end
  local ok, message, failure = require("akushu.script").new(o.role or "client", listening(fn, heard), { lab = lab }):run(peer, { app = o.app })
  if type(peer) ~= "function" and getmetatable(peer).__name ~= "akushu.Handshake" and peer.settimeout then peer:close() end -- a socket: this conversation is over
  -- A mistake in the script is none of the peers' answers.
  if not ok and failure and failure.code == "script_failed" then error("lab:compare: the script raised: " .. message, 0) end
  if not ok then heard[#heard + 1] = { name = "end of the script", bytes = message, message = { text = message } } end
  return heard
end

local function sent_in(t)
  local out = {}
  for _, e in ipairs(t.entries) do
    if e.kind == "message" and not e.received and not e.dropped then
      out[#out + 1] = { name = e.from .. "'s " .. e.name, bytes = e.bytes, message = e.message }
    elseif e.kind == "alert" and not e.received then
      out[#out + 1] = { name = e.from .. "'s alert", bytes = e.description, message = { level = e.level, description = e.description } }
    end
  end
  return out
end

local known = { script = true, role = { "string", "\"client\" or \"server\"" }, ignore = { "table", "a list of names of fields" }, app = { "callable", "a function" } }

--- lab:compare(a, b [, o]). a, b: traces; or, with o.script, contexts, handshakes, sockets, { send =, receive = }, or functions that
-- return one of these when its turn has come. With a lab of one seed the script says the same to both.
function compare.of(lab, a, b, o)
  o = misuse.options("lab:compare", known, o) -- the tail call of lab:compare
  local ignored = {}
  for _, name in ipairs(o.ignore or usually_random) do ignored[name] = true end
  local all
  if getmetatable(a) == trace.class and getmetatable(b) == trace.class then
    all = compare_lists(sent_in(a), sent_in(b), ignored)
  else
    if type(o.script) ~= "function" and type(o.script) ~= "table" then error("lab:compare: two traces expected, or 'script': a function or a list of messages", 2) end
    -- What the script draws for the first peer it draws again for the second.
    all = compare_lists(heard_from(lab:again(), a, o), heard_from(lab:again(), b, o), ignored)
  end
  local first = all[1]
  if first then first.all = all end
  return first
end

return compare
