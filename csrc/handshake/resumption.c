/* resumption.c: what is kept of a session, and its serialised form.
 *
 * Format: "AKS" and a format number, then fixed fields and length-prefixed vectors in the order below. Reading is strict: every byte is
 * accounted for, and an unknown format number is refused. */
#include "akushu.h"

#include <stdlib.h>
#include <string.h>

#define FORMAT 2

ak_resumption *ak_resumption_new(void) {
    ak_resumption *r = ak_zalloc(sizeof *r);
    if (r == NULL) return NULL;
    r->refs = 1;
    ak_buf_init(&r->ticket, 65535);
    ak_buf_init(&r->psk_identity, 65535);
    ak_buf_init(&r->ocsp_response, 1 << 24);
    ak_buf_init(&r->scts, 65535);
    ak_buf_init(&r->server_name, AK_SERVER_NAME_MAX);
    ak_buf_init(&r->alpn, AK_ALPN_MAX);
    return r;
}

ak_resumption *ak_resumption_ref(ak_resumption *r) {
    r->refs++;
    return r;
}

void ak_resumption_free(ak_resumption *r) {
    if (r == NULL || --r->refs > 0) return;
    ak_chain_free(r->peer_chain);
    ak_buf_free(&r->ticket);
    ak_buf_free(&r->psk_identity);
    ak_buf_free(&r->ocsp_response);
    ak_buf_free(&r->scts);
    ak_buf_free(&r->server_name);
    ak_buf_free(&r->alpn);
    ak_wipe(r, sizeof *r);
    free(r);
}

void ak_resumption_limit(ak_resumption *r, const ak_context *c) {
    int64_t last = c->verify && r->peer_chain != NULL ? r->peer_chain->certs[0]->not_after : INT64_MAX; /* the second in which it still holds */
    if (last >= ak_context_now(c) && last < r->expires) r->expires = last + 1;
}

bool ak_resumption_write(const ak_resumption *r, ak_buf *out) {
    ak_buf_put(out, "AKS", 3);
    ak_buf_u8(out, FORMAT);
    ak_buf_u8(out, (r->server ? 1u : 0u) | (r->ems ? 2u : 0u) | (r->etm ? 4u : 0u));
    ak_buf_u16(out, r->version);
    ak_buf_u16(out, r->suite);
    ak_buf_u64(out, (uint64_t)r->created);
    ak_buf_u64(out, (uint64_t)r->expires);
    ak_buf_u32(out, r->age_add);
    ak_buf_u32(out, r->max_early_data);
    ak_buf_u64(out, r->received_ms);
    ak_buf_u16(out, r->group);
    ak_buf_u16(out, r->peer_scheme);
    ak_buf_u16(out, (unsigned)r->verdict);
    ak_buf_vec(out, ak_secret_view(&r->secret), 1);
    ak_buf_vec(out, ak_view_of(r->session_id, r->session_id_n), 1);
    ak_buf_vec(out, ak_buf_view(&r->ticket), 2);
    ak_buf_vec(out, ak_buf_view(&r->server_name), 2);
    ak_buf_vec(out, ak_buf_view(&r->alpn), 1);
    ak_buf_vec(out, ak_secret_view(&r->context_id), 1);
    ak_buf_u16(out, r->max_fragment_length);
    ak_buf_vec(out, ak_view_of(r->end_point, r->end_point_n), 1);
    ak_buf_vec(out, ak_buf_view(&r->psk_identity), 2);
    ak_buf_vec(out, ak_buf_view(&r->ocsp_response), 3);
    ak_buf_vec(out, ak_buf_view(&r->scts), 2);
    size_t chain = ak_buf_open(out, 3);
    for (size_t i = 0; r->peer_chain != NULL && i < r->peer_chain->n; i++) ak_buf_vec(out, r->peer_chain->certs[i]->der, 3);
    ak_buf_close(out, chain, 3);
    return !out->bad;
}

static bool read_chain(ak_resumption *r, ak_view list) {
    ak_rd rd;
    ak_failure ignored = {0};
    if (list.n == 0) return true;
    r->peer_chain = ak_chain_new();
    if (r->peer_chain == NULL) return false;
    ak_rd_view(&rd, list);
    while (ak_rd_left(&rd) > 0) {
        ak_view der;
        if (!ak_rd_vec(&rd, &der, 3) || ak_chain_add(r->peer_chain, der, &ignored) != AK_OK) return false;
    }
    return ak_rd_done(&rd);
}

