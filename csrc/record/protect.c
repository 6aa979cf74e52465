#include "record/record.h"

#include "base/ct.h"
#include "crypto/aead.h"
#include "crypto/cbc.h"
#include "crypto/journal.h"
#include "crypto/kdf.h"
#include "crypto/mac.h"

#include <stdlib.h>
#include <string.h>

typedef enum mode {
    MODE_plain,    /* no keys yet */
    MODE_aead12,   /* GenericAEADCipher, RFC 5246 §6.2.3.3 */
    MODE_aead13,   /* RFC 8446 §5.2 */
    MODE_mac,      /* GenericStreamCipher with the NULL cipher, RFC 5246 §6.2.3.1 */
    MODE_cbc,      /* GenericBlockCipher, RFC 5246 §6.2.3.2: MAC, then encrypt */
    MODE_cbc_once, /* the same, sealed in one pass (ak_cbc_once) */
    MODE_cbc_etm   /* RFC 7366: encrypt, then MAC */
} mode;

struct ak_protect {
    ak_provider *provider;
    ak_keyed cipher;
    ak_mac *mac; /* CBC and NULL suites */
    uint64_t seq;
    mode mode;
    uint16_t version;
    bool seal;
    uint8_t iv[16]; /* AEAD: fixed part of the nonce, or what is XORed; CBC below TLS 1.1: the next IV */
};

#define IV_MAX 16
#define NO_MORE_RECORDS UINT64_MAX /* this sequence number is never used: the next one would have to wrap */

/* ---- life ------------------------------------------------------------------------------------------------------------------- */

ak_protect *ak_protect_new(ak_provider *p) {
    ak_protect *x = ak_zalloc(sizeof *x);
    if (x != NULL) x->provider = ak_provider_ref(p);
    return x;
}

/* Back to null protection, secrets wiped. All but the cipher's, whose place the next key takes. */
static void forget_mode(ak_protect *x) {
    ak_mac_free(x->mac);
    x->mac = NULL;
    x->mode = MODE_plain;
    x->seq = 0;
    ak_wipe(x->iv, sizeof x->iv);
}

static void forget(ak_protect *x) {
    ak_keyed_free(&x->cipher);
    forget_mode(x);
}

void ak_protect_free(ak_protect *x) {
    if (x == NULL) return;
    forget(x);
    ak_provider_free(x->provider);
    free(x);
}

ak_protect *ak_protect_clone(const ak_protect *x) {
    ak_protect *c = ak_protect_new(x->provider);
    if (c == NULL) return NULL;
    c->seq = x->seq;
    c->mode = x->mode;
    c->version = x->version;
    c->seal = x->seal;
    memcpy(c->iv, x->iv, sizeof c->iv);
    ak_keyed_copy(&c->cipher, &x->cipher);
    if (x->mac == NULL || (c->mac = ak_mac_clone(x->mac)) != NULL) return c;
    ak_protect_free(c);
    return NULL;
}

/* ---- keys ---------------------------------------------------------------------------------------------------------------------- */

static ak_error set_cipher(ak_protect *x, const ak_suite *suite, bool seal, const uint8_t *key, ak_failure *f) {
    x->seal = seal;
    ak_error e = ak_keyed_set(&x->cipher, x->provider, suite->cipher, seal, key);
    return e == AK_OK ? AK_OK : ak_fail(f, e, "the cipher of %s", suite->name);
}

/* set_once: for sealing, where libcrypto has it. False: nothing is set. */
static bool set_once(ak_protect *x, const ak_suite *suite, uint16_t version, ak_view mac_key, ak_view key, ak_view iv) {
    ak_cipher_id once = ak_cbc_once(x->provider, suite->cipher, suite->mac);
    uint8_t both[AK_CIPHER_KEY_MAX];
    if (once == AK_CIPHER_null) return false;
    memcpy(both, key.p, key.n);
    memcpy(both + key.n, mac_key.p, mac_key.n);
    bool ok = ak_keyed_set(&x->cipher, x->provider, once, true, both) == AK_OK;
    ak_wipe(both, sizeof both);
    if (!ok) return false;
    if (version <= AK_TLS10) memcpy(x->iv, iv.p, x->cipher.info->block);
    x->seal = true;
    x->version = version;
    x->mode = MODE_cbc_once;
    return true;
}

