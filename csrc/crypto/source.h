/* source.h: a lab's randomness: values that a script has given, purpose by purpose, and after them a stream from a seed. */
#ifndef AK_CRYPTO_SOURCE_H
#define AK_CRYPTO_SOURCE_H

#include "crypto/provider.h"

/* ak_lab_source: by its own lifetime (ak_provider_free of the lab's provider releases it). */
typedef struct ak_lab_source ak_lab_source;

/* ak_lab_source_new: seed (copied) may be empty: then only given values are handed out, and what was not given fails closed (AK_ERR_randomness),
 * blinding factors apart, which no output shows. */
ak_lab_source *ak_lab_source_new(ak_view seed);
void ak_lab_source_free(ak_lab_source *s);
/* ak_lab_source_give: bytes for a purpose, handed out in the order in which they were given, before the seed's. */
bool ak_lab_source_give(ak_lab_source *s, ak_purpose purpose, ak_view bytes);
/* ak_lab_source_left: given bytes that nobody has asked for yet. */
size_t ak_lab_source_left(const ak_lab_source *s, ak_purpose purpose);
/* ak_lab_source_ask: a function that is asked for what is not given, before the seed. It fills all of out: AK_ASK_filled; leaves it to the seed: AK_ASK_nothing; or
 * AK_ASK_failed, and then says why in `why`, at most n bytes. Blinding factors are not asked for: no output shows them. release: of user, with the source. */
typedef enum ak_asked { AK_ASK_nothing, AK_ASK_filled, AK_ASK_failed } ak_asked;
typedef ak_asked ak_ask(void *user, const char *purpose, uint8_t *out, size_t out_n, char *why, size_t n);
void ak_lab_source_ask(ak_lab_source *s, ak_ask *ask, void (*release)(void *user), void *user);
/* ak_lab_source_of: the source as ak_provider_new takes it. */
ak_source ak_lab_source_of(ak_lab_source *s);
/* ak_purpose_find: a purpose by its name; AK_PURPOSE_count when there is none. */
ak_purpose ak_purpose_find(const char *name);
const char *ak_purpose_name(ak_purpose p);

#endif
