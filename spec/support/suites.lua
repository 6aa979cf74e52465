-- Cipher suites as others call them: IANA name, OpenSSL name, GnuTLS priority parts, and the key of the certificate that they want.
local suites = {}

local function row(name, openssl, kx, cipher, mac, key)
  return { name = name, openssl = openssl, key = key,
    gnutls = ("NONE:+VERS-TLS1.2:+COMP-NULL:+SIGN-ALL:+GROUP-ALL:+%s:+%s:+%s"):format(kx, cipher, mac) }
end

-- The profile `classic`: RSA key exchange.
suites.classic = {
  row("TLS_RSA_WITH_AES_128_GCM_SHA256", "AES128-GCM-SHA256", "RSA", "AES-128-GCM", "AEAD", "rsa"),
  row("TLS_RSA_WITH_AES_256_GCM_SHA384", "AES256-GCM-SHA384", "RSA", "AES-256-GCM", "AEAD", "rsa"),
  row("TLS_RSA_WITH_AES_128_CBC_SHA", "AES128-SHA", "RSA", "AES-128-CBC", "SHA1", "rsa"),
  row("TLS_RSA_WITH_AES_256_CBC_SHA", "AES256-SHA", "RSA", "AES-256-CBC", "SHA1", "rsa"),
  row("TLS_RSA_WITH_AES_128_CBC_SHA256", "AES128-SHA256", "RSA", "AES-128-CBC", "SHA256", "rsa"),
  row("TLS_RSA_WITH_AES_256_CBC_SHA256", "AES256-SHA256", "RSA", "AES-256-CBC", "SHA256", "rsa"),
}

-- Forward secrecy, AEAD.
suites.modern = {
  row("TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256", "ECDHE-ECDSA-AES128-GCM-SHA256", "ECDHE-ECDSA", "AES-128-GCM", "AEAD", "ecdsa"),
  row("TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384", "ECDHE-ECDSA-AES256-GCM-SHA384", "ECDHE-ECDSA", "AES-256-GCM", "AEAD", "ecdsa"),
  row("TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256", "ECDHE-ECDSA-CHACHA20-POLY1305", "ECDHE-ECDSA", "CHACHA20-POLY1305", "AEAD",
    "ecdsa"),
  row("TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256", "ECDHE-RSA-AES128-GCM-SHA256", "ECDHE-RSA", "AES-128-GCM", "AEAD", "rsa"),
  row("TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384", "ECDHE-RSA-AES256-GCM-SHA384", "ECDHE-RSA", "AES-256-GCM", "AEAD", "rsa"),
  row("TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256", "ECDHE-RSA-CHACHA20-POLY1305", "ECDHE-RSA", "CHACHA20-POLY1305", "AEAD", "rsa"),
}

-- All of a kind that wants this kind of key.
function suites.with_key(list, key)
  local out = {}
  for _, s in ipairs(list) do
    if s.key == key then out[#out + 1] = s end
  end
  return out
end

return suites
