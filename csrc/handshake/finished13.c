/* finished13.c: Finished of TLS 1.3 (RFC 8446 §4.4.4), and the keys that change with it. */
#include "handshake/messages13.h"

#include "base/ct.h"
#include "handshake/post_auth.h"

#include <string.h>

ak_error ak_compose_finished13(ak_hs *h, ak_buf *b) {
    (void)h;
    (void)b; /* verify_data is still open */
    return AK_OK;
}

static void note(ak_hs *h, bool server, const uint8_t *p, size_t n) {
    memcpy(server ? h->info->server_finished : h->info->client_finished, p, n);
    *(server ? &h->info->server_finished_n : &h->info->client_finished_n) = (uint8_t)n;
}

ak_error ak_seal_finished13(ak_hs *h, ak_buf *m, size_t at) {
    uint8_t verify_data[AK_HASH_MAX];
    size_t n = 0;
    if (m->n != at) return AK_OK; /* a script has put its own */
    ak_error e = ak_keys13_verify_data(h, h->server, verify_data, &n);
    if (e != AK_OK) return e;
    note(h, h->server, verify_data, n);
    return ak_buf_put(m, verify_data, n) ? AK_OK : ak_hs_fail(h, AK_ERR_out_of_memory, NULL);
}

ak_error ak_receive_finished13(ak_hs *h, ak_view body) {
    uint8_t verify_data[AK_HASH_MAX];
    size_t n = 0;
    ak_error e = ak_keys13_verify_data(h, !h->server, verify_data, &n);
    if (e != AK_OK) return e;
    if (body.n != n) return ak_hs_fail(h, AK_ERR_bad_finished, "Finished has %zu bytes, not %zu", body.n, n);
    if (!ak_ct_eq(verify_data, body.p, n)) return ak_hs_fail(h, AK_ERR_bad_finished, "verify_data is not what the messages so far make it");
    note(h, !h->server, verify_data, n);
    return AK_OK;
}

ak_error ak_after_server_finished13(ak_hs *h) {
    ak_error e = ak_keys13_master(h);
    if (e != AK_OK) return e;
    ak_keys13_use(h, h->server, &h->secrets.server_application_traffic);
    return AK_OK;
}

ak_error ak_after_client_finished13(ak_hs *h) {
    ak_keys13_use(h, !h->server, &h->secrets.client_application_traffic);
    ak_error e = ak_post_auth_keep(h);
    return e == AK_OK ? ak_keys13_resumption(h) : e;
}
