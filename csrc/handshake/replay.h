/* replay.h: a server's memory of the early data it has accepted (RFC 8446 §8). Private to the handshake room. */
#ifndef AK_HANDSHAKE_REPLAY_H
#define AK_HANDSHAKE_REPLAY_H

#include <stdbool.h>
#include <stdint.h>

typedef struct ak_replay ak_replay;

ak_replay *ak_replay_new(int64_t now_ms); /* NULL: out of memory */
void ak_replay_free(ak_replay *r);
/* ak_replay_first: whether this one (a hash of what is different in every first flight) is new; it is remembered until then. */
bool ak_replay_first(ak_replay *r, const uint8_t id[32], int64_t now, int64_t until);
/* ak_replay_since: from when on it has seen everything, in milliseconds. */
int64_t ak_replay_since(const ak_replay *r);

#endif