/* seal_twice: from here on MAC and cipher one after the other. On failure all is as before. */
static ak_error seal_twice(ak_protect *x, ak_failure *f) {
    ak_keyed once;
    ak_hash hash;
    ak_keyed_copy(&once, &x->cipher);
    size_t mac = once.info->tag, key = once.info->key - mac;
    ak_cipher_id id = ak_cbc_twice(once.id, &hash);
    ak_mac *m = ak_mac_new(hash, false, ak_view_of(once.key + key, mac));
    ak_error e = m != NULL ? ak_keyed_set(&x->cipher, x->provider, id, true, once.key) : AK_ERR_out_of_memory;
    if (e == AK_OK) {
        x->mac = m;
        x->mode = MODE_cbc;
    } else {
        ak_mac_free(m);
        ak_keyed_free(&x->cipher);
        ak_keyed_copy(&x->cipher, &once);
    }
    ak_wipe(&once, sizeof once);
    return e == AK_OK ? AK_OK : ak_fail(f, e, "the cipher of a record");
}

ak_error ak_protect_set12(ak_protect *x, const ak_suite *suite, uint16_t version, bool etm, bool seal, ak_view mac_key, ak_view key,
                          ak_view iv, ak_failure *f) {
    const ak_cipher_info *info = ak_cipher(suite->cipher);
    bool chains = info->kind == AK_KIND_cbc && version <= AK_TLS10;
    size_t iv_n = info->kind == AK_KIND_aead ? info->fixed_iv : chains ? info->block : 0;
    if (ak_suite_is_13(suite) || version > AK_TLS12 || version < AK_SSL30)
        return ak_fail(f, AK_ERR_internal_error, "%s has no keys of this kind", suite->name);
    if (key.n != info->key || mac_key.n != ak_hash_size(suite->mac) || (iv.n != iv_n && iv_n != 0))
        return ak_fail(f, AK_ERR_internal_error, "keys of the wrong size for %s", suite->name);
    forget_mode(x);
    bool mac_first = info->kind == AK_KIND_cbc && (!etm || version == AK_SSL30);
    if (seal && mac_first && version != AK_SSL30 && set_once(x, suite, version, mac_key, key, iv)) return AK_OK;
    if (info->kind == AK_KIND_null) {
        ak_keyed_free(&x->cipher);
    } else {
        ak_error e = set_cipher(x, suite, seal, key.p, f);
        if (e != AK_OK) return e;
    }
    if (suite->mac != AK_HASH_none) {
        x->mac = ak_mac_new(suite->mac, version == AK_SSL30, mac_key);
        if (x->mac == NULL) {
            forget(x);
            return ak_fail(f, AK_ERR_unsupported, "the MAC of %s", suite->name);
        }
    }
    if (iv_n != 0) memcpy(x->iv, iv.p, iv_n);
    x->seal = seal;
    x->version = version;
    /* RFC 7366 §3: only block ciphers change with it, and there is none of it in SSL 3.0 */
    if (info->kind == AK_KIND_aead)
        x->mode = MODE_aead12;
    else if (info->kind == AK_KIND_null)
        x->mode = MODE_mac;
    else
        x->mode = mac_first ? MODE_cbc : MODE_cbc_etm;
    return AK_OK;
}

