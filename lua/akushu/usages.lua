--- keyUsage and extKeyUsage by the names that RFC 5280 gives their bits and purposes, as the DER of the extensions' values.
local der = require "akushu.der"

local usages = {}

usages.bits = { digitalSignature = 0, contentCommitment = 1, keyEncipherment = 2, dataEncipherment = 3, keyAgreement = 4,
  keyCertSign = 5, cRLSign = 6, encipherOnly = 7, decipherOnly = 8 }
usages.purposes = { serverAuth = "1.3.6.1.5.5.7.3.1", clientAuth = "1.3.6.1.5.5.7.3.2", codeSigning = "1.3.6.1.5.5.7.3.3",
  emailProtection = "1.3.6.1.5.5.7.3.4", timeStamping = "1.3.6.1.5.5.7.3.8", OCSPSigning = "1.3.6.1.5.5.7.3.9", any = "2.5.29.37.0" }

--- A KeyUsage from a list of names.
function usages.key_usage(list)
  local bits = {}
  for i, name in ipairs(list) do bits[i] = usages.bits[name] or error("unknown key usage " .. tostring(name), 0) end
  return der.named_bits(bits)
end

--- An ExtKeyUsageSyntax from a list of names and dotted OIDs.
function usages.ext_key_usage(list)
  local out = {}
  for i, name in ipairs(list) do out[i] = der.oid(usages.purposes[name] or name) end
  return der.sequence(table.concat(out))
end

return usages
