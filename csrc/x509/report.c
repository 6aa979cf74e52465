/* report.c: the memory of a verification, and its words. */
#include "x509/internal.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

/* ---- findings ---- */

static void reason_free(ak_reason *r) {
    ak_cert_free(r->cert);
    free(r->text);
}

void ak_findings_free(ak_findings *s) {
    for (size_t i = 0; i < s->n; i++) reason_free(&s->items[i]);
    free(s->items);
    memset(s, 0, sizeof *s);
}

static bool room(ak_findings *s) {
    if (s->n < s->cap) return true;
    size_t cap = s->cap > 0 ? s->cap * 2 : 4;
    ak_reason *items = realloc(s->items, cap * sizeof *items);
    if (items == NULL) return false;
    s->items = items;
    s->cap = cap;
    return true;
}

void ak_find(ak_findings *s, ak_error e, const char *code, size_t depth, ak_cert *cert, const char *section, const char *fmt, ...) {
    if (s->first == AK_OK && e != AK_OK) {
        s->first = e;
        s->first_depth = depth;
    }
    if (s->quiet || s->n == AK_REPORT_REASONS) return;
    char text[516]; /* a code point more than is kept: to see where the last one ends */
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    size_t length = n < 0 ? 0 : ak_text_whole(ak_view_of(text, (size_t)n < sizeof text ? (size_t)n : sizeof text - 1), 511);
    char *copy = malloc(length + 1);
    if (copy == NULL || !room(s)) {
        free(copy);
        s->failed = true;
        return;
    }
    memcpy(copy, text, length);
    copy[length] = '\0';
    ak_reason *r = &s->items[s->n++];
    r->error = e;
    r->code = code != NULL ? code : ak_error_code(e);
    r->depth = depth;
    r->cert = ak_cert_ref(cert);
    r->text = copy;
    r->section = section;
}

unsigned ak_severity(ak_error e) {
    /* The most important first: what cannot be read or was forged, then who vouches, then for what and how, then until when, then for whom. A person who is
     * told one thing should be told the one that no other explanation makes harmless. */
    static const ak_error order[] = {
        AK_ERR_out_of_memory,         AK_ERR_no_certificate,
        AK_ERR_bad_certificate,       AK_ERR_certificate_signature,
        AK_ERR_certificate_revoked,   AK_ERR_distrusted,
        AK_ERR_self_signed,
        AK_ERR_unknown_ca,            AK_ERR_not_a_ca,
        AK_ERR_name_constraint,       AK_ERR_path_too_long,
        AK_ERR_unknown_critical_extension, AK_ERR_certificate_policy,
        AK_ERR_wrong_purpose,         AK_ERR_certificate_profile,
        AK_ERR_unsupported_certificate, AK_ERR_weak_signature,
        AK_ERR_key_too_short,         AK_ERR_certificate_expired,
        AK_ERR_certificate_not_yet_valid, AK_ERR_bad_host_name,
        AK_ERR_host_mismatch,         AK_ERR_must_staple,
        AK_ERR_bad_ocsp_response,     AK_ERR_bad_crl,
        AK_ERR_revocation_unknown,
        AK_ERR_verify_budget,
    };
    unsigned n = sizeof order / sizeof order[0];
    for (unsigned i = 0; i < n; i++)
        if (order[i] == e) return i;
    return e == AK_OK ? n + 1 : 0;
}

/* ---- the object ---- */

ak_report *ak_report_ref(ak_report *r) {
    if (r != NULL) r->refs++;
    return r;
}

void ak_report_free(ak_report *r) {
    if (r == NULL || --r->refs > 0) return;
    free(r->host);
    ak_chain_clear(&r->path);
    for (size_t i = 0; i < r->n_reasons; i++) reason_free(&r->reasons[i]);
    for (size_t i = 0; i < r->n_warnings; i++) reason_free(&r->warnings[i]);
    for (size_t i = 0; i < r->n_tried; i++)
        for (size_t j = 0; j < r->tried[i].n; j++) ak_cert_free(r->tried[i].certs[j]);
    free(r->reasons);
    free(r->warnings);
    free(r->tried);
    free(r);
}

