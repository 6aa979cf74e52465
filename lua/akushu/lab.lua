--- A laboratory: peers whose randomness comes from a seed and from given values, by purpose; a clock of its own; a network in memory; a
-- trace of all that happened. The same lab makes the same bytes again, signatures included.
--
--     local lab = akushu.lab { seed = "first try" }
--     local trace = lab:run(lab:client {}, lab:server {}, { data = { "question", "answer" } })
--     print(trace)
--
-- Nothing of a lab reaches an ordinary context: its randomness lives in a provider of its own that only lab:client and lab:server hand on.
local core = require "akushu.core"
local misuse = require "akushu.misuse"
local options = require "akushu.options"
local trace = require "akushu.trace"

local Lab = { __name = "akushu.Lab" }
Lab.__index = Lab
Lab.__tostring = function(self) return ("akushu.Lab (%s, clock at %d)"):format(self.options.random and "its own randomness" or self.seed == "" and "given values only" or "seeded",
  self.clock) end

local lab = {}

-- When a lab's clock starts that is not told: 2026-01-01 00:00:00 UTC.
lab.epoch = 1767225600

local purposes = { "client_random", "server_random", "session_id", "key_share", "premaster", "rsa_padding", "rsa_rejection",
  "pss_salt", "ecdsa_nonce",
  "cbc_iv", "gcm_nonce", "ticket_nonce", "ticket_age_add", "ticket_key", "ticket_iv", "cookie", "grease", "record_padding", "blinding", "serial",
    "identity_key" }
lab.purposes = purposes

local is_purpose = {}
for _, purpose in ipairs(purposes) do is_purpose[purpose] = true end

local function check_purpose(what, purpose, level)
  if is_purpose[purpose] then return end
  error(("%s: no purpose '%s'; there are %s"):format(what, tostring(purpose), table.concat(purposes, ", ")), level or 3)
end

-- Values for a purpose; a mistake is that of the caller's caller.
local function give(self, what, purpose, values)
  check_purpose(what, purpose, 4)
  local bytes = core.bytes(values) or error(("%s: a string or an array of strings expected, got %s"):format(what, type(values)), 3)
  self.provider:give(purpose, bytes)
  table.insert(self.given, { purpose, bytes })
end

local known = { seed = true, clock = { "number", "seconds since 1970" }, values = true, random = { "function", "a function" } }

local function check(opts)
  opts = misuse.options("akushu.lab", known, opts, 3)
  local seed, values = misuse.seed("akushu.lab: option 'seed'", opts.seed, 3), opts.values
  if values ~= nil and type(values) ~= "table" and type(values) ~= "function" then misuse.expected("akushu.lab: option 'values'", "a table or a function", values, 3) end
  return opts, seed
end

--- akushu.lab{ seed =, random =, clock =, values = }. seed: any string, or a whole number; without one (and with values) only given values are handed out, and what
-- was not given fails with `randomness`. clock: seconds since 1970. values: { purpose = bytes or a list of bytes }, or a function that
-- is asked for each purpose. random: function(purpose, n) → n bytes, or nil: then the seed's own; asked for all that is not given (and without a seed fails with
-- `randomness` where it returns nil, another length, or raises). It must not use the lab's own objects.
function lab.new(opts)
  local seed
  opts, seed = check(opts)
  local self = setmetatable({ seed = seed or (opts.values == nil and opts.random == nil and "akushu" or ""), clock = opts.clock or lab.epoch,
    made = {} }, Lab)
  self.options, self.given, self.recipes, self.issued = opts, {}, {}, {}
  self.provider = assert(core.lab_provider(self.seed, opts.random))
  local values = opts.values or {}
  if type(values) == "function" then
    for _, purpose in ipairs(purposes) do
      local v = values(purpose)
      if v then give(self, "option 'values'", purpose, v) end
    end
  else
    for purpose, v in pairs(values) do give(self, "option 'values'", purpose, v) end
  end
  return self
end

--- Values for a purpose, handed out in the order in which they are given and before the seed's own: bytes or a list of bytes.
function Lab:give(purpose, bytes)
  give(self, "lab:give", purpose, bytes)
  return self
end

--- Another lab with the same seed, clock, values and identities, from the start.
function Lab:again()
  local other = lab.new { seed = self.seed, clock = self.options.clock, random = self.options.random }
  for _, g in ipairs(self.given) do other:give(g[1], g[2]) end
  -- Their making drew from purposes of their own, so it does not matter which of the labs made them.
  other.made, other.issued = self.made, self.issued
  -- What labs of this kind issue, by its place and what was asked for: the first of them makes it, the others have it, too.
  self.children = self.children or {}
  other.siblings = self.children
  return other
