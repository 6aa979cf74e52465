#include "crypto/journal.h"

#include "crypto/internal.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

typedef struct ak_journal {
    ak_buf notes;
    unsigned depth; /* of operations under way: only the outermost is noted */
} ak_journal;

bool ak_journal_keep(ak_provider *p) {
    if (!p->lab) return false;
    if (p->journal != NULL) return true;
    ak_journal *j = calloc(1, sizeof *j);
    if (j == NULL) return false;
    ak_buf_init_secret(&j->notes, AK_JOURNAL_MAX);
    p->journal = j;
    return true;
}

void ak_journal_stop(ak_provider *p) {
    if (p->journal == NULL) return;
    ak_buf_free(&p->journal->notes);
    free(p->journal);
    p->journal = NULL;
}

/* What an operation costs is the processor's time, not the time that other programs took meanwhile. */
static uint64_t now(void) {
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

uint64_t ak_journal_begin(ak_provider *p) {
    if (p == NULL || p->journal == NULL) return 0;
    p->journal->depth++;
    return now() | 1; /* never 0, and a nanosecond is neither here nor there */
}

/* Names are written as pointers: both ends are in this process, and they outlive the journal. */
static void put(ak_buf *b, const ak_note *n) {
    size_t before = b->n;
    const ak_view parts[] = {n->secret, n->context, n->context_b, n->out};
    const uint64_t head[] = {n->bytes, n->ns};
    bool ok = ak_buf_put(b, &n->op, sizeof n->op) && ak_buf_put(b, &n->what, sizeof n->what) && ak_buf_put(b, head, sizeof head);
    for (size_t i = 0; ok && i < sizeof parts / sizeof parts[0]; i++) ok = ak_buf_u32(b, (uint32_t)parts[i].n) && ak_buf_put_view(b, parts[i]);
    if (ok) return;
    b->n = before; /* full: the note is left out whole */
    b->bad = false;
}

void ak_journal_end(ak_provider *p, uint64_t begun, const ak_note *n) {
    if (begun == 0 || p->journal == NULL) return;
    if (--p->journal->depth != 0) return;
    ak_note timed = *n;
    uint64_t end = now();
    timed.ns = end > begun ? end - begun : 0; /* a clock that goes by ticks may stand still meanwhile */
    put(&p->journal->notes, &timed);
}

void ak_journal_random(ak_provider *p, const char *purpose, ak_view out) {
    if (p->journal == NULL) return;
    ak_note n = {.op = "random", .what = purpose, .out = out, .bytes = out.n};
    put(&p->journal->notes, &n);
}

bool ak_journal_read(const ak_provider *p, size_t *at, ak_note *n) {
    uint64_t head[2];
    uint32_t size;
    if (p->journal == NULL || *at >= p->journal->notes.n) return false;
    const uint8_t *b = p->journal->notes.p + *at;
    memcpy(&n->op, b, sizeof n->op);
    b += sizeof n->op;
    memcpy(&n->what, b, sizeof n->what);
    b += sizeof n->what;
    memcpy(head, b, sizeof head);
    b += sizeof head;
    n->bytes = (size_t)head[0];
    n->ns = head[1];
    ak_view *const parts[] = {&n->secret, &n->context, &n->context_b, &n->out};
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
        size = (uint32_t)b[0] << 24 | (uint32_t)b[1] << 16 | (uint32_t)b[2] << 8 | b[3];
        *parts[i] = ak_view_of(b + 4, size);
        b += 4 + size;
    }
    *at = (size_t)(b - p->journal->notes.p);
    return true;
}

void ak_journal_taken(ak_provider *p) {
    if (p->journal != NULL) ak_buf_clear(&p->journal->notes);
}