bool ak_report_has(const ak_report *r, ak_error e) {
    for (size_t i = 0; i < r->n_reasons; i++)
        if (r->reasons[i].error == e) return true;
    return false;
}

/* ---- in words ---- */

static bool quoted(ak_view name, ak_buf *out) { return ak_puts(out, "\"") && ak_name_brief(name, out) && ak_puts(out, "\""); }

/* days: a span of time as people say it. */
static void span(int64_t seconds, ak_buf *out) {
    int64_t minutes = seconds / 60, hours = minutes / 60, days = hours / 24;
    if (days >= 2) ak_printf(out, "%lld days", (long long)days);
    else if (hours >= 2) ak_printf(out, "%lld hours", (long long)hours);
    else if (minutes >= 2) ak_printf(out, "%lld minutes", (long long)minutes);
    else ak_printf(out, "%lld seconds", (long long)seconds);
}

/* headline: what a browser would put on its page. */
static void headline(const ak_report *r, ak_buf *out) {
    const ak_cert *leaf = r->path.n > 0 ? r->path.certs[0] : NULL;
    const char *host = r->host != NULL && r->host[0] != '\0' ? r->host : "the peer";
    if (r->verdict == AK_OK) {
        const ak_cert *anchor = r->path.certs[r->path.n - 1];
        ak_printf(out, "The certificate of %s is good: ", host);
        if (r->path.n == 1) {
            ak_puts(out, "it is itself trusted here");
        } else {
            quoted(anchor->subject, out);
            ak_puts(out, r->path.n == 2 ? " vouches for it" : " vouches for it through ");
            for (size_t i = r->path.n - 2; i > 0; i--) {
                quoted(r->path.certs[i]->subject, out);
                if (i > 1) ak_puts(out, ", ");
            }
        }
        ak_puts(out, ".\n");
        return;
    }
    ak_printf(out, "This connection cannot be trusted (%s).\n", ak_error_code(r->verdict));
    switch (r->verdict) {
    case AK_ERR_unknown_ca:
        ak_printf(out, "%s proves who it is with a certificate that nobody trusted here vouches for. It may be %s, or somebody who pretends to be.\n", host,
                  r->host != NULL ? host : "who it says");
        break;
    case AK_ERR_self_signed:
        ak_printf(out, "%s vouches for itself: its certificate is signed with its own key. Anybody could have made it.\n", host);
        break;
    case AK_ERR_certificate_expired:
        ak_printf(out, "The proof of who %s is %s", host, leaf != NULL && leaf->not_after < r->time ? "expired" : "has expired");
        if (leaf != NULL && leaf->not_after < r->time) {
            ak_puts(out, " ");
            span(r->time - leaf->not_after, out);
            ak_puts(out, " ago");
        }
        ak_puts(out, ". Or the clock here is wrong.\n");
        break;
    case AK_ERR_certificate_not_yet_valid:
        ak_printf(out, "The proof of who %s is does not hold yet. Perhaps the clock here is wrong.\n", host);
        break;
    case AK_ERR_host_mismatch:
        ak_printf(out, "The certificate is not for %s: it may belong to another site that somebody put in its place.\n", host);
        break;
    case AK_ERR_bad_host_name: ak_puts(out, "What it should be checked for is neither a host name nor an address.\n"); break;
    case AK_ERR_distrusted:
        ak_printf(out, "%s proves who it is with a certificate that is not to be trusted any more: it, or one above it, is on the list of those that were given up.\n", host);
        break;
    case AK_ERR_certificate_revoked:
        ak_printf(out, "The certificate of %s, or one above it, was withdrawn by the one who issued it.\n", host);
        break;
    case AK_ERR_must_staple:
    case AK_ERR_revocation_unknown:
    case AK_ERR_bad_ocsp_response:
    case AK_ERR_bad_crl:
        ak_printf(out, "Nobody could say reliably whether the certificate of %s, or one above it, has been withdrawn.\n", host);
        break;
    case AK_ERR_certificate_signature:
        ak_printf(out, "The certificate of %s, or one above it, was changed or forged: its signature is wrong.\n", host);
        break;
    case AK_ERR_key_too_short:
    case AK_ERR_weak_signature:
        ak_printf(out, "The certificate of %s uses cryptography that can be broken.\n", host);
        break;
    default:
        ak_printf(out, "The certificate of %s is not acceptable: %s.\n", host, ak_error_text(r->verdict));
        break;
    }
}

