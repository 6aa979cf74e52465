/* journal.h: what a provider was asked to do, written down for a lab's trace: key derivations with their inputs, public-key operations, records, and the
 * randomness drawn, each with the time it took. Only a lab's provider can keep one, as it holds every secret in the clear; with none kept, an
 * operation costs one test of a pointer. */
#ifndef AK_CRYPTO_JOURNAL_H
#define AK_CRYPTO_JOURNAL_H

#include "crypto/provider.h"

/* ak_note: one operation. Strings are literals or live as long as the tables they come from. */
typedef struct ak_note {
    const char *op;   /* "prf", "hkdf_extract", "hkdf_expand_label", "key_share", "key_agreement", "sign", "verify", "rsa_encrypt", "rsa_decrypt", "seal", "open", "random" */
    const char *what; /* label, scheme, group, cipher or purpose */
    ak_view secret;   /* what it was derived from */
    ak_view context, context_b; /* seed, transcript hash, salt */
    ak_view out;
    size_t bytes;     /* of data that went through it */
    uint64_t ns;
} ak_note;

/* The journal's size at which it takes no more (a lab that traces and never reads). */
#define AK_JOURNAL_MAX ((size_t)64 << 20)

/* ak_journal_keep: starts a journal (false: no memory, or not a lab's provider). ak_journal_stop: ends it and wipes what was not taken. */
bool ak_journal_keep(ak_provider *p);
void ak_journal_stop(ak_provider *p);

/* ak_journal_begin / ak_journal_end: around an operation; what begins inside another one is part of that. `begun` is what begin returned; 0: no journal. */
uint64_t ak_journal_begin(ak_provider *p);
void ak_journal_end(ak_provider *p, uint64_t begun, const ak_note *n);
/* ak_journal_random: randomness that was handed out. */
void ak_journal_random(ak_provider *p, const char *purpose, ak_view out);

/* ak_journal_read: the note at *at (an offset, 0 at first), which moves on to the next; false at the end. Views last until the journal changes. */
bool ak_journal_read(const ak_provider *p, size_t *at, ak_note *n);
/* ak_journal_taken: what was read is forgotten. */
void ak_journal_taken(ak_provider *p);

#endif
