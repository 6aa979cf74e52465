-- Chains of three (root, intermediate, leaf) for the bench, as PEM files: RSA-2048 and P-256, SHA-256 throughout.
local testca = require "akushu.testca"

local certs = {}
local files = {}

local function write(text)
  local name = os.tmpname()
  local file = assert(io.open(name, "wb"))
  assert(file:write(text))
  assert(file:close())
  files[#files + 1] = name
  return name
end

-- certs.make "rsa" or "ecdsa" → { chain=, key=, ca=, host= }; file names.
function certs.make(kind)
  local key = kind == "rsa" and "rsa:2048" or "ec:secp256r1"
  local root = testca.new { key = key, name = "bench root" }
  local intermediate = root:intermediate { key = key, name = "bench intermediate" }
  local leaf = intermediate:issue { key = key, names = { "localhost" } }
  return { chain = write(leaf.pem_chain), key = write(leaf.pem_key), ca = write(root:pem()), host = "localhost" }
end

function certs.remove()
  for _, name in ipairs(files) do os.remove(name) end
end

return certs