ak_error ak_protect_set13(ak_protect *x, const ak_suite *suite, bool seal, ak_view traffic_secret, ak_failure *f) {
    if (!ak_suite_is_13(suite)) return ak_fail(f, AK_ERR_internal_error, "%s is no suite of TLS 1.3", suite->name);
    const ak_cipher_info *info = ak_cipher(suite->cipher);
    uint8_t key[AK_CIPHER_KEY_MAX], iv[AK_AEAD_NONCE]; /* RFC 8446 §7.3 */
    ak_view none = ak_view_of(NULL, 0);
    ak_hkdf_key from;
    ak_error e = AK_OK;
    forget_mode(x);
    if (!ak_hkdf_key_set(&from, x->provider, suite->prf, traffic_secret) || !ak_hkdf_label(x->provider, &from, "key", none, key, info->key) ||
        !ak_hkdf_label(x->provider, &from, "iv", none, iv, sizeof iv))
        e = ak_fail(f, AK_ERR_crypto_failed, "deriving the record keys");
    if (e != AK_OK) ak_keyed_free(&x->cipher);
    else e = set_cipher(x, suite, seal, key, f);
    if (e == AK_OK) {
        memcpy(x->iv, iv, sizeof iv);
        x->version = AK_TLS13;
        x->mode = MODE_aead13;
    }
    ak_wipe(&from, sizeof from);
    ak_wipe(key, sizeof key);
    ak_wipe(iv, sizeof iv);
    return e;
}

bool ak_protect_active(const ak_protect *x) { return x->mode != MODE_plain; }
bool ak_protect_is_13(const ak_protect *x) { return x->mode == MODE_aead13; }
ak_provider *ak_protect_provider(const ak_protect *x) { return x->provider; }
uint64_t ak_protect_seq(const ak_protect *x) { return x->seq; }
void ak_protect_set_seq(ak_protect *x, uint64_t seq) { x->seq = seq; }

static bool chains_iv(const ak_protect *x) { return x->version <= AK_TLS10; } /* CBC only */
bool ak_protect_chains_iv(const ak_protect *x) { return (x->mode == MODE_cbc || x->mode == MODE_cbc_once || x->mode == MODE_cbc_etm) && chains_iv(x); }

uint64_t ak_protect_limit(const ak_protect *x) {
    uint64_t most = NO_MORE_RECORDS;
    if (x->mode == MODE_plain) return most;
    if (x->mode == MODE_aead13) {
        switch (x->cipher.id) {
        case AK_CIPHER_chacha20_poly1305: break; /* RFC 8446 §5.5: the sequence number ends first */
        case AK_CIPHER_aes_128_gcm:
        case AK_CIPHER_aes_256_gcm: most = (uint64_t)1 << 24; break; /* RFC 8446 §5.5: 2^24.5 full-size records */
        default: most = (uint64_t)1 << 23; break; /* CCM, of which RFC 8446 is silent: (2 * 2^10 blocks * records)^2 / 2^128 = 2^-60, the chance that §5.5 allows GCM (RFC 9147 §4.5.3) */
        }
    }
    return most > x->seq ? most - x->seq : 0;
}

/* ---- sizes ----------------------------------------------------------------------------------------------------------------------- */

static size_t cbc_iv_size(const ak_protect *x) { return chains_iv(x) ? 0 : x->cipher.info->block; }

static size_t fragment_size(const ak_protect *x, size_t n, size_t pad) {
    const ak_cipher_info *info = x->cipher.info;
    switch (x->mode) {
    case MODE_plain: break;
    case MODE_aead12: return info->explicit_nonce + n + info->tag;
    case MODE_aead13: return n + 1 + pad + info->tag;
    case MODE_mac: return n + ak_mac_size(x->mac);
    case MODE_cbc: n += ak_mac_size(x->mac); return cbc_iv_size(x) + n + info->block - n % info->block;
    case MODE_cbc_once: n += info->tag; return cbc_iv_size(x) + n + info->block - n % info->block;
    case MODE_cbc_etm: return cbc_iv_size(x) + n + info->block - n % info->block + ak_mac_size(x->mac);
    }
    return n;
}