end

--- How many given bytes are still there for a purpose.
function Lab:left(purpose)
  check_purpose("lab:left", purpose)
  return self.provider:left(purpose)
end

--- n bytes (at most 1048576) as a peer of this lab would get them.
function Lab:random(purpose, n)
  check_purpose("lab:random", purpose)
  if math.type(n) ~= "integer" or n < 0 or n > 1 << 20 then error("lab:random: a number of bytes from 0 to 1048576 expected", 2) end
  return assert(self.provider:random(purpose, n))
end

function Lab:now() return self.clock end

--- Lets time pass.
function Lab:advance(seconds)
  misuse.want("lab:advance", "number", "seconds", seconds)
  self.clock = self.clock + seconds
  return self
end

-- ---- identities --------------------------------------------------------------------------------------------------------------------

local function new_key(self, what, spec, level)
  misuse.want(what, "string", "a kind of key such as \"rsa:2048\" or \"ec:secp256r1\"", spec, level + 1)
  local made, _, failure = self.provider:generate(spec)
  if not made then error(("%s: %s"):format(what, failure.detail), level + 1) end
  return assert(core.x509.private_key(made))
end

--- A private key made of the lab's randomness ("ec:secp256r1", "rsa:2048", "ed25519").
function Lab:key(spec) return new_key(self, "lab:key", spec, 1) end -- a tail call: its caller is this one's

local year = 365 * 86400
local short_names = { rsa = "rsa:2048", ecdsa = "ec:secp256r1" }

-- Options of testca's with the lab's dates and a key of the lab's; a mistake in them is that of the caller's caller.
local function dated(self, what, o, key)
  local out = { not_before = self.clock - 86400, not_after = self.clock + 10 * year }
  if o ~= nil and type(o) ~= "table" then misuse.expected(what, "a table of options", o, 3) end
  for k, v in pairs(o or {}) do out[k] = v end
  out.key = out.key or key
  if type(out.key) == "string" then out.key = new_key(self, what .. ": option 'key'", short_names[out.key] or out.key, 3) end
  return out
end

--- The lab's own root CA (an akushu.testca CA), made when first asked for. Ed25519 unless told: its signatures repeat.
function Lab:ca(o)
  if not self.made.ca or o then self.made.ca = misuse.blame(2, require("akushu.testca").new, dated(self, "lab:ca", o, "ed25519")) end
  return self.made.ca
end

--- An identity of the lab's CA; o as for testca's issue: { names = { "localhost" }, key = "ecdsa" or "rsa" or …, purpose = … }.
function Lab:issue(o)
  local with = dated(self, "lab:issue", o, "ecdsa")
  if not with.names and not with.name then with.names = { "localhost" } end
  local siblings, which = self.siblings, nil
  if siblings then
    self.issues = (self.issues or 0) + 1
    which = self.issues .. require("akushu.show").json(o or {})
    if siblings[which] then return siblings[which] end
  end
  local ca = self:ca()
  local issued = misuse.blame(2, ca.issue, ca, with)
  if siblings then siblings[which] = issued end
  self.issued[issued.identity] = issued -- for trace:script, which writes down what a context was made of
  return issued
end

--- The identity that a server of this lab has when none is given: for localhost, ECDSA or what `key` says. Made once for each kind of key.
function Lab:identity(key)
  key = key or "ecdsa"
  if not self.made[key] then
    misuse.want("lab:identity", "string", "a kind of key such as \"rsa\" or \"ec:secp256r1\"", key)
    self.made[key] = misuse.blame(2, self.issue, self, { names = { "localhost" }, key = key })
  end
  return self.made[key].identity
end

--- A trust store with the lab's CA.
function Lab:trust()
  self.made.trust = self.made.trust or self:ca():trust()
  return self.made.trust
end

-- ---- peers
-- --------------------------------------------------------------------------------------------------------------------------------

local function copy(t)
  local out = {}
  for k, v in pairs(t or {}) do out[k] = v end
  return out
end

