#include "base/error.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static const struct {
    const char *code;
    const char *text;
    int alert;
} errors[AK_ERR_COUNT] = {
    [AK_OK] = {"ok", "no error", AK_ALERT_none},
#define AK_E(name, alert, text) [AK_ERR_##name] = {#name, text, AK_ALERT_##alert},
#include "base/error.def"
#undef AK_E
};

static const struct {
    int value;
    const char *name;
} alerts[] = {
#define AK_ALERT(name, value) {value, #name},
#include "base/alert.def"
#undef AK_ALERT
};

static ak_error known(ak_error e) { return (unsigned)e < AK_ERR_COUNT ? e : AK_ERR_internal_error; }

const char *ak_error_code(ak_error e) { return errors[known(e)].code; }
const char *ak_error_text(ak_error e) { return errors[known(e)].text; }
int ak_error_alert(ak_error e) { return errors[known(e)].alert; }

ak_error ak_error_by_code(const char *code) {
    for (unsigned i = 1; i < AK_ERR_COUNT; i++)
        if (strcmp(errors[i].code, code) == 0) return (ak_error)i;
    return AK_OK;
}

const char *ak_alert_name(int alert) {
    for (size_t i = 0; i < sizeof alerts / sizeof alerts[0]; i++)
        if (alerts[i].value == alert) return alerts[i].name;
    return NULL;
}

int ak_alert_by_name(const char *name) {
    for (size_t i = 0; i < sizeof alerts / sizeof alerts[0]; i++)
        if (strcmp(alerts[i].name, name) == 0) return alerts[i].value;
    return -1;
}

ak_error ak_fail(ak_failure *f, ak_error e, const char *fmt, ...) {
    if (f == NULL || f->error != AK_OK) return e;
    f->error = e;
    f->alert = ak_error_alert(e);
    f->from_peer = false;
    f->said = 0;
    f->detail[0] = '\0';
    if (fmt != NULL) {
        va_list ap;
        va_start(ap, fmt);
        vsnprintf(f->detail, sizeof f->detail, fmt, ap);
        va_end(ap);
    }
    return e;
}