size_t ak_seal_size(const ak_protect *x, size_t n, size_t pad) { return AK_RECORD_HEADER + fragment_size(x, n, pad); }

/* ---- what AEADs are given beside the data ------------------------------------------------------------------------------------------ */

/* Written out so that compilers make one load or store of each. */
static void put32(uint8_t *p, uint32_t v) {
    p[0] = (uint8_t)(v >> 24);
    p[1] = (uint8_t)(v >> 16);
    p[2] = (uint8_t)(v >> 8);
    p[3] = (uint8_t)v;
}

static void put64(uint8_t *p, uint64_t v) {
    p[0] = (uint8_t)(v >> 56);
    p[1] = (uint8_t)(v >> 48);
    p[2] = (uint8_t)(v >> 40);
    p[3] = (uint8_t)(v >> 32);
    p[4] = (uint8_t)(v >> 24);
    p[5] = (uint8_t)(v >> 16);
    p[6] = (uint8_t)(v >> 8);
    p[7] = (uint8_t)v;
}

static uint64_t get64(const uint8_t *p) {
    return (uint64_t)p[0] << 56 | (uint64_t)p[1] << 48 | (uint64_t)p[2] << 40 | (uint64_t)p[3] << 32 | (uint64_t)p[4] << 24 |
           (uint64_t)p[5] << 16 | (uint64_t)p[6] << 8 | p[7];
}

static void put_header(uint8_t *p, uint8_t type, uint16_t version, size_t n) {
    p[0] = type;
    p[1] = (uint8_t)(version >> 8);
    p[2] = (uint8_t)version;
    p[3] = (uint8_t)(n >> 8);
    p[4] = (uint8_t)n;
}

/* The IV XOR 64 bits padded on the left: the sequence number (RFC 8446 §5.3, RFC 7905 §2), or, behind a fixed part of 4 bytes with zeros after it,
 * what the record carries (RFC 5288 §3, RFC 6655 §3). */
static void put_nonce(const ak_protect *x, uint64_t with, uint8_t nonce[AK_AEAD_NONCE]) {
    put64(nonce, get64(x->iv) ^ with >> 32);
    put32(nonce + 8, (uint32_t)(get64(x->iv + 4) ^ with));
}

/* RFC 5246 §6.2.3.3: seq_num + type + version + length of the plaintext */
#define AAD12 13
static void aad12(const ak_protect *x, uint8_t type, uint16_t version, size_t n, uint8_t aad[AAD12]) {
    put64(aad, x->seq);
    put_header(aad + 8, type, version, n);
}

static ak_mac_head mac_head(const ak_protect *x, uint8_t type, uint16_t version) {
    ak_mac_head h = {x->seq, version, type};
    return h;
}

/* ---- sealing: each writes the fragment behind the header at out ---------------------------------------------------------------------- */

static bool seal_aead12(ak_protect *x, uint8_t type, uint16_t version, const uint8_t *plain, size_t n, uint8_t *out) {
    uint8_t nonce[AK_AEAD_NONCE], aad[AAD12];
    size_t prefix = x->cipher.info->explicit_nonce;
    if (prefix != 0) put64(out, x->seq); /* never repeats under one key, which is all that is asked of it */
    put_nonce(x, x->seq, nonce);
    aad12(x, type, version, n, aad);
    return ak_aead_seal(&x->cipher, nonce, aad, sizeof aad, plain, n, 0, out + prefix);
}

static bool seal_aead13(ak_protect *x, uint8_t type, const uint8_t *header, const uint8_t *plain, size_t n, size_t pad, uint8_t *out) {
    uint8_t nonce[AK_AEAD_NONCE];
    put_nonce(x, x->seq, nonce);
    out[n] = type;
    if (pad != 0) memset(out + n + 1, 0, pad);
    return ak_aead_seal(&x->cipher, nonce, header, AK_RECORD_HEADER, plain, n, 1 + pad, out);
}