local function context(self, role, opts)
  opts = copy(opts)
  local recipe = { role = role, options = copy(opts), ticks = {}, paddings = {} }
  local clock = opts.clock or function() return self.clock end
  if type(clock) == "function" then
    -- What it says is written down, for trace:script.
    opts.clock = function()
      local now = clock()
      if self.running then table.insert(recipe.ticks, now) end
      return now
    end
  end
  local padding = opts.record_padding
  if misuse.kind(padding) == "function" then
    opts.record_padding = function(...) -- written down as well
      local n = padding(...)
      if self.running then table.insert(recipe.paddings, n or 0) end
      return n
    end
  end
  local fields, kept = misuse.blame(2, options.context, role, opts, core.x509)
  fields.lab = self.provider
  -- What a context draws while it is made (ticket keys) belongs to those runs that it takes part in.
  if not self.running then self.provider:journal(true) end
  if not self.running then self.provider:notes() end
  local c = misuse.blame(2, core.context, role == "server", fields)
  c:_values().kept = kept
  c:_values().lab = self
  recipe.context = c
  recipe.drawn = self.running and {} or self.provider:notes()
  self.recipes[kept] = recipe
  if not self.running then self.provider:journal(false) end
  return c
end

--- A client's context as akushu.client makes one, with the lab's randomness and clock. It trusts the lab's CA unless told otherwise.
function Lab:client(opts)
  opts = copy(opts == nil and {} or misuse.want("lab:client", "table", "a table of options", opts))
  if opts.trust == nil and opts.verify ~= false then opts.trust = self:trust() end
  return context(self, "client", opts)
end

--- A server's context; with an identity of the lab's for localhost unless told otherwise. key: of what kind ("rsa", "ecdsa", "ed25519").
function Lab:server(opts)
  opts = copy(opts == nil and {} or misuse.want("lab:server", "table", "a table of options", opts))
  local key = opts.key
  if key ~= nil and type(key) ~= "string" then error("option 'key': a kind of key such as \"rsa\" or \"ec:secp256r1\" expected, got " .. type(key), 2) end
  opts.key = nil
  if opts.identity == nil and opts.on_identity == nil then
    opts.identity = misuse.blame(2, self.identity, self, key or opts.profile == "classic" and "rsa" or "ecdsa")
  end
  if opts.client_auth and opts.client_auth ~= "none" and opts.trust == nil then opts.trust = self:trust() end
  return context(self, "server", opts)
end

-- ---- the network
-- ----------------------------------------------------------------------------------------------------------------------------

local Side = {}
Side.__index = Side

