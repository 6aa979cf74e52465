/* record.h: the record layer, one direction at a time, without I/O (RFC 5246 §6, RFC 8446 §5).
 *
 * deframe.c splits the incoming stream into records and holds only what is incomplete; protect.c seals and opens one record with the current
 * keys; fragment.c cuts plaintext into records. None of them knows what a message means. */
#ifndef AK_RECORD_RECORD_H
#define AK_RECORD_RECORD_H

#include "crypto/suites.h"

enum { /* ContentType */
    AK_CT_change_cipher_spec = 20,
    AK_CT_alert = 21,
    AK_CT_handshake = 22,
    AK_CT_application_data = 23,
    AK_CT_heartbeat = 24
};

#define AK_RECORD_HEADER 5
#define AK_PLAINTEXT_MAX 16384
#define AK_CIPHERTEXT_MAX_12 (16384 + 2048)
#define AK_CIPHERTEXT_MAX_13 (16384 + 256)

/* ---- deframe ------------------------------------------------------------------------------------------------------------- */

typedef struct ak_record {
    uint8_t type;
    uint16_t version;
    ak_view header;   /* its 5 bytes */
    ak_view fragment; /* as it came; valid until the next call on the deframer */
} ak_record;

/* ak_deframer: feed() lends it bytes, next() hands out whole records in place (no copy while the input holds whole records),
 * keep() stashes what was not handed out so that the lent bytes may go away: less than one record when next() was called until it wanted
 * more bytes. Each byte is copied once at most. keep() with nothing left releases the stash: an idle connection holds no memory here. */
typedef struct ak_deframer {
    ak_buf stash;
    ak_view lent;
    size_t stash_used;   /* bytes of the stash already handed out */
    uint16_t version;    /* 0: not known yet (any 3.x of a first record); else what a record's version must be (1.3: 0x0303 on the wire) */
    uint16_t max_fragment; /* the largest fragment length allowed now */
    bool first;          /* no record was seen yet: garbage gets its own names (HTTP …) */
} ak_deframer;

void ak_deframer_init(ak_deframer *d);
void ak_deframer_free(ak_deframer *d);
/* ak_deframer_feed: bytes fed before that were neither handed out nor kept are kept now (they must still be there). Fragments handed out
 * before are gone. */
void ak_deframer_feed(ak_deframer *d, ak_view bytes);
/* ak_deframer_next: AK_OK and *got true with a record; AK_OK and *got false: more bytes are needed; else AK_ERR_not_tls, http_request,
 * https_proxy_request, wrong_record_version, record_too_long, invalid_record_type, out_of_memory. A header is judged as soon as its 5 bytes
 * are there. An error stays: the record is not passed over. */
ak_error ak_deframer_next(ak_deframer *d, ak_record *out, bool *got, ak_failure *f);
bool ak_deframer_keep(ak_deframer *d); /* false: out of memory */
bool ak_deframer_empty(const ak_deframer *d); /* nothing incomplete is held */
/* ak_deframer_take: appends all bytes not yet handed out to out, and is empty then (a connection that changes hands). False: out of memory, and
 * nothing changed. */
bool ak_deframer_take(ak_deframer *d, ak_buf *out);

/* ---- protect ------------------------------------------------------------------------------------------------------------- */

/* ak_protect: the protection of one direction: null at first, then keyed. Kept cipher context, sequence number, IV. */
typedef struct ak_protect ak_protect;

