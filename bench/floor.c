/* bench_floor: the bare libcrypto calls that the two sides of a connection cannot avoid, made in the leanest way known (everything fetched once, contexts
 * kept), and nothing around them: no messages, no parsing, no state. What a handshake or a record costs beyond this is the protocol's own.
 *
 *   local f = bench_floor.new{ chain=, key=, ca= (PEM file names; three certificates in all, RSA or P-256 throughout) }
 *   f:rsa(n)       TLS 1.2, RSA key exchange: 2 certificate signatures, encryption, decryption, key derivation, Finished
 *   f:ecdhe(n)     TLS 1.2, ECDHE on P-256 or X25519 (f:group(name)): the same with two key pairs, two derivations, a signature made and verified
 *   f:tls13(n)     TLS 1.3: the same with its key schedule
 *   f:resume12(n)  TLS 1.2, a session resumed: key derivation, Finished
 *   f:psk13(n)     TLS 1.3, PSK with (EC)DHE
 *   f:bulk(size, n)  AES-128-GCM with nonce and additional data, sealed and opened
 */
#include <lauxlib.h>
#include <lua.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/rsa.h>
#include <string.h>

#define BENCH "bench_floor"
#define TRANSCRIPT 3600 /* bytes of handshake messages with a chain of two sent certificates */

typedef struct hmac {
    EVP_MD_CTX *inner, *outer;
} hmac;

typedef struct bench {
    X509 *certs[2]; /* what is sent: leaf, intermediate */
    unsigned char *tbs[2];
    int tbs_n[2];
    EVP_PKEY *key, *root;
    EVP_PKEY *intermediate_template, *leaf_template; /* the public keys that come with the chain ... */
    OSSL_PARAM *intermediate_params, *leaf_params;   /* ... and, for RSA, as numbers */
    int rsa;
    EVP_MD *sha256;
    EVP_CIPHER *gcm;
    EVP_CIPHER_CTX *ciphers[4];
    EVP_MD_CTX *digest, *scratch;
    EVP_PKEY_CTX *keygen, *sign, *decrypt, *verify_root, *import;
    EVP_PKEY *group_template;
    int x25519;
    hmac mac, other;
} bench;

static int bad(lua_State *L, const char *what)
{
    unsigned long e = ERR_peek_last_error();
    return luaL_error(L, "%s: %s", what, e ? ERR_reason_error_string(e) : "failed");
}

#define NEED(call) do { if (!(call)) return bad(L, #call); } while (0)

/* ---- HMAC with the pads absorbed once -------------------------------------------------------------------------------------- */

static int hmac_key(const bench *b, hmac *h, const unsigned char *key, size_t n)
{
    unsigned char pad[64];
    for (int outer = 0; outer < 2; outer++) {
        memset(pad, outer ? 0x5c : 0x36, sizeof pad);
        for (size_t i = 0; i < n; i++) pad[i] ^= key[i];
        EVP_MD_CTX *x = outer ? h->outer : h->inner;
        if (!EVP_DigestInit_ex2(x, b->sha256, NULL) || !EVP_DigestUpdate(x, pad, sizeof pad)) return 0;
    }
    return 1;
}

static int hmac_run(const bench *b, const hmac *h, const unsigned char *p, size_t n, const unsigned char *q, size_t m, unsigned char out[32])
{
    return EVP_MD_CTX_copy_ex(b->scratch, h->inner) && EVP_DigestUpdate(b->scratch, p, n) && (!m || EVP_DigestUpdate(b->scratch, q, m)) &&
           EVP_DigestFinal_ex(b->scratch, out, NULL) && EVP_MD_CTX_copy_ex(b->scratch, h->outer) && EVP_DigestUpdate(b->scratch, out, 32) &&
           EVP_DigestFinal_ex(b->scratch, out, NULL);
}

/* P_SHA256 of RFC 5246 §5, over a seed of n bytes (label included). */
static int prf(const bench *b, const hmac *h, const unsigned char *seed, size_t n, size_t want)
{
    unsigned char a[32], out[32];
    if (!hmac_run(b, h, seed, n, NULL, 0, a)) return 0;
    for (size_t got = 0; got < want; got += 32) {
        if (!hmac_run(b, h, a, 32, seed, n, out)) return 0;
        if (got + 32 < want && !hmac_run(b, h, a, 32, NULL, 0, a)) return 0;
    }
    return 1;
}

/* ---- parts ---------------------------------------------------------------------------------------------------------------------- */

