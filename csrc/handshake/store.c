/* store.c: a server's sessions by id, in memory, bounded in number and in bytes. A hash table with chains, and a list in order of age. */
#include "akushu.h"

#include <stdlib.h>
#include <string.h>

typedef struct entry {
    struct entry *chain;          /* same bucket */
    struct entry *older, *newer;  /* by age */
    uint64_t hash;
    int64_t expires;
    uint8_t id[32];
    uint8_t id_n;
    ak_buf value;                 /* secret */
} entry;

struct ak_store {
    unsigned refs;
    size_t max, count, n_buckets;
    size_t bytes, most_bytes; /* of all values */
    entry **buckets;
    entry *oldest, *newest;
};

ak_store *ak_store_new(size_t max) {
    ak_store *s = calloc(1, sizeof *s);
    if (s == NULL) return NULL;
    s->refs = 1;
    s->max = max == 0 ? 1 : max;
    s->most_bytes = s->max < SIZE_MAX / AK_STORE_BYTES ? s->max * AK_STORE_BYTES : SIZE_MAX;
    s->n_buckets = 16;
    while (s->n_buckets < s->max && s->n_buckets < 1u << 20) s->n_buckets *= 2;
    s->buckets = calloc(s->n_buckets, sizeof(entry *));
    if (s->buckets == NULL) {
        free(s);
        return NULL;
    }
    return s;
}

ak_store *ak_store_ref(ak_store *s) {
    s->refs++;
    return s;
}

/* Ids are our own random bytes, or a peer's guess at them: FNV-1a is enough to spread them, and the table is bounded. */
static uint64_t hash_of(ak_view id) {
    uint64_t h = 14695981039346656037u;
    for (size_t i = 0; i < id.n; i++) h = (h ^ id.p[i]) * 1099511628211u;
    return h;
}

static entry **find(ak_store *s, ak_view id) {
    uint64_t h = hash_of(id);
    entry **e = &s->buckets[h & (s->n_buckets - 1)];
    while (*e != NULL && !((*e)->hash == h && ak_view_eq(ak_view_of((*e)->id, (*e)->id_n), id))) e = &(*e)->chain;
    return e;
}

static void drop(ak_store *s, entry **where) {
    entry *e = *where;
    *where = e->chain;
    if (e->older != NULL) e->older->newer = e->newer;
    else s->oldest = e->newer;
    if (e->newer != NULL) e->newer->older = e->older;
    else s->newest = e->older;
    s->count--;
    s->bytes -= e->value.n;
    ak_buf_free(&e->value);
    free(e);
}

void ak_store_free(ak_store *s) {
    if (s == NULL || --s->refs > 0) return;
    while (s->oldest != NULL) drop(s, find(s, ak_view_of(s->oldest->id, s->oldest->id_n)));
    free(s->buckets);
    free(s);
}

bool ak_store_put(ak_store *s, ak_view id, ak_view value, int64_t expires) {
    if (id.n == 0 || id.n > 32) return false;
    ak_store_remove(s, id);
    /* a client may send 64 KiB of certificates: whoever has a good one could otherwise make every session that large */
    while (s->count >= s->max || (s->count != 0 && s->bytes + value.n > s->most_bytes)) drop(s, find(s, ak_view_of(s->oldest->id, s->oldest->id_n)));
    entry *e = calloc(1, sizeof *e);
    if (e == NULL) return false;
    ak_buf_init_secret(&e->value, 1 << 20);
    if (!ak_buf_put_view(&e->value, value)) {
        ak_buf_free(&e->value);
        free(e);
        return false;
    }
    e->hash = hash_of(id);
    e->expires = expires;
    memcpy(e->id, id.p, id.n);
    e->id_n = (uint8_t)id.n;
    entry **bucket = &s->buckets[e->hash & (s->n_buckets - 1)];
    e->chain = *bucket;
    *bucket = e;
    e->older = s->newest;
    if (s->newest != NULL) s->newest->newer = e;
    else s->oldest = e;
    s->newest = e;
    s->count++;
    s->bytes += value.n;
    return true;
}

bool ak_store_get(ak_store *s, ak_view id, int64_t now, ak_view *value) {
    entry **e = find(s, id);
    if (*e == NULL) return false;
    if ((*e)->expires <= now) {
        drop(s, e);
        return false;
    }
    *value = ak_buf_view(&(*e)->value);
    return true;
}

void ak_store_remove(ak_store *s, ak_view id) {
    entry **e = find(s, id);
    if (*e != NULL) drop(s, e);
}

size_t ak_store_count(const ak_store *s) { return s->count; }
