/* error.h: a typed cause first; code, text and alert derived from it in one place (error.def). */
#ifndef AK_BASE_ERROR_H
#define AK_BASE_ERROR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Alert descriptions, RFC 8446 §6 and RFC 5246 §7.2. AK_ALERT_none: no alert goes out. */
enum {
#define AK_ALERT(name, value) AK_ALERT_##name = value,
#include "base/alert.def"
#undef AK_ALERT
    AK_ALERT_none = 256
};

typedef enum ak_error {
    AK_OK = 0,
#define AK_E(name, alert, text) AK_ERR_##name,
#include "base/error.def"
#undef AK_E
    AK_ERR_COUNT
} ak_error;

/* ak_error_code: the stable code ("bad_record_mac"); "ok" for AK_OK. Never NULL. */
const char *ak_error_code(ak_error e);
/* ak_error_text: the cause in words, one sentence without a full stop. */
const char *ak_error_text(ak_error e);
/* ak_error_alert: the AlertDescription to send, or AK_ALERT_none. */
int ak_error_alert(ak_error e);
/* ak_error_by_code: the error with this code, or AK_OK. */
ak_error ak_error_by_code(const char *code);

/* ak_alert_name: "handshake_failure" for 40; NULL for a number that has no name. */
const char *ak_alert_name(int alert);
/* ak_alert_by_name: the number, or -1. */
int ak_alert_by_name(const char *name);

/* ak_failure: what a failed call says. `detail` says where and what, in words that hold no secret; `alert` is the one
 * that was sent (origin local) or received (origin peer), or AK_ALERT_none. */
typedef struct ak_failure {
    ak_error error;
    int alert;
    bool from_peer;
    const char *state; /* what was being waited for or done; a static string */
    unsigned said;     /* what an alert said that nobody vouches for, and one more (so that 0 is none): TLS 1.3, unprotected where it had to be protected */
    char detail[232];
} ak_failure;

#if defined(__GNUC__) || defined(__clang__)
#define AK_PRINTF(f, a) __attribute__((format(printf, f, a)))
#else
#define AK_PRINTF(f, a)
#endif

/* ak_failure_init: *f holds no error. Like {0}, but that nobody waits for 232 bytes of detail to be zeroed: what every record and step comes by. */
static inline void ak_failure_init(ak_failure *f) {
    f->error = AK_OK;
    f->alert = 0;
    f->from_peer = false;
    f->state = NULL;
    f->said = 0;
    f->detail[0] = '\0';
}

/* ak_fail: fills *f (if it holds no error yet: the first cause wins) and returns e, so that
 * `return ak_fail(f, AK_ERR_decode_error, "…")` reads well. fmt may be NULL. */
ak_error ak_fail(ak_failure *f, ak_error e, const char *fmt, ...) AK_PRINTF(3, 4);

#endif
