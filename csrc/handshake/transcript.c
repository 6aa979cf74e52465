#include "handshake/transcript.h"

#include <string.h>

void ak_transcript_init(ak_transcript *t, size_t max) {
    memset(t, 0, sizeof *t);
    ak_buf_init(&t->raw, max);
    t->keep_raw = true;
}

void ak_transcript_free(ak_transcript *t) {
    ak_buf_free(&t->raw);
    t->hashing = false;
}

bool ak_transcript_begin(ak_transcript *t, ak_provider *p, ak_hash h) {
    t->hashing = ak_running_init(&t->hash, p, h);
    if (t->hashing) ak_running_add(&t->hash, ak_buf_view(&t->raw));
    if (!t->keep_raw) ak_buf_free(&t->raw);
    return t->hashing;
}

bool ak_transcript_add(ak_transcript *t, ak_view message) {
    if ((!t->hashing || t->keep_raw) && !ak_buf_put_view(&t->raw, message)) return false;
    if (t->hashing) ak_running_add(&t->hash, message);
    return true;
}

bool ak_transcript_value(const ak_transcript *t, uint8_t out[AK_HASH_MAX], size_t *n) {
    if (!t->hashing) return false;
    ak_running_value(&t->hash, out);
    *n = ak_hash_size(t->hash.hash);
    return true;
}

bool ak_transcript_value_with(const ak_transcript *t, ak_view more, uint8_t out[AK_HASH_MAX], size_t *n) {
    if (!t->hashing) return false;
    ak_running copy = t->hash;
    ak_running_add(&copy, more);
    ak_running_value(&copy, out);
    *n = ak_hash_size(copy.hash);
    ak_wipe(&copy, sizeof copy); /* SSL 3.0: with the master secret in it */
    return true;
}

void ak_transcript_forget_raw(ak_transcript *t) {
    t->keep_raw = false;
    if (t->hashing) ak_buf_free(&t->raw);
}

bool ak_transcript_message_hash(ak_transcript *t, ak_provider *p, ak_hash h) {
    uint8_t synthetic[4 + AK_HASH_MAX] = {254, 0, 0, 0}; /* HandshakeType message_hash */
    size_t n = ak_hash_size(h);
    if (t->hashing) {
        if (t->hash.hash != h) return false;
        ak_running_value(&t->hash, synthetic + 4);
    } else if (!ak_digest(p, h, ak_buf_view(&t->raw), ak_view_of(NULL, 0), ak_view_of(NULL, 0), synthetic + 4)) {
        return false;
    }
    synthetic[3] = (uint8_t)n;
    ak_buf_clear(&t->raw);
    if (!ak_buf_put(&t->raw, synthetic, 4 + n)) return false;
    return ak_transcript_begin(t, p, h);
}
