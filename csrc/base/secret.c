#include "base/secret.h"

#include <string.h>

bool ak_secret_set(ak_secret *s, const void *p, size_t n) {
    ak_secret_wipe(s);
    if (n > AK_SECRET_MAX) return false;
    if (n != 0) memcpy(s->p, p, n);
    s->n = (uint8_t)n;
    return true;
}

void ak_secret_wipe(ak_secret *s) { ak_wipe(s, sizeof *s); }
