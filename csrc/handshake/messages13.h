/* messages13.h: TLS 1.3's own part of a handshake: what it has to remember, its key schedule, and the row functions by message, sender and
 * receiver side by side (hello_retry.c, client13.c, server13.c, certificate13.c, finished13.c, psk.c, early_data.c, tickets.c). */
#ifndef AK_HANDSHAKE_MESSAGES13_H
#define AK_HANDSHAKE_MESSAGES13_H

#include "handshake/machine.h"

#define AK_PSK_OFFERS (AK_PSKS_MAX + 1) /* external keys, and one ticket before them */
#define AK_PSK_CONSIDERED 8             /* identities that a server looks at; those after them are passed over */
#define AK_DERIVED_MAX 16
#define AK_CERT_SCHEMES_MAX 32            /* of the peer's signature_algorithms_cert */

/* ak_psk_offer: one key that this client has offered. Its views point into the context or the session that is resumed. */
typedef struct ak_psk_offer {
    ak_view identity, secret;
    ak_hash hash;
    bool external;
} ak_psk_offer;

/* ak_derived: where a secret came from: its label, and the transcript hash under it (RFC 8446 §7.1). */
typedef struct ak_derived {
    const char *name, *label;
    uint8_t hash[AK_HASH_MAX];
    uint8_t hash_n;
} ak_derived;

typedef enum ak_early_stage {
    AK_EARLY_off,
    AK_EARLY_offered,  /* client: early_data stands in its ClientHello; server: it stood there */
    AK_EARLY_accepted,
    AK_EARLY_over,     /* EndOfEarlyData has ended it */
    AK_EARLY_refused
} ak_early_stage;

typedef struct ak_flow13 {
    /* HelloRetryRequest */
    const ak_group *retry_group; /* NULL: no other share was asked for */
    const ak_suite *retry_suite;
    bool retry_due;              /* server: one is to be sent */
    bool retold;                 /* server: the first ClientHello was another handshake's (cookie.c) */
    ak_buf cookie;               /* client: as it came; server: as it was made */
    uint8_t first_hello[32];     /* server: what must not change in the second ClientHello, hashed */
    bool ccs_sent;               /* the compatibility ChangeCipherSpec has gone out */
    bool identity_asked, alpn_asked;

    /* pre-shared keys */
    ak_psk_offer offers[AK_PSK_OFFERS]; /* client */
    size_t n_offers;
    bool psk;                    /* one was chosen */
    bool psk_external;
    bool key_asked;              /* server: the question is AK_EV_psk, not AK_EV_session_get */
    bool unknown_psk;            /* server: some were offered, and none is known here */
    size_t psk_at;               /* server: the identity being looked at; client: the chosen one */
    unsigned psk_modes;          /* server: what the client allows */
    bool taken_from_store;       /* server: the session came from the application's store, where it is no more */
    uint8_t taken_id[32];        /* under which it was there: a second ClientHello names it again */

    /* certificates */
    bool request_status, request_sct; /* client: the CertificateRequest asked for them */
    uint16_t compress_with;           /* ours goes compressed with this algorithm; 0: as it is */
    bool compressed;                  /* the peer's certificate came in a CompressedCertificate */

    uint16_t cert_schemes[AK_CERT_SCHEMES_MAX]; /* the peer's signature_algorithms_cert */
    size_t n_cert_schemes;
    ak_buf oid_filters;          /* client: the CertificateRequest's list */

    /* early data */
    ak_early_stage early;
    uint32_t early_limit;
    uint64_t early_seen;         /* server: bytes so far, taken or skipped */
    bool early_skips;            /* server: what cannot be opened is early data that was refused */
    uint8_t early_id[32];        /* server: what is different in every first flight, hashed */

    /* after Finished */
    unsigned tickets_sent;
    uint8_t ticket_id[32];       /* under which the application's store keeps a session */

    ak_derived derived[AK_DERIVED_MAX]; /* from here on it stays until the session begins */
    size_t n_derived;
} ak_flow13;