static void seal_mac(ak_protect *x, uint8_t type, uint16_t version, const uint8_t *plain, size_t n, uint8_t *out) {
    ak_mac_head head = mac_head(x, type, version);
    if (n != 0) memcpy(out, plain, n);
    ak_mac_record(x->mac, &head, out, n, out + n);
}

static ak_error seal_cbc(ak_protect *x, uint8_t type, uint16_t version, const uint8_t *plain, size_t n, uint8_t *out, ak_failure *f) {
    size_t block = x->cipher.info->block, iv_n = cbc_iv_size(x), mac_n = ak_mac_size(x->mac);
    ak_mac_head head = mac_head(x, type, version);
    uint8_t *body = out + iv_n;
    uint8_t *iv = iv_n != 0 ? out : x->iv;
    /* RFC 5246 §6.2.3.2: the IV must be unpredictable */
    if (iv_n != 0 && !ak_random(x->provider, AK_PURPOSE_cbc_iv, out, iv_n)) return ak_random_fail(x->provider, f, "for the IV of a record");
    if (n != 0) memcpy(body, plain, n);
    if (x->mode == MODE_cbc) {
        ak_mac_record(x->mac, &head, body, n, body + n);
        n += mac_n;
    }
    n += ak_cbc_pad(body + n, n, block);
    if (!ak_cbc_crypt(&x->cipher, iv, body, n, body)) {
        ak_wipe(body, n);
        return ak_fail(f, AK_ERR_crypto_failed, "sealing a record");
    }
    if (chains_iv(x)) memcpy(x->iv, body + n - block, block);
    if (x->mode == MODE_cbc_etm) ak_mac_record(x->mac, &head, out, iv_n + n, body + n); /* RFC 7366 §3: over IV and ciphertext */
    return AK_OK;
}

/* seal_once: libcrypto tells by the record's version whether there is an explicit IV. */
static ak_error seal_once(ak_protect *x, uint8_t type, uint16_t version, const uint8_t *plain, size_t n, uint8_t *out, size_t size, ak_failure *f) {
    static const uint8_t zeros[IV_MAX];
    uint8_t aad[AK_CBC_AAD];
    size_t block = x->cipher.info->block, iv_n = cbc_iv_size(x);
    /* RFC 5246 §6.2.3.2: the IV must be unpredictable; what comes out of the cipher of random bytes is */
    if (iv_n != 0 && !ak_random(x->provider, AK_PURPOSE_cbc_iv, out, iv_n)) return ak_random_fail(x->provider, f, "for the IV of a record");
    if (n != 0) memcpy(out + iv_n, plain, n);
    aad12(x, type, version, iv_n + n, aad);
    if (!ak_cbc_seal_once(&x->cipher, iv_n != 0 ? zeros : x->iv, aad, out, size)) {
        ak_wipe(out, size);
        return ak_fail(f, AK_ERR_crypto_failed, "sealing a record");
    }
    if (iv_n == 0) memcpy(x->iv, out + size - block, block);
    return AK_OK;
}

/* ready: the cipher, if there is one. */
static ak_error ready(ak_protect *x, ak_failure *f) {
    ak_error e = x->mode != MODE_mac ? ak_keyed_ready(&x->cipher) : AK_OK;
    return e == AK_OK ? AK_OK : ak_fail(f, e, "the cipher of a record");
}

/* note: a record that went through the cipher, for a lab's journal. */
static void note(const ak_protect *x, uint64_t begun, size_t n) {
    const ak_cipher_info *info = ak_cipher(x->cipher.id); /* with the NULL cipher nothing is keyed */
    const char *name = info->fetch_name != NULL ? info->fetch_name : "NULL";
    ak_journal_end(x->provider, begun, &(ak_note){.op = x->seal ? "seal" : "open", .what = name, .secret = ak_view_of(x->cipher.key, info->key), .bytes = n});
}

