--- What the passive peer's two key schedules (passive12.lua, passive13.lua) share: a connection's secrets as they become known, and where they come from.
local crypto = require("akushu.core").crypto

local secrets = {}

--- What could not be read, and why: into p.problems and the trace.
function secrets.problem(self, side, text)
  self.problems[#self.problems + 1] = ("%s: %s"):format(side, text)
  self.trace:add { kind = "note", side = side, text = ("%s: %s"):format(side, text) }
end

--- A secret by name, into p.secrets and the trace. from: the names of what it was derived from. Returns value.
function secrets.note(self, name, value, from, label)
  self.secrets[name] = value
  self.trace:add { kind = "secret", side = "observer", name = name, value = value, op = "derived", label = label, from = from or {} }
  return value
end

--- What the key log has under this label; nil when it has nothing.
function secrets.log(self, label) return self.keylog[label] and self.keylog[label][self.client_random] end

--- The handshake messages so far.
function secrets.transcript(self) return table.concat(self.messages) end

-- A finite field's values, as wide as the prime or without the zeros in front (RFC 5246 §8.1.2).
local function same(own, other) return own == other or type(other) == "string" and #other < #own and own == ("\0"):rep(#own - #other) .. other end

--- The shared secret of two public values, when one of the given private values belongs to one of them. where: { group = name }, or { p =, g = } (TLS 1.2's DHE, whose secret
-- goes without the zeros in front).
function secrets.agree(self, where, client_public, server_public)
  for _, private in ipairs(self.ephemeral) do
    local ok, share
    if where.p then ok, share = pcall(crypto.dh_share, where.p, where.g, private) else ok, share = pcall(crypto.share, where.group, private) end
    if ok and share then
      local own = share:public()
      local peer = same(own, client_public) and server_public or same(own, server_public) and client_public
      if peer then return share:derive(peer, where.p ~= nil) end
    end
  end
  return nil
end

return secrets
