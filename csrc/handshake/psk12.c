/* psk12.c: pre-shared keys in the key exchanges of TLS <= 1.2 (RFC 4279; RFC 5487 and RFC 5489 add suites): identity and hint, who has which key, and the
 * pre-master secret that is made with it. */
#include "handshake/messages12.h"

#include <string.h>

bool ak_kx_has_psk(ak_kx kx) { return kx == AK_KX_psk || kx == AK_KX_dhe_psk || kx == AK_KX_ecdhe_psk || kx == AK_KX_rsa_psk; }

/* What a PSK suite needs of a context: a client a key, a server a key or somebody to ask for one. */
bool ak_psk12_possible(const ak_context *c) { return c->n_psks != 0 || (c->server && c->ask_psk); }

static const ak_psk *find(const ak_context *c, ak_view identity) {
    for (size_t i = 0; i < c->n_psks; i++)
        if (ak_view_eq(ak_buf_view(&c->psks[i].identity), identity)) return &c->psks[i];
    return NULL;
}

static ak_error take(ak_hs *h, ak_view identity, ak_view secret) {
    ak_buf_clear(&h->info->psk_identity);
    ak_buf_clear(&h->psk_secret);
    h->info->external_psk = true;
    return ak_buf_put_view(&h->info->psk_identity, identity) && ak_buf_put_view(&h->psk_secret, secret) ? AK_OK : ak_hs_fail(h, AK_ERR_out_of_memory, NULL);
}

/* ---- client ------------------------------------------------------------------------------------------------------------------- */

/* The hint may name a key; with none that fits it the client goes by itself (RFC 4279 §5.2 leaves to the application what a hint means). */
ak_error ak_psk12_choose(ak_hs *h, ak_view hint) {
    const ak_psk *k = hint.n != 0 ? find(h->ctx, hint) : NULL;
    if (k == NULL && h->ctx->n_psks != 0) k = &h->ctx->psks[0];
    if (k == NULL) return ak_hs_fail(h, AK_ERR_wrong_suite_chosen, "%s, and there is no pre-shared key", h->info->suite->name);
    return take(h, ak_buf_view(&k->identity), ak_buf_view(&k->secret));
}

/* ---- server -------------------------------------------------------------------------------------------------------------------- */

/* An unknown identity: unknown_psk_identity at once, as others do it; or, hidden, a key that nobody has, so that it ends where a wrong key ends
 * (RFC 4279 §2). */
static ak_error unknown(ak_hs *h, ak_view identity) {
    uint8_t nobody[32];
    char shown[101]; /* as a person may read it: it can be any bytes, and goes into logs */
    size_t n = identity.n < sizeof shown ? identity.n : sizeof shown - 1;
    for (size_t i = 0; i < n; i++) shown[i] = identity.p[i] >= 0x20 && identity.p[i] < 0x7f ? (char)identity.p[i] : '?';
    shown[n] = '\0';
    if (!h->ctx->hide_unknown_psk) return ak_hs_fail(h, AK_ERR_unknown_psk_identity, "%s", shown);
    if (!ak_random(h->p, AK_PURPOSE_premaster, nobody, sizeof nobody)) return ak_hs_fail(h, AK_ERR_randomness, "a stand-in for a pre-shared key");
    ak_error e = take(h, identity, ak_view_of(nobody, sizeof nobody));
    ak_wipe(nobody, sizeof nobody);
    return e;
}

ak_error ak_psk12_look_up(ak_hs *h, ak_view identity) {
    const ak_psk *k = find(h->ctx, identity);
    if (k != NULL) return take(h, identity, ak_buf_view(&k->secret));
    if (!h->ctx->ask_psk) return unknown(h, identity);
    h->event.key = identity;
    return ak_hs_ask(h, AK_EV_psk);
}

ak_error ak_psk12_answered(ak_hs *h, ak_view identity) {
    if (h->answer.verdict == AK_REFUSE) return ak_hs_refused(h);
    return h->answer.bytes.n != 0 ? take(h, identity, h->answer.bytes) : unknown(h, identity);
}

/* ---- both ------------------------------------------------------------------------------------------------------------------------ */

/* RFC 4279 §2: other_secret and the key, each with its length; without another exchange, as many zeros as the key has bytes stand for it. */
ak_error ak_psk12_premaster(ak_hs *h) {
    ak_buf mixed, *premaster = &h->secrets.premaster;
    ak_view psk = ak_buf_view(&h->psk_secret);
    ak_buf_init_secret(&mixed, AK_BUF_NO_LIMIT);
    if (h->info->suite->kx == AK_KX_psk) {
        ak_buf_u16(&mixed, (unsigned)psk.n);
        uint8_t *zeros = ak_buf_grow(&mixed, psk.n);
        if (zeros != NULL && psk.n != 0) memset(zeros, 0, psk.n);
    } else {
        ak_buf_vec(&mixed, ak_buf_view(premaster), 2);
    }
    ak_buf_vec(&mixed, psk, 2);
    ak_buf_free(premaster);
    *premaster = mixed;
    ak_buf_free(&h->psk_secret);
    return mixed.bad ? ak_hs_fail(h, AK_ERR_out_of_memory, NULL) : AK_OK;
}
