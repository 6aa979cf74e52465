/* transcript.h: the hash over all handshake messages (RFC 8446 §4.4.1, RFC 5246 §7.4.9).
 *
 * The raw bytes are kept until the hash function is known, and longer where a TLS 1.2 CertificateVerify may want another hash. */
#ifndef AK_HANDSHAKE_TRANSCRIPT_H
#define AK_HANDSHAKE_TRANSCRIPT_H

#include "crypto/provider.h"

typedef struct ak_transcript {
    ak_buf raw;
    bool keep_raw;
    ak_running hash;
    bool hashing;
} ak_transcript;

void ak_transcript_init(ak_transcript *t, size_t max);
void ak_transcript_free(ak_transcript *t);
/* ak_transcript_begin: the hash function is known: all so far is hashed. The raw bytes go away unless keep_raw. */
bool ak_transcript_begin(ak_transcript *t, ak_provider *p, ak_hash h);
bool ak_transcript_add(ak_transcript *t, ak_view message);
/* ak_transcript_value: the hash of all so far; its size is ak_hash_size of the begun hash. false: none was begun. */
bool ak_transcript_value(const ak_transcript *t, uint8_t out[AK_HASH_MAX], size_t *n);
/* ak_transcript_value_with: the hash of all so far and then some more bytes (a truncated ClientHello for binders). */
bool ak_transcript_value_with(const ak_transcript *t, ak_view more, uint8_t out[AK_HASH_MAX], size_t *n);
/* ak_transcript_forget_raw: nobody will want the raw bytes any more. */
void ak_transcript_forget_raw(ak_transcript *t);
/* ak_transcript_message_hash: replaces all so far by the synthetic message_hash message (HelloRetryRequest, RFC 8446 §4.4.1). */
bool ak_transcript_message_hash(ak_transcript *t, ak_provider *p, ak_hash h);

#endif
