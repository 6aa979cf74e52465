#include "crypto/aead.h"

#include "crypto/internal.h"

#include <limits.h>
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <string.h>

/* A copy of up to this many bytes beside the inner type is cheaper than a second call into libcrypto. */
#define COPY_IS_CHEAPER 1024

static bool is_ccm(ak_cipher_id id) {
    switch (id) {
    case AK_CIPHER_aes_128_ccm:
    case AK_CIPHER_aes_256_ccm:
    case AK_CIPHER_aes_128_ccm_8:
    case AK_CIPHER_aes_256_ccm_8: return true;
    default: return false;
    }
}

static bool init(EVP_CIPHER_CTX *ctx, bool encrypts, const EVP_CIPHER *cipher, const uint8_t *key, const uint8_t *iv, const OSSL_PARAM *params) {
    return (encrypts ? EVP_EncryptInit_ex2(ctx, cipher, key, iv, params) : EVP_DecryptInit_ex2(ctx, cipher, key, iv, params)) == 1;
}

/* ---- contexts and the keys in them --------------------------------------------------------------------------------------------- */

static const EVP_CIPHER *cipher_of(const ak_provider *p, ak_cipher_id id) { return id == AK_CIPHER_chacha20_poly1305 ? p->chacha20 : p->cipher[id]; }

/* CCM must know the sizes of nonce and tag before it sees the key; the others have a 12-byte nonce and a 16-byte tag by themselves. */
static bool set_up(EVP_CIPHER_CTX *ctx, const EVP_CIPHER *cipher, const ak_keyed *k) {
    size_t nonce = AK_AEAD_NONCE;
    OSSL_PARAM ccm[3] = {
        OSSL_PARAM_construct_size_t(OSSL_CIPHER_PARAM_AEAD_IVLEN, &nonce),
        OSSL_PARAM_construct_octet_string(OSSL_CIPHER_PARAM_AEAD_TAG, NULL, k->info->tag),
        OSSL_PARAM_construct_end(),
    };
    if (!init(ctx, k->seal, cipher, NULL, NULL, is_ccm(k->id) ? ccm : NULL)) return false;
    /* Padding is the record layer's own business. */
    return k->info->kind != AK_KIND_cbc || EVP_CIPHER_CTX_set_padding(ctx, 0) == 1;
}

/* drop: libcrypto cleanses what it frees. */
static void drop(ak_cipher_slot *s) {
    EVP_CIPHER_CTX_free(s->ctx);
    memset(s, 0, sizeof *s);
}

/* place: a slot that is empty, else the next in turn, which loses its key. */
static ak_cipher_slot *place(ak_provider *p) {
    for (ak_cipher_slot *s = p->slot; s < p->slot + AK_CIPHER_SLOTS; s++)
        if (s->ctx == NULL) return s;
    return &p->slot[p->next_slot++ % AK_CIPHER_SLOTS];
}

/* A cipher with the MAC in it takes the MAC's key when it has its own. */
static bool take_key(ak_keyed *k, EVP_CIPHER_CTX *ctx) {
    bool stream = k->id == AK_CIPHER_chacha20_poly1305; /* its own inverse */
    size_t mac = k->info->kind == AK_KIND_cbc_once ? k->info->tag : 0;
    OSSL_PARAM mac_key[2] = {
        OSSL_PARAM_construct_octet_string(OSSL_CIPHER_PARAM_AEAD_MAC_KEY, k->key + k->info->key - mac, mac),
        OSSL_PARAM_construct_end(),
    };
    return init(ctx, k->seal || stream, NULL, k->key, NULL, NULL) && (mac == 0 || EVP_CIPHER_CTX_set_params(ctx, mac_key) == 1);
}

static bool put_in(ak_keyed *k, ak_cipher_slot *s) {
    if (s->ctx != NULL && s->id != k->id) drop(s);
    if (s->ctx == NULL) {
        s->ctx = EVP_CIPHER_CTX_new();
        s->id = k->id;
        if (s->ctx == NULL || !set_up(s->ctx, cipher_of(k->provider, k->id), k)) return false;
    }
    return take_key(k, s->ctx);
}

static bool owns(const ak_keyed *k) { return k->slot != NULL && k->slot->owner == k; }

static ak_error enter(ak_keyed *k, ak_cipher_slot *s) {
    if (put_in(k, s)) {
        s->owner = k;
        k->slot = s;
        return AK_OK;
    }
    ak_error e = s->ctx == NULL ? AK_ERR_out_of_memory : AK_ERR_crypto_failed;
    drop(s);
    ERR_clear_error();
    return e;
}

ak_error ak_keyed_ready(ak_keyed *k) {
    if (k->info == NULL) return AK_ERR_internal_error;
    return owns(k) ? AK_OK : enter(k, place(k->provider));
}

EVP_CIPHER_CTX *ak_keyed_context(ak_keyed *k) { return ak_keyed_ready(k) == AK_OK ? k->slot->ctx : NULL; }

ak_error ak_keyed_set(ak_keyed *k, ak_provider *p, ak_cipher_id id, bool seal, const uint8_t *key) {
    if ((unsigned)id >= AK_CIPHER_count || id == AK_CIPHER_null || p->cipher[id] == NULL) {
        ak_keyed_free(k);
        return AK_ERR_unsupported;
    }
    if (k->id != id || k->provider != p) ak_keyed_free(k);
    ak_cipher_slot *s = owns(k) ? k->slot : place(p);
    k->provider = p;
    k->id = id;
    k->info = ak_cipher(id);
    k->seal = seal;
    memcpy(k->key, key, k->info->key);
    ak_error e = enter(k, s);
    if (e != AK_OK) ak_keyed_free(k);
    return e;
}

