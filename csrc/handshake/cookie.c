/* cookie.c: a server's cookie (RFC 8446 §4.2.2): all that it must know of the first ClientHello, sealed under its ticket keys, so that another handshake, in
 * another process that has the keys, can go on with the second. */
#include "handshake/hello.h"

#include "handshake/extensions.h"
#include "handshake/messages13.h"
#include "handshake/tickets.h"

#include <string.h>

#define COOKIE_LIFETIME 120 /* seconds: a client answers at once */
#define CLOCK_SKEW 10       /* seconds that the clocks of two processes with the same keys may differ by */

static const uint8_t magic[8] = {'a', 'k', 'c', 'o', 'o', 'k', 'i', '1'}; /* no session begins like this */

/* A cookie's inside: magic, when it was made, suite, group, what must not change, the first ClientHello's hash. */
ak_error ak_cookie_make(ak_hs *h) {
    ak_flow13 *f = ak_flow13_of(h);
    const ak_view none = {NULL, 0};
    uint8_t hash[AK_HASH_MAX];
    ak_hash prf = h->info->suite->prf;
    ak_buf plain;
    if (!h->ctx->cookie) return AK_OK;
    if (!ak_digest(h->p, prf, ak_hs_message(h), none, none, hash)) return ak_hs_fail(h, AK_ERR_crypto_failed, "the hash of ClientHello");
    ak_buf_init(&plain, 256);
    ak_buf_put(&plain, magic, sizeof magic);
    ak_buf_u32(&plain, (uint32_t)((uint64_t)ak_context_now(h->ctx) >> 32));
    ak_buf_u32(&plain, (uint32_t)ak_context_now(h->ctx));
    ak_buf_u16(&plain, f->retry_suite->id);
    ak_buf_u16(&plain, f->retry_group->id);
    ak_buf_put(&plain, f->first_hello, sizeof f->first_hello);
    ak_buf_put(&plain, hash, ak_hash_size(prf));
    ak_buf_clear(&f->cookie);
    bool ok = !plain.bad && ak_ticket_seal_bytes(h->ctx, ak_buf_view(&plain), &f->cookie);
    ak_buf_free(&plain);
    return ok ? AK_OK : ak_hs_fail(h, AK_ERR_internal_error, "a cookie could not be made");
}

/* read: what the cookie says becomes this handshake's past. *hash: the first ClientHello's. */
static bool read(ak_hs *h, ak_view bytes, ak_view *hash) {
    ak_flow13 *f = ak_flow13_of(h);
    ak_rd r;
    ak_view start, hello;
    uint32_t high, low;
    uint16_t suite, group;
    ak_rd_view(&r, bytes);
    if (!ak_rd_take(&r, &start, sizeof magic) || memcmp(start.p, magic, sizeof magic) != 0) return false;
    if (!ak_rd_u32(&r, &high) || !ak_rd_u32(&r, &low) || !ak_rd_u16(&r, &suite) || !ak_rd_u16(&r, &group) || !ak_rd_take(&r, &hello, sizeof f->first_hello)) return false;
    int64_t made = (int64_t)((uint64_t)high << 32 | low), now = ak_context_now(h->ctx);
    f->retry_suite = ak_suite_find(suite);
    f->retry_group = ak_group_find(group);
    if (f->retry_suite == NULL || f->retry_group == NULL || made > now + CLOCK_SKEW || now - made > COOKIE_LIFETIME) return false;
    memcpy(f->first_hello, hello.p, hello.n);
    size_t n = ak_hash_size(f->retry_suite->prf);
    return ak_rd_take(&r, hash, n) && ak_rd_done(&r);
}

/* retell: the transcript of what another handshake has seen and sent: message_hash, and the HelloRetryRequest, made again (§4.4.1). */
static ak_error retell(ak_hs *h, ak_view hash) {
    uint8_t synthetic[4] = {254, 0, 0, (uint8_t)hash.n}; /* HandshakeType message_hash */
    ak_buf m;
    ak_buf_init(&m, AK_BUF_NO_LIMIT);
    ak_buf_u8(&m, AK_HT_server_hello);
    size_t mark = ak_buf_open(&m, 3);
    ak_error e = ak_compose_hello_retry_request(h, &m);
    bool ok = e == AK_OK && ak_buf_close(&m, mark, 3) && ak_transcript_add(&h->transcript, ak_view_of(synthetic, sizeof synthetic)) &&
              ak_transcript_add(&h->transcript, hash) && ak_transcript_add(&h->transcript, ak_buf_view(&m));
    ak_buf_free(&m);
    if (e != AK_OK) return e;
    return ok ? AK_OK : ak_hs_fail(h, AK_ERR_out_of_memory, NULL);
}

ak_error ak_cookie_resume(ak_hs *h) {
    ak_flow13 *f = ak_flow13_of(h);
    struct ak_ext_cookie x;
    ak_failure ignored = {0};
    ak_buf plain;
    ak_view body, hash;
    bool renew = false;
    if (!h->ctx->cookie || h->info->hello_retry || !ak_ext_client_sent(h, AK_EXT_cookie, &body)) return AK_OK;
    if (ak_decode_ext_cookie(body, &x, &ignored) != AK_OK) return AK_OK; /* its row says what is wrong */
    ak_buf_init_secret(&plain, 1 << 17);
    ak_error e = AK_OK;
    if (!ak_ticket_open(h->ctx, x.cookie, &plain, &renew) || !read(h, ak_buf_view(&plain), &hash)) {
        f->retry_group = NULL;
        f->retry_suite = NULL;
        e = ak_hs_fail(h, AK_ERR_bad_cookie, "it is none of this server's, or too old");
    } else {
        ak_buf_clear(&f->cookie);
        h->info->suite = f->retry_suite;
        h->info->hello_retry = f->retold = true;
        f->ccs_sent = true;
        e = ak_buf_put_view(&f->cookie, x.cookie) ? retell(h, hash) : ak_hs_fail(h, AK_ERR_out_of_memory, NULL);
    }
    ak_buf_free(&plain);
    return e;
}
