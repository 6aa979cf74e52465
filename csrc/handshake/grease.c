/* grease.c: reserved values (RFC 8701), so that peers keep coping with what they do not know: in a ClientHello, in a TLS 1.3 server's CertificateRequest and
 * NewSessionTicket; and padding (RFC 7685) of ClientHellos for servers that cannot cope with certain lengths. */
#include "handshake/extensions.h"

#include <string.h>

bool ak_greases(ak_hs *h) {
    if (!h->ctx->grease) return false;
    /* One draw serves a whole connection: a second ClientHello, after a HelloRetryRequest, must say the same. */
    if (!h->greased) h->greased = ak_random(h->p, AK_PURPOSE_grease, h->grease, sizeof h->grease);
    return h->greased;
}

uint16_t ak_grease(ak_hs *h, ak_grease_use use) {
    unsigned high = h->grease[use] & 0xf0u;
    if (use == AK_GREASE_psk_mode) return (uint16_t)(0x0b + 0x1f * (h->grease[use] & 7u)); /* RFC 8701 §2 */
    /* no extension may stand twice */
    if (use == AK_GREASE_last_extension && high == (h->grease[AK_GREASE_first_extension] & 0xf0u)) high ^= 0x10;
    unsigned byte = high | 0x0au;
    return (uint16_t)(byte << 8 | byte);
}

void ak_put_grease(ak_hs *h, ak_grease_use use, ak_buf *out) {
    if (!ak_greases(h)) return;
    ak_buf_u16(out, ak_grease(h, use));
    ak_buf_vec(out, ak_view_of("", use == AK_GREASE_first_extension ? 0 : 1), 2);
}

/* before_psk: where pre_shared_key begins in a block, which must stay its last extension (RFC 8446 §4.2.11); its end when there is none. */
static size_t before_psk(const ak_buf *out, size_t block) {
    ak_rd r;
    uint16_t type;
    ak_view body;
    size_t at = block;
    ak_rd_init(&r, out->p + block, out->n - block);
    while (ak_rd_left(&r) > 0 && ak_ext_next(&r, &type, &body)) {
        if (type == AK_EXT_pre_shared_key) return at;
        at = block + ak_rd_offset(&r);
    }
    return out->n;
}

ak_error ak_ext_pad(ak_hs *h, ak_buf *out, size_t block) {
    if (out->bad || h->ctx->padding <= out->n) return AK_OK;
    size_t lacks = h->ctx->padding - out->n, body = lacks > 4 ? lacks - 4 : 0, at = before_psk(out, block), tail = out->n - at;
    if (ak_buf_grow(out, 4 + body) == NULL) return ak_hs_fail(h, AK_ERR_out_of_memory, NULL);
    uint8_t *p = out->p + at;
    memmove(p + 4 + body, p, tail);
    p[0] = AK_EXT_padding >> 8;
    p[1] = AK_EXT_padding & 0xff;
    p[2] = (uint8_t)(body >> 8);
    p[3] = (uint8_t)body;
    memset(p + 4, 0, body);
    return AK_OK;
}
