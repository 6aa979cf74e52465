#include "record/record.h"

/* How n bytes are cut: a first record of `first` bytes, then records of `max`. In CBC of TLS 1.0 and below the IV of a record is the end
 * of the one before, which an attacker who chooses plaintext has seen (BEAST). A first record of one byte puts a MAC that he cannot
 * foretell before the rest: of one call everything was chosen before any of it was sent, so that once is enough. */
typedef struct cut {
    size_t first, max;
} cut;

static cut cut_of(const ak_protect *x, size_t n, size_t max, bool split) {
    cut c;
    c.max = max == 0 || max > AK_PLAINTEXT_MAX ? AK_PLAINTEXT_MAX : max;
    c.first = split && ak_protect_chains_iv(x) ? 1 : c.max;
    if (c.first > n) c.first = n;
    return c;
}

size_t ak_seal_many_size(const ak_protect *x, size_t n, size_t max, bool split) {
    cut c = cut_of(x, n, max, split);
    size_t rest = n - c.first, whole = rest / c.max, last = rest % c.max;
    size_t size = ak_seal_size(x, c.first, 0) + whole * ak_seal_size(x, c.max, 0);
    return last == 0 ? size : size + ak_seal_size(x, last, 0);
}

ak_error ak_seal_many(ak_protect *x, uint8_t type, uint16_t record_version, const uint8_t *plain, size_t n, size_t max, bool split,
                      uint8_t *out, size_t *out_n, ak_failure *f) {
    cut c = cut_of(x, n, max, split);
    size_t done = 0, written = 0, part = c.first;
    *out_n = 0;
    do {
        size_t size;
        ak_error e = ak_seal(x, type, record_version, n != 0 ? plain + done : plain, part, 0, out + written, &size, f);
        if (e != AK_OK) return e;
        written += size;
        done += part;
        part = n - done < c.max ? n - done : c.max;
    } while (done < n);
    *out_n = written;
    return AK_OK;
}