#define LINE_MAX_NAME 512  /* bytes of a whole name in the list of a path */
#define LINE_MAX_SERIAL 48 /* of a serial number there: twenty bytes are the most that a CA may give */

static void certificate_line(const ak_cert *c, size_t depth, ak_buf *out) {
    ak_printf(out, "  %zu  ", depth);
    ak_buf name, serial;
    ak_buf_init(&name, 2 * LINE_MAX_NAME);
    ak_buf_init(&serial, AK_CERT_MAX_BYTES * 2);
    bool all = ak_name_print(c->subject, &name);
    size_t shown = ak_text_whole(ak_buf_view(&name), LINE_MAX_NAME);
    ak_buf_put(out, name.p, shown);
    ak_puts(out, all && shown == name.n ? "\n     valid " : "…\n     valid ");
    ak_time_print(c->not_before, out);
    ak_puts(out, " to ");
    ak_time_print(c->not_after, out);
    ak_puts(out, ", serial ");
    ak_cert_serial(c, &serial);
    ak_buf_put(out, serial.p, serial.n < LINE_MAX_SERIAL ? serial.n : LINE_MAX_SERIAL);
    ak_puts(out, serial.n > LINE_MAX_SERIAL ? "…\n" : "\n");
    ak_buf_free(&name);
    ak_buf_free(&serial);
}

static void reason_lines(const char *title, const ak_reason *list, size_t n, ak_buf *out) {
    if (n == 0) return;
    ak_printf(out, "%s:\n", title);
    for (size_t i = 0; i < n; i++) {
        const ak_reason *r = &list[i];
        ak_printf(out, "  %s: ", r->code);
        if (r->cert != NULL) {
            quoted(r->cert->subject, out);
            ak_printf(out, " (depth %zu): ", r->depth);
        }
        ak_puts(out, r->text);
        if (r->section != NULL) ak_printf(out, " [%s]", r->section);
        ak_puts(out, "\n");
    }
}

static void tried_lines(const ak_report *r, ak_buf *out) {
    if (r->n_tried < 2) return; /* one path is the path above */
    ak_puts(out, "Paths tried:\n");
    for (size_t i = 0; i < r->n_tried; i++) {
        const ak_tried *t = &r->tried[i];
        ak_printf(out, "  %zu. ", i + 1);
        for (size_t j = 0; j < t->n; j++) {
            if (j > 0) ak_puts(out, " < ");
            quoted(t->certs[j]->subject, out);
        }
        if (t->error == AK_OK) ak_puts(out, ": taken\n");
        else ak_printf(out, ": %s at depth %zu\n", ak_error_code(t->error), t->depth);
    }
    if (r->n_more > 0) ak_printf(out, "  and %zu more\n", r->n_more);
}

bool ak_report_text(const ak_report *r, ak_buf *out) {
    headline(r, out);
    reason_lines("Why", r->reasons, r->n_reasons, out);
    reason_lines("Worth knowing", r->warnings, r->n_warnings, out);
    if (r->path.n > 0) {
        ak_puts(out, r->anchored ? "Path, up to a trusted CA:\n" : "Path, as far as it goes:\n");
        for (size_t i = 0; i < r->path.n; i++) certificate_line(r->path.certs[i], i, out);
    }
    tried_lines(r, out);
    ak_printf(out, "Checked as a %s%s%s at ", r->purpose == AK_USE_server ? "server" : "client", r->host != NULL ? ", for the name " : "",
              r->host != NULL ? r->host : "");
    ak_time_print(r->time, out);
    ak_printf(out, ", with %zu trusted CA%s and %u signature check%s", r->anchors, r->anchors == 1 ? "" : "s", r->signatures, r->signatures == 1 ? "" : "s");
    if (r->revocation_by != NULL) ak_printf(out, "; revocation by %s", r->revocation_by);
    return ak_puts(out, ".\n");
}
