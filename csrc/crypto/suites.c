#include "crypto/internal.h"

#include <string.h>

#define AK_SUITE(id, name, kx, auth, cipher, mac, prf, min, max) \
    {id, name, AK_KX_##kx, AK_AUTH_##auth, AK_CIPHER_##cipher, AK_HASH_##mac, AK_HASH_##prf, AK_##min, AK_##max},
const ak_suite ak_suites[] = {
#include "crypto/suites.def"
};
#undef AK_SUITE

enum {
#define AK_SUITE(id, ...) AT_##id,
#include "crypto/suites.def"
#undef AK_SUITE
};

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
    [AK_CIPHER_aes_128_cbc_sha1] = {"AES-128-CBC-HMAC-SHA1", AK_KIND_cbc_once, 16 + 20, 0, 0, 20, 16, false},
    [AK_CIPHER_aes_256_cbc_sha1] = {"AES-256-CBC-HMAC-SHA1", AK_KIND_cbc_once, 32 + 20, 0, 0, 20, 16, false},
    [AK_CIPHER_aes_128_cbc_sha256] = {"AES-128-CBC-HMAC-SHA256", AK_KIND_cbc_once, 16 + 32, 0, 0, 32, 16, false},
    [AK_CIPHER_aes_256_cbc_sha256] = {"AES-256-CBC-HMAC-SHA256", AK_KIND_cbc_once, 32 + 32, 0, 0, 32, 16, false},
};

const ak_cipher_info *ak_cipher(ak_cipher_id id) { return &ciphers[(unsigned)id < AK_CIPHER_count ? id : AK_CIPHER_null]; }

const ak_suite *ak_suite_find(uint16_t id) {
    switch (id) {
#define AK_SUITE(number, ...) \
    case number: return &ak_suites[AT_##number];
#include "crypto/suites.def"
#undef AK_SUITE
    default: return NULL;
    }
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