/* Its buffers: made and freed in flow13.c, copied in fork.c. */
#define AK_FLOW13_BUFS(BUF) BUF(cookie) BUF(oid_filters)

/* ak_flow13_of: never NULL where the context allows TLS 1.3, until the session begins; after the handshake nothing but `derived` is left in it. */
static inline ak_flow13 *ak_flow13_of(const ak_hs *h) { return (ak_flow13 *)h->flow13; }
bool ak_flow13_init(ak_hs *h);
/* ak_offers_13: whether this context can do TLS 1.3: version, suite and libcrypto. */
bool ak_offers_13(const ak_hs *h);

/* ---- key schedule (keys13.c) ------------------------------------------------------------------------------------------- */

/* ak_keys13_early: Early Secret from a pre-shared key (empty: none), for this hash. */
ak_error ak_keys13_early(ak_hs *h, ak_hash hash, ak_view psk);
/* ak_keys13_binder: a PSK binder (RFC 8446 §4.2.11.2) under h->secrets.early, over the hash of a truncated ClientHello. */
ak_error ak_keys13_binder(ak_hs *h, ak_hash hash, bool external, ak_view truncated_hash, uint8_t out[AK_HASH_MAX]);
/* ak_keys13_early_traffic: client_early_traffic_secret and early_exporter_master_secret, the transcript hash being of ClientHello. */
ak_error ak_keys13_early_traffic(ak_hs *h, const ak_suite *suite, ak_view hello_hash);
/* ak_keys13_handshake: Handshake Secret from h->secrets.premaster (wiped; empty: none) and the traffic secrets; the transcript ends with ServerHello. */
ak_error ak_keys13_handshake(ak_hs *h);
/* ak_keys13_master: Master Secret, application traffic and exporter secrets; the transcript ends with the server's Finished. */
ak_error ak_keys13_master(ak_hs *h);
/* ak_keys13_resumption: resumption_master_secret; the transcript ends with the client's Finished. Wipes all that is not needed any more. */
ak_error ak_keys13_resumption(ak_hs *h);
ak_error ak_keys13_verify_data(ak_hs *h, bool server, uint8_t out[AK_HASH_MAX], size_t *n);
/* ak_keys13_next: the traffic secret after this one (RFC 8446 §7.2). */
bool ak_keys13_next(ak_provider *p, ak_hash hash, ak_secret *secret);
/* ak_keys13_export: keying material from an exporter secret (RFC 8446 §7.5). false: libcrypto failed. */
bool ak_keys13_export(ak_provider *p, ak_hash hash, ak_view secret, const char *label, ak_view context, uint8_t *out, size_t n);
/* ak_keys13_use: the next re-key of a direction takes this secret. */
void ak_keys13_use(ak_hs *h, bool write, const ak_secret *secret);

/* ---- row functions ------------------------------------------------------------------------------------------------------- */

ak_error ak_seal_client_hello(ak_hs *h, ak_buf *message, size_t at);
ak_error ak_after_client_hello13(ak_hs *h);

ak_error ak_compose_hello_retry_request(ak_hs *h, ak_buf *b);
ak_error ak_receive_hello_retry_request(ak_hs *h, ak_view body);
ak_error ak_after_hello_retry_request(ak_hs *h);
ak_error ak_compose_second_client_hello(ak_hs *h, ak_buf *b);

ak_error ak_compose_encrypted_extensions(ak_hs *h, ak_buf *b);
ak_error ak_receive_encrypted_extensions(ak_hs *h, ak_view body);
ak_error ak_after_encrypted_extensions(ak_hs *h);

