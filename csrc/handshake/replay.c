/* replay.c: which early data has been seen (RFC 8446 §8.2): a set of fixed size that never forgets an entry before its time; when there is no room for another one,
 * the answer is no. */
#include "handshake/replay.h"

#include <stdlib.h>
#include <string.h>

#define WAYS 8
#define BUCKETS 1024 /* 8192 first flights within two windows */

typedef struct seen {
    uint8_t id[16];
    int64_t until; /* 0: free */
} seen;

struct ak_replay {
    int64_t since; /* milliseconds */
    seen buckets[BUCKETS][WAYS];
};

ak_replay *ak_replay_new(int64_t now_ms) {
    ak_replay *r = calloc(1, sizeof *r);
    if (r != NULL) r->since = now_ms;
    return r;
}

void ak_replay_free(ak_replay *r) { free(r); }

int64_t ak_replay_since(const ak_replay *r) { return r->since; }

bool ak_replay_first(ak_replay *r, const uint8_t id[32], int64_t now, int64_t until) {
    seen *bucket = r->buckets[(id[16] | id[17] << 8) % BUCKETS], *free_slot = NULL; /* id is a hash: any bytes of it will do */
    for (size_t i = 0; i < WAYS; i++) {
        if (bucket[i].until <= now) free_slot = &bucket[i];
        else if (memcmp(bucket[i].id, id, sizeof bucket[i].id) == 0) return false;
    }
    if (free_slot == NULL) return false;
    memcpy(free_slot->id, id, sizeof free_slot->id);
    free_slot->until = until;
    return true;
}
