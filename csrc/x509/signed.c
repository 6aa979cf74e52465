/* signed.c: what a signature's AlgorithmIdentifier says, how strong that is, and whether the signature holds. */
#include "x509/internal.h"

/* ---- reading AlgorithmIdentifiers (RFC 3279, RFC 4055, RFC 5758, RFC 8410) ---- */

static const struct {
    const char *oid;
    size_t n;
    ak_sig_kind kind;
    ak_hash hash;
    const char *name;
} algorithms[] = {
    {"\x2a\x86\x48\xce\x3d\x04\x03\x02", 8, AK_SIG_ecdsa, AK_HASH_sha256, "ecdsa-with-SHA256"},
    {"\x2a\x86\x48\xce\x3d\x04\x03\x03", 8, AK_SIG_ecdsa, AK_HASH_sha384, "ecdsa-with-SHA384"},
    {"\x2a\x86\x48\xce\x3d\x04\x03\x04", 8, AK_SIG_ecdsa, AK_HASH_sha512, "ecdsa-with-SHA512"},
    {"\x2a\x86\x48\xce\x3d\x04\x01", 7, AK_SIG_ecdsa, AK_HASH_sha1, "ecdsa-with-SHA1"},
    {"\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0b", 9, AK_SIG_rsa_pkcs1, AK_HASH_sha256, "sha256WithRSAEncryption"},
    {"\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0c", 9, AK_SIG_rsa_pkcs1, AK_HASH_sha384, "sha384WithRSAEncryption"},
    {"\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0d", 9, AK_SIG_rsa_pkcs1, AK_HASH_sha512, "sha512WithRSAEncryption"},
    {"\x2a\x86\x48\x86\xf7\x0d\x01\x01\x05", 9, AK_SIG_rsa_pkcs1, AK_HASH_sha1, "sha1WithRSAEncryption"},
    {"\x2a\x86\x48\x86\xf7\x0d\x01\x01\x04", 9, AK_SIG_rsa_pkcs1, AK_HASH_md5, "md5WithRSAEncryption"},
    {"\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0a", 9, AK_SIG_rsa_pss, AK_HASH_none, "rsassaPss"},
    {"\x2b\x65\x70", 3, AK_SIG_ed25519, AK_HASH_none, "Ed25519"},
    {"\x2b\x65\x71", 3, AK_SIG_ed448, AK_HASH_none, "Ed448"},
};

static bool empty_or_null(ak_rd *r) {
    ak_view v;
    if (ak_rd_done(r)) return true;
    return ak_der_get(r, AK_DER_NULL, &v) && v.n == 0 && ak_rd_done(r);
}

/* read_pss: RSASSA-PSS-params (RFC 4055 §3.1). MGF1 must use the same hash; the salt has any length: OpenSSL 3.0 takes the longest that fits unless
 * told otherwise. With all left out, the defaults mean SHA-1. */
static bool read_pss(ak_rd *r, ak_sigalg *out) {
    ak_hash mgf1 = AK_HASH_none;
    ak_view params;
    ak_rd_rest(r, &params);
    return ak_pss_params(params, &out->hash, &mgf1, &out->salt) && out->hash != AK_HASH_none && out->hash == mgf1;
}

void ak_sigalg_read(ak_view algorithm_identifier, ak_sigalg *out) {
    ak_rd r, body;
    ak_view oid;
    memset(out, 0, sizeof *out);
    ak_rd_view(&r, algorithm_identifier);
    if (!ak_der_enter(&r, AK_DER_SEQUENCE, &body) || !ak_der_get(&body, AK_DER_OID, &oid)) return;
    for (size_t i = 0; i < sizeof algorithms / sizeof algorithms[0]; i++) {
        if (!ak_oid_is(oid, algorithms[i].oid, algorithms[i].n)) continue;
        out->kind = algorithms[i].kind;
        out->hash = algorithms[i].hash;
        out->name = algorithms[i].name;
        switch (out->kind) {
        case AK_SIG_rsa_pkcs1: out->bad_parameters = !empty_or_null(&body); break;
        case AK_SIG_rsa_pss: out->bad_parameters = !read_pss(&body, out); break;
        default: out->bad_parameters = !ak_rd_done(&body); break;
        }
        return;
    }
}

/* ---- schemes ---- */