static int digest(const bench *b, const void *p, size_t n, unsigned char out[32])
{
    return EVP_DigestInit_ex2(b->digest, b->sha256, NULL) && EVP_DigestUpdate(b->digest, p, n) && EVP_DigestFinal_ex(b->digest, out, NULL);
}

/* What a client does with a public key that came in a certificate. */
static EVP_PKEY *import_key(bench *b, EVP_PKEY *like, OSSL_PARAM *params)
{
    EVP_PKEY *key = NULL;
    if (b->rsa) {
        if (EVP_PKEY_fromdata_init(b->import) == 1) EVP_PKEY_fromdata(b->import, &key, EVP_PKEY_PUBLIC_KEY, params);
        return key;
    }
    unsigned char point[65];
    size_t n = 0;
    key = EVP_PKEY_new();
    if (!EVP_PKEY_get_octet_string_param(like, OSSL_PKEY_PARAM_PUB_KEY, point, sizeof point, &n) || !EVP_PKEY_copy_parameters(key, like) ||
        !EVP_PKEY_set1_encoded_public_key(key, point, n)) {
        EVP_PKEY_free(key);
        return NULL;
    }
    return key;
}

static int verify(EVP_PKEY_CTX *x, const unsigned char *signature, size_t n, const unsigned char hash[32])
{
    return EVP_PKEY_verify(x, signature, n, hash, 32) == 1;
}

static EVP_PKEY_CTX *verifier(const bench *b, EVP_PKEY *key)
{
    EVP_PKEY_CTX *x = EVP_PKEY_CTX_new(key, NULL);
    if (x && EVP_PKEY_verify_init(x) == 1 && (!b->rsa || EVP_PKEY_CTX_set_rsa_padding(x, RSA_PKCS1_PADDING) == 1) &&
        EVP_PKEY_CTX_set_signature_md(x, EVP_sha256()) == 1)
        return x;
    EVP_PKEY_CTX_free(x);
    return NULL;
}

/* A chain of three: the leaf's signature with the intermediate's key, the intermediate's with the root's. *leaf: the server's key, as the client has it. */
static int chain(bench *b, EVP_PKEY **leaf)
{
    unsigned char hash[32];
    const ASN1_BIT_STRING *signature;
    EVP_PKEY *intermediate = import_key(b, b->intermediate_template, b->intermediate_params);
    EVP_PKEY_CTX *x = intermediate ? verifier(b, intermediate) : NULL;
    int ok = x != NULL;
    X509_get0_signature(&signature, NULL, b->certs[0]);
    ok = ok && digest(b, b->tbs[0], (size_t)b->tbs_n[0], hash) && verify(x, signature->data, (size_t)signature->length, hash);
    X509_get0_signature(&signature, NULL, b->certs[1]);
    ok = ok && digest(b, b->tbs[1], (size_t)b->tbs_n[1], hash) && verify(b->verify_root, signature->data, (size_t)signature->length, hash);
    EVP_PKEY_CTX_free(x);
    EVP_PKEY_free(intermediate);
    *leaf = ok ? import_key(b, b->leaf_template, b->leaf_params) : NULL;
    return *leaf != NULL;
}

/* Both sides' transcript, hashed as it goes. */
static int transcripts(const bench *b, size_t n)
{
    static const unsigned char messages[TRANSCRIPT];
    unsigned char out[32];
    return digest(b, messages, n, out) && digest(b, messages, n, out);
}

/* Four directions keyed, one Finished sealed and opened each way. */
static int records(const bench *b)
{
    static const unsigned char key[16] = {1}, iv[12] = {2};
    unsigned char text[64] = {0}, tag[16], aad[13] = {0};
    int n;
    for (int way = 0; way < 4; way += 2) {
        EVP_CIPHER_CTX *s = b->ciphers[way], *o = b->ciphers[way + 1];
        OSSL_PARAM get[] = {OSSL_PARAM_octet_string(OSSL_CIPHER_PARAM_AEAD_TAG, tag, 16), OSSL_PARAM_END};
        if (!EVP_EncryptInit_ex2(s, NULL, key, iv, NULL) || !EVP_EncryptUpdate(s, NULL, &n, aad, 13) || !EVP_EncryptUpdate(s, text, &n, text, 16) ||
            !EVP_EncryptFinal_ex(s, text, &n) || !EVP_CIPHER_CTX_get_params(s, get))
            return 0;
        if (!EVP_DecryptInit_ex2(o, NULL, key, iv, get) || !EVP_DecryptUpdate(o, NULL, &n, aad, 13) || !EVP_DecryptUpdate(o, text, &n, text, 16) ||
            EVP_DecryptFinal_ex(o, text, &n) != 1)
            return 0;
    }
    return 1;
}

