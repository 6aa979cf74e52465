-- The CAs of this machine, whatever SSL_CERT_FILE and SSL_CERT_DIR are for whoever runs the specs.
local x509 = require("akushu.core").x509
local peers = require "spec.support.peers"

local roots = {}

--- What trust.system() finds in a process that has these of the two variables alone ("SSL_CERT_FILE=a.pem"; "" for none): how many certificates, and
-- their sources.
function roots.found(variables)
  local script = [[local t = assert(require("akushu.core").x509.trust.system()) print(#t) for _, path in ipairs(t.sources) do print(path) end]]
  local pipe = assert(io.popen(("env -u SSL_CERT_FILE -u SSL_CERT_DIR LUA_PATH=%s LUA_CPATH=%s %s %s -e %s"):format(peers.quote(package.path),
    peers.quote(package.cpath), variables, os.getenv "LUA" or "lua5.4", peers.quote(script))))
  local n, sources = pipe:read "n", {}
  pipe:read "l"
  for path in pipe:lines() do sources[#sources + 1] = path end
  pipe:close()
  return n, sources
end

--- A store of those that a process without the two variables has.
function roots.store()
  local store = x509.trust {}
  local _, sources = roots.found ""
  for _, path in ipairs(sources) do store:add(assert(x509.trust.file(path) or x509.trust.dir(path)).certificates) end
  return store
end

return roots
