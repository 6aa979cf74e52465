/* certificate_compression.c: compress_certificate and CompressedCertificate (RFC 8879), either way. */
#include "handshake/extensions.h"
#include "handshake/messages13.h"

#include "crypto/compress.h"

static bool usable(const ak_hs *h, uint16_t algorithm) { return ak_compress_usable(h->ctx->compressors, algorithm); }

static bool ours(const ak_hs *h, uint16_t algorithm) {
    for (size_t i = 0; i < h->ctx->n_cert_compression; i++)
        if (h->ctx->cert_compression[i] == algorithm) return usable(h, algorithm);
    return false;
}

bool ak_compress_offers(const ak_hs *h) {
    for (size_t i = 0; i < h->ctx->n_cert_compression; i++)
        if (usable(h, h->ctx->cert_compression[i])) return true;
    return false;
}

/* In a ClientHello and in a CertificateRequest. */
bool ak_offer_compress_certificate(ak_hs *h, ak_buf *b) {
    const ak_context *c = h->ctx;
    if (!ak_compress_offers(h) || !ak_offers_13(h)) return false;
    size_t list = ak_buf_open(b, 1);
    for (size_t i = 0; i < c->n_cert_compression; i++)
        if (usable(h, c->cert_compression[i])) ak_buf_u16(b, c->cert_compression[i]);
    return ak_buf_close(b, list, 1);
}

/* Ours in our order; none in common: the certificate goes as it is. */
ak_error ak_offered_compress_certificate(ak_hs *h, ak_view body) {
    ak_flow13 *f = ak_flow13_of(h);
    struct ak_ext_compress_certificate x;
    ak_failure why = {0};
    if (!ak_hs_is_13(h)) return AK_OK;
    ak_error e = ak_decode_ext_compress_certificate(body, &x, &why);
    if (e != AK_OK) return ak_hs_fail(h, e, "%s", why.detail);
    f->compress_with = 0;
    for (size_t i = 0; f->compress_with == 0 && i < h->ctx->n_cert_compression; i++)
        if (usable(h, h->ctx->cert_compression[i]) && ak_list_u16_has(x.algorithms, h->ctx->cert_compression[i])) f->compress_with = h->ctx->cert_compression[i];
    return AK_OK;
}

ak_error ak_compose_compressed_certificate(ak_hs *h, ak_buf *b) {
    const ak_flow13 *f = ak_flow13_of(h);
    ak_buf plain;
    ak_buf_init(&plain, 0xffffff);
    ak_error e = ak_compose_certificate13(h, &plain);
    if (e == AK_OK) {
        ak_buf_u16(b, f->compress_with);
        ak_buf_u24(b, (uint32_t)plain.n);
        size_t mark = ak_buf_open(b, 3);
        bool ok = ak_compress(h->ctx->compressors, f->compress_with, ak_buf_view(&plain), b) && ak_buf_close(b, mark, 3);
        if (!ok) e = ak_hs_fail(h, AK_ERR_internal_error, "the certificate could not be compressed");
    }
    ak_buf_free(&plain);
    return e;
}

/* §4, §5: the length that the message says is bounded before anything is expanded, and must be exact. */
static ak_error expand(const ak_hs *h, ak_view body, ak_buf *plain, ak_failure *why) {
    struct ak_compressed_certificate c;
    ak_error e = ak_decode_compressed_certificate(body, &c, why);
    if (e != AK_OK) return e;
    if (!ours(h, c.algorithm)) return ak_fail(why, AK_ERR_illegal_parameter, "a certificate compressed with algorithm %u, which was not offered", c.algorithm);
    size_t n = c.uncompressed_length;
    if (n == 0 || n > h->ctx->max_message) return ak_fail(why, AK_ERR_bad_compression, "it says it has %zu bytes; %u are allowed", n, (unsigned)h->ctx->max_message);
    if (!ak_buf_reserve(plain, n)) return ak_fail(why, AK_ERR_out_of_memory, NULL);
    if (!ak_decompress(h->ctx->compressors, c.algorithm, c.compressed_certificate_message, plain->p, n))
        return ak_fail(why, AK_ERR_bad_compression, "algorithm %u, %zu bytes to be %zu", c.algorithm, c.compressed_certificate_message.n, n);
    plain->n = n;
    return AK_OK;
}

bool ak_certificate_answers(ak_hs *h, ak_view message) {
    ak_failure ignored = {0};
    ak_buf plain;
    ak_rd r;
    ak_view context, body = ak_view_of(message.p + AK_HANDSHAKE_HEADER, message.n - AK_HANDSHAKE_HEADER);
    ak_buf_init(&plain, h->ctx->max_message);
    if (message.p[0] == AK_HT_compressed_certificate) {
        /* one that cannot be read is everybody's: its row says what is wrong */
        if (expand(h, body, &plain, &ignored) != AK_OK) {
            ak_buf_free(&plain);
            return true;
        }
        body = ak_buf_view(&plain);
    }
    ak_rd_view(&r, body);
    bool same = !ak_rd_vec(&r, &context, 1) || ak_view_eq(context, ak_buf_view(&h->certificate_request_context));
    ak_buf_free(&plain);
    return same;
}

ak_error ak_receive_compressed_certificate(ak_hs *h, ak_view body) {
    ak_buf plain;
    ak_error e = AK_OK;
    ak_buf_init(&plain, h->ctx->max_message);
    if (h->phase == 0) { /* in a later phase only an answer is waited for */
        ak_failure why = {0};
        e = expand(h, body, &plain, &why);
        if (e != AK_OK) ak_hs_fail(h, e, "%s", why.detail);
        else ak_flow13_of(h)->compressed = true;
    }
    if (e == AK_OK) e = h->server ? ak_receive_client_certificate13(h, ak_buf_view(&plain)) : ak_receive_server_certificate13(h, ak_buf_view(&plain));
    ak_buf_free(&plain);
    return e;
}