static uint16_t scheme_of(const ak_sigalg *a, ak_key_kind key) {
    bool own_pss = key == AK_KEY_rsa_pss;
    switch (a->kind) {
    case AK_SIG_rsa_pkcs1:
        switch (a->hash) {
        case AK_HASH_sha1: return 0x0201;
        case AK_HASH_sha256: return 0x0401;
        case AK_HASH_sha384: return 0x0501;
        case AK_HASH_sha512: return 0x0601;
        default: return 0;
        }
    case AK_SIG_rsa_pss:
        switch (a->hash) {
        case AK_HASH_sha256: return own_pss ? 0x0809 : 0x0804;
        case AK_HASH_sha384: return own_pss ? 0x080a : 0x0805;
        case AK_HASH_sha512: return own_pss ? 0x080b : 0x0806;
        default: return 0;
        }
    case AK_SIG_ecdsa:
        switch (a->hash) {
        case AK_HASH_sha1: return AK_SCHEME_ecdsa_sha1;
        case AK_HASH_sha256: return 0x0403;
        case AK_HASH_sha384: return 0x0503;
        case AK_HASH_sha512: return 0x0603;
        default: return 0;
        }
    case AK_SIG_ed25519: return 0x0807;
    case AK_SIG_ed448: return 0x0808;
    case AK_SIG_unknown: return 0;
    }
    return 0;
}

uint16_t ak_cert_scheme(const ak_cert *c) { return c->sigalg.bad_parameters ? 0 : scheme_of(&c->sigalg, AK_KEY_rsa); }

ak_hash ak_cert_binding_hash(const ak_cert *c) {
    ak_hash h = c->sigalg.hash;
    return h == AK_HASH_md5 || h == AK_HASH_sha1 ? AK_HASH_sha256 : h;
}

static bool key_suits(ak_sig_kind kind, ak_key_kind key) {
    switch (kind) {
    case AK_SIG_rsa_pkcs1: return key == AK_KEY_rsa;
    case AK_SIG_rsa_pss: return key == AK_KEY_rsa || key == AK_KEY_rsa_pss;
    case AK_SIG_ecdsa: return key == AK_KEY_ec;
    case AK_SIG_ed25519: return key == AK_KEY_ed25519;
    case AK_SIG_ed448: return key == AK_KEY_ed448;
    case AK_SIG_unknown: return false;
    }
    return false;
}

ak_error ak_signed_check(ak_provider *p, const ak_sigalg *alg, ak_view tbs, ak_view signature, ak_key *key, ak_failure *f) {
    const char *name = alg->name != NULL ? alg->name : "unknown";
    const ak_scheme *scheme = alg->bad_parameters ? NULL : ak_scheme_find(scheme_of(alg, ak_key_type(key)));
    if (alg->kind == AK_SIG_unknown || scheme == NULL)
        return ak_fail(f, AK_ERR_unsupported_certificate, "the signature algorithm (%s%s) is not supported", name,
                       alg->bad_parameters ? ", with these parameters" : "");
    if (ak_key_type(key) == AK_KEY_other) return ak_fail(f, AK_ERR_unsupported_certificate, "the issuer's key is of an unknown kind");
    if (!key_suits(alg->kind, ak_key_type(key)))
        return ak_fail(f, AK_ERR_certificate_signature, "the issuer's key is of another kind than the signature (%s)", name);
    ak_failure inner = {0};
    ak_error e = alg->kind == AK_SIG_rsa_pss ? ak_verify_pss(p, key, scheme, alg->salt, tbs, signature, &inner)
                                             : ak_verify_signature(p, key, scheme, tbs, signature, &inner);
    if (e == AK_OK) return AK_OK;
    return ak_fail(f, AK_ERR_certificate_signature, "%s", name);
}

/* ---- strength ---- */

unsigned ak_level_bits(unsigned level) {
    static const unsigned bits[] = {0, 80, 112, 128, 192, 256};
    return bits[level > 5 ? 5 : level];
}

unsigned ak_key_strength(const ak_key *k) {
    unsigned n = ak_key_bits(k);
    switch (ak_key_type(k)) {
    case AK_KEY_rsa:
    case AK_KEY_rsa_pss: /* NIST SP 800-57 part 1, table 2 */
        return n >= 15360 ? 256 : n >= 7680 ? 192 : n >= 3072 ? 128 : n >= 2048 ? 112 : n >= 1024 ? 80 : 0;
    case AK_KEY_ec: return n / 2;
    case AK_KEY_ed25519: return 128;
    case AK_KEY_ed448: return 224;
    default: return 0;
    }
}

unsigned ak_sigalg_strength(const ak_sigalg *a) {
    if (a->kind == AK_SIG_ed25519) return 128;
    if (a->kind == AK_SIG_ed448) return 224;
    switch (a->hash) { /* against collisions */
    case AK_HASH_md5: return 39;
    case AK_HASH_sha1: return 63;
    case AK_HASH_sha256: return 128;
    case AK_HASH_sha384: return 192;
    case AK_HASH_sha512: return 256;
    default: return 0;
    }
}
