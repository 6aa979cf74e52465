/* secret.h: a short secret (a key, a PRF or HKDF output, a pre-master secret) with its length.
 * Copies are explicit; every release wipes. Larger secrets live in a secret ak_buf. */
#ifndef AK_BASE_SECRET_H
#define AK_BASE_SECRET_H

#include "base/buf.h"

/* 64 bytes hold every key-schedule secret of TLS 1.0-1.3 and an SHA-512 value. A pre-master secret can be
 * longer (FFDHE-8192: 1024 bytes; PSK mixes): those travel in a secret ak_buf. */
#define AK_SECRET_MAX 64

typedef struct ak_secret {
    uint8_t p[AK_SECRET_MAX];
    uint8_t n;
} ak_secret;

/* ak_secret_set: copies n bytes in; false (and an empty secret) when n > AK_SECRET_MAX. */
bool ak_secret_set(ak_secret *s, const void *p, size_t n);
void ak_secret_wipe(ak_secret *s);
static inline ak_view ak_secret_view(const ak_secret *s) { return ak_view_of(s->p, s->n); }

#endif