/* is_time: a number of seconds or milliseconds that can be calculated with. */
#define TIME_MAX ((uint64_t)1 << 60)
static bool is_time(uint64_t v) { return v + TIME_MAX <= 2 * TIME_MAX; }

static bool read_fields(ak_resumption *r, ak_rd *rd) {
    uint8_t format, flags;
    uint16_t verdict;
    uint64_t created, expires;
    ak_view magic, secret, id, ticket, name, alpn, context, end_point, psk_identity, ocsp, scts, chain;
    ak_rd_take(rd, &magic, 3);
    ak_rd_u8(rd, &format);
    if (rd->bad || memcmp(magic.p, "AKS", 3) != 0 || format != FORMAT) return false;
    ak_rd_u8(rd, &flags);
    ak_rd_u16(rd, &r->version);
    ak_rd_u16(rd, &r->suite);
    ak_rd_u64(rd, &created);
    ak_rd_u64(rd, &expires);
    ak_rd_u32(rd, &r->age_add);
    ak_rd_u32(rd, &r->max_early_data);
    ak_rd_u64(rd, &r->received_ms);
    ak_rd_u16(rd, &r->group);
    ak_rd_u16(rd, &r->peer_scheme);
    ak_rd_u16(rd, &verdict);
    ak_rd_vec(rd, &secret, 1);
    ak_rd_vec(rd, &id, 1);
    ak_rd_vec(rd, &ticket, 2);
    ak_rd_vec(rd, &name, 2);
    ak_rd_vec(rd, &alpn, 1);
    ak_rd_vec(rd, &context, 1);
    ak_rd_u16(rd, &r->max_fragment_length);
    ak_rd_vec(rd, &end_point, 1);
    ak_rd_vec(rd, &psk_identity, 2);
    ak_rd_vec(rd, &ocsp, 3);
    ak_rd_vec(rd, &scts, 2);
    ak_rd_vec(rd, &chain, 3);
    if (!is_time(created) || !is_time(expires) || !is_time(r->received_ms)) return false;
    if (!ak_rd_done(rd) || (flags & ~7u) != 0 || id.n > sizeof r->session_id || name.n > AK_SERVER_NAME_MAX || end_point.n > sizeof r->end_point || verdict >= AK_ERR_COUNT ||
        memchr(name.n != 0 ? name.p : magic.p, 0, name.n) != NULL)
        return false;
    r->server = (flags & 1) != 0;
    r->ems = (flags & 2) != 0;
    r->etm = (flags & 4) != 0;
    r->created = (int64_t)created;
    r->expires = (int64_t)expires;
    r->verdict = (ak_error)verdict;
    if (id.n != 0) memcpy(r->session_id, id.p, id.n);
    r->session_id_n = (uint8_t)id.n;
    if (end_point.n != 0) memcpy(r->end_point, end_point.p, end_point.n);
    r->end_point_n = (uint8_t)end_point.n;
    return secret.n != 0 && ak_secret_set(&r->secret, secret.p, secret.n) && ak_secret_set(&r->context_id, context.p, context.n) &&
           ak_buf_set(&r->server_name, name) && ak_buf_set(&r->alpn, alpn) && ak_buf_set(&r->ticket, ticket) && ak_buf_set(&r->psk_identity, psk_identity) &&
           ak_buf_set(&r->ocsp_response, ocsp) && ak_buf_set(&r->scts, scts) && ak_suite_find(r->suite) != NULL && read_chain(r, chain);
}

ak_error ak_resumption_read(ak_view bytes, ak_resumption **out, ak_failure *f) {
    ak_rd rd;
    *out = NULL;
    ak_resumption *r = ak_resumption_new();
    if (r == NULL) return ak_fail(f, AK_ERR_out_of_memory, NULL);
    ak_rd_view(&rd, bytes);
    if (!read_fields(r, &rd)) {
        ak_resumption_free(r);
        return ak_fail(f, AK_ERR_bad_session, "not a session that this version of akushu has written");
    }
    *out = r;
    return AK_OK;
}