ak_error ak_seal(ak_protect *x, uint8_t type, uint16_t record_version, const uint8_t *plain, size_t n, size_t pad, uint8_t *out,
                 size_t *out_n, ak_failure *f) {
    *out_n = 0;
    if (x->mode != MODE_aead13) pad = 0;
    size_t size = n <= UINT16_MAX && pad <= UINT16_MAX ? fragment_size(x, n, pad) : SIZE_MAX;
    if (size > UINT16_MAX) return ak_fail(f, AK_ERR_internal_error, "a record of %zu bytes does not fit its length field", n);
    if (x->mode == MODE_plain) {
        put_header(out, type, record_version, n);
        if (n != 0) memcpy(out + AK_RECORD_HEADER, plain, n);
        *out_n = AK_RECORD_HEADER + n;
        return AK_OK;
    }
    if (!x->seal) return ak_fail(f, AK_ERR_internal_error, "these keys open records");
    if (x->seq == NO_MORE_RECORDS) return ak_fail(f, AK_ERR_sequence_exhausted, NULL);

    uint8_t *fragment = out + AK_RECORD_HEADER;
    bool told = x->mode == MODE_cbc_once && (record_version >= AK_TLS11) != (cbc_iv_size(x) != 0); /* the record says another version than its keys */
    ak_error e = told ? seal_twice(x, f) : ready(x, f);
    bool ok = true;
    if (e != AK_OK) return e;
    uint64_t begun = ak_journal_begin(x->provider);
    if (x->mode == MODE_aead13) {
        put_header(out, AK_CT_application_data, AK_TLS12, size); /* RFC 8446 §5.2: opaque_type, legacy_record_version */
        ok = seal_aead13(x, type, out, plain, n, pad, fragment);
    } else {
        put_header(out, type, record_version, size);
        if (x->mode == MODE_aead12)
            ok = seal_aead12(x, type, record_version, plain, n, fragment);
        else if (x->mode == MODE_mac)
            seal_mac(x, type, record_version, plain, n, fragment);
        else if (x->mode == MODE_cbc_once)
            e = seal_once(x, type, record_version, plain, n, fragment, size, f);
        else
            e = seal_cbc(x, type, record_version, plain, n, fragment, f);
    }
    if (begun != 0) note(x, begun, n);
    if (!ok) e = ak_fail(f, AK_ERR_crypto_failed, "sealing a record");
    if (e != AK_OK) return e;
    x->seq++;
    *out_n = AK_RECORD_HEADER + size;
    return AK_OK;
}

/* ---- opening: each takes the fragment in, leaves the plaintext at out, and says whether it is authentic -------------------------------- */

/* Ciphertext that begins `prefix` bytes into the fragment cannot be decrypted to the fragment's start in place. Then it is decrypted where it
 * stands, and moved when it is known to be good. */
static uint8_t *place(const uint8_t *fragment, size_t prefix, uint8_t *out) { return out == fragment ? out + prefix : out; }

static void settle(uint8_t *out, const uint8_t *from, size_t n) {
    if (from != out && n != 0) memmove(out, from, n);
}

static bool open_aead12(ak_protect *x, const ak_record *rec, const uint8_t *in, uint8_t *out, size_t *out_n) {
    uint8_t nonce[AK_AEAD_NONCE], aad[AAD12];
    size_t prefix = x->cipher.info->explicit_nonce, tag = x->cipher.info->tag;
    if (rec->fragment.n < prefix + tag) return false;
    size_t n = rec->fragment.n - prefix - tag;
    put_nonce(x, prefix != 0 ? get64(in) : x->seq, nonce);
    aad12(x, rec->type, rec->version, n, aad);
    uint8_t *at = place(in, prefix, out);
    if (!ak_aead_open(&x->cipher, nonce, aad, sizeof aad, in + prefix, n, at)) return false;
    settle(out, at, n);
    *out_n = n;
    return true;
}