void ak_keyed_copy(ak_keyed *to, const ak_keyed *from) {
    *to = *from;
    to->slot = NULL;
}

void ak_keyed_free(ak_keyed *k) {
    if (owns(k)) drop(k->slot);
    ak_wipe(k, sizeof *k);
}

/* ---- AEAD ------------------------------------------------------------------------------------------------------------------------ */

/* The order of calls is CCM's (the whole length first, RFC 3610 §2.2: it is in the first block of the MAC) or everybody else's. */

static bool seal_parts(ak_keyed *k, const uint8_t *nonce, const uint8_t *aad, int aad_n, const uint8_t *plain, int n, int tail, uint8_t *out) {
    EVP_CIPHER_CTX *ctx = ak_keyed_context(k);
    bool ccm = is_ccm(k->id);
    int got = 0, all = n + tail;
    if (ctx == NULL || EVP_EncryptInit_ex2(ctx, NULL, NULL, nonce, NULL) != 1) return false;
    if (ccm && EVP_EncryptUpdate(ctx, NULL, &got, NULL, all) != 1) return false;
    if (EVP_EncryptUpdate(ctx, NULL, &got, aad, aad_n) != 1) return false;
    if (tail != 0 && (ccm || n <= COPY_IS_CHEAPER)) {
        if (plain != out && n != 0) memcpy(out, plain, (size_t)n);
        plain = out;
        n = all;
    }
    /* CCM makes its tag in this call, so that it is needed for an empty plaintext too (with a pointer: NULL means something else). */
    if ((n != 0 || ccm) && EVP_EncryptUpdate(ctx, out, &got, n != 0 ? plain : out, n) != 1) return false;
    if (n != all && EVP_EncryptUpdate(ctx, out + n, &got, out + n, tail) != 1) return false;
    if (EVP_EncryptFinal_ex(ctx, out + all, &got) != 1) return false;
    OSSL_PARAM tag[2] = {
        OSSL_PARAM_octet_string(OSSL_CIPHER_PARAM_AEAD_TAG, out + all, k->info->tag),
        OSSL_PARAM_END,
    };
    return EVP_CIPHER_CTX_get_params(ctx, tag) == 1;
}

bool ak_aead_seal(ak_keyed *k, const uint8_t nonce[AK_AEAD_NONCE], const uint8_t *aad, size_t aad_n, const uint8_t *plain, size_t n,
                  size_t tail, uint8_t *out) {
    if (k->info == NULL || !k->seal || n > INT_MAX / 2 || tail > INT_MAX / 2 || aad_n > INT_MAX) return false;
    if (k->id == AK_CIPHER_chacha20_poly1305 ? ak_chacha_seal(k, nonce, aad, aad_n, plain, n, tail, out) : seal_parts(k, nonce, aad, (int)aad_n, plain, (int)n, (int)tail, out)) return true;
    ERR_clear_error();
    ak_wipe(out, n + tail + k->info->tag);
    return false;
}

static bool open_parts(ak_keyed *k, const uint8_t *nonce, const uint8_t *aad, int aad_n, const uint8_t *in, int n, uint8_t *out) {
    EVP_CIPHER_CTX *ctx = ak_keyed_context(k);
    int got = 0;
    if (ctx == NULL) return false;
    union { /* an OSSL_PARAM points to bytes it may change; these are only read */
        const uint8_t *from;
        uint8_t *p;
    } given = {in + n};
    OSSL_PARAM tag[2] = {
        OSSL_PARAM_octet_string(OSSL_CIPHER_PARAM_AEAD_TAG, given.p, k->info->tag),
        OSSL_PARAM_END,
    };
    if (is_ccm(k->id)) { /* tag and length first; the data call is the verdict */
        return EVP_DecryptInit_ex2(ctx, NULL, NULL, nonce, tag) == 1 && EVP_DecryptUpdate(ctx, NULL, &got, NULL, n) == 1 &&
               EVP_DecryptUpdate(ctx, NULL, &got, aad, aad_n) == 1 && EVP_DecryptUpdate(ctx, out, &got, n != 0 ? in : out, n) == 1;
    }
    return EVP_DecryptInit_ex2(ctx, NULL, NULL, nonce, NULL) == 1 && EVP_DecryptUpdate(ctx, NULL, &got, aad, aad_n) == 1 &&
           (n == 0 || EVP_DecryptUpdate(ctx, out, &got, in, n) == 1) && EVP_CIPHER_CTX_set_params(ctx, tag) == 1 &&
           EVP_DecryptFinal_ex(ctx, out + n, &got) == 1;
}

bool ak_aead_open(ak_keyed *k, const uint8_t nonce[AK_AEAD_NONCE], const uint8_t *aad, size_t aad_n, const uint8_t *in, size_t n,
                  uint8_t *out) {
    if (k->info == NULL || k->seal || n > INT_MAX / 2 || aad_n > INT_MAX) return false;
    if (k->id == AK_CIPHER_chacha20_poly1305 ? ak_chacha_open(k, nonce, aad, aad_n, in, n, out) : open_parts(k, nonce, aad, (int)aad_n, in, (int)n, out)) return true;
    ERR_clear_error();
    ak_wipe(out, n);
    return false;
}
