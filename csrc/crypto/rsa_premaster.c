/* rsa_premaster.c: RSA key exchange of TLS 1.2 and before. The one danger here is Bleichenbacher's (1998, ROBOT 2017): nothing that this file does
 * after the private-key operation, not its time, its result code nor libcrypto's error queue, may depend on what came out of it. */
#include "crypto/internal.h"

#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/rsa.h>

#define PREMASTER 48

ak_error ak_rsa_encrypt(ak_provider *p, ak_key *k, ak_view plain, ak_buf *out, ak_failure *f) {
    if (k->pkey == NULL || k->kind != AK_KEY_rsa) return ak_fail(f, AK_ERR_wrong_certificate_type, "RSA key exchange needs an RSA key");
    k = ak_key_native(p, k);
    int most = k != NULL ? EVP_PKEY_get_size(k->pkey) : 0;
    if (most <= 0) return ak_crypto_fail(f, AK_ERR_crypto_failed, "RSA encryption");
    if (k->encrypt == NULL) {
        EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_pkey(k->libctx, k->pkey, NULL);
        if (ctx == NULL || EVP_PKEY_encrypt_init(ctx) != 1 || EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_PKCS1_PADDING) != 1) {
            EVP_PKEY_CTX_free(ctx);
            return ak_crypto_fail(f, AK_ERR_crypto_failed, "RSA encryption");
        }
        k->encrypt = ctx;
    }
    size_t start = out->n, n = (size_t)most;
    uint8_t *at = ak_buf_grow(out, n);
    if (at == NULL) return ak_fail(f, AK_ERR_out_of_memory, NULL);
    uint64_t begun = ak_journal_begin(p);
    ak_random_prime(p, AK_PURPOSE_rsa_padding);
    bool ok = EVP_PKEY_encrypt(k->encrypt, at, &n, plain.p, plain.n) == 1;
    if (begun != 0) ak_journal_end(p, begun, &(ak_note){.op = "rsa_encrypt", .what = "", .secret = plain, .out = ak_view_of(at, ok ? n : 0), .bytes = plain.n});
    out->n = ok ? start + n : start;
    return ok ? AK_OK : ak_operation_fail(p, f, "RSA encryption");
}

ak_error ak_rsa_encrypt_block(ak_key *k, ak_view block, ak_buf *out, ak_failure *f) {
    if (k->pkey == NULL || k->kind != AK_KEY_rsa) return ak_fail(f, AK_ERR_wrong_certificate_type, "RSA key exchange needs an RSA key");
    int size = EVP_PKEY_get_size(k->pkey);
    if (size <= 0 || block.n != (size_t)size) return ak_fail(f, AK_ERR_illegal_parameter, "a block of %d bytes expected", size);
    size_t start = out->n, n = block.n;
    uint8_t *at = ak_buf_grow(out, n);
    if (at == NULL) return ak_fail(f, AK_ERR_out_of_memory, NULL);
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_pkey(k->libctx, k->pkey, NULL);
    bool ok = ctx != NULL && EVP_PKEY_encrypt_init(ctx) == 1 && EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_NO_PADDING) == 1 &&
              EVP_PKEY_encrypt(ctx, at, &n, block.p, block.n) == 1;
    EVP_PKEY_CTX_free(ctx);
    out->n = ok ? start + n : start;
    return ok ? AK_OK : ak_crypto_fail(f, AK_ERR_crypto_failed, "RSA encryption");
}

/* decrypter: the key's decryption context in TLS mode, for this version of the ClientHello. */
static EVP_PKEY_CTX *decrypter(ak_key *k, uint16_t client_version) {
    unsigned int version = client_version;
    OSSL_PARAM params[] = {OSSL_PARAM_construct_uint(OSSL_ASYM_CIPHER_PARAM_TLS_CLIENT_VERSION, &version), OSSL_PARAM_construct_end()};
    if (k->decrypt == NULL) {
        EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_pkey(k->libctx, k->pkey, NULL);
        if (ctx == NULL || EVP_PKEY_decrypt_init(ctx) != 1 || EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_PKCS1_WITH_TLS_PADDING) != 1) {
            EVP_PKEY_CTX_free(ctx);
            return NULL;
        }
        k->decrypt = ctx;
    }
    return EVP_PKEY_CTX_set_params(k->decrypt, params) == 1 ? k->decrypt : NULL;
}

ak_error ak_rsa_premaster(ak_provider *p, ak_key *k, ak_view ciphertext, uint16_t client_version, ak_secret *out, ak_failure *f) {
    ak_secret_wipe(out);
    if (k->pkey == NULL || k->kind != AK_KEY_rsa || !k->is_private)
        return ak_fail(f, AK_ERR_internal_error, "RSA key exchange needs a private RSA key");
    k = ak_key_native(p, k);
    EVP_PKEY_CTX *ctx = k != NULL ? decrypter(k, client_version) : NULL;
    if (ctx == NULL) return ak_crypto_fail(f, AK_ERR_crypto_failed, "RSA decryption");
    size_t n = PREMASTER;
    bool whole = ciphertext.n == (size_t)EVP_PKEY_get_size(k->pkey);
    uint64_t begun = ak_journal_begin(p);
    ak_random_prime(p, AK_PURPOSE_rsa_rejection);
    /* With RSA_PKCS1_WITH_TLS_PADDING libcrypto draws its 48 random bytes first and then chooses, without a branch, between them and the 48 bytes
     * under a correct padding with the right version. It fails openly only for what everybody can see: a number that is not below the
     * modulus, or a key too short to hold 48 bytes. Those, and a ciphertext of another length, get random bytes as well. */
    bool done = whole && EVP_PKEY_decrypt(ctx, out->p, &n, ciphertext.p, ciphertext.n) == 1 && n == PREMASTER;
    ERR_clear_error();
    if (!done && !ak_random(p, AK_PURPOSE_rsa_rejection, out->p, PREMASTER)) {
        ak_secret_wipe(out);
        if (begun != 0) ak_journal_end(p, begun, &(ak_note){.op = "rsa_decrypt", .what = "", .context = ciphertext});
        return ak_fail(f, AK_ERR_randomness, "a stand-in for a pre-master secret");
    }
    out->n = PREMASTER;
    if (begun != 0) ak_journal_end(p, begun, &(ak_note){.op = "rsa_decrypt", .what = "", .context = ciphertext, .out = ak_secret_view(out), .bytes = ciphertext.n});
    return AK_OK;
}
