/* groups.c: which groups there are, and what a provider keeps for each of them. Key exchange values: share.c. */
#include "crypto/internal.h"

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <stdlib.h>
#include <string.h>

const ak_group ak_groups[] = {
    /* id      name                  libcrypto     kind          client server secret bits versions */
    {29, "x25519", "X25519", AK_GROUP_x, 32, 32, 32, 128, AK_TLS10, AK_TLS13},
    {21, "secp224r1", "P-224", AK_GROUP_ec, 57, 57, 28, 112, AK_TLS10, AK_TLS12}, /* RFC 8446 §4.2.7: never in TLS 1.3 */
    {23, "secp256r1", "P-256", AK_GROUP_ec, 65, 65, 32, 128, AK_TLS10, AK_TLS13},
    {30, "x448", "X448", AK_GROUP_x, 56, 56, 56, 224, AK_TLS10, AK_TLS13},
    {24, "secp384r1", "P-384", AK_GROUP_ec, 97, 97, 48, 192, AK_TLS10, AK_TLS13},
    {25, "secp521r1", "P-521", AK_GROUP_ec, 133, 133, 66, 256, AK_TLS10, AK_TLS13},
    {256, "ffdhe2048", "ffdhe2048", AK_GROUP_ff, 256, 256, 256, 103, AK_TLS10, AK_TLS13},
    {257, "ffdhe3072", "ffdhe3072", AK_GROUP_ff, 384, 384, 384, 125, AK_TLS10, AK_TLS13},
    {258, "ffdhe4096", "ffdhe4096", AK_GROUP_ff, 512, 512, 512, 150, AK_TLS10, AK_TLS13},
    {259, "ffdhe6144", "ffdhe6144", AK_GROUP_ff, 768, 768, 768, 175, AK_TLS10, AK_TLS13},
    {260, "ffdhe8192", "ffdhe8192", AK_GROUP_ff, 1024, 1024, 1024, 192, AK_TLS10, AK_TLS13},
    {4588, "X25519MLKEM768", "ML-KEM-768", AK_GROUP_hybrid, 1216, 1120, 64, 192, AK_TLS13, AK_TLS13},
    {4587, "SecP256r1MLKEM768", "ML-KEM-768", AK_GROUP_hybrid, 1249, 1153, 64, 192, AK_TLS13, AK_TLS13},
    {4589, "SecP384r1MLKEM1024", "ML-KEM-1024", AK_GROUP_hybrid, 1665, 1665, 80, 256, AK_TLS13, AK_TLS13},
};
const size_t ak_groups_count = sizeof ak_groups / sizeof ak_groups[0];
_Static_assert(sizeof ak_groups / sizeof ak_groups[0] <= AK_GROUP_SLOTS, "a slot for every group");

/* ML-KEM's part comes first with X25519, last with the NIST curves: each draft orders its FIPS-approved part first. */
static const ak_hybrid hybrids[] = {
    {4588, 29, 1184, 1088, true},
    {4587, 23, 1184, 1088, false},
    {4589, 24, 1568, 1568, false},
};

const ak_group *ak_group_find(uint16_t id) {
    for (size_t i = 0; i < ak_groups_count; i++)
        if (ak_groups[i].id == id) return &ak_groups[i];
    return NULL;
}

const ak_group *ak_group_by_name(const char *name) {
    for (size_t i = 0; i < ak_groups_count; i++) {
        const ak_group *g = &ak_groups[i];
        if (strcmp(g->name, name) == 0 || (g->kind != AK_GROUP_hybrid && strcmp(g->nid_name, name) == 0)) return g;
    }
    return NULL;
}

const ak_hybrid *ak_hybrid_of(const ak_group *g) {
    for (size_t i = 0; i < sizeof hybrids / sizeof hybrids[0]; i++)
        if (hybrids[i].id == g->id) return &hybrids[i];
    return NULL;
}

/* ---- what is kept ------------------------------------------------------------------------------------------------------ */

static void release_slot(ak_group_slot *s) {
    EVP_PKEY_CTX_free(s->keygen);
    EVP_PKEY_CTX_free(s->import);
    EVP_PKEY_free(s->params);
    EVP_PKEY_free(s->peer);
    free(s->prime);
    memset(s, 0, sizeof *s);
}