/* Master secret (unless resumed), key block, two Finished: on both sides. */
static int schedule12(bench *b, int full, const unsigned char *premaster, size_t n)
{
    unsigned char master[48] = {7}, seed[77] = {3};
    for (int side = 0; side < 2; side++) {
        if (full && !(hmac_key(b, &b->mac, premaster, n) && prf(b, &b->mac, seed, 13 + 64, 48))) return 0;
        if (!hmac_key(b, &b->mac, master, 48) || !prf(b, &b->mac, seed, 13 + 64, 40) || !prf(b, &b->mac, seed, 15 + 32, 12) ||
            !prf(b, &b->mac, seed, 15 + 32, 12))
            return 0;
    }
    return 1;
}

/* RFC 8446 §7.1, both sides: three extracts, twelve Derive-Secret and "key"/"iv"/"finished" expansions of at most one block each. */
static int schedule13(bench *b, int psk)
{
    unsigned char secret[32] = {9}, info[64] = {0}, out[32];
    for (int side = 0; side < 2; side++) {
        for (int extract = 0; extract < 3; extract++)
            if (!hmac_key(b, &b->mac, secret, 32) || !hmac_run(b, &b->mac, info, 32, NULL, 0, out)) return 0;
        /* from early: derived (with PSK: binder key and its finished); from handshake: c hs, s hs, derived; from master: c ap, s ap, exporter, resumption */
        static const int from[2][3] = {{1, 3, 4}, {2, 3, 4}};
        for (int stage = 0; stage < 3; stage++) {
            if (!hmac_key(b, &b->mac, secret, 32)) return 0;
            for (int i = 0; i < from[psk][stage]; i++)
                if (!hmac_run(b, &b->mac, info, 55, NULL, 0, out)) return 0;
        }
        /* four traffic secrets: key, iv; two of them: finished, and the MAC itself */
        for (int t = 0; t < 4; t++) {
            if (!hmac_key(b, &b->mac, secret, 32) || !hmac_run(b, &b->mac, info, 14, NULL, 0, out) || !hmac_run(b, &b->mac, info, 13, NULL, 0, out)) return 0;
            if (t < 2 && !(hmac_run(b, &b->mac, info, 19, NULL, 0, out) && hmac_key(b, &b->other, out, 32) && hmac_run(b, &b->other, info, 32, NULL, 0, out))) return 0;
        }
    }
    return 1;
}

/* Two key pairs, two public values imported, two derivations. */
static int exchange(bench *b, unsigned char secret[32])
{
    EVP_PKEY *own[2] = {NULL, NULL}, *peer[2] = {NULL, NULL};
    unsigned char wire[65];
    int ok = 1;
    for (int i = 0; i < 2; i++) ok = ok && EVP_PKEY_keygen(b->keygen, &own[i]) == 1;
    for (int i = 0; ok && i < 2; i++) {
        size_t n = 0, m = 32;
        if (b->x25519) {
            n = 32;
            ok = EVP_PKEY_get_raw_public_key(own[1 - i], wire, &n) == 1 && (peer[i] = EVP_PKEY_new_raw_public_key_ex(NULL, "X25519", NULL, wire, n)) != NULL;
        } else {
            peer[i] = EVP_PKEY_new();
            ok = EVP_PKEY_get_octet_string_param(own[1 - i], OSSL_PKEY_PARAM_PUB_KEY, wire, sizeof wire, &n) && EVP_PKEY_copy_parameters(peer[i], b->group_template) &&
                 EVP_PKEY_set1_encoded_public_key(peer[i], wire, n);
        }
        EVP_PKEY_CTX *x = ok ? EVP_PKEY_CTX_new(own[i], NULL) : NULL;
        ok = ok && x && EVP_PKEY_derive_init(x) == 1 && EVP_PKEY_derive_set_peer_ex(x, peer[i], 0) == 1 && EVP_PKEY_derive(x, secret, &m) == 1;
        EVP_PKEY_CTX_free(x);
    }
    for (int i = 0; i < 2; i++) {
        EVP_PKEY_free(own[i]);
        EVP_PKEY_free(peer[i]);
    }
    return ok;
}

