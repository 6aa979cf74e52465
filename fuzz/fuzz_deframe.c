/* fuzz_deframe.c: a stream of bytes gives the same records, and the same error at the same place, however it is cut into pieces.
 * Input: one byte (piece size; 0: by itself), then the stream. */
#include "record/record.h"

#include <stdlib.h>
#include <string.h>

typedef struct outcome {
    uint64_t hash; /* over types, versions and fragments */
    size_t records;
    ak_error error;
} outcome;

static void mix(outcome *o, const uint8_t *p, size_t n) {
    for (size_t i = 0; i < n; i++) o->hash = (o->hash ^ p[i]) * 1099511628211u;
}

static outcome run(ak_view stream, size_t piece) {
    outcome o = {14695981039346656037u, 0, AK_OK};
    ak_deframer d;
    ak_deframer_init(&d);
    for (size_t at = 0; at < stream.n && o.error == AK_OK; at += piece) {
        size_t n = stream.n - at < piece ? stream.n - at : piece;
        /* A copy of its own for each piece: nothing may be read from it once it was kept. */
        uint8_t *lent = malloc(n);
        if (lent == NULL) abort();
        memcpy(lent, stream.p + at, n);
        ak_deframer_feed(&d, ak_view_of(lent, n));
        for (;;) {
            ak_record r;
            bool got = false;
            ak_failure f = {0};
            o.error = ak_deframer_next(&d, &r, &got, &f);
            if (o.error != AK_OK || !got) break;
            uint8_t head[5] = {r.type, (uint8_t)(r.version >> 8), (uint8_t)r.version, (uint8_t)(r.fragment.n >> 8), (uint8_t)r.fragment.n};
            mix(&o, head, sizeof head);
            mix(&o, r.fragment.p, r.fragment.n);
            o.records++;
        }
        if (o.error == AK_OK && !ak_deframer_keep(&d)) abort();
        free(lent);
    }
    ak_deframer_free(&d);
    return o;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size < 2) return 0;
    ak_view stream = ak_view_of(data + 1, size - 1);
    outcome whole = run(stream, stream.n), pieces = run(stream, data[0] != 0 ? data[0] : 1);
    /* Garbage is named by its first bytes ("an HTTP request"), which may not be there yet when it is refused: any refusal will do. */
    if (whole.hash != pieces.hash || whole.records != pieces.records || (whole.error == AK_OK) != (pieces.error == AK_OK)) abort();
    return 0;
}
