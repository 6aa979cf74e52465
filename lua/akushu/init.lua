--- akushu: a TLS stack that can be scripted.
--
--     local akushu = require "akushu"
--     local client = akushu.client { trust = akushu.trust.system() }
--     local hs = client:handshake { server_name = "example.com" }
--
-- Misuse raises; what happens at run time returns nil, message, failure.
local core = require "akushu.core"
local hooks = require "akushu.hooks"
local misuse = require "akushu.misuse"
local options = require "akushu.options"
local secret_names = require "akushu.secret_names"

local akushu = {
  _VERSION = "akushu " .. core.version,
  libcrypto = core.libcrypto,
  wire = require "akushu.wire",
  crypto = core.crypto,
  record = core.record,
  secret = core.secret,
  resumption = core.resumption,
  errors = core.errors(),
}

--- Whether this akushu, with this libcrypto, can do a "suites", "groups", "schemes" or "certificate_compression" entry, by name or number: its
-- number, or nil.
function akushu.supports(kind, what)
  local find = { suites = core.find_suite, groups = core.find_group, schemes = core.find_scheme,
    certificate_compression = core.find_certificate_compression }
  if not find[kind] then error(("akushu.supports: \"suites\", \"groups\", \"schemes\" or \"certificate_compression\" expected, got %s"):format(tostring(kind)), 2) end
  if type(what) ~= "string" and (math.type(what) ~= "integer" or kind == "certificate_compression") then
    error("akushu.supports: a name or a number expected, got " .. type(what), 2)
  end
  return find[kind](what)
end

for name, value in pairs(core.x509) do akushu[name] = value end

-- The registries that people ask for most, names to numbers and numbers to names; made when they are first asked for. All of them: akushu.wire.registry.
local registries = { suites = true, groups = true, schemes = true, extensions = true, alerts = true, versions = true }
setmetatable(akushu, { __index = function(_, name) return registries[name] and core.wire.registry[name] or nil end })

--- A class's table of methods, for files of akushu that add to it.
local function context(role, opts)
  local fields, kept = misuse.blame(2, options.context, role, opts, core.x509)
  local c = misuse.blame(2, core.context, role == "server", fields)
  c:_values().kept = kept
  return c
end

--- A client's context. Options: see docs/reference.md.
function akushu.client(opts) return context("client", opts) end

--- A server's context.
function akushu.server(opts) return context("server", opts) end

local context_methods = core.methods "akushu.Context"
local none = {}

local core_handshake, context_values = core.handshake, context_methods._values

local function new_handshake(of, kept, opts)
  local o = options.handshake(kept, opts)
  return core_handshake(of, hooks.dispatch, o.server_name, o.session)
end

-- A dot where a colon belongs is the mistake of who called the method.
local function no_context(what, self)
  if type(self) ~= "userdata" then error(("%s: a context expected (context:%s, with a colon), got %s"):format(what, what, type(self)), 3) end
  error(what .. ": a context that was closed", 3)
end

--- One handshake in this context: handshake{ server_name =, session =, hooks = }.
function context_methods:handshake(opts)
  local of_context = type(self) == "userdata" and context_values(self) or no_context("handshake", self)
  local kept = of_context.kept
  local hs, message, failure = misuse.blame(2, new_handshake, self, kept, opts)
  if not hs then return nil, message, failure end
  if kept.record_padding then hooks.pad(hs, kept.record_padding) end
  local own = opts and opts.hooks
  if kept.hooks or own then
    for _, h in ipairs(kept.hooks or none) do hooks.on(hs, h[1], h[2], h[3]) end
    for _, h in ipairs(own or none) do hooks.on(hs, h[1], h[2], h[3]) end
  end
  return hs
end

--- A handshake inside a connection (RFC 5746), when session.renegotiation_wanted says that the server has asked for one.
-- The session is over; once the handshake is done hs:session() gives the next. hs:take_application_data(): what the server
-- sent in between.
function context_methods:renegotiate(session, opts)
  local of_context = type(self) == "userdata" and context_values(self) or no_context("renegotiate", self)
  local kept = of_context.kept
  local o = misuse.blame(2, options.renegotiate, kept, session, opts)
  local hs, message, failure = misuse.blame(2, core.renegotiate, self, hooks.dispatch, session, o.session)
  if not hs then return nil, message, failure end
  for _, h in ipairs(kept.hooks or none) do hooks.on(hs, h[1], h[2], h[3]) end
  for _, h in ipairs(o.hooks or none) do hooks.on(hs, h[1], h[2], h[3]) end
  return hs
end

local handshake_methods = core.methods "akushu.Handshake"

-- A secret has the same name everywhere (secret_names.lua).
for _, what in ipairs { "secret", "secret_origin" } do
  local of_engine = handshake_methods[what]
  handshake_methods[what] = function(self, name)
    local short = secret_names.of_handshake("hs:" .. what, name)
    return of_engine(self, short, secret_names.long(short))
  end
end

handshake_methods.on = hooks.on

--- A second handshake that stands where this one does, with the same hooks (and no trace): what comes next can be tried more than once.
-- Only while it waits for its peer, not from inside a hook.
function handshake_methods:fork()
  local hs, message, failure = misuse.blame(2, self._fork, self)
  if not hs then return nil, message, failure end
  local from = self:_values()
  hs:_gates(0)
  for gate, list in pairs(from.hooks or none) do
    for _, h in ipairs(list) do hooks.on(hs, gate, h.message, h.fn) end
  end
  return hs
end

--- A laboratory (lua/akushu/lab.lua).
function akushu.lab(opts) return require("akushu.lab").new(opts) end

--- A conversation that a function leads by itself (lua/akushu/script.lua).
function akushu.script(role, fn, opts) return require("akushu.script").new(role, fn, opts) end

akushu.testca = setmetatable({}, { __index = function(_, key) return require "akushu.testca"[key] end })

return akushu