ak_protect *ak_protect_new(ak_provider *p); /* null protection */
void ak_protect_free(ak_protect *x);        /* wipes keys */
/* ak_protect_set12: keys of TLS <= 1.2 (mac_key empty for AEAD; iv: fixed nonce part, or the CBC IV of TLS 1.0). seal: this direction writes. Resets the sequence number. */
ak_error ak_protect_set12(ak_protect *x, const ak_suite *suite, uint16_t version, bool etm, bool seal, ak_view mac_key, ak_view key, ak_view iv, ak_failure *f);
/* ak_protect_set13: keys of TLS 1.3 from a traffic secret ("key", "iv"). Resets the sequence number. */
ak_error ak_protect_set13(ak_protect *x, const ak_suite *suite, bool seal, ak_view traffic_secret, ak_failure *f);
bool ak_protect_active(const ak_protect *x); /* keyed? */
bool ak_protect_is_13(const ak_protect *x);
uint64_t ak_protect_seq(const ak_protect *x);
/* ak_protect_set_seq: for labs and for forks of a connection. */
void ak_protect_set_seq(ak_protect *x, uint64_t seq);
/* ak_protect_limit: how many records may still be protected under this key (RFC 8446 §5.5; 2^64-1 at most). Advice: ak_seal itself goes on
 * until the sequence numbers end. */
uint64_t ak_protect_limit(const ak_protect *x);
/* ak_protect_chains_iv: CBC of TLS 1.0 and SSL 3.0, where a record's IV is the end of the one before. */
bool ak_protect_chains_iv(const ak_protect *x);
/* ak_protect_provider: the one it was made with. */
ak_provider *ak_protect_provider(const ak_protect *x);
/* ak_protect_clone: an independent copy (forks); NULL: out of memory. */
ak_protect *ak_protect_clone(const ak_protect *x);

/* ak_seal_size: exactly the bytes that one record with n bytes of plaintext (and pad bytes of TLS 1.3 padding) takes on the wire, header
 * included. */
size_t ak_seal_size(const ak_protect *x, size_t n, size_t pad);
/* ak_seal: writes one whole record (header, then protected or plain fragment) of n bytes to out, which has room for ak_seal_size() bytes;
 * *out_n: bytes written. plain must not overlap out. record_version goes into the header and what is authenticated (TLS 1.3: always 0x0303 once keyed). That n
 * is at most AK_PLAINTEXT_MAX is the caller's business (a lab may want more): only what does not fit the length field is refused.
 * Errors: AK_ERR_sequence_exhausted (2^64 - 1 records were sealed), crypto_failed, randomness, internal_error. After an error the sequence number
 * is as before and out holds nothing secret. */
ak_error ak_seal(ak_protect *x, uint8_t type, uint16_t record_version, const uint8_t *plain, size_t n, size_t pad, uint8_t *out, size_t *out_n, ak_failure *f);
/* ak_open: opens one record's fragment into out (room for rec->fragment.n bytes; out may be the fragment itself, or overlap it in any way).
 * *out_type is the inner type in TLS 1.3. rec->type, version and the fragment's length are what is authenticated; rec->header is not looked at.
 * Errors: AK_ERR_bad_record_mac (one error, one time for padding and MAC: Lucky 13), plaintext_too_long (over `limit` bytes; in TLS 1.3 padding
 * counts, RFC 8446 §5.4), no_inner_type, unexpected_record (TLS 1.3: authentic, but the outer type is not application_data), sequence_exhausted.
 * After bad_record_mac the sequence number is as before, so that the next record may be tried (early data that was refused), and no plaintext is
 * in out. With null protection the bytes are copied. */
ak_error ak_open(ak_protect *x, const ak_record *rec, size_t limit, uint8_t *out, size_t *out_n, uint8_t *out_type, ak_failure *f);

/* ---- fragment ------------------------------------------------------------------------------------------------------------- */

/* ak_seal_many_size / ak_seal_many: plaintext of any length as as many records as it takes, each with at most `max` plaintext bytes
 * (0: AK_PLAINTEXT_MAX), TLS 1.0 CBC with 1/n-1 splitting when split (once a call). n == 0 gives one empty record. The size is exact: *out_n is the same. plain must not
 * overlap out. On an error *out_n is 0, though records before it may have been sealed: the connection is over. */
size_t ak_seal_many_size(const ak_protect *x, size_t n, size_t max, bool split);
ak_error ak_seal_many(ak_protect *x, uint8_t type, uint16_t record_version, const uint8_t *plain, size_t n, size_t max, bool split, uint8_t *out, size_t *out_n, ak_failure *f);

#endif