ak_error ak_compose_certificate_request13(ak_hs *h, ak_buf *b);
ak_error ak_receive_certificate_request13(ak_hs *h, ak_view body);
ak_error ak_compose_certificate13(ak_hs *h, ak_buf *b);
ak_error ak_receive_server_certificate13(ak_hs *h, ak_view body);
ak_error ak_receive_client_certificate13(ak_hs *h, ak_view body);
/* certificate_compression.c */
bool ak_compress_offers(const ak_hs *h); /* we have said that we accept a CompressedCertificate */
/* ak_certificate_answers: whether a Certificate or CompressedCertificate, header included, has this handshake's certificate_request_context. */
bool ak_certificate_answers(ak_hs *h, ak_view message);
ak_error ak_compose_compressed_certificate(ak_hs *h, ak_buf *b);
ak_error ak_receive_compressed_certificate(ak_hs *h, ak_view body);
ak_error ak_compose_certificate_verify13(ak_hs *h, ak_buf *b);
ak_error ak_seal_certificate_verify13(ak_hs *h, ak_buf *message, size_t at);
ak_error ak_receive_certificate_verify13(ak_hs *h, ak_view body);

ak_error ak_compose_finished13(ak_hs *h, ak_buf *b);
ak_error ak_seal_finished13(ak_hs *h, ak_buf *message, size_t at);
ak_error ak_receive_finished13(ak_hs *h, ak_view body);
ak_error ak_after_server_finished13(ak_hs *h);
ak_error ak_after_client_finished13(ak_hs *h);

ak_error ak_compose_end_of_early_data(ak_hs *h, ak_buf *b);
ak_error ak_receive_end_of_early_data(ak_hs *h, ak_view body);
ak_error ak_after_end_of_early_data(ak_hs *h);

ak_when ak_wants_ticket13(const ak_hs *h);
ak_error ak_compose_new_session_ticket13(ak_hs *h, ak_buf *b);
ak_error ak_after_new_session_ticket13(ak_hs *h);

/* ---- what they use of one another ------------------------------------------------------------------------------------------ */

/* ak_check_hello13: client: what ServerHello and HelloRetryRequest have in common (RFC 8446 §4.1.3): version, session id, suite, compression. */
ak_error ak_check_hello13(ak_hs *h, const struct ak_server_hello *s);
/* chain_schemes.c: ak_chain_schemes_take notes the peer's signature_algorithms_cert; ak_chain_schemes_suit: whether all signatures of a chain are of its kinds. */
void ak_chain_schemes_take(ak_hs *h, ak_view list);
bool ak_chain_schemes_suit(const ak_hs *h, const ak_identity *id);
/* oid_filters.c: ak_oid_filters_take notes a CertificateRequest's oid_filters; ak_oid_filters_suit: whether a certificate is of the kind that they ask for. */
ak_error ak_oid_filters_take(ak_hs *h, ak_view body);
bool ak_oid_filters_suit(const ak_hs *h, const ak_identity *id);
/* ak_psk_offer_all: client: lists the keys that may be offered now. */
void ak_psk_offer_all(ak_hs *h);
/* ak_psk_select: server: looks for a known key among the client's; AK_AGAIN when the application's store is asked; then ak_psk_answered. */
ak_error ak_psk_select(ak_hs *h);
ak_error ak_psk_answered(ak_hs *h);
/* ak_suite13: the suite that a server takes: this hash (AK_HASH_none: any), `first` before all others (0: none); NULL: none in common. */
const ak_suite *ak_suite13(const ak_hs *h, ak_hash hash, uint16_t first);
/* ak_hello_unchanging: SHA-256 of all that must be the same in both ClientHellos (RFC 8446 §4.1.2). */
bool ak_hello_unchanging(const ak_hs *h, uint8_t out[32]);
/* ak_client_share: the client's share for this group; false when it sent none. */
bool ak_client_share(const ak_hs *h, uint16_t group, ak_view *value);
/* ak_make_share: client: a private value for this group, kept in h->shares, and its entry. */
bool ak_make_share(ak_hs *h, const ak_group *g, ak_buf *b);

/* ak_resumption13: what can be resumed with a ticket of this nonce. NULL: out of memory, or the key could not be derived. */
ak_resumption *ak_resumption13(ak_context *c, const ak_info *i, const ak_secret *resumption_master, ak_view nonce, uint32_t lifetime);

#endif