static int sign_and_verify(bench *b, EVP_PKEY *leaf)
{
    unsigned char hash[32] = {5}, signature[512];
    size_t n = sizeof signature;
    EVP_PKEY_CTX *x = verifier(b, leaf);
    int ok = x && EVP_PKEY_sign(b->sign, signature, &n, hash, 32) == 1 && verify(x, signature, n, hash);
    EVP_PKEY_CTX_free(x);
    return ok;
}

/* Two hello randoms, a session id, a key share's, a nonce: from a pool of 1 KiB. */
static int randoms(void)
{
    static unsigned char pool[1024];
    static size_t used = sizeof pool;
    if (used + 128 > sizeof pool) {
        if (RAND_bytes(pool, sizeof pool) != 1) return 0;
        used = 0;
    }
    used += 128;
    return 1;
}

/* ---- what Lua calls ------------------------------------------------------------------------------------------------------------- */

static bench *check(lua_State *L) { return luaL_checkudata(L, 1, BENCH); }

static int b_rsa(lua_State *L)
{
    bench *b = check(L);
    lua_Integer n = luaL_checkinteger(L, 2);
    luaL_argcheck(L, b->rsa, 1, "RSA key exchange wants an RSA chain");
    for (lua_Integer i = 0; i < n; i++) {
        unsigned char premaster[48] = {3, 3}, sealed[512], opened[512];
        size_t sealed_n = sizeof sealed, opened_n = sizeof opened;
        EVP_PKEY *leaf = NULL;
        NEED(randoms() && chain(b, &leaf));
        EVP_PKEY_CTX *x = EVP_PKEY_CTX_new(leaf, NULL);
        int ok = x && EVP_PKEY_encrypt_init(x) == 1 && EVP_PKEY_CTX_set_rsa_padding(x, RSA_PKCS1_PADDING) == 1 &&
                 EVP_PKEY_encrypt(x, sealed, &sealed_n, premaster, 48) == 1 && EVP_PKEY_decrypt(b->decrypt, opened, &opened_n, sealed, sealed_n) == 1;
        EVP_PKEY_CTX_free(x);
        EVP_PKEY_free(leaf);
        NEED(ok && transcripts(b, TRANSCRIPT) && schedule12(b, 1, premaster, 48) && records(b));
    }
    return 0;
}

static int b_ecdhe(lua_State *L)
{
    bench *b = check(L);
    lua_Integer n = luaL_checkinteger(L, 2);
    for (lua_Integer i = 0; i < n; i++) {
        unsigned char secret[32];
        EVP_PKEY *leaf = NULL;
        NEED(randoms() && chain(b, &leaf));
        int ok = exchange(b, secret) && sign_and_verify(b, leaf);
        EVP_PKEY_free(leaf);
        NEED(ok && transcripts(b, b->rsa ? TRANSCRIPT : 1800) && schedule12(b, 1, secret, 32) && records(b));
    }
    return 0;
}

static int b_tls13(lua_State *L)
{
    bench *b = check(L);
    lua_Integer n = luaL_checkinteger(L, 2);
    for (lua_Integer i = 0; i < n; i++) {
        unsigned char secret[32];
        EVP_PKEY *leaf = NULL;
        NEED(randoms() && chain(b, &leaf));
        int ok = exchange(b, secret) && sign_and_verify(b, leaf);
        EVP_PKEY_free(leaf);
        NEED(ok && transcripts(b, b->rsa ? TRANSCRIPT : 1800) && schedule13(b, 0) && records(b) && records(b));
    }
    return 0;
}

static int b_resume12(lua_State *L)
{
    bench *b = check(L);
    lua_Integer n = luaL_checkinteger(L, 2);
    for (lua_Integer i = 0; i < n; i++) NEED(randoms() && transcripts(b, 400) && schedule12(b, 0, NULL, 0) && records(b));
    return 0;
}

static int b_psk13(lua_State *L)
{
    bench *b = check(L);
    lua_Integer n = luaL_checkinteger(L, 2);
    for (lua_Integer i = 0; i < n; i++) {
        unsigned char secret[32];
        NEED(randoms() && exchange(b, secret) && transcripts(b, 700) && schedule13(b, 1) && records(b) && records(b));
    }
    return 0;
}

