--- What secrets are called: one name for each, everywhere (hs:secret, a script's keys, traces, the passive peer): that of the RFCs. Its usual ending may be left out:
-- "master" is "master_secret", "client_handshake_traffic" is "client_handshake_traffic_secret".
local names = {}

-- Without the ending (as the engine calls them) → the name.
local long = { premaster = "premaster_secret", shared = "shared_secret", master = "master_secret", key_block = "key_block", early = "early_secret", binder = "binder_key",
  handshake = "handshake_secret", client_early_traffic = "client_early_traffic_secret", early_exporter = "early_exporter_master_secret",
  client_handshake_traffic = "client_handshake_traffic_secret", server_handshake_traffic = "server_handshake_traffic_secret",
  client_application_traffic = "client_application_traffic_secret_0", server_application_traffic = "server_application_traffic_secret_0",
  exporter = "exporter_master_secret", resumption = "resumption_master_secret" }

local short = {}
for s, l in pairs(long) do
  short[l], short[s] = s, s
  for _, ending in ipairs { "_0$", "_secret$", "_secret_0$" } do short[l:gsub(ending, "")] = s end
end

--- The name as RFC 5246 and 8446 have it; another name as it is.
function names.long(name) return long[short[name]] or name end

--- The name without its ending; another name as it is.
function names.short(name) return short[name] or name end

--- A secret that a handshake of an engine can have, without its ending; anything else is a mistake of the caller's caller.
function names.of_handshake(what, name)
  local s = short[name]
  if s and s ~= "shared" then return s end
  local all = {}
  for other, l in pairs(long) do all[#all + 1] = other ~= "shared" and l or nil end
  table.sort(all)
  error(("%s: no secret is called '%s'; there are %s"):format(what, tostring(name), table.concat(all, ", ")), 3)
end

return names
