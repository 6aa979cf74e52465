--- What OpenSSL, and who takes its names along, calls things that have a name of IANA's here: for messages.
local names = {}

-- The key exchange in front of a suite's name; none is RSA.
local exchanges = {
  ["ECDHE-ECDSA-"] = "ECDHE_ECDSA", ["ECDHE-RSA-"] = "ECDHE_RSA", ["ECDHE-PSK-"] = "ECDHE_PSK", ["DHE-RSA-"] = "DHE_RSA", ["DHE-PSK-"] = "DHE_PSK", ["RSA-PSK-"] = "RSA_PSK",
  ["PSK-"] = "PSK", ["ADH-"] = "DH_anon", ["AECDH-"] = "ECDH_anon", ["ECDHE-"] = "ECDHE_RSA", [""] = "RSA",
}

--- "ECDHE-RSA-AES128-SHA256" → "TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA256": what that would be, if there is such a suite.
function names.suite(name)
  local exchange, rest = "", name
  for prefix in pairs(exchanges) do
    if #prefix > #exchange and name:sub(1, #prefix) == prefix then exchange, rest = prefix, name:sub(#prefix + 1) end
  end
  rest = rest:gsub("^(%u+)(%d%d%d)", "%1-%2"):gsub("^(%u+%-%d+)%-SHA", "%1-CBC-SHA"):gsub("^DES%-CBC3", "3DES-EDE-CBC"):gsub("CCM8$", "CCM-8"):gsub("POLY1305$", "POLY1305-SHA256")
  local iana = ("TLS_%s_WITH_%s"):format(exchanges[exchange], (rest:gsub("%-", "_")))
  return (iana:gsub("^TLS_DHE_PSK_(.*CCM_8)$", "TLS_PSK_DHE_%1")) -- as RFC 6655 calls those two
end

local groups = { prime256v1 = "secp256r1" }

function names.group(name) return groups[name] end

return names