static int b_bulk(lua_State *L)
{
    bench *b = check(L);
    lua_Integer size = luaL_checkinteger(L, 2), n = luaL_checkinteger(L, 3);
    luaL_argcheck(L, size > 0 && size <= 16384, 2, "one record");
    static const unsigned char key[16] = {1};
    static unsigned char text[16384 + 16];
    unsigned char iv[12] = {0}, aad[13] = {0}, tag[16];
    int got;
    EVP_CIPHER_CTX *s = b->ciphers[0], *o = b->ciphers[1];
    OSSL_PARAM with_tag[] = {OSSL_PARAM_octet_string(OSSL_CIPHER_PARAM_AEAD_TAG, tag, 16), OSSL_PARAM_END};
    NEED(EVP_EncryptInit_ex2(s, NULL, key, NULL, NULL) && EVP_DecryptInit_ex2(o, NULL, key, NULL, NULL));
    for (lua_Integer i = 0; i < n; i++) {
        memcpy(iv + 4, &i, 8);
        NEED(EVP_EncryptInit_ex2(s, NULL, NULL, iv, NULL) && EVP_EncryptUpdate(s, NULL, &got, aad, 13) && EVP_EncryptUpdate(s, text, &got, text, (int)size) &&
             EVP_EncryptFinal_ex(s, text, &got) && EVP_CIPHER_CTX_get_params(s, with_tag));
        NEED(EVP_DecryptInit_ex2(o, NULL, NULL, iv, with_tag) && EVP_DecryptUpdate(o, NULL, &got, aad, 13) && EVP_DecryptUpdate(o, text, &got, text, (int)size) &&
             EVP_DecryptFinal_ex(o, text, &got) == 1);
    }
    return 0;
}

static int b_group(lua_State *L)
{
    bench *b = check(L);
    b->x25519 = strcmp(luaL_checkstring(L, 2), "x25519") == 0;
    EVP_PKEY_CTX_free(b->keygen);
    b->keygen = EVP_PKEY_CTX_new_from_name(NULL, b->x25519 ? "X25519" : "EC", NULL);
    NEED(b->keygen && EVP_PKEY_keygen_init(b->keygen) == 1 && (b->x25519 || EVP_PKEY_CTX_set_group_name(b->keygen, "P-256") == 1));
    EVP_PKEY_free(b->group_template);
    b->group_template = NULL;
    NEED(EVP_PKEY_keygen(b->keygen, &b->group_template) == 1);
    return 0;
}

static const char *field(lua_State *L, const char *name)
{
    lua_getfield(L, 1, name);
    const char *s = luaL_checkstring(L, -1);
    lua_pop(L, 1);
    return s;
}

