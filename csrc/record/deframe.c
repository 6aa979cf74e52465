#include "record/record.h"

#include <string.h>

void ak_deframer_init(ak_deframer *d) {
    memset(d, 0, sizeof *d);
    ak_buf_init(&d->stash, AK_BUF_NO_LIMIT);
    d->max_fragment = AK_CIPHERTEXT_MAX_12;
    d->first = true;
}

void ak_deframer_free(ak_deframer *d) {
    ak_buf_free(&d->stash);
    d->stash_used = 0;
    d->lent = ak_view_of(NULL, 0);
}

static size_t stashed(const ak_deframer *d) { return d->stash.n - d->stash_used; }

bool ak_deframer_empty(const ak_deframer *d) { return stashed(d) == 0 && d->lent.n == 0; }

/* Moves the next n lent bytes behind the stash, which is first moved to its front: once a record at most, as nothing is used then. */
static bool stash_more(ak_deframer *d, size_t n) {
    ak_buf_drop(&d->stash, d->stash_used);
    d->stash_used = 0;
    if (n == 0) return true; /* also keeps NULL + 0 out */
    if (!ak_buf_put(&d->stash, d->lent.p, n)) return false;
    d->lent.p += n;
    d->lent.n -= n;
    return true;
}

bool ak_deframer_keep(ak_deframer *d) {
    if (ak_deframer_empty(d)) { /* an idle connection holds nothing */
        ak_buf_free(&d->stash);
        d->stash_used = 0;
        return true;
    }
    return stash_more(d, d->lent.n);
}

void ak_deframer_feed(ak_deframer *d, ak_view bytes) {
    /* Bytes lent before and not handed out yet come first. Without memory for them the stash is bad, and next() says so. */
    if (d->lent.n != 0) stash_more(d, d->lent.n);
    d->lent = bytes;
}

bool ak_deframer_take(ak_deframer *d, ak_buf *out) {
    if (!ak_buf_reserve(out, stashed(d) + d->lent.n)) return false;
    if (stashed(d) != 0) ak_buf_put(out, d->stash.p + d->stash_used, stashed(d));
    ak_buf_put_view(out, d->lent);
    ak_deframer_free(d);
    return true;
}

/* ---- judging a header ------------------------------------------------------------------------------------------------------ */

static bool starts(const uint8_t *header, const char *with, size_t n) { return memcmp(header, with, n) == 0; }

/* What else may knock at a TLS port. None of these five bytes could begin a TLS record. */
static ak_error judge_stranger(const uint8_t *h, ak_failure *f) {
    if (starts(h, "GET ", 4) || starts(h, "POST ", 5) || starts(h, "HEAD ", 5) || starts(h, "PUT ", 4))
        return ak_fail(f, AK_ERR_http_request, NULL);
    if (starts(h, "CONNE", 5)) return ak_fail(f, AK_ERR_https_proxy_request, NULL);
    return ak_fail(f, AK_ERR_not_tls, "they are %02x %02x %02x %02x %02x", h[0], h[1], h[2], h[3], h[4]);
}

static ak_error judge(const ak_deframer *d, const uint8_t *h, ak_failure *f) {
    bool known_type = h[0] >= AK_CT_change_cipher_spec && h[0] <= AK_CT_heartbeat;
    unsigned version = (unsigned)(h[1] << 8 | h[2]), length = (unsigned)(h[3] << 8 | h[4]);
    if (h[1] != 3) { /* RFC 8446 §5.1, RFC 5246 Appendix E.1: all versions of TLS are 3.x here */
        if (d->first && !known_type) return judge_stranger(h, f);
        return ak_fail(f, AK_ERR_wrong_record_version, "it is 0x%04x", version);
    }
    /* A ChangeCipherSpec under keys is TLS 1.3's, passed over whatever it says (RFC 8446 §5.1), or comes at the wrong time anyway. */
    if (!d->first && d->version != 0 && version != d->version && h[0] != AK_CT_change_cipher_spec)
        return ak_fail(f, AK_ERR_wrong_record_version, "it is 0x%04x instead of 0x%04x", version, d->version);
    if (!known_type) return ak_fail(f, AK_ERR_invalid_record_type, "it is %u", h[0]);
    if (length > d->max_fragment)
        return ak_fail(f, AK_ERR_record_too_long, "its fragment has %u bytes, of which %u are allowed", length, d->max_fragment);
    return AK_OK;
}

/* ---- records ------------------------------------------------------------------------------------------------------------------- */

/* The first whole record of n bytes at p: *size is its size, or 0 when more bytes are needed; then *need is how many it has at least. */
static ak_error look(const ak_deframer *d, const uint8_t *p, size_t n, size_t *size, size_t *need, ak_failure *f) {
    *size = 0;
    *need = AK_RECORD_HEADER;
    if (n < AK_RECORD_HEADER) return AK_OK;
    ak_error e = judge(d, p, f);
    if (e != AK_OK) return e;
    *need = AK_RECORD_HEADER + (size_t)(p[3] << 8 | p[4]);
    if (n >= *need) *size = *need;
    return AK_OK;
}

static void hand_out(ak_deframer *d, const uint8_t *p, size_t size, ak_record *out, bool *got) {
    out->type = p[0];
    out->version = (uint16_t)(p[1] << 8 | p[2]);
    out->header = ak_view_of(p, AK_RECORD_HEADER);
    out->fragment = ak_view_of(p + AK_RECORD_HEADER, size - AK_RECORD_HEADER);
    *got = true;
    d->first = false;
}

/* A record that began in the stash: takes from the lent bytes what it lacks (header first, then the rest), and no more. */
static ak_error next_stashed(ak_deframer *d, ak_record *out, bool *got, ak_failure *f) {
    for (;;) {
        const uint8_t *p = d->stash.p + d->stash_used;
        size_t size, need;
        ak_error e = look(d, p, stashed(d), &size, &need, f);
        if (e != AK_OK) return e;
        if (size != 0) {
            hand_out(d, p, size, out, got);
            d->stash_used += size;
            return AK_OK;
        }
        size_t lacks = need - stashed(d), more = lacks < d->lent.n ? lacks : d->lent.n;
        if (more == 0) return AK_OK;
        if (!stash_more(d, more)) return ak_fail(f, AK_ERR_out_of_memory, "for an incomplete record of %zu bytes", need);
    }
}

ak_error ak_deframer_next(ak_deframer *d, ak_record *out, bool *got, ak_failure *f) {
    *got = false;
    if (d->stash.bad) return ak_fail(f, AK_ERR_out_of_memory, "for incomplete records");
    if (stashed(d) != 0) return next_stashed(d, out, got, f);
    if (d->stash.n != 0) { /* all of it was handed out; the memory serves the next incomplete record of this round */
        ak_buf_clear(&d->stash);
        d->stash_used = 0;
    }
    size_t size, need;
    ak_error e = look(d, d->lent.p, d->lent.n, &size, &need, f);
    if (e != AK_OK || size == 0) return e;
    hand_out(d, d->lent.p, size, out, got);
    d->lent.p += size;
    d->lent.n -= size;
    return AK_OK;
}
