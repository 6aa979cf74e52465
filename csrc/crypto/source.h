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
/* ak_lab_source_of: the source as ak_provider_new takes it. */
ak_source ak_lab_source_of(ak_lab_source *s);
/* ak_purpose_find: a purpose by its name; AK_PURPOSE_count when there is none. */
ak_purpose ak_purpose_find(const char *name);
const char *ak_purpose_name(ak_purpose p);

#endif
