/* limits.c: how much plaintext a record may hold, either way: the protocol's 2^14 bytes, the context's own wish, record_size_limit (RFC 8449, whose row is in
 * extensions.c) and max_fragment_length (RFC 6066 §4).
 *
 * max_fragment_length holds for all records from ServerHello on; record_size_limit for protected ones alone, which is what is demanded of the peer; what we send
 * keeps to it from the start, as there are peers (GnuTLS) that count the unprotected ones, too. A server that is sent both takes no notice of the
 * first (RFC 8449 §5). */
#include "handshake/extensions.h"
#include "handshake/keys.h"

size_t ak_hs_max_fragment(const ak_hs *h) {
    size_t max = h->ctx->max_fragment != 0 ? h->ctx->max_fragment : AK_PLAINTEXT_MAX;
    if (h->peer_record_limit != 0 && h->peer_record_limit < max) max = h->peer_record_limit;
    if (h->info->max_fragment_length != 0 && h->info->max_fragment_length < max) max = h->info->max_fragment_length;
    return max;
}

size_t ak_hs_record_limit(const ak_hs *h) {
    size_t limit = ak_hs_read_limit(h);
    return h->info->max_fragment_length != 0 && h->info->max_fragment_length < limit ? h->info->max_fragment_length : limit;
}

/* code: 2^9 to 2^12 as 1 to 4; 0 for anything else. */
static unsigned code_of(unsigned length) {
    for (unsigned code = 1; code <= 4; code++)
        if (length == 256u << code) return code;
    return 0;
}

bool ak_offer_max_fragment_length(ak_hs *h, ak_buf *b) {
    unsigned code = code_of(h->ctx->max_fragment_length);
    return code != 0 && ak_buf_u8(b, code);
}

static ak_error read_code(ak_hs *h, ak_view body, uint16_t *length) {
    struct ak_ext_max_fragment_length x;
    ak_failure why = {0};
    ak_error e = ak_decode_ext_max_fragment_length(body, &x, &why);
    if (e != AK_OK) return ak_hs_fail(h, ak_ext_cause(e, AK_ERR_bad_extension), "%s", why.detail);
    if (x.max_fragment_length < 1 || x.max_fragment_length > 4) return ak_hs_fail(h, AK_ERR_illegal_parameter, "max_fragment_length %u (RFC 6066 §4)", x.max_fragment_length);
    *length = (uint16_t)(256u << x.max_fragment_length);
    return AK_OK;
}

/* A resumed session keeps its length (RFC 6066 §4); client_hello.c resumes none that has another than the client asks for. */
ak_error ak_offered_max_fragment_length(ak_hs *h, ak_view body) {
    uint16_t length = 0;
    ak_error e = read_code(h, body, &length);
    if (e == AK_OK && !ak_ext_client_sent(h, AK_EXT_record_size_limit, NULL)) h->info->max_fragment_length = length;
    return e;
}

bool ak_answer_max_fragment_length(ak_hs *h, ak_message_kind where, ak_buf *b) {
    if (where != AK_IN_server_hello_12 && where != AK_IN_encrypted_extensions) return false;
    return h->info->max_fragment_length != 0 && ak_buf_u8(b, code_of(h->info->max_fragment_length));
}

ak_error ak_answered_max_fragment_length(ak_hs *h, ak_message_kind where, ak_view body) {
    uint16_t length = 0;
    ak_view sent;
    (void)where;
    ak_error e = read_code(h, body, &length);
    if (e != AK_OK) return e;
    if (!ak_ext_client_sent(h, AK_EXT_max_fragment_length, &sent) || sent.n != 1 || sent.p[0] != body.p[0])
        return ak_hs_fail(h, AK_ERR_illegal_parameter, "max_fragment_length %u was not asked for (RFC 6066 §4)", length);
    h->info->max_fragment_length = length;
    return AK_OK;
}
