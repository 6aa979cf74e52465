/* chain_schemes.c: signature_algorithms_cert (RFC 8446 §4.2.3): which of several chains is signed as the peer likes it (§4.4.2.2, §4.4.2.3). */
#include "handshake/auth.h"
#include "handshake/messages13.h"

void ak_chain_schemes_take(ak_hs *h, ak_view list) {
    ak_flow13 *f = ak_flow13_of(h);
    f->n_cert_schemes = 0;
    for (size_t i = 0; i < ak_schemes_count && f->n_cert_schemes < AK_CERT_SCHEMES_MAX; i++) /* those that exist here, however long the list */
        if (ak_list_u16_has(list, ak_schemes[i].id)) f->cert_schemes[f->n_cert_schemes++] = ak_schemes[i].id;
    if (f->n_cert_schemes == 0 && list.n >= 2) f->cert_schemes[f->n_cert_schemes++] = ak_list_u16_at(list, 0); /* none of them: nothing fits, which is not the same as no list */
}

/* fits: whether a scheme of TLS is what this AlgorithmIdentifier says; a certificate's says nothing of curves. */
static bool fits(const ak_scheme *s, const ak_sigalg *a) {
    switch (a->kind) {
    case AK_SIG_rsa_pkcs1: return s->kind == AK_KEY_rsa && !s->pss && s->hash == a->hash;
    case AK_SIG_rsa_pss: return (s->kind == AK_KEY_rsa || s->kind == AK_KEY_rsa_pss) && s->pss && s->hash == a->hash;
    case AK_SIG_ecdsa: return s->kind == AK_KEY_ec && s->hash == a->hash;
    case AK_SIG_ed25519: return s->kind == AK_KEY_ed25519;
    case AK_SIG_ed448: return s->kind == AK_KEY_ed448;
    case AK_SIG_unknown:
    default: return false;
    }
}

static bool accepted(const ak_hs *h, const ak_sigalg *a) {
    const ak_flow13 *f = ak_flow13_of(h);
    const uint16_t *list = f->n_cert_schemes != 0 ? f->cert_schemes : h->peer_schemes; /* §4.2.3: signature_algorithms speaks for both when it is alone */
    size_t n = f->n_cert_schemes != 0 ? f->n_cert_schemes : h->n_peer_schemes;
    for (size_t i = 0; i < n; i++) {
        const ak_scheme *s = ak_scheme_find(list[i]);
        if (s != NULL && fits(s, a)) return true;
    }
    return false;
}

/* What signs itself is not verified, so how does not matter. */
bool ak_chain_schemes_suit(const ak_hs *h, const ak_identity *id) {
    for (size_t i = 0; i < id->chain.n; i++)
        if (!id->chain.certs[i]->self_issued && !accepted(h, &id->chain.certs[i]->sigalg)) return false;
    return true;
}
