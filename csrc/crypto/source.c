/* source.c: the n-th request for a purpose gets SHA-256(seed, purpose, n, 0) || SHA-256(seed, purpose, n, 1) … : the same on every machine, and
 * asking more often for one purpose does not move the others. */
#include "crypto/source.h"

#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>

struct ak_lab_source {
    ak_buf seed;
    ak_buf given[AK_PURPOSE_count];
    uint64_t asked[AK_PURPOSE_count];
    ak_ask *ask; /* NULL: nobody is asked */
    void (*release)(void *user);
    void *user;
};

static const char *const names[AK_PURPOSE_count] = {
#define AK_PURPOSE(name) #name,
#include "crypto/purpose.def"
#undef AK_PURPOSE
};

const char *ak_purpose_name(ak_purpose p) { return (unsigned)p < AK_PURPOSE_count ? names[p] : "unknown"; }

ak_purpose ak_purpose_find(const char *name) {
    for (unsigned i = 0; i < AK_PURPOSE_count; i++)
        if (strcmp(names[i], name) == 0) return (ak_purpose)i;
    return AK_PURPOSE_count;
}

ak_lab_source *ak_lab_source_new(ak_view seed) {
    ak_lab_source *s = calloc(1, sizeof *s);
    if (s == NULL) return NULL;
    ak_buf_init_secret(&s->seed, AK_BUF_NO_LIMIT);
    for (unsigned i = 0; i < AK_PURPOSE_count; i++) ak_buf_init_secret(&s->given[i], AK_BUF_NO_LIMIT);
    if (!ak_buf_put_view(&s->seed, seed)) {
        ak_lab_source_free(s);
        return NULL;
    }
    return s;
}

void ak_lab_source_free(ak_lab_source *s) {
    if (s == NULL) return;
    ak_buf_free(&s->seed);
    for (unsigned i = 0; i < AK_PURPOSE_count; i++) ak_buf_free(&s->given[i]);
    if (s->release != NULL) s->release(s->user);
    free(s);
}

void ak_lab_source_ask(ak_lab_source *s, ak_ask *ask, void (*release)(void *user), void *user) {
    s->ask = ask;
    s->release = release;
    s->user = user;
}

bool ak_lab_source_give(ak_lab_source *s, ak_purpose purpose, ak_view bytes) {
    return (unsigned)purpose < AK_PURPOSE_count && ak_buf_put_view(&s->given[purpose], bytes);
}

size_t ak_lab_source_left(const ak_lab_source *s, ak_purpose purpose) { return (unsigned)purpose < AK_PURPOSE_count ? s->given[purpose].n : 0; }

static bool block(const ak_lab_source *s, ak_purpose purpose, uint64_t n, uint64_t i, uint8_t out[32]) {
    ak_buf b;
    unsigned size = 0;
    ak_buf_init_secret(&b, AK_BUF_NO_LIMIT);
    ak_buf_put_view(&b, ak_buf_view(&s->seed));
    ak_buf_put(&b, names[purpose], strlen(names[purpose]) + 1);
    ak_buf_u64(&b, n);
    ak_buf_u64(&b, i);
    bool ok = !b.bad && EVP_Digest(b.p, b.n, out, &size, EVP_sha256(), NULL) == 1;
    ak_buf_free(&b);
    return ok;
}

static bool fill(void *user, ak_purpose purpose, uint8_t *out, size_t n, char *why, size_t why_n) {
    ak_lab_source *s = user;
    ak_buf *given = &s->given[purpose];
    size_t take = n < given->n ? n : given->n;
    uint8_t value[32];
    bool ok = true;
    if (take != 0) memcpy(out, given->p, take);
    ak_buf_drop(given, take);
    if (take == n) return true;
    if (s->ask != NULL && purpose != AK_PURPOSE_blinding) {
        ak_asked got = s->ask(s->user, names[purpose], out + take, n - take, why, why_n);
        if (got != AK_ASK_nothing) return got == AK_ASK_filled;
    }
    /* Blinding shows in no output: a lab of given values alone need not supply it. */
    if (s->seed.n == 0 && purpose != AK_PURPOSE_blinding) return false;
    uint64_t which = s->asked[purpose]++;
    for (size_t i = 0; ok && take + 32 * i < n; i++) {
        size_t at = take + 32 * i, part = n - at < 32 ? n - at : 32;
        ok = block(s, purpose, which, i, value);
        if (ok) memcpy(out + at, value, part);
    }
    ak_wipe(value, sizeof value);
    return ok;
}

static void release(void *user) { ak_lab_source_free(user); }

ak_source ak_lab_source_of(ak_lab_source *s) {
    ak_source source = {fill, release, s};
    return source;
}