static bool open_aead13(ak_protect *x, const ak_record *rec, const uint8_t *in, uint8_t *out, size_t *out_n) {
    uint8_t nonce[AK_AEAD_NONCE], header[AK_RECORD_HEADER];
    size_t tag = x->cipher.info->tag;
    if (rec->fragment.n < tag) return false;
    put_nonce(x, x->seq, nonce);
    put_header(header, rec->type, rec->version, rec->fragment.n);
    *out_n = rec->fragment.n - tag;
    return ak_aead_open(&x->cipher, nonce, header, sizeof header, in, *out_n, out);
}

static bool open_mac(ak_protect *x, const ak_record *rec, const uint8_t *in, uint8_t *out, size_t *out_n) {
    size_t mac_n = ak_mac_size(x->mac);
    if (rec->fragment.n < mac_n) return false;
    size_t n = rec->fragment.n - mac_n; /* nothing is hidden by this cipher: all lengths are public */
    ak_mac_head head = mac_head(x, rec->type, rec->version);
    uint8_t due[AK_MAC_MAX];
    ak_mac_record(x->mac, &head, in, n, due);
    bool ok = ak_ct_eq(due, in + n, mac_n);
    if (ok) settle(out, in, n);
    *out_n = n;
    return ok;
}

/* Decrypts n bytes and keeps the last ciphertext block where it is the next IV. */
static bool decrypt_cbc(ak_protect *x, const uint8_t *iv, const uint8_t *in, size_t n, uint8_t *out) {
    uint8_t next[IV_MAX];
    size_t block = x->cipher.info->block;
    memcpy(next, in + n - block, block);
    if (!ak_cbc_crypt(&x->cipher, iv, in, n, out)) return false;
    if (chains_iv(x)) memcpy(x->iv, next, block);
    return true;
}

/* All that is checked before ak_cbc_judge (sizes) is public; the judge gives one verdict for padding and MAC, in one time. */
static bool open_cbc(ak_protect *x, const ak_record *rec, const uint8_t *in, uint8_t *out, size_t *out_n) {
    size_t block = x->cipher.info->block, iv_n = cbc_iv_size(x), mac_n = ak_mac_size(x->mac);
    if (rec->fragment.n < iv_n + mac_n + 1 || (rec->fragment.n - iv_n) % block != 0) return false;
    size_t n = rec->fragment.n - iv_n;
    ak_mac_head head = mac_head(x, rec->type, rec->version);
    uint8_t *at = place(in, iv_n, out);
    if (!decrypt_cbc(x, iv_n != 0 ? in : x->iv, in + iv_n, n, at)) return false;
    uint64_t len;
    uint64_t good = ak_cbc_judge(x->mac, &head, x->version == AK_SSL30, block, at, n, &len);
    if (good == 0) { /* the verdict, and with a good one the length, are public from here on */
        ak_wipe(at, n);
        return false;
    }
    settle(out, at, (size_t)len);
    *out_n = (size_t)len;
    return true;
}

/* RFC 7366 §3: nothing is decrypted before the MAC was found right, so that what the padding says is the sender's word. */
static bool open_cbc_etm(ak_protect *x, const ak_record *rec, const uint8_t *in, uint8_t *out, size_t *out_n) {
    size_t block = x->cipher.info->block, iv_n = cbc_iv_size(x), mac_n = ak_mac_size(x->mac);
    if (rec->fragment.n < iv_n + block + mac_n || (rec->fragment.n - iv_n - mac_n) % block != 0) return false;
    size_t n = rec->fragment.n - iv_n - mac_n;
    ak_mac_head head = mac_head(x, rec->type, rec->version);
    uint8_t due[AK_MAC_MAX];
    ak_mac_record(x->mac, &head, in, iv_n + n, due);
    if (!ak_ct_eq(due, in + iv_n + n, mac_n)) return false;
    uint8_t *at = place(in, iv_n, out);
    if (!decrypt_cbc(x, iv_n != 0 ? in : x->iv, in + iv_n, n, at)) return false;
    size_t pad = at[n - 1], wrong = pad + 1 > n;
    for (size_t i = 0; !wrong && i <= pad; i++) wrong |= at[n - 1 - i] ^ pad;
    if (wrong) {
        ak_wipe(at, n);
        return false;
    }
    *out_n = n - pad - 1;
    settle(out, at, *out_n);
    return true;
}

