--- What an observer can read of a recorded run with the keys that he has: forward secrecy made visible.
--
--     local r = trace:readable { server_key = identity_key }
--     r.data.client, r.data.server       application data that he reads
--     r.everything, r.nothing            all of it; none of it
--     r.records                          every record: { from =, offset =, length =, type =, readable =, protected = }
--     r.bytes                            { readable =, protected =, closed = } as sums over the records
--     r.messages                         names of the messages that he has seen
--     print(r)
--
-- Keys: those of the passive peer (lua/akushu/passive.lua): server_key, ephemeral, psk, premaster, master, keylog. None: a mere wiretap.
local misuse = require "akushu.misuse"
local passive = require "akushu.passive"

local readable = {}

local Readable = { __name = "akushu.Readable" }
Readable.__index = Readable

local function data_of(trace, from)
  local out = {}
  for _, e in ipairs(trace:all "data") do
    if e.from == from then out[#out + 1] = e.bytes end
  end
  return table.concat(out)
end

Readable.__tostring = function(self)
  local out = { ("%d of %d bytes can be read (%d were protected, %d of them stay closed)"):format(self.bytes.readable, self.bytes.all,
    self.bytes.protected, self.bytes.closed) }
  for _, from in ipairs { "client", "server" } do
    out[#out + 1] = ("  %s's data: %s"):format(from, self.sent[from] == "" and "none was sent" or
      self.data[from] == self.sent[from] and ("all %d bytes"):format(#self.sent[from]) or
      ("%d of %d bytes"):format(#self.data[from], #self.sent[from]))
  end
  out[#out + 1] = "  messages: " .. table.concat(self.messages, " ")
  if #self.secrets > 0 then out[#out + 1] = "  secrets: " .. table.concat(self.secrets, " ") end
  return table.concat(out, "\n")
end

--- trace:readable(keys): see above. trace: of a lab's run.
function readable.of(trace, keys)
  local peer = misuse.blame(2, passive.new, keys) -- the tail call of trace:readable
  for _, e in ipairs(trace.entries) do
    if e.kind == "wire" then peer:feed(e.from, e.bytes) end
  end
  peer:finish()
  local self = setmetatable({ data = peer.data, records = {}, messages = {}, secrets = {}, problems = peer.problems, trace = peer.trace,
    bytes = { all = 0, readable = 0, protected = 0, closed = 0 }, sent = { client = data_of(trace, "client"),
    server = data_of(trace, "server") } }, Readable)
  local offset = { client = 0, server = 0 }
  for _, e in ipairs(peer.trace.entries) do
    if e.kind == "record" then
      local r = { from = e.from, offset = offset[e.from], length = #e.bytes, type = e.type, readable = e.readable or false,
        protected = e.opened or not e.readable }
      offset[e.from] = offset[e.from] + #e.bytes
      self.records[#self.records + 1] = r
      self.bytes.all = self.bytes.all + r.length
      if r.readable then self.bytes.readable = self.bytes.readable + r.length end
      if r.protected then self.bytes.protected = self.bytes.protected + r.length end
      if not r.readable then self.bytes.closed = self.bytes.closed + r.length end
    elseif e.kind == "message" then
      self.messages[#self.messages + 1] = e.name
    elseif e.kind == "secret" then
      self.secrets[#self.secrets + 1] = e.name
    end
  end
  self.everything = self.bytes.closed == 0 and self.data.client == self.sent.client and self.data.server == self.sent.server
  self.nothing = self.data.client == "" and self.data.server == "" and self.bytes.readable + self.bytes.protected == self.bytes.all
  return self
end

return readable