local function put(side, bytes)
  if not bytes or #bytes == 0 then return end
  local run = side.run
  local last = side.log[#side.log]
  last.out = last.out .. bytes
  if run.network then
    bytes = run.network(side.name, bytes)
    if bytes == nil or bytes == "" or bytes == false then return end
  end
  run.trace:add { kind = "wire", side = side.name, from = side.name, bytes = bytes }
  table.insert(side.peer.inbox, bytes)
end

local function drain(side)
  if side.run.journal then side.run.trace:operations(side.name, side.run.journal()) end
end

local function failed(side, message, failure)
  drain(side)
  side.message, side.failure = message, failure
  side.run.trace:failed(side.name, message, failure)
  put(side, (side.session or side.hs):pending())
end

local function take_early(side)
  if side.name ~= "server" then return end
  local data = side.hs:take_early_data()
  if data == "" then return end
  side.early = (side.early or "") .. data
  side.run.trace:add { kind = "data", side = side.name, from = side.peer.name, bytes = data, early = true }
end

local function take_session(side)
  if side.session or not side.hs.done then return end
  drain(side)
  side.session = assert(side.hs:session())
  side.run.trace:done(side.name, side.session)
  side:deliver ""
end

-- What was done to this side, in order, and what came out of it: trace:script repeats it.
local function note(side, what, bytes) table.insert(side.log, { what = what, bytes = bytes, out = "" }) end

-- Bytes that have come to this side.
function Side:deliver(bytes)
  if self.failure then return end
  if #bytes > 0 then note(self, "step", bytes) end
  if self.session then
    local plain, reply, failure = self.session:open(bytes)
    drain(self)
    if not plain then
      if failure.code == "closed" then
        self.closed = true
        self.run.trace:add { kind = "alert", side = self.name, from = self.peer.name, level = "warning", description = "close_notify",
          received = true }
        put(self, self.session:pending())
        return
      end
      return failed(self, reply, failure)
    end
    if #plain > 0 then
      self.plain[#self.plain + 1] = plain
      self.run.trace:add { kind = "data", side = self.name, from = self.peer.name, bytes = plain }
    end
    put(self, reply)
    return
  end
  local out, message, failure = self.hs:step(bytes)
  drain(self)
  take_early(self)
  if not out then return failed(self, message, failure) end
  put(self, out)
  take_session(self)
end

function Side:start()
  note(self, "start")
  local out, message, failure = self.hs:start()
  drain(self)
  if not out then return failed(self, message, failure) end
  put(self, out)
end

--- All plaintext that has come to this side.
function Side:received() return table.concat(self.plain) end

--- Application data from this side; it arrives with the next move.
function Side:send(data)
  note(self, "seal", data)
  local out, message, failure = self.session:seal(data)
  drain(self)
  if not out then return failed(self, message, failure) end
  put(self, out)
end

function Side:close()
  note(self, "close")
  local out, message, failure = self.session:close()
  drain(self)
  if not out then return failed(self, message, failure) end
  put(self, out)
end

local MOST_ROUNDS = 10000

local function move(run)
  local rounds = 0
  while #run.client.inbox > 0 or #run.server.inbox > 0 do
    for _, side in ipairs { run.server, run.client } do
      local bytes = table.concat(side.inbox)
      side.inbox = {}
      local n = run.chunk or math.max(#bytes, 1)
      for at = 1, #bytes, n do side:deliver(bytes:sub(at, at + n - 1)) end
    end
    rounds = rounds + 1
    if rounds > MOST_ROUNDS then error("the two peers come to no end", 2) end
  end
end

local run_options = { early = { "string", "bytes" }, chunk = { "integer", "a number of bytes" }, data = true, network = { "callable", "a function" },
  close = { "boolean", "true or false" }, server_name = true, session = true, trace = true }

local function check_run(opts, level)
  opts = misuse.options("lab:run", run_options, opts, level + 1)
  if opts.chunk and opts.chunk < 1 then misuse.expected("lab:run: option 'chunk'", "a number of bytes", opts.chunk, level + 1) end
  if opts.trace ~= nil and getmetatable(opts.trace) ~= trace.class then misuse.expected("lab:run: option 'trace'", "a trace", opts.trace, level + 1) end
  local data = opts.data
  if type(data) == "string" or data == nil then return opts end
  misuse.want("lab:run: option 'data'", "table", "a list of strings", data, level + 1)
  for i, item in ipairs(data) do misuse.want(("lab:run: option 'data'[%d]"):format(i), "string", "a string", item, level + 1) end
  return opts
end

local function handshake_of(peer, opts, level)
  local class = misuse.kind(peer)
  if class == "akushu.Handshake" then return peer end
  if class ~= "akushu.Context" then misuse.expected("lab:run", "a context or a handshake", peer, level + 1) end
  local o = peer.role == "client" and { server_name = opts.server_name or "localhost", session = opts.session } or {}
  return assert(misuse.blame(level + 1, peer.handshake, peer, o))
end

-- Ticket keys are drawn by the first run that needs them and live as long as their context.
local function keep_draws(self, t)
  for _, e in ipairs(t:all("random", "ticket_key")) do
    local recipe = self.recipes[t.handshakes[e.side]:_values().kept]
    if recipe then table.insert(recipe.drawn, { op = "random", what = e.purpose, out = e.bytes }) end
  end
end

-- How many of a context's draws came before this run; what its clock says in it goes to the trace.
local function contexts_draws(self, run)
  local out = {}
  run.trace.handshakes, run.trace.ticks, run.trace.paddings = {}, {}, {}
  for _, side in ipairs { "client", "server" } do
    run.trace.handshakes[side] = run[side].hs
    local recipe = self.recipes[run[side].hs:_values().kept]
    out[side] = recipe and #recipe.drawn or 0
    if recipe then
      recipe.ticks, recipe.paddings = {}, {}
      run.trace.ticks[side], run.trace.paddings[side] = recipe.ticks, recipe.paddings
    end
  end
  return out
end

local function exchange(run, data)
  local from, to = run.client, run.server
  for _, item in ipairs(data) do
    if from.failure or to.failure or not from.session then return end
    from:send(item)
    move(run)
    from, to = to, from
  end
end

-- From the first message to the last.
local function conduct(run, opts)
  run.client:start()
  run.server:start()
  move(run)
  if opts.data then exchange(run, type(opts.data) == "table" and opts.data or { opts.data }) end
  if not opts.close then return end
  for _, side in ipairs { run.client, run.server } do
    if side.session and not side.failure then
      side:close()
      move(run)
    end
  end
end

--- Runs a client and a server (contexts or handshakes of this lab) against each other until nothing is under way; returns the trace,
-- with trace.client and trace.server: { hs =, session = or failure = and message =, received = }. opts:
--   chunk        bytes that arrive at once (all that there are)
--   data         a list: what the client sends, what the server then sends, and so on
--   close        true: both say close_notify at the end
--   network      function(from, bytes) → bytes: what arrives of what was sent (nil: nothing)
--   early        0-RTT data of the client's (its session must allow it); what the server takes of it is in trace.server.early
--   server_name, session    for a client's context
function Lab:run(client, server, opts)
  opts = check_run(opts, 2)
  local t = opts.trace or trace.new { lab = self }
  local journal = function() return self.provider:notes() end
  t.began, t.early = self.clock, opts.early
  local run = { trace = t, chunk = opts.chunk, network = opts.network, journal = journal }
  for _, side in ipairs { { "client", client }, { "server", server } } do
    local name, hs = side[1], handshake_of(side[2], opts, 2)
    if hs.role ~= name then error(("lab:run: the %s is a %s"):format(name, hs.role), 2) end
    run[name] = setmetatable({ name = name, hs = hs, inbox = {}, plain = {}, run = run, log = {} }, Side)
    t:watch(hs, journal)
  end
  run.client.peer, run.server.peer = run.server, run.client
  if opts.early then
    local sent, message = run.client.hs:send_early(opts.early)
    if not sent then error("lab:run: option 'early': " .. message, 2) end
  end
  self.running = true
  self.provider:journal(true)
  journal()
  t.drawn_before = contexts_draws(self, run)
  local ok, why = pcall(conduct, run, opts)
  self.provider:journal(false)
  self.running = false
  if not ok then error(why, 0) end
  keep_draws(self, t)
  t.client, t.server, t.ok = run.client, run.server, run.client.session ~= nil and run.server.session ~= nil and
    not run.client.failure and not run.server.failure
  return t
end

-- ---- one thing after the other
-- -------------------------------------------------------------------------------------------------------------

-- A list of mutations, or of their fields, as mutations.
local function mutations_of(what, list, level)
  local mutations, out = require "akushu.mutations", {}
  misuse.want(what, "table", "a list of mutations", list, level + 1)
  for i, m in ipairs(list) do out[i] = getmetatable(m) == mutations.class and m or misuse.blame(level + 1, mutations.new, m) end
  return out
end

--- Tries mutations on a run: setup(lab) → client, server [, options of lab:run] is asked for the two peers in a lab that is as this one was
-- at its start, the mutations (a list, see mutations.lua; nil: none) are put in, and the two are run. Returns the trace; the same lab, setup
-- and list give the same bytes.
function Lab:attempt(setup, list)
  misuse.want("lab:attempt", "function", "a function that gives client and server", setup)
  if list then list = mutations_of("lab:attempt", list, 2) end
  local fresh = self:again()
  local client, server, opts = misuse.blame_unless_told(2, setup, fresh)
  opts = check_run(opts, 2)
  client, server = handshake_of(client, opts, 2), handshake_of(server, opts, 2)
  require("akushu.mutations").apply(list or {}, client, server)
  local t = fresh:run(client, server, opts)
  t.setup, t.list = setup, list
  return t
end

local function shrunk(self, setup, list, differs)
  if not differs then
    local usual = self:attempt(setup):outcome()
    differs = function(t) return t:outcome() ~= usual end
  end
  local small = require("akushu.mutations").shrink(list, function(part) return differs(self:attempt(setup, part)) end)
  if not small then return nil end
  return small, self:attempt(setup, small)
end

--- Reduces a list of mutations to the smallest part that still makes a difference: differs(trace) → boolean; without it: the outcome is
-- another than without any mutation. Returns the list, and the trace of it; nil when the whole list makes none.
function Lab:shrink(setup, list, differs)
  misuse.want("lab:shrink", "function", "a function that gives client and server", setup)
  list = mutations_of("lab:shrink", list, 2)
  if differs ~= nil then misuse.want("lab:shrink", "callable", "a function of a trace", differs) end
  local small, t = misuse.blame_unless_told(2, shrunk, self, setup, list, differs)
  return small, t
end

--- The first difference between two traces, or between two peers that one script meets (lua/akushu/compare.lua).
function Lab:compare(a, b, o) return require("akushu.compare").of(self, a, b, o) end

return lab