/* RFC 8446 §5.4: the last byte that is not zero is the type. */
static ak_error unpad(const ak_record *rec, size_t limit, const uint8_t *plain, size_t *n, uint8_t *type, ak_failure *f) {
    if (rec->type != AK_CT_application_data) return ak_fail(f, AK_ERR_unexpected_record, "its outer type is %u", rec->type);
    if (*n > 1 && *n - 1 > limit)
        return ak_fail(f, AK_ERR_plaintext_too_long, "it has %zu bytes with its padding, of which %zu are allowed", *n - 1, limit);
    size_t at = *n;
    while (at > 0 && plain[at - 1] == 0) at--;
    if (at == 0) return ak_fail(f, AK_ERR_no_inner_type, "%zu zeros (RFC 8446 §5.4)", *n);
    *n = at - 1;
    *type = plain[at - 1];
    return AK_OK;
}

static ak_error check_length(size_t n, size_t limit, ak_failure *f) {
    return n <= limit ? AK_OK : ak_fail(f, AK_ERR_plaintext_too_long, "it has %zu bytes, of which %zu are allowed", n, limit);
}

/* Whether out overlaps the fragment without being its start. */
static bool overlaps(ak_view fragment, const uint8_t *out) {
    uintptr_t a = (uintptr_t)fragment.p, b = (uintptr_t)out;
    return a != b && a < b + fragment.n && b < a + fragment.n;
}

ak_error ak_open(ak_protect *x, const ak_record *rec, size_t limit, uint8_t *out, size_t *out_n, uint8_t *out_type, ak_failure *f) {
    const uint8_t *in = rec->fragment.p;
    size_t n = 0;
    *out_n = 0;
    *out_type = rec->type;
    if (x->mode == MODE_plain) {
        ak_error e = check_length(rec->fragment.n, limit, f);
        if (e != AK_OK) return e;
        settle(out, in, rec->fragment.n);
        *out_n = rec->fragment.n;
        return AK_OK;
    }
    if (x->seal) return ak_fail(f, AK_ERR_internal_error, "these keys seal records");
    if (x->seq == NO_MORE_RECORDS) return ak_fail(f, AK_ERR_sequence_exhausted, NULL);
    if (rec->fragment.n > UINT16_MAX) return ak_fail(f, AK_ERR_record_too_long, NULL);
    if (overlaps(rec->fragment, out)) {
        memmove(out, in, rec->fragment.n);
        in = out;
    }
    ak_error e = ready(x, f);
    bool ok = false;
    if (e != AK_OK) return e;
    uint64_t begun = ak_journal_begin(x->provider);
    switch (x->mode) {
    case MODE_plain:
    case MODE_cbc_once: break; /* it only seals */
    case MODE_aead12: ok = open_aead12(x, rec, in, out, &n); break;
    case MODE_aead13: ok = open_aead13(x, rec, in, out, &n); break;
    case MODE_mac: ok = open_mac(x, rec, in, out, &n); break;
    case MODE_cbc: ok = open_cbc(x, rec, in, out, &n); break;
    case MODE_cbc_etm: ok = open_cbc_etm(x, rec, in, out, &n); break;
    }
    if (begun != 0) note(x, begun, n);
    if (!ok) return ak_fail(f, AK_ERR_bad_record_mac, NULL);
    x->seq++;
    e = x->mode == MODE_aead13 ? unpad(rec, limit, out, &n, out_type, f) : check_length(n, limit, f);
    if (e == AK_OK) *out_n = n;
    return e;
}