void ak_groups_release(ak_provider *p) {
    for (size_t i = 0; i < AK_GROUP_SLOTS; i++) release_slot(&p->group[i]);
}

static bool prepare_keygen(ak_provider *p, ak_group_slot *s, const char *type, const char *group) {
    s->keygen = EVP_PKEY_CTX_new_from_name(p->libctx, type, NULL);
    return s->keygen != NULL && EVP_PKEY_keygen_init(s->keygen) == 1 &&
           (group == NULL || EVP_PKEY_CTX_set_group_name(s->keygen, group) == 1);
}

static bool prepare_import(ak_provider *p, ak_group_slot *s, const char *type) {
    s->import = EVP_PKEY_CTX_new_from_name(p->libctx, type, NULL);
    return s->import != NULL && EVP_PKEY_fromdata_init(s->import) == 1;
}

static bool prepare_params(ak_provider *p, ak_group_slot *s, const char *type, const ak_group *g) {
    char name[16];
    strncpy(name, g->nid_name, sizeof name - 1);
    name[sizeof name - 1] = '\0';
    OSSL_PARAM params[] = {OSSL_PARAM_construct_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, name, 0), OSSL_PARAM_construct_end()};
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(p->libctx, type, NULL);
    bool ok = ctx != NULL && EVP_PKEY_fromdata_init(ctx) == 1 &&
              EVP_PKEY_fromdata(ctx, &s->params, EVP_PKEY_KEY_PARAMETERS, params) == 1;
    EVP_PKEY_CTX_free(ctx);
    return ok;
}

static bool prepare_prime(ak_group_slot *s, size_t n) {
    BIGNUM *prime = NULL;
    bool ok = EVP_PKEY_get_bn_param(s->params, OSSL_PKEY_PARAM_FFC_P, &prime) == 1 && (s->prime = malloc(n)) != NULL &&
              BN_bn2binpad(prime, s->prime, (int)n) == (int)n;
    BN_free(prime);
    return ok;
}

static bool prepare(ak_provider *p, ak_group_slot *s, const ak_group *g) {
    switch (g->kind) {
    case AK_GROUP_x: return prepare_keygen(p, s, g->nid_name, NULL) && prepare_import(p, s, g->nid_name);
    case AK_GROUP_ec: return prepare_keygen(p, s, "EC", g->nid_name) && prepare_params(p, s, "EC", g);
    case AK_GROUP_ff:
        return prepare_keygen(p, s, "DH", g->nid_name) && prepare_params(p, s, "DH", g) && prepare_prime(s, g->client_share);
    case AK_GROUP_hybrid:
        return ak_group_usable(p, ak_group_find(ak_hybrid_of(g)->classic)) && prepare_keygen(p, s, g->nid_name, NULL) &&
               prepare_import(p, s, g->nid_name);
    }
    return false;
}

ak_group_slot *ak_group_slot_of(ak_provider *p, const ak_group *g) {
    ak_group_slot *s = &p->group[g - ak_groups];
    if (s->state == AK_GROUP_unprobed) {
        bool ok = prepare(p, s, g);
        if (!ok) {
            release_slot(s);
            ERR_clear_error();
        }
        s->state = ok ? AK_GROUP_ready : AK_GROUP_missing;
    }
    return s->state == AK_GROUP_ready ? s : NULL;
}

EVP_PKEY *ak_group_params(ak_provider *p, const ak_group *g) {
    ak_group_slot *s = ak_group_slot_of(p, g);
    return s != NULL ? s->params : NULL;
}

bool ak_group_usable(ak_provider *p, const ak_group *g) { return ak_group_slot_of(p, g) != NULL; }

bool ak_group_dh_params(ak_provider *p, const ak_group *g, ak_view *prime, ak_view *generator) {
    static const uint8_t two = 2; /* RFC 7919, appendix A */
    const ak_group_slot *s = g->kind == AK_GROUP_ff ? ak_group_slot_of(p, g) : NULL;
    if (s == NULL) return false;
    *prime = ak_view_of(s->prime, g->client_share);
    *generator = ak_view_of(&two, 1);
    return true;
}
