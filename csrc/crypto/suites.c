#include "crypto/internal.h"

#include <string.h>

#define S(id, name, kx, auth, cipher, mac, prf, min, max) \
    {id, name, AK_KX_##kx, AK_AUTH_##auth, AK_CIPHER_##cipher, AK_HASH_##mac, AK_HASH_##prf, AK_##min, AK_##max}

/* The IANA registry's columns for what is implemented, by key exchange and then by strength. The CBC suites of RFC 5487, 5489 and
 * 6367 with SHA-256 or SHA-384 and a PSK may be used below TLS 1.2 too, with the older PRF. */
const ak_suite ak_suites[] = {
    S(0x1301, "TLS_AES_128_GCM_SHA256", tls13, tls13, aes_128_gcm, none, sha256, TLS13, TLS13),
    S(0x1302, "TLS_AES_256_GCM_SHA384", tls13, tls13, aes_256_gcm, none, sha384, TLS13, TLS13),
    S(0x1303, "TLS_CHACHA20_POLY1305_SHA256", tls13, tls13, chacha20_poly1305, none, sha256, TLS13, TLS13),
    S(0x1304, "TLS_AES_128_CCM_SHA256", tls13, tls13, aes_128_ccm, none, sha256, TLS13, TLS13),
    S(0x1305, "TLS_AES_128_CCM_8_SHA256", tls13, tls13, aes_128_ccm_8, none, sha256, TLS13, TLS13),

    S(0xc02b, "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256", ecdhe, ecdsa, aes_128_gcm, none, sha256, TLS12, TLS12),
    S(0xc02c, "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384", ecdhe, ecdsa, aes_256_gcm, none, sha384, TLS12, TLS12),
    S(0xcca9, "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256", ecdhe, ecdsa, chacha20_poly1305, none, sha256, TLS12, TLS12),
    S(0xc0ac, "TLS_ECDHE_ECDSA_WITH_AES_128_CCM", ecdhe, ecdsa, aes_128_ccm, none, sha256, TLS12, TLS12),
    S(0xc0ad, "TLS_ECDHE_ECDSA_WITH_AES_256_CCM", ecdhe, ecdsa, aes_256_ccm, none, sha256, TLS12, TLS12),
    S(0xc0ae, "TLS_ECDHE_ECDSA_WITH_AES_128_CCM_8", ecdhe, ecdsa, aes_128_ccm_8, none, sha256, TLS12, TLS12),
    S(0xc0af, "TLS_ECDHE_ECDSA_WITH_AES_256_CCM_8", ecdhe, ecdsa, aes_256_ccm_8, none, sha256, TLS12, TLS12),
    S(0xc05c, "TLS_ECDHE_ECDSA_WITH_ARIA_128_GCM_SHA256", ecdhe, ecdsa, aria_128_gcm, none, sha256, TLS12, TLS12),
    S(0xc05d, "TLS_ECDHE_ECDSA_WITH_ARIA_256_GCM_SHA384", ecdhe, ecdsa, aria_256_gcm, none, sha384, TLS12, TLS12),
    S(0xc009, "TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA", ecdhe, ecdsa, aes_128_cbc, sha1, sha256, TLS10, TLS12),
    S(0xc023, "TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA256", ecdhe, ecdsa, aes_128_cbc, sha256, sha256, TLS12, TLS12),
    S(0xc00a, "TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA", ecdhe, ecdsa, aes_256_cbc, sha1, sha256, TLS10, TLS12),
    S(0xc024, "TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA384", ecdhe, ecdsa, aes_256_cbc, sha384, sha384, TLS12, TLS12),
    S(0xc072, "TLS_ECDHE_ECDSA_WITH_CAMELLIA_128_CBC_SHA256", ecdhe, ecdsa, camellia_128_cbc, sha256, sha256, TLS12, TLS12),
    S(0xc073, "TLS_ECDHE_ECDSA_WITH_CAMELLIA_256_CBC_SHA384", ecdhe, ecdsa, camellia_256_cbc, sha384, sha384, TLS12, TLS12),
    S(0xc008, "TLS_ECDHE_ECDSA_WITH_3DES_EDE_CBC_SHA", ecdhe, ecdsa, 3des_ede_cbc, sha1, sha256, TLS10, TLS12),
    S(0xc006, "TLS_ECDHE_ECDSA_WITH_NULL_SHA", ecdhe, ecdsa, null, sha1, sha256, TLS10, TLS12),

    S(0xc02f, "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256", ecdhe, rsa, aes_128_gcm, none, sha256, TLS12, TLS12),
    S(0xc030, "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384", ecdhe, rsa, aes_256_gcm, none, sha384, TLS12, TLS12),
    S(0xcca8, "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256", ecdhe, rsa, chacha20_poly1305, none, sha256, TLS12, TLS12),
    S(0xc060, "TLS_ECDHE_RSA_WITH_ARIA_128_GCM_SHA256", ecdhe, rsa, aria_128_gcm, none, sha256, TLS12, TLS12),
    S(0xc061, "TLS_ECDHE_RSA_WITH_ARIA_256_GCM_SHA384", ecdhe, rsa, aria_256_gcm, none, sha384, TLS12, TLS12),
    S(0xc013, "TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA", ecdhe, rsa, aes_128_cbc, sha1, sha256, TLS10, TLS12),
    S(0xc027, "TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA256", ecdhe, rsa, aes_128_cbc, sha256, sha256, TLS12, TLS12),
    S(0xc014, "TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA", ecdhe, rsa, aes_256_cbc, sha1, sha256, TLS10, TLS12),
    S(0xc028, "TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA384", ecdhe, rsa, aes_256_cbc, sha384, sha384, TLS12, TLS12),
    S(0xc076, "TLS_ECDHE_RSA_WITH_CAMELLIA_128_CBC_SHA256", ecdhe, rsa, camellia_128_cbc, sha256, sha256, TLS12, TLS12),
    S(0xc077, "TLS_ECDHE_RSA_WITH_CAMELLIA_256_CBC_SHA384", ecdhe, rsa, camellia_256_cbc, sha384, sha384, TLS12, TLS12),
    S(0xc012, "TLS_ECDHE_RSA_WITH_3DES_EDE_CBC_SHA", ecdhe, rsa, 3des_ede_cbc, sha1, sha256, TLS10, TLS12),
    S(0xc010, "TLS_ECDHE_RSA_WITH_NULL_SHA", ecdhe, rsa, null, sha1, sha256, TLS10, TLS12),

    S(0x009e, "TLS_DHE_RSA_WITH_AES_128_GCM_SHA256", dhe, rsa, aes_128_gcm, none, sha256, TLS12, TLS12),
    S(0x009f, "TLS_DHE_RSA_WITH_AES_256_GCM_SHA384", dhe, rsa, aes_256_gcm, none, sha384, TLS12, TLS12),
    S(0xccaa, "TLS_DHE_RSA_WITH_CHACHA20_POLY1305_SHA256", dhe, rsa, chacha20_poly1305, none, sha256, TLS12, TLS12),
    S(0xc09e, "TLS_DHE_RSA_WITH_AES_128_CCM", dhe, rsa, aes_128_ccm, none, sha256, TLS12, TLS12),
    S(0xc09f, "TLS_DHE_RSA_WITH_AES_256_CCM", dhe, rsa, aes_256_ccm, none, sha256, TLS12, TLS12),
    S(0xc0a2, "TLS_DHE_RSA_WITH_AES_128_CCM_8", dhe, rsa, aes_128_ccm_8, none, sha256, TLS12, TLS12),
    S(0xc0a3, "TLS_DHE_RSA_WITH_AES_256_CCM_8", dhe, rsa, aes_256_ccm_8, none, sha256, TLS12, TLS12),
    S(0xc052, "TLS_DHE_RSA_WITH_ARIA_128_GCM_SHA256", dhe, rsa, aria_128_gcm, none, sha256, TLS12, TLS12),
    S(0xc053, "TLS_DHE_RSA_WITH_ARIA_256_GCM_SHA384", dhe, rsa, aria_256_gcm, none, sha384, TLS12, TLS12),
    S(0x0033, "TLS_DHE_RSA_WITH_AES_128_CBC_SHA", dhe, rsa, aes_128_cbc, sha1, sha256, SSL30, TLS12),
    S(0x0067, "TLS_DHE_RSA_WITH_AES_128_CBC_SHA256", dhe, rsa, aes_128_cbc, sha256, sha256, TLS12, TLS12),
    S(0x0039, "TLS_DHE_RSA_WITH_AES_256_CBC_SHA", dhe, rsa, aes_256_cbc, sha1, sha256, SSL30, TLS12),
    S(0x006b, "TLS_DHE_RSA_WITH_AES_256_CBC_SHA256", dhe, rsa, aes_256_cbc, sha256, sha256, TLS12, TLS12),
    S(0x0045, "TLS_DHE_RSA_WITH_CAMELLIA_128_CBC_SHA", dhe, rsa, camellia_128_cbc, sha1, sha256, SSL30, TLS12),
    S(0x00be, "TLS_DHE_RSA_WITH_CAMELLIA_128_CBC_SHA256", dhe, rsa, camellia_128_cbc, sha256, sha256, TLS12, TLS12),
    S(0x0088, "TLS_DHE_RSA_WITH_CAMELLIA_256_CBC_SHA", dhe, rsa, camellia_256_cbc, sha1, sha256, SSL30, TLS12),
    S(0x00c4, "TLS_DHE_RSA_WITH_CAMELLIA_256_CBC_SHA256", dhe, rsa, camellia_256_cbc, sha256, sha256, TLS12, TLS12),
    S(0x0016, "TLS_DHE_RSA_WITH_3DES_EDE_CBC_SHA", dhe, rsa, 3des_ede_cbc, sha1, sha256, SSL30, TLS12),

    S(0x009c, "TLS_RSA_WITH_AES_128_GCM_SHA256", rsa, rsa, aes_128_gcm, none, sha256, TLS12, TLS12),
    S(0x009d, "TLS_RSA_WITH_AES_256_GCM_SHA384", rsa, rsa, aes_256_gcm, none, sha384, TLS12, TLS12),
    S(0xc09c, "TLS_RSA_WITH_AES_128_CCM", rsa, rsa, aes_128_ccm, none, sha256, TLS12, TLS12),
    S(0xc09d, "TLS_RSA_WITH_AES_256_CCM", rsa, rsa, aes_256_ccm, none, sha256, TLS12, TLS12),
    S(0xc0a0, "TLS_RSA_WITH_AES_128_CCM_8", rsa, rsa, aes_128_ccm_8, none, sha256, TLS12, TLS12),
    S(0xc0a1, "TLS_RSA_WITH_AES_256_CCM_8", rsa, rsa, aes_256_ccm_8, none, sha256, TLS12, TLS12),
    S(0xc050, "TLS_RSA_WITH_ARIA_128_GCM_SHA256", rsa, rsa, aria_128_gcm, none, sha256, TLS12, TLS12),
    S(0xc051, "TLS_RSA_WITH_ARIA_256_GCM_SHA384", rsa, rsa, aria_256_gcm, none, sha384, TLS12, TLS12),
    S(0x002f, "TLS_RSA_WITH_AES_128_CBC_SHA", rsa, rsa, aes_128_cbc, sha1, sha256, SSL30, TLS12),
    S(0x003c, "TLS_RSA_WITH_AES_128_CBC_SHA256", rsa, rsa, aes_128_cbc, sha256, sha256, TLS12, TLS12),
    S(0x0035, "TLS_RSA_WITH_AES_256_CBC_SHA", rsa, rsa, aes_256_cbc, sha1, sha256, SSL30, TLS12),
    S(0x003d, "TLS_RSA_WITH_AES_256_CBC_SHA256", rsa, rsa, aes_256_cbc, sha256, sha256, TLS12, TLS12),
    S(0x0041, "TLS_RSA_WITH_CAMELLIA_128_CBC_SHA", rsa, rsa, camellia_128_cbc, sha1, sha256, SSL30, TLS12),
    S(0x00ba, "TLS_RSA_WITH_CAMELLIA_128_CBC_SHA256", rsa, rsa, camellia_128_cbc, sha256, sha256, TLS12, TLS12),
    S(0x0084, "TLS_RSA_WITH_CAMELLIA_256_CBC_SHA", rsa, rsa, camellia_256_cbc, sha1, sha256, SSL30, TLS12),
    S(0x00c0, "TLS_RSA_WITH_CAMELLIA_256_CBC_SHA256", rsa, rsa, camellia_256_cbc, sha256, sha256, TLS12, TLS12),
    S(0x000a, "TLS_RSA_WITH_3DES_EDE_CBC_SHA", rsa, rsa, 3des_ede_cbc, sha1, sha256, SSL30, TLS12),
    S(0x0001, "TLS_RSA_WITH_NULL_MD5", rsa, rsa, null, md5, sha256, SSL30, TLS12),
    S(0x0002, "TLS_RSA_WITH_NULL_SHA", rsa, rsa, null, sha1, sha256, SSL30, TLS12),
    S(0x003b, "TLS_RSA_WITH_NULL_SHA256", rsa, rsa, null, sha256, sha256, TLS12, TLS12),

    S(0xd001, "TLS_ECDHE_PSK_WITH_AES_128_GCM_SHA256", ecdhe_psk, psk, aes_128_gcm, none, sha256, TLS12, TLS12),
    S(0xd002, "TLS_ECDHE_PSK_WITH_AES_256_GCM_SHA384", ecdhe_psk, psk, aes_256_gcm, none, sha384, TLS12, TLS12),
    S(0xccac, "TLS_ECDHE_PSK_WITH_CHACHA20_POLY1305_SHA256", ecdhe_psk, psk, chacha20_poly1305, none, sha256, TLS12, TLS12),
    S(0xd005, "TLS_ECDHE_PSK_WITH_AES_128_CCM_SHA256", ecdhe_psk, psk, aes_128_ccm, none, sha256, TLS12, TLS12),
    S(0xd003, "TLS_ECDHE_PSK_WITH_AES_128_CCM_8_SHA256", ecdhe_psk, psk, aes_128_ccm_8, none, sha256, TLS12, TLS12),
    S(0xc035, "TLS_ECDHE_PSK_WITH_AES_128_CBC_SHA", ecdhe_psk, psk, aes_128_cbc, sha1, sha256, TLS10, TLS12),
    S(0xc037, "TLS_ECDHE_PSK_WITH_AES_128_CBC_SHA256", ecdhe_psk, psk, aes_128_cbc, sha256, sha256, TLS10, TLS12),
    S(0xc036, "TLS_ECDHE_PSK_WITH_AES_256_CBC_SHA", ecdhe_psk, psk, aes_256_cbc, sha1, sha256, TLS10, TLS12),
    S(0xc038, "TLS_ECDHE_PSK_WITH_AES_256_CBC_SHA384", ecdhe_psk, psk, aes_256_cbc, sha384, sha384, TLS10, TLS12),
    S(0xc09a, "TLS_ECDHE_PSK_WITH_CAMELLIA_128_CBC_SHA256", ecdhe_psk, psk, camellia_128_cbc, sha256, sha256, TLS10, TLS12),
    S(0xc09b, "TLS_ECDHE_PSK_WITH_CAMELLIA_256_CBC_SHA384", ecdhe_psk, psk, camellia_256_cbc, sha384, sha384, TLS10, TLS12),
    S(0xc034, "TLS_ECDHE_PSK_WITH_3DES_EDE_CBC_SHA", ecdhe_psk, psk, 3des_ede_cbc, sha1, sha256, TLS10, TLS12),
    S(0xc039, "TLS_ECDHE_PSK_WITH_NULL_SHA", ecdhe_psk, psk, null, sha1, sha256, TLS10, TLS12),
    S(0xc03a, "TLS_ECDHE_PSK_WITH_NULL_SHA256", ecdhe_psk, psk, null, sha256, sha256, TLS10, TLS12),
    S(0xc03b, "TLS_ECDHE_PSK_WITH_NULL_SHA384", ecdhe_psk, psk, null, sha384, sha384, TLS10, TLS12),

    S(0x00aa, "TLS_DHE_PSK_WITH_AES_128_GCM_SHA256", dhe_psk, psk, aes_128_gcm, none, sha256, TLS12, TLS12),
    S(0x00ab, "TLS_DHE_PSK_WITH_AES_256_GCM_SHA384", dhe_psk, psk, aes_256_gcm, none, sha384, TLS12, TLS12),
    S(0xccad, "TLS_DHE_PSK_WITH_CHACHA20_POLY1305_SHA256", dhe_psk, psk, chacha20_poly1305, none, sha256, TLS12, TLS12),
    S(0xc0a6, "TLS_DHE_PSK_WITH_AES_128_CCM", dhe_psk, psk, aes_128_ccm, none, sha256, TLS12, TLS12),
    S(0xc0a7, "TLS_DHE_PSK_WITH_AES_256_CCM", dhe_psk, psk, aes_256_ccm, none, sha256, TLS12, TLS12),
    S(0xc0aa, "TLS_PSK_DHE_WITH_AES_128_CCM_8", dhe_psk, psk, aes_128_ccm_8, none, sha256, TLS12, TLS12),
    S(0xc0ab, "TLS_PSK_DHE_WITH_AES_256_CCM_8", dhe_psk, psk, aes_256_ccm_8, none, sha256, TLS12, TLS12),
    S(0xc06c, "TLS_DHE_PSK_WITH_ARIA_128_GCM_SHA256", dhe_psk, psk, aria_128_gcm, none, sha256, TLS12, TLS12),
    S(0xc06d, "TLS_DHE_PSK_WITH_ARIA_256_GCM_SHA384", dhe_psk, psk, aria_256_gcm, none, sha384, TLS12, TLS12),
    S(0x0090, "TLS_DHE_PSK_WITH_AES_128_CBC_SHA", dhe_psk, psk, aes_128_cbc, sha1, sha256, TLS10, TLS12),
    S(0x00b2, "TLS_DHE_PSK_WITH_AES_128_CBC_SHA256", dhe_psk, psk, aes_128_cbc, sha256, sha256, TLS10, TLS12),
    S(0x0091, "TLS_DHE_PSK_WITH_AES_256_CBC_SHA", dhe_psk, psk, aes_256_cbc, sha1, sha256, TLS10, TLS12),
    S(0x00b3, "TLS_DHE_PSK_WITH_AES_256_CBC_SHA384", dhe_psk, psk, aes_256_cbc, sha384, sha384, TLS10, TLS12),
    S(0xc096, "TLS_DHE_PSK_WITH_CAMELLIA_128_CBC_SHA256", dhe_psk, psk, camellia_128_cbc, sha256, sha256, TLS10, TLS12),
    S(0xc097, "TLS_DHE_PSK_WITH_CAMELLIA_256_CBC_SHA384", dhe_psk, psk, camellia_256_cbc, sha384, sha384, TLS10, TLS12),
    S(0x008f, "TLS_DHE_PSK_WITH_3DES_EDE_CBC_SHA", dhe_psk, psk, 3des_ede_cbc, sha1, sha256, TLS10, TLS12),
    S(0x002d, "TLS_DHE_PSK_WITH_NULL_SHA", dhe_psk, psk, null, sha1, sha256, TLS10, TLS12),
    S(0x00b4, "TLS_DHE_PSK_WITH_NULL_SHA256", dhe_psk, psk, null, sha256, sha256, TLS10, TLS12),
    S(0x00b5, "TLS_DHE_PSK_WITH_NULL_SHA384", dhe_psk, psk, null, sha384, sha384, TLS10, TLS12),

    S(0x00ac, "TLS_RSA_PSK_WITH_AES_128_GCM_SHA256", rsa_psk, rsa, aes_128_gcm, none, sha256, TLS12, TLS12),
    S(0x00ad, "TLS_RSA_PSK_WITH_AES_256_GCM_SHA384", rsa_psk, rsa, aes_256_gcm, none, sha384, TLS12, TLS12),
    S(0xccae, "TLS_RSA_PSK_WITH_CHACHA20_POLY1305_SHA256", rsa_psk, rsa, chacha20_poly1305, none, sha256, TLS12, TLS12),
    S(0xc06e, "TLS_RSA_PSK_WITH_ARIA_128_GCM_SHA256", rsa_psk, rsa, aria_128_gcm, none, sha256, TLS12, TLS12),
    S(0xc06f, "TLS_RSA_PSK_WITH_ARIA_256_GCM_SHA384", rsa_psk, rsa, aria_256_gcm, none, sha384, TLS12, TLS12),
    S(0x0094, "TLS_RSA_PSK_WITH_AES_128_CBC_SHA", rsa_psk, rsa, aes_128_cbc, sha1, sha256, TLS10, TLS12),
    S(0x00b6, "TLS_RSA_PSK_WITH_AES_128_CBC_SHA256", rsa_psk, rsa, aes_128_cbc, sha256, sha256, TLS10, TLS12),
    S(0x0095, "TLS_RSA_PSK_WITH_AES_256_CBC_SHA", rsa_psk, rsa, aes_256_cbc, sha1, sha256, TLS10, TLS12),
    S(0x00b7, "TLS_RSA_PSK_WITH_AES_256_CBC_SHA384", rsa_psk, rsa, aes_256_cbc, sha384, sha384, TLS10, TLS12),
    S(0xc098, "TLS_RSA_PSK_WITH_CAMELLIA_128_CBC_SHA256", rsa_psk, rsa, camellia_128_cbc, sha256, sha256, TLS10, TLS12),
    S(0xc099, "TLS_RSA_PSK_WITH_CAMELLIA_256_CBC_SHA384", rsa_psk, rsa, camellia_256_cbc, sha384, sha384, TLS10, TLS12),
    S(0x0093, "TLS_RSA_PSK_WITH_3DES_EDE_CBC_SHA", rsa_psk, rsa, 3des_ede_cbc, sha1, sha256, TLS10, TLS12),
    S(0x002e, "TLS_RSA_PSK_WITH_NULL_SHA", rsa_psk, rsa, null, sha1, sha256, TLS10, TLS12),
    S(0x00b8, "TLS_RSA_PSK_WITH_NULL_SHA256", rsa_psk, rsa, null, sha256, sha256, TLS10, TLS12),
    S(0x00b9, "TLS_RSA_PSK_WITH_NULL_SHA384", rsa_psk, rsa, null, sha384, sha384, TLS10, TLS12),

    S(0x00a8, "TLS_PSK_WITH_AES_128_GCM_SHA256", psk, psk, aes_128_gcm, none, sha256, TLS12, TLS12),
    S(0x00a9, "TLS_PSK_WITH_AES_256_GCM_SHA384", psk, psk, aes_256_gcm, none, sha384, TLS12, TLS12),
    S(0xccab, "TLS_PSK_WITH_CHACHA20_POLY1305_SHA256", psk, psk, chacha20_poly1305, none, sha256, TLS12, TLS12),
    S(0xc0a4, "TLS_PSK_WITH_AES_128_CCM", psk, psk, aes_128_ccm, none, sha256, TLS12, TLS12),
    S(0xc0a5, "TLS_PSK_WITH_AES_256_CCM", psk, psk, aes_256_ccm, none, sha256, TLS12, TLS12),
    S(0xc0a8, "TLS_PSK_WITH_AES_128_CCM_8", psk, psk, aes_128_ccm_8, none, sha256, TLS12, TLS12),
    S(0xc0a9, "TLS_PSK_WITH_AES_256_CCM_8", psk, psk, aes_256_ccm_8, none, sha256, TLS12, TLS12),
    S(0xc06a, "TLS_PSK_WITH_ARIA_128_GCM_SHA256", psk, psk, aria_128_gcm, none, sha256, TLS12, TLS12),
    S(0xc06b, "TLS_PSK_WITH_ARIA_256_GCM_SHA384", psk, psk, aria_256_gcm, none, sha384, TLS12, TLS12),
    S(0x008c, "TLS_PSK_WITH_AES_128_CBC_SHA", psk, psk, aes_128_cbc, sha1, sha256, TLS10, TLS12),
    S(0x00ae, "TLS_PSK_WITH_AES_128_CBC_SHA256", psk, psk, aes_128_cbc, sha256, sha256, TLS10, TLS12),
    S(0x008d, "TLS_PSK_WITH_AES_256_CBC_SHA", psk, psk, aes_256_cbc, sha1, sha256, TLS10, TLS12),
    S(0x00af, "TLS_PSK_WITH_AES_256_CBC_SHA384", psk, psk, aes_256_cbc, sha384, sha384, TLS10, TLS12),
    S(0xc094, "TLS_PSK_WITH_CAMELLIA_128_CBC_SHA256", psk, psk, camellia_128_cbc, sha256, sha256, TLS10, TLS12),
    S(0xc095, "TLS_PSK_WITH_CAMELLIA_256_CBC_SHA384", psk, psk, camellia_256_cbc, sha384, sha384, TLS10, TLS12),
    S(0x008b, "TLS_PSK_WITH_3DES_EDE_CBC_SHA", psk, psk, 3des_ede_cbc, sha1, sha256, TLS10, TLS12),
    S(0x002c, "TLS_PSK_WITH_NULL_SHA", psk, psk, null, sha1, sha256, TLS10, TLS12),
    S(0x00b0, "TLS_PSK_WITH_NULL_SHA256", psk, psk, null, sha256, sha256, TLS10, TLS12),
    S(0x00b1, "TLS_PSK_WITH_NULL_SHA384", psk, psk, null, sha384, sha384, TLS10, TLS12),

    S(0xc018, "TLS_ECDH_anon_WITH_AES_128_CBC_SHA", ecdhe, anon, aes_128_cbc, sha1, sha256, TLS10, TLS12),
    S(0xc019, "TLS_ECDH_anon_WITH_AES_256_CBC_SHA", ecdhe, anon, aes_256_cbc, sha1, sha256, TLS10, TLS12),
    S(0xc017, "TLS_ECDH_anon_WITH_3DES_EDE_CBC_SHA", ecdhe, anon, 3des_ede_cbc, sha1, sha256, TLS10, TLS12),
    S(0xc015, "TLS_ECDH_anon_WITH_NULL_SHA", ecdhe, anon, null, sha1, sha256, TLS10, TLS12),

    S(0x00a6, "TLS_DH_anon_WITH_AES_128_GCM_SHA256", dhe, anon, aes_128_gcm, none, sha256, TLS12, TLS12),
    S(0x00a7, "TLS_DH_anon_WITH_AES_256_GCM_SHA384", dhe, anon, aes_256_gcm, none, sha384, TLS12, TLS12),
    S(0xc05a, "TLS_DH_anon_WITH_ARIA_128_GCM_SHA256", dhe, anon, aria_128_gcm, none, sha256, TLS12, TLS12),
    S(0xc05b, "TLS_DH_anon_WITH_ARIA_256_GCM_SHA384", dhe, anon, aria_256_gcm, none, sha384, TLS12, TLS12),
    S(0x0034, "TLS_DH_anon_WITH_AES_128_CBC_SHA", dhe, anon, aes_128_cbc, sha1, sha256, SSL30, TLS12),
    S(0x006c, "TLS_DH_anon_WITH_AES_128_CBC_SHA256", dhe, anon, aes_128_cbc, sha256, sha256, TLS12, TLS12),
    S(0x003a, "TLS_DH_anon_WITH_AES_256_CBC_SHA", dhe, anon, aes_256_cbc, sha1, sha256, SSL30, TLS12),
    S(0x006d, "TLS_DH_anon_WITH_AES_256_CBC_SHA256", dhe, anon, aes_256_cbc, sha256, sha256, TLS12, TLS12),
    S(0x0046, "TLS_DH_anon_WITH_CAMELLIA_128_CBC_SHA", dhe, anon, camellia_128_cbc, sha1, sha256, SSL30, TLS12),
    S(0x00bf, "TLS_DH_anon_WITH_CAMELLIA_128_CBC_SHA256", dhe, anon, camellia_128_cbc, sha256, sha256, TLS12, TLS12),
    S(0x0089, "TLS_DH_anon_WITH_CAMELLIA_256_CBC_SHA", dhe, anon, camellia_256_cbc, sha1, sha256, SSL30, TLS12),
    S(0x00c5, "TLS_DH_anon_WITH_CAMELLIA_256_CBC_SHA256", dhe, anon, camellia_256_cbc, sha256, sha256, TLS12, TLS12),
    S(0x001b, "TLS_DH_anon_WITH_3DES_EDE_CBC_SHA", dhe, anon, 3des_ede_cbc, sha1, sha256, SSL30, TLS12),
};

#undef S

const size_t ak_suites_count = sizeof ak_suites / sizeof ak_suites[0];

static const ak_cipher_info ciphers[AK_CIPHER_count] = {
    /*                               name                 kind          key fixed expl tag block xor */
    [AK_CIPHER_null] = {NULL, AK_KIND_null, 0, 0, 0, 0, 0, false},
    [AK_CIPHER_aes_128_gcm] = {"AES-128-GCM", AK_KIND_aead, 16, 4, 8, 16, 1, false},
    [AK_CIPHER_aes_256_gcm] = {"AES-256-GCM", AK_KIND_aead, 32, 4, 8, 16, 1, false},
    [AK_CIPHER_aes_128_ccm] = {"AES-128-CCM", AK_KIND_aead, 16, 4, 8, 16, 1, false},
    [AK_CIPHER_aes_256_ccm] = {"AES-256-CCM", AK_KIND_aead, 32, 4, 8, 16, 1, false},
    [AK_CIPHER_aes_128_ccm_8] = {"AES-128-CCM", AK_KIND_aead, 16, 4, 8, 8, 1, false},
    [AK_CIPHER_aes_256_ccm_8] = {"AES-256-CCM", AK_KIND_aead, 32, 4, 8, 8, 1, false},
    [AK_CIPHER_chacha20_poly1305] = {"ChaCha20-Poly1305", AK_KIND_aead, 32, 12, 0, 16, 1, true},
    [AK_CIPHER_aria_128_gcm] = {"ARIA-128-GCM", AK_KIND_aead, 16, 4, 8, 16, 1, false},
    [AK_CIPHER_aria_256_gcm] = {"ARIA-256-GCM", AK_KIND_aead, 32, 4, 8, 16, 1, false},
    [AK_CIPHER_aes_128_cbc] = {"AES-128-CBC", AK_KIND_cbc, 16, 0, 0, 0, 16, false},
    [AK_CIPHER_aes_256_cbc] = {"AES-256-CBC", AK_KIND_cbc, 32, 0, 0, 0, 16, false},
    [AK_CIPHER_camellia_128_cbc] = {"CAMELLIA-128-CBC", AK_KIND_cbc, 16, 0, 0, 0, 16, false},
    [AK_CIPHER_camellia_256_cbc] = {"CAMELLIA-256-CBC", AK_KIND_cbc, 32, 0, 0, 0, 16, false},
    [AK_CIPHER_3des_ede_cbc] = {"DES-EDE3-CBC", AK_KIND_cbc, 24, 0, 0, 0, 8, false},
};

const ak_cipher_info *ak_cipher(ak_cipher_id id) { return &ciphers[(unsigned)id < AK_CIPHER_count ? id : AK_CIPHER_null]; }

const ak_suite *ak_suite_find(uint16_t id) {
    for (size_t i = 0; i < ak_suites_count; i++)
        if (ak_suites[i].id == id) return &ak_suites[i];
    return NULL;
}

const ak_suite *ak_suite_by_name(const char *name) {
    for (size_t i = 0; i < ak_suites_count; i++)
        if (strcmp(ak_suites[i].name, name) == 0) return &ak_suites[i];
    return NULL;
}

bool ak_suite_usable(const ak_provider *p, const ak_suite *s) {
    if (s->cipher != AK_CIPHER_null && p->cipher[s->cipher] == NULL) return false;
    if (s->mac != AK_HASH_none && !ak_provider_has_hash(p, s->mac)) return false;
    return ak_provider_has_hash(p, s->prf);
}

bool ak_suite_signs_params(const ak_suite *s) {
    return (s->kx == AK_KX_dhe || s->kx == AK_KX_ecdhe) && s->auth != AK_AUTH_anon;
}

bool ak_suite_has_certificate(const ak_suite *s) { return s->auth != AK_AUTH_psk && s->auth != AK_AUTH_anon; }

bool ak_suite_is_cbc(const ak_suite *s) { return ciphers[s->cipher].kind == AK_KIND_cbc; }

/* ---- profiles --------------------------------------------------------------------------------------------------------- */

typedef bool suite_test(const ak_suite *s);

static bool is_forward_secret(const ak_suite *s) {
    switch (s->kx) {
    case AK_KX_tls13:
    case AK_KX_dhe:
    case AK_KX_ecdhe:
    case AK_KX_dhe_psk:
    case AK_KX_ecdhe_psk: return true;
    case AK_KX_rsa:
    case AK_KX_psk:
    case AK_KX_rsa_psk: break;
    }
    return false;
}

static bool is_weak(const ak_suite *s) {
    return s->auth == AK_AUTH_anon || s->cipher == AK_CIPHER_null || s->cipher == AK_CIPHER_3des_ede_cbc || s->mac == AK_HASH_md5;
}

/* An AEAD with a whole tag, and one that peers have; CCM_8 and ARIA stay with those who name them. */
static bool is_modern_cipher(const ak_suite *s) {
    switch (s->cipher) {
    case AK_CIPHER_aes_128_gcm:
    case AK_CIPHER_aes_256_gcm:
    case AK_CIPHER_aes_128_ccm:
    case AK_CIPHER_aes_256_ccm:
    case AK_CIPHER_chacha20_poly1305: return true;
    default: return false;
    }
}

static bool is_13(const ak_suite *s) { return s->kx == AK_KX_tls13 && s->cipher != AK_CIPHER_aes_128_ccm_8; }
static bool is_modern(const ak_suite *s) { return is_forward_secret(s) && is_modern_cipher(s) && !is_weak(s); }
static bool is_modern_ecdhe(const ak_suite *s) { return s->kx == AK_KX_ecdhe && is_modern(s); }
static bool is_forward(const ak_suite *s) { return is_forward_secret(s) && !is_weak(s); }
static bool is_not_weak(const ak_suite *s) { return !is_weak(s); }
static bool is_any(const ak_suite *s) {
    (void)s;
    return true;
}

/* The classic story's six: TLS 1.2 with RSA key exchange and AES. */
static bool is_classic(const ak_suite *s) {
    return s->kx == AK_KX_rsa && (s->cipher == AK_CIPHER_aes_128_gcm || s->cipher == AK_CIPHER_aes_256_gcm ||
                                  s->cipher == AK_CIPHER_aes_128_cbc || s->cipher == AK_CIPHER_aes_256_cbc);
}

/* A profile is a few passes over the table; a suite is listed by the first pass that wants it. Within a pass the order is by
 * cipher (the order of ak_cipher_id), then as in the table: ECDSA before RSA before PSK. */
static const struct profile {
    const char *name;
    suite_test *pass[6];
} profiles[] = {
    {"modern", {is_13, is_modern_ecdhe, is_modern}},
    {"compatible", {is_13, is_modern_ecdhe, is_modern, is_forward, is_not_weak}},
    {"classic", {is_classic}},
    {"lab", {is_13, is_modern_ecdhe, is_modern, is_forward, is_not_weak, is_any}},
};

#define MOST_SUITES 256

/* rank: ciphers in order of preference; ChaCha20-Poly1305 goes before CCM as it is far faster. */
static unsigned rank(const ak_suite *s) {
    if (s->cipher == AK_CIPHER_null) return AK_CIPHER_count;
    if (s->cipher == AK_CIPHER_chacha20_poly1305) return AK_CIPHER_aes_256_gcm * 2 + 1;
    return (unsigned)s->cipher * 2;
}

size_t ak_profile_suites(const char *profile, uint16_t *out, size_t max) {
    const struct profile *wanted = NULL;
    for (size_t i = 0; i < sizeof profiles / sizeof profiles[0]; i++)
        if (strcmp(profiles[i].name, profile) == 0) wanted = &profiles[i];
    if (wanted == NULL) return 0;
    bool listed[MOST_SUITES] = {false};
    size_t n = 0;
    for (size_t pass = 0; pass < 6 && wanted->pass[pass] != NULL; pass++)
        for (unsigned r = 0; r <= 2 * AK_CIPHER_count; r++)
            for (size_t i = 0; i < ak_suites_count && n < max; i++) {
                if (listed[i] || rank(&ak_suites[i]) != r || !wanted->pass[pass](&ak_suites[i])) continue;
                listed[i] = true;
                out[n++] = ak_suites[i].id;
            }
    return n;
}
