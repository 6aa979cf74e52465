/* record13.c: records that TLS 1.3 passes over: the ChangeCipherSpec of middlebox compatibility (RFC 8446 §5, §D.4), and early data that was refused (§4.2.10). */
#include "handshake/keys.h"
#include "handshake/messages13.h"

#include <stdio.h>

#define MAX_COMPAT_CCS 32
#define MIN_SKIPPED 16384u /* of early data, when this server offers none itself: its tickets may have been another's */

/* skipped: counts refused early data; past the limit, this server's or its ticket's, which may be of another day, it is an attack or a mistake. */
static bool skipped(ak_hs *h, size_t n) {
    ak_flow13 *f = ak_flow13_of(h);
    uint64_t allowed = h->ctx->max_early_data;
    if (h->resumed != NULL && h->resumed->max_early_data > allowed) allowed = h->resumed->max_early_data;
    allowed += allowed / 8; /* the ciphertext of small records is longer than what is in them */
    uint64_t limit = allowed > MIN_SKIPPED ? allowed : MIN_SKIPPED;
    f->early_seen += n != 0 ? n : 1; /* or there would be no end to empty records */
    if (f->early_seen > limit)
        ak_hs_fail(h, AK_ERR_early_data_skipped, "more than %llu bytes of early data that was refused", (unsigned long long)limit);
    return true;
}

static bool compat_ccs(ak_hs *h, const ak_record *r) {
    if (r->fragment.n != 1 || r->fragment.p[0] != 1) {
        ak_hs_fail(h, AK_ERR_bad_change_cipher_spec, "%zu bytes, the first is %u", r->fragment.n, r->fragment.n != 0 ? r->fragment.p[0] : 0u);
        return false;
    }
    if (++h->ccs_seen > MAX_COMPAT_CCS) ak_hs_fail(h, AK_ERR_too_many_empty_fragments, "more than %d ChangeCipherSpec records", MAX_COMPAT_CCS);
    return true;
}

/* An unprotected alert under keys is not believed, but it is told what it said: the peer may not have got as far as keys. */
static void unprotected(ak_hs *h, const ak_record *r) {
    char what[64] = "";
    bool first = !h->failed;
    if (r->type == AK_CT_alert && r->fragment.n == 2) {
        const char *name = ak_alert_name(r->fragment.p[1]);
        snprintf(what, sizeof what, ", an alert that says %s (%u)", name != NULL ? name : "something unknown", r->fragment.p[1]);
    }
    ak_hs_fail(h, AK_ERR_unexpected_record, "an unprotected record of type %u%s", r->type, what);
    if (first && what[0] != '\0') h->failure.said = r->fragment.p[1] + 1u;
}

/* may_skip_ccs: from the first ClientHello on (§5). A client that has offered TLS 1.3 does not know yet what it will be. */
static bool may_skip_ccs(const ak_hs *h) {
    if (h->info->version != 0) return ak_hs_is_13(h);
    if (h->server) return h->ctx->cookie; /* what comes may belong to a second ClientHello, whose first another handshake has seen (§D.4) */
    return h->client_hello_bytes.n != 0;
}

bool ak_hs_filter_record(ak_hs *h, const ak_record *r) {
    const ak_flow13 *f = ak_flow13_of(h);
    if (f == NULL) return false;
    if (r->type == AK_CT_change_cipher_spec && may_skip_ccs(h)) return compat_ccs(h, r);
    if (!ak_hs_is_13(h)) return false;
    /* after a HelloRetryRequest the early data of the first flight stands before the second ClientHello */
    if (r->type == AK_CT_application_data && f->early_skips && !ak_protect_active(h->read) && h->assembly.n == h->assembly_at) return skipped(h, r->fragment.n);
    if (ak_protect_active(h->read) && r->type != AK_CT_application_data) {
        unprotected(h, r);
        return true;
    }
    return false;
}

bool ak_hs_under_early_key(const ak_hs *h) {
    const ak_flow13 *f = ak_flow13_of(h);
    return f != NULL && h->server && f->early == AK_EARLY_accepted && ak_protect_active(h->read);
}

bool ak_hs_skip_undecryptable(ak_hs *h, const ak_record *r, ak_error e) {
    const ak_flow13 *f = ak_flow13_of(h);
    return f != NULL && f->early_skips && e == AK_ERR_bad_record_mac && ak_protect_active(h->read) && skipped(h, r->fragment.n);
}

void ak_hs_record_opened(ak_hs *h) {
    ak_flow13 *f = ak_flow13_of(h);
    if (f != NULL && f->early_skips && ak_protect_active(h->read)) f->early_skips = false; /* what comes from here on was sent under these keys */
}

/* RFC 8449 §4: what we have said we are willing to receive, once the other side has answered; in TLS 1.3 it counts the content type's byte. */
size_t ak_hs_read_limit(const ak_hs *h) {
    size_t limit = h->ctx->record_size_limit;
    if (limit == 0 || h->peer_record_limit == 0 || !ak_protect_active(h->read)) return AK_PLAINTEXT_MAX;
    if (ak_hs_is_13(h)) limit--;
    return limit < AK_PLAINTEXT_MAX ? limit : AK_PLAINTEXT_MAX;
}