static int b_new(lua_State *L)
{
    luaL_checktype(L, 1, LUA_TTABLE);
    const char *chain_file = field(L, "chain"), *key_file = field(L, "key"), *ca_file = field(L, "ca");
    bench *b = lua_newuserdatauv(L, sizeof *b, 0);
    memset(b, 0, sizeof *b);
    luaL_setmetatable(L, BENCH);
    BIO *in = BIO_new_file(chain_file, "r");
    NEED(in);
    for (int i = 0; i < 2; i++) {
        b->certs[i] = PEM_read_bio_X509(in, NULL, NULL, NULL);
        if (!b->certs[i]) {
            BIO_free(in);
            return luaL_error(L, "%s: two certificates are needed", chain_file);
        }
        b->tbs_n[i] = i2d_re_X509_tbs(b->certs[i], &b->tbs[i]);
    }
    BIO_free(in);
    NEED(in = BIO_new_file(key_file, "r"));
    b->key = PEM_read_bio_PrivateKey(in, NULL, NULL, NULL);
    BIO_free(in);
    NEED(in = BIO_new_file(ca_file, "r"));
    X509 *root = PEM_read_bio_X509(in, NULL, NULL, NULL);
    BIO_free(in);
    NEED(root && b->key);
    b->root = X509_get_pubkey(root);
    X509_free(root);
    b->leaf_template = X509_get_pubkey(b->certs[0]);
    b->intermediate_template = X509_get_pubkey(b->certs[1]);
    NEED(b->root && b->leaf_template && b->intermediate_template);
    b->rsa = EVP_PKEY_is_a(b->key, "RSA");
    NEED(b->sha256 = EVP_MD_fetch(NULL, "SHA2-256", NULL));
    NEED(b->gcm = EVP_CIPHER_fetch(NULL, "AES-128-GCM", NULL));
    for (int i = 0; i < 4; i++) {
        static const unsigned char zero[16];
        NEED(b->ciphers[i] = EVP_CIPHER_CTX_new());
        NEED(i % 2 == 0 ? EVP_EncryptInit_ex2(b->ciphers[i], b->gcm, zero, zero, NULL) : EVP_DecryptInit_ex2(b->ciphers[i], b->gcm, zero, zero, NULL));
    }
    NEED((b->digest = EVP_MD_CTX_new()) && (b->scratch = EVP_MD_CTX_new()) && (b->mac.inner = EVP_MD_CTX_new()) && (b->mac.outer = EVP_MD_CTX_new()) &&
         (b->other.inner = EVP_MD_CTX_new()) && (b->other.outer = EVP_MD_CTX_new()));
    NEED(b->verify_root = verifier(b, b->root));
    NEED(b->sign = EVP_PKEY_CTX_new(b->key, NULL));
    NEED(EVP_PKEY_sign_init(b->sign) == 1 && (!b->rsa || EVP_PKEY_CTX_set_rsa_padding(b->sign, RSA_PKCS1_PADDING) == 1) &&
         EVP_PKEY_CTX_set_signature_md(b->sign, EVP_sha256()) == 1);
    if (b->rsa) {
        NEED(EVP_PKEY_todata(b->leaf_template, EVP_PKEY_PUBLIC_KEY, &b->leaf_params) == 1 &&
             EVP_PKEY_todata(b->intermediate_template, EVP_PKEY_PUBLIC_KEY, &b->intermediate_params) == 1);
        NEED(b->import = EVP_PKEY_CTX_new_from_name(NULL, "RSA", NULL));
        NEED((b->decrypt = EVP_PKEY_CTX_new(b->key, NULL)) && EVP_PKEY_decrypt_init(b->decrypt) == 1 &&
             EVP_PKEY_CTX_set_rsa_padding(b->decrypt, RSA_PKCS1_WITH_TLS_PADDING) == 1);
        unsigned int client_version = 0x0303;
        OSSL_PARAM params[] = {OSSL_PARAM_uint(OSSL_ASYM_CIPHER_PARAM_TLS_CLIENT_VERSION, &client_version), OSSL_PARAM_END};
        NEED(EVP_PKEY_CTX_set_params(b->decrypt, params) == 1);
    }
    lua_pushcfunction(L, b_group);
    lua_pushvalue(L, -2);
    lua_pushliteral(L, "secp256r1");
    lua_call(L, 2, 0);
    return 1;
}

static int b_gc(lua_State *L)
{
    bench *b = check(L);
    for (int i = 0; i < 2; i++) {
        X509_free(b->certs[i]);
        OPENSSL_free(b->tbs[i]);
    }
    for (int i = 0; i < 4; i++) EVP_CIPHER_CTX_free(b->ciphers[i]);
    EVP_PKEY *keys[] = {b->key, b->root, b->intermediate_template, b->leaf_template, b->group_template};
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) EVP_PKEY_free(keys[i]);
    EVP_PKEY_CTX *contexts[] = {b->keygen, b->sign, b->decrypt, b->verify_root, b->import};
    for (size_t i = 0; i < sizeof contexts / sizeof *contexts; i++) EVP_PKEY_CTX_free(contexts[i]);
    EVP_MD_CTX *digests[] = {b->digest, b->scratch, b->mac.inner, b->mac.outer, b->other.inner, b->other.outer};
    for (size_t i = 0; i < sizeof digests / sizeof *digests; i++) EVP_MD_CTX_free(digests[i]);
    OSSL_PARAM_free(b->leaf_params);
    OSSL_PARAM_free(b->intermediate_params);
    EVP_MD_free(b->sha256);
    EVP_CIPHER_free(b->gcm);
    memset(b, 0, sizeof *b);
    return 0;
}

int luaopen_bench_floor(lua_State *L)
{
    static const luaL_Reg methods[] = {{"rsa", b_rsa}, {"ecdhe", b_ecdhe}, {"tls13", b_tls13}, {"resume12", b_resume12}, {"psk13", b_psk13},
                                       {"bulk", b_bulk}, {"group", b_group}, {NULL, NULL}};
    static const luaL_Reg functions[] = {{"new", b_new}, {NULL, NULL}};
    luaL_newmetatable(L, BENCH);
    lua_pushcfunction(L, b_gc);
    lua_setfield(L, -2, "__gc");
    luaL_newlib(L, methods);
    lua_setfield(L, -2, "__index");
    luaL_newlib(L, functions);
    return 1;
}
