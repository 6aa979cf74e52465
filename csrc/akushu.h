/* akushu.h: the engine's one public header. It reads as its manual.
 *
 * akushu is a TLS stack without I/O. Three objects carry it:
 *
 *   ak_context   what one side is willing to do: role, versions, suites, identities, trust. Made once, shared by many handshakes.
 *   ak_hs        one handshake. Bytes from the peer go in (ak_hs_feed), ak_hs_run works until it needs something, bytes for the peer
 *                wait in ak_hs_output.
 *   ak_session   the protected connection after it: seal, open, close.
 *
 * Nothing here ever calls back into the application. Where the application has a say, ak_hs_run *returns* an event: a gate that
 * somebody asked for (a message or record to look at, change, drop) or a question (go on with an untrusted certificate? is
 * there a session with this id?). The application answers with ak_hs_answer and runs on. So a script can do what it likes while it thinks:
 * raise, yield, wait for a person; no frame of the engine is on the stack.
 *
 *     ak_hs_feed(h, bytes, n);
 *     while ((s = ak_hs_run(h)) == AK_EVENT) ak_hs_answer(h, decide(ak_hs_event(h)));
 *     send(ak_hs_output(h));                        // whatever s is: an alert after AK_FAILED, too
 *     if (s == AK_DONE) session = ak_hs_session(h, &failure);
 *
 * Threads: an object, and all that share its provider, belong to one thread at a time.
 * Memory: one handshake holds at most AK_HANDSHAKE_MEMORY bytes of what the peer sent, whatever it sends. */
#ifndef AKUSHU_H
#define AKUSHU_H

#include "base/buf.h"
#include "base/error.h"
#include "base/secret.h"
#include "crypto/groups.h"
#include "crypto/key.h"
#include "crypto/provider.h"
#include "crypto/suites.h"
#include "x509/x509.h"

#define AKUSHU_VERSION "0.1.0"

/* The bound on what a peer can make one handshake hold, in messages of max_message bytes (64 KiB by default) and records: the message being collected (2,
 * with the record that begins the next), the message being handled (2, as buffers grow by doubling), its hello (2: a ClientHello may be longer),
 * names of CAs (1), a stapled response (2), SCTs (1), its chain, read (2), a ticket (1), and, only where a CertificateVerify may come, all messages so
 * far (4). The records: what is incomplete, what a gate looks at, its plaintext. spec/negative/tls12_limits_spec.lua measures. */
#define AK_MESSAGE_MAX_DEFAULT 65536u
#define AK_CLIENT_HELLO_MAX (2u + 32u + 33u + 65536u + 256u + 65537u) /* version, random, session id, suites, compression, extensions: RFC 8446 §4.1.2 */
#define AK_HANDSHAKE_MEMORY (17u * AK_MESSAGE_MAX_DEFAULT + 4u * 18432u)
/* Beside it: application data that comes during a renegotiation waits for ak_hs_application_taken; more fails with too_much_application_data. */
#define AK_RENEGOTIATION_DATA (1u << 20)

/* ==== context ======================================================================================================= */

typedef struct ak_context ak_context;
typedef struct ak_store ak_store;

#define AK_LIST_MAX 192
#define AK_SERVER_NAME_MAX 255 /* bytes */
#define AK_ALPN_MAX 255        /* of one protocol name */

/* ak_psk: an external pre-shared key (RFC 8446 §2.2): the two sides have agreed on it before, and on the hash that goes with it. */
typedef struct ak_psk {
    ak_buf identity;
    ak_buf secret;
    ak_hash hash;
} ak_psk;
#define AK_PSKS_MAX 16

enum { /* psk_key_exchange_modes, as bits */
    AK_PSK_dhe_ke = 1 << 0, /* with a key exchange: forward secrecy */
    AK_PSK_ke = 1 << 1      /* without */
};

/* ak_padding: TLS 1.3: how records are padded (RFC 8446 §5.4), as far as the peer's limit allows. */
typedef enum ak_pad_by { AK_PAD_none, AK_PAD_multiple, AK_PAD_fixed, AK_PAD_random } ak_pad_by; /* to a multiple of n bytes, by n bytes, by 0 to n bytes */
typedef struct ak_padding {
    ak_pad_by by;
    uint16_t n;
    bool all; /* handshake messages and alerts, too; else application data alone */
} ak_padding;

typedef enum ak_client_auth { AK_CLIENT_AUTH_none, AK_CLIENT_AUTH_request, AK_CLIENT_AUTH_require } ak_client_auth;

/* ak_context: filled by the application before the first handshake and not changed after it. Objects in it are owned by it (by
 * reference count). Lists are in order of preference. */
struct ak_context {
    unsigned refs;
    ak_provider *provider;
    bool server;

    uint16_t min_version, max_version; /* inclusive */
    uint16_t suites[AK_LIST_MAX];
    size_t n_suites;
    bool suite_equal[AK_LIST_MAX]; /* server: of the same rank as the one before it: among those the client's order decides */
    uint16_t groups[AK_LIST_MAX];
    size_t n_groups;
    uint16_t key_shares[AK_LIST_MAX]; /* client, TLS 1.3: groups that get a share in the first ClientHello */
    size_t n_key_shares;
    uint16_t schemes[AK_LIST_MAX]; /* accepted from the peer, and used for our own signatures, in this order */
    size_t n_schemes;
    uint16_t sign_schemes[AK_LIST_MAX]; /* for our own signatures when they are not the same; empty: schemes */
    size_t n_sign_schemes;
    uint16_t cert_schemes[AK_LIST_MAX]; /* signature_algorithms_cert: not said when empty */
    size_t n_cert_schemes;
    bool prefer_client;            /* server: the client's order of suites decides, not ours */

    ak_identity *identities[16]; /* server: the first is the default; client: for client authentication */
    size_t n_identities;
    ak_trust *trust;   /* NULL: nobody is trusted */
    bool verify;       /* default true: the chain, and for a client the host name */
    bool verify_host;  /* default true; false: the chain alone */
    ak_client_auth client_auth; /* server */

    ak_buf alpn;       /* protocol names, each with a length byte, as in RFC 7301 */
    bool ems;          /* offer / accept extended_master_secret (default true) */
    bool require_ems;
    bool etm;          /* encrypt_then_mac (default true) */
    bool session_ids;  /* server: give sessions ids and resume by them; client: offer them (default true) */
    bool tickets;      /* RFC 5077 / RFC 8446 tickets (default true) */
    unsigned n_tickets; /* TLS 1.3 server: NewSessionTicket messages after a handshake (default 2) */
    uint32_t session_lifetime; /* seconds a session can be resumed (default 7200; TLS 1.3 allows at most 604800) */
    ak_psk psks[AK_PSKS_MAX]; /* ak_context_add_psk */
    size_t n_psks;             /* TLS <= 1.2: a client uses the one that the server's hint names, or the first */
    ak_buf psk_hint;           /* server, TLS <= 1.2: psk_identity_hint (RFC 4279 §5.2); empty: none */
    bool ask_psk;              /* server: ask AK_EV_psk for an identity that is not in the list (TLS 1.3: and is no ticket of ours) */
    bool hide_unknown_psk;     /* server, TLS <= 1.2: an unknown identity ends at Finished, as a wrong key does, and not with unknown_psk_identity */
    unsigned psk_modes;        /* TLS 1.3 (default AK_PSK_dhe_ke) */
    bool reuse_tickets;        /* client, TLS 1.3: offer a ticket more than once (default false, RFC 8446 §C.4) */
    uint32_t max_early_data;   /* server: bytes of 0-RTT data that a ticket allows (default 0: none) */
    uint32_t early_data_window; /* server: seconds that a first flight may have been under way (default 10) */
    struct ak_replay *replay;  /* server; made on first use */
    bool ask_early_data;       /* server: ask AK_EV_early_data instead of remembering first flights */
    uint16_t cert_compression[3]; /* RFC 8879: algorithms accepted and used, in this order, as far as their libraries are there; off when empty */
    size_t n_cert_compression;
    struct ak_compressors *compressors; /* with cert_compression: ak_compressors_new (crypto/compress.h) */
    bool cookie;               /* server, TLS 1.3: a HelloRetryRequest carries a cookie, with which another handshake of a context with the same ticket keys can go on */
    bool post_handshake_auth;  /* TLS 1.3: a client may be asked for its certificate after the handshake (RFC 8446 §4.6.2); a server may ask */
    ak_buf oid_filters;        /* server, TLS 1.3: OIDFilters for the CertificateRequest (RFC 8446 §4.2.5), each with its lengths; empty: not said */
    bool send_ca_names;        /* client: certificate_authorities in the ClientHello */
    ak_store *store;   /* server: sessions by id; NULL with external_store */
    bool external_store;       /* ask AK_EV_session_get / put / remove instead */

    bool ask_untrusted;   /* ask AK_EV_untrusted before a certificate is refused */
    bool ask_identity;    /* server: ask AK_EV_identity which identity to use */
    bool ask_alpn;        /* server: ask AK_EV_alpn */
    bool ask_client_identity; /* client: ask AK_EV_identity when the server requests a certificate */

    bool strict_groups;    /* server: our order of groups decides even when it costs a round trip, and a TLS 1.2 client that names no groups has none */
    bool always_ccs;       /* server, with middlebox_compat: also when the client does not ask for it by a session id (RFC 8446 §D.4 allows it) */
    bool any_alpn;         /* client: the server may choose a protocol that was not offered */
    bool middlebox_compat; /* TLS 1.3 (default true) */
    bool false_start;      /* client, TLS 1.2: ak_hs_send may be used before the server's Finished (RFC 7918) */
    bool fallback_scsv;    /* client: this is a fallback, say TLS_FALLBACK_SCSV */
    bool grease;           /* RFC 8701 values; a server's are extensions of TLS 1.3's CertificateRequest and NewSessionTicket */
    uint16_t padding;      /* client: the ClientHello is at least this long (RFC 7685); 0: as long as it is */
    bool coalesce;         /* several handshake messages in one record (default: TLS 1.3 only) */
    bool coalesce_set;
    uint16_t max_fragment; /* plaintext bytes in one record that we send, 0: 2^14 */
    ak_padding record_padding; /* default: none */
    uint16_t record_size_limit; /* RFC 8449: what we are willing to receive, 0: not said */
    uint16_t max_fragment_length; /* client: RFC 6066 §4: 512, 1024, 2048 or 4096 bytes asked of both sides; 0: not asked. A server grants it */
    uint32_t max_message;  /* the largest handshake message accepted */
    uint32_t max_hello;    /* server: the largest ClientHello accepted; by default any that the format allows */
    unsigned security_level; /* as libcrypto's: 2 by default, 112 bits */
    unsigned min_dh_bits;    /* client: the smallest DHE group accepted (2048) */
    bool ocsp;               /* client: ask for a stapled OCSP response */
    bool sct;                /* client: ask for SCTs */
    bool keylog;             /* collect NSS key log lines (ak_hs_keylog) */
    bool ask_ocsp;           /* server: ask AK_EV_ocsp for the response to staple instead of taking the identity's own */
    bool renegotiation;      /* client: a HelloRequest is not refused (never without RFC 5746): ak_session_renegotiation_wanted, ak_session_renegotiate */
    bool renegotiation_new_certificate; /* client: the server may show another certificate then; it is verified like the first */
    bool renegotiation_fatal; /* a renegotiation that is refused ends the connection; default: a warning, and it goes on (RFC 5246 §7.2.2) */

    /* time: seconds since 1970; 0: the system's clock. A lab sets it. */
    int64_t (*clock)(void *user);
    void *clock_user;
    struct ak_ticket_keys *ticket_keys; /* server; made on first use unless given */

    ak_context *parent;   /* this one is a variant of it, and owns nothing else (ak_context_variant) */
    ak_secret context_id; /* ak_context_identity's value, made on first use ... */
    uint64_t context_id_at; /* ... and again when ak_trust_changes is no longer this */
};

/* ak_context_new: a context with safe defaults. Takes its own reference on the provider. NULL: out of memory. */
ak_context *ak_context_new(ak_provider *p, bool server);
ak_context *ak_context_ref(ak_context *c);
void ak_context_free(ak_context *c);
/* ak_context_variant: a copy whose versions may be narrowed, living on what c owns. NULL: out of memory. */
ak_context *ak_context_variant(ak_context *c);
/* ak_context_identity: a hash of what a session made in this context depends on: role, own certificates, what is verified, client_auth, and by what the peer's
 * chain is judged: trust with its CRLs as they are now, security level, must-staple, signature schemes, whether the application has a say. Sessions are resumed
 * only where it is the same. Empty: a failure of libcrypto's. */
ak_view ak_context_identity(ak_context *c);
/* ak_context_now: this context's time, seconds since 1970. */
int64_t ak_context_now(const ak_context *c);
/* ak_context_now_ms: the same in milliseconds. With a lab's clock: whole seconds. */
uint64_t ak_context_now_ms(const ak_context *c);
/* ak_context_add_psk: an external key. hash: AK_HASH_sha256 or AK_HASH_sha384 (AK_HASH_none: SHA-256, RFC 8446 §4.2.11). AK_ERR_bad_key: no identity (which
 * TLS 1.3 needs: max_version is looked at), no key, or too many. */
ak_error ak_context_add_psk(ak_context *c, ak_view identity, ak_view secret, ak_hash hash, ak_failure *f);

/* ==== ticket keys ==================================================================================================== */

/* ak_ticket_keys: what a server seals tickets with. The first key makes tickets, all open them. Without keys of the application's own a context makes them, and
 * another one every session lifetime. Processes that share keys resume each other's sessions. */
typedef struct ak_ticket_keys ak_ticket_keys;
#define AK_TICKET_KEY_SIZE 48 /* 16 bytes of name, 32 of key */
/* lifetime: seconds after which ak_ticket_keys makes another key by itself; 0: never. NULL: out of memory. */
ak_ticket_keys *ak_ticket_keys_new(ak_provider *p, uint32_t lifetime);
ak_ticket_keys *ak_ticket_keys_ref(ak_ticket_keys *k);
void ak_ticket_keys_free(ak_ticket_keys *k);
/* ak_ticket_keys_set: 1 to 8 keys of AK_TICKET_KEY_SIZE bytes, the current one first, in place of those it had; from now on they change only when they are set.
 * false: another number of bytes. */
bool ak_ticket_keys_set(ak_ticket_keys *k, ak_view bytes, int64_t now);
/* ak_ticket_keys_get: the keys, in the form in which they are set. out should be a secret buffer. false: there are none yet. */
bool ak_ticket_keys_get(const ak_ticket_keys *k, ak_buf *out);
bool ak_ticket_keys_shared(const ak_ticket_keys *k); /* they were set */
/* ak_ticket_keys_rotate: a fresh key becomes the current one; those before it still open. false: no randomness. */
bool ak_ticket_keys_rotate(ak_ticket_keys *k, int64_t now);

/* ==== session store ==================================================================================================== */

/* ak_store: sessions by id, in memory, bounded in number and bytes: the oldest leaves first; each lives `lifetime` seconds. */
#define AK_STORE_BYTES 4096u /* a session has, on average: the store holds max of them at most, and max times as many bytes (but always one session) */
ak_store *ak_store_new(size_t max);
ak_store *ak_store_ref(ak_store *s);
void ak_store_free(ak_store *s);
bool ak_store_put(ak_store *s, ak_view id, ak_view value, int64_t expires);
/* ak_store_get: the value, owned by the store and valid until its next change; false when unknown or expired at `now`. */
bool ak_store_get(ak_store *s, ak_view id, int64_t now, ak_view *value);
void ak_store_remove(ak_store *s, ak_view id);
size_t ak_store_count(const ak_store *s);

/* ==== resumption ========================================================================================================== */

/* ak_resumption: what one side keeps of a session so as to resume it (RFC 5246 §7.2, RFC 5077, RFC 8446 §4.6.1). Its serialised
 * form holds a secret: whoever reads it can impersonate. */
typedef struct ak_resumption {
    unsigned refs;
    bool server;
    uint16_t version, suite;
    bool ems, etm;
    ak_secret secret;       /* TLS <= 1.2: the master secret; TLS 1.3: the PSK */
    uint8_t session_id[32];
    uint8_t session_id_n;
    ak_buf ticket;          /* client */
    int64_t created, expires; /* seconds since 1970 */
    uint32_t age_add;       /* TLS 1.3 */
    uint32_t max_early_data;
    uint64_t received_ms;   /* TLS 1.3: when the ticket came, or was made */
    bool used;              /* TLS 1.3, client: it has been offered; not serialised */
    uint16_t group;         /* the group of the original key exchange, 0 for none */
    uint16_t peer_scheme;   /* the scheme of the peer's signature, 0 for none */
    ak_buf server_name;     /* empty: none */
    ak_buf alpn;
    ak_chain *peer_chain;   /* may be NULL */
    ak_error verdict;       /* of the peer's chain when it was verified */
    ak_buf ocsp_response, scts; /* client: what came with the chain */
    ak_secret context_id;   /* hash of what the session may be used for (ak_context_identity) */
    uint16_t max_fragment_length; /* RFC 6066 §4: it holds for the resumed sessions too */
    ak_buf psk_identity;    /* of the pre-shared key it began with (TLS <= 1.2) */
    uint8_t end_point[64];  /* tls-server-end-point of the server's certificate */
    uint8_t end_point_n;
} ak_resumption;

ak_resumption *ak_resumption_new(void);
ak_resumption *ak_resumption_ref(ak_resumption *r);
void ak_resumption_free(ak_resumption *r);
/* ak_resumption_limit: a session of a peer that was verified lives no longer than the peer's own certificate (RFC 8446 §4.6.1). One that is out of date already, and
 * was accepted all the same, limits nothing. */
void ak_resumption_limit(ak_resumption *r, const ak_context *c);
/* Versioned, strict: any other byte string gives AK_ERR_bad_session. */
bool ak_resumption_write(const ak_resumption *r, ak_buf *out);
ak_error ak_resumption_read(ak_view bytes, ak_resumption **out, ak_failure *f);

/* ==== handshake ============================================================================================================= */

typedef struct ak_hs ak_hs;
typedef struct ak_session ak_session;

/* The gates of DESIGN §3, as bits. */
enum {
    AK_GATE_compose = 1 << 0,    /* a draft: binder, signature, verify_data are still open (empty) */
    AK_GATE_send = 1 << 1,       /* the finished message, before the transcript takes it */
    AK_GATE_plain_out = 1 << 2,  /* a fragment, before protection */
    AK_GATE_record_out = 1 << 3, /* a record as it goes out */
    AK_GATE_record_in = 1 << 4,  /* a record as it came */
    AK_GATE_plain_in = 1 << 5,   /* its plaintext */
    AK_GATE_receive = 1 << 6     /* a whole message, before it is handled */
};

typedef enum ak_status {
    AK_NEED_INPUT, /* nothing to do until the peer says more */
    AK_EVENT,      /* see ak_hs_event; answer with ak_hs_answer */
    AK_DONE,
    AK_FAILED
} ak_status;

typedef enum ak_event_kind {
    AK_EV_none,
    AK_EV_gate,
    AK_EV_untrusted,      /* report; answer.yes: go on all the same; answer.remember: and when this session is resumed */
    AK_EV_session_get,    /* key; answer.bytes: the stored value, empty for none */
    AK_EV_session_put,    /* key, bytes */
    AK_EV_session_remove, /* key */
    AK_EV_identity,       /* bytes: server: the name asked for; client: the names of CAs, and key: the CertificateRequest, header included; answer.identity (NULL: none) */
    AK_EV_alpn,           /* bytes: the client's list; answer.bytes: the choice, empty for none; yes=false refuses */
    AK_EV_early_data,     /* key: a hash of this first flight; answer.yes: it was never seen before, take its early data */
    AK_EV_ocsp,           /* bytes: our leaf certificate (DER); answer.bytes: the OCSPResponse to staple, empty for none */
    AK_EV_psk             /* key: the client's psk_identity; answer.bytes: the key, empty for unknown */
} ak_event_kind;

typedef struct ak_event {
    ak_event_kind kind;
    uint32_t gate;          /* AK_GATE_…, for AK_EV_gate */
    bool incoming;
    uint8_t content_type;   /* of the message, fragment or record */
    int message;            /* HandshakeType for handshake messages, -1 for others */
    ak_view bytes;          /* the message with its header, the fragment, the record, …; valid until the answer */
    ak_view key;            /* of a session */
    const ak_report *report;
    const char *state;
} ak_event;

typedef enum ak_verdict {
    AK_PASS,
    AK_REPLACE, /* answer.bytes instead */
    AK_DROP,
    AK_REFUSE   /* end the handshake: answer.alert, answer.error (0: hook_refused) */
} ak_verdict;

typedef enum ak_transcript_mode { AK_TRANSCRIPT_as_sent, AK_TRANSCRIPT_as_built, AK_TRANSCRIPT_none, AK_TRANSCRIPT_given } ak_transcript_mode;

/* ak_inject: something that a script puts before or after the current message or record. */
typedef struct ak_inject {
    bool after;
    bool raw;             /* bytes go out as they are, no protection, no record header added */
    uint8_t content_type; /* unless raw */
    ak_view bytes;
} ak_inject;

typedef struct ak_answer {
    ak_verdict verdict;
    bool yes, remember;
    ak_view bytes;             /* copied by ak_hs_answer */
    int alert;                 /* AK_REFUSE: the alert to send, AK_ALERT_none for none */
    ak_error error;
    const char *text;          /* AK_REFUSE: goes into the failure's detail */
    ak_transcript_mode transcript; /* send and receive gates */
    ak_view transcript_bytes;  /* AK_TRANSCRIPT_given */
    const ak_inject *inject;
    size_t n_inject;
    ak_identity *identity;     /* referenced by ak_hs_answer */
    size_t padding;            /* plain_out gate, TLS 1.3: bytes of padding for this record, as far as the peer's limit allows */
    bool accept;               /* receive gate: take the message although it is not expected (it is not handled, only hashed) */
} ak_answer;

/* ak_hs_new: a handshake in a context. NULL: out of memory or no randomness (*f). */
ak_hs *ak_hs_new(ak_context *c, ak_failure *f);
void ak_hs_free(ak_hs *h);
/* ak_hs_fork: an independent copy of a handshake that waits for its peer: what comes next can be tried more than once. NULL: AK_ERR_not_ready, out_of_memory. */
ak_hs *ak_hs_fork(const ak_hs *h, ak_failure *f);
/* ak_hs_put: bytes that a script has kept back go out: whole records (raw), or as records of this type under the keys of the moment. Only between two steps. False: the
 * handshake has failed, out of memory. */
bool ak_hs_put(ak_hs *h, bool raw, uint8_t content_type, ak_view bytes);
/* ak_hs_hand_over: the engine stops where it is, at an event, too, and a script speaks on: the handshake fails with AK_ERR_aborted and without an alert, what it
 * had built is in ak_hs_output. AK_ERR_not_ready: not started, failed, or a session has its keys. The functions after it are for then, before ak_hs_run is called again:
 * ak_hs_protection: a copy of one direction's protection as it stands (NULL: out of memory); ak_hs_unread: what nobody has read: the bytes of records in two parts,
 * then handshake bytes that are no messages yet; ak_hs_share: a copy of our i-th private key exchange value (*p: its provider, NULL: there are no more; NULL and *p:
 * out of memory); ak_hs_given_psk: the i-th pre-shared key of its context (NULL: there are no more); ak_hs_offered_secret: client: the i-th pre-shared key of its
 * ClientHello, or the master secret of the session that it offers; server, TLS <= 1.2: of the
 * session that it resumes (empty: none). */
ak_error ak_hs_hand_over(ak_hs *h, ak_failure *f);
struct ak_protect *ak_hs_protection(const ak_hs *h, bool write);
void ak_hs_unread(const ak_hs *h, ak_view part[3]);
ak_share *ak_hs_share(const ak_hs *h, size_t i, ak_provider **p);
ak_view ak_hs_offered_secret(const ak_hs *h, size_t i);
const ak_psk *ak_hs_given_psk(const ak_hs *h, size_t i);
/* Before ak_hs_start: the name for SNI and for the host check (client). verify_host NULL: the same; "" is refused by verification. */
ak_error ak_hs_set_server_name(ak_hs *h, const char *name, ak_failure *f);
void ak_hs_set_resumption(ak_hs *h, ak_resumption *r); /* client; referenced */
void ak_hs_set_gates(ak_hs *h, uint32_t gates);
/* ak_hs_pad_data: TLS 1.3: padding of the records that the next ak_hs_send or ak_hs_send_early makes, one after the other, each with ak_hs_data_room bytes of data but the last
 * one, in place of the policy's; borrowed until then, and good for that call alone. ak_hs_data_room: 0: the data is not sealed at once, or has no padding. */
void ak_hs_pad_data(ak_hs *h, const uint16_t *padding, size_t n);
size_t ak_hs_data_room(const ak_hs *h);
void ak_hs_pad_alerts(ak_hs *h, size_t padding); /* TLS 1.3: padding of the alerts of this handshake, in place of the policy's */
/* ak_hs_send_early: client, before its ClientHello: 0-RTT data (RFC 8446 §2.3), sent if a session was set that allows it; may be called several times. Such data can be
 * replayed by an attacker. ak_info.early_data tells whether the server has taken it; if it was refused it is for the application to send it again.
 * AK_ERR_not_ready, AK_ERR_too_much_early_data. */
ak_error ak_hs_send_early(ak_hs *h, ak_view data, ak_failure *f);
/* ak_hs_early_data: server: the early data that has come and was not taken yet. It may be there before the handshake is done, and after it. */
ak_view ak_hs_early_data(const ak_hs *h);
void ak_hs_early_data_taken(ak_hs *h);
/* ak_hs_export_early: keying material of the early data (RFC 8446 §7.5), on both sides as long as the handshake lives: as replayable as that is. A server has it when it has
 * accepted early data. AK_ERR_not_ready otherwise. */
ak_error ak_hs_export_early(const ak_hs *h, const char *label, ak_view context, uint8_t *out, size_t n, ak_failure *f);
/* ak_hs_send: application data behind our Finished that does not wait for the peer's. A TLS 1.3 server's (RFC 8446 §4.4.4): to a client that is not yet authenticated, and
 * that may be a replay. A TLS 1.2 client's, with ak_context.false_start (RFC 7918): to the server whose certificate was verified, though nobody has proved yet
 * that the hellos came through unchanged; when the handshake fails afterwards, the data was sent all the same. AK_ERR_not_ready in every other state.
 * ak_hs_may_send: whether it is possible now. */
ak_error ak_hs_send(ak_hs *h, ak_view data, ak_failure *f);
bool ak_hs_may_send(const ak_hs *h);
/* ak_hs_start: a client drafts its ClientHello at the next ak_hs_run; a server waits. */
ak_error ak_hs_start(ak_hs *h, ak_failure *f);
/* ak_hs_feed lends bytes until ak_hs_run has returned AK_NEED_INPUT, AK_DONE or AK_FAILED (what is incomplete is copied then). */
void ak_hs_feed(ak_hs *h, ak_view bytes);
bool ak_hs_started(const ak_hs *h);
bool ak_hs_done(const ak_hs *h); /* and has not failed */
ak_status ak_hs_run(ak_hs *h);
const ak_event *ak_hs_event(const ak_hs *h);
/* ak_hs_answer: false only when out of memory (the handshake has failed then). */
bool ak_hs_answer(ak_hs *h, const ak_answer *a);
/* ak_hs_output: bytes for the peer; ak_hs_output_taken empties it. */
ak_view ak_hs_output(const ak_hs *h);
void ak_hs_output_taken(ak_hs *h);
/* ak_hs_application: application data that came during a renegotiation; ak_hs_application_taken empties it. */
ak_view ak_hs_application(const ak_hs *h);
void ak_hs_application_taken(ak_hs *h);
/* ak_hs_eof: the transport has ended: the handshake fails with `truncated`. */
void ak_hs_eof(ak_hs *h);
/* ak_hs_abort: sends this alert (fatal, but for close_notify and user_canceled, which has a close_notify behind it) and fails with `aborted`, also after
 * AK_DONE as long as no session was taken. An event may come of it (AK_EV_session_remove). */
void ak_hs_abort(ak_hs *h, int alert);
/* ak_hs_hook_failed: a hook raised an error while the handshake waited for its answer: it fails with `hook_failed`, unless it has failed already. */
void ak_hs_hook_failed(ak_hs *h, const char *text);
const ak_failure *ak_hs_failure(const ak_hs *h);
/* ak_hs_why: the failure's detail in full, where ak_failure has no room for all of it (AK_ERR_no_shared_suite); else empty. */
ak_view ak_hs_why(const ak_hs *h);
const char *ak_hs_state(const ak_hs *h); /* "wait_server_hello", "done", "failed", … */
/* ak_hs_session: after AK_DONE, once: the session takes over keys and unread bytes; the handshake's memory is released. */
ak_session *ak_hs_session(ak_hs *h, ak_failure *f);

typedef enum ak_early { AK_EARLY_DATA_none, AK_EARLY_DATA_offered, AK_EARLY_DATA_accepted, AK_EARLY_DATA_refused } ak_early;
#define AK_TICKETS_KEPT 16 /* by a client; no server of ours sends more after a handshake */
#define AK_TICKET_LIFETIME_MAX 604800 /* seven days, RFC 8446 §4.6.1 */

/* ak_info: what was agreed; filled as it becomes known, shared by handshake and session. */
typedef struct ak_info {
    unsigned refs;
    ak_provider *provider; /* its memory comes from there */
    bool server;
    uint16_t version; /* 0: not yet */
    const ak_suite *suite;
    const ak_group *group;
    const ak_scheme *peer_scheme, *own_scheme;
    bool ems, etm, resumed, secure_renegotiation, hello_retry;
    bool ticket_expected;
    ak_buf server_name;      /* client: asked for; server: asked by the client; empty: none */
    ak_buf alpn;             /* empty: none */
    ak_chain *peer_chain;    /* NULL: none */
    ak_report *report;       /* NULL: not verified */
    uint8_t session_id[32];
    uint8_t session_id_n;
    bool by_ticket;            /* server, TLS <= 1.2: resumed with a ticket: session_id is the client's own, and names nothing in a store */
    uint8_t client_random[32], server_random[32];
    ak_buf ocsp_response, scts;
    ak_resumption *resumption; /* what can be resumed next time; NULL: nothing */
    ak_resumption *tickets[AK_TICKETS_KEPT]; /* TLS 1.3 client: the newest first (ak_session_take_ticket) */
    size_t n_tickets;
    bool external_psk;         /* an external pre-shared key authenticates both sides */
    ak_early early_data;
    const char *early_reason;  /* server: why early data was refused, in a word; NULL: it was not */
    int32_t ticket_age_skew;   /* server, TLS 1.3: seconds by which the client takes its ticket to be older than it is here */
    int64_t authenticated;     /* of a resumed session: when the original handshake was; else 0 */
    uint8_t client_finished[64], server_finished[64]; /* verify_data */
    uint8_t client_finished_n, server_finished_n;
    ak_buf psk_identity;          /* of the external pre-shared key that both sides used; TLS <= 1.2: also where the session resumed began with one */
    uint16_t max_fragment_length; /* agreed, RFC 6066 §4; 0: none */
    uint8_t end_point[64];        /* tls-server-end-point of the server's certificate, RFC 5929 §4 */
    uint8_t end_point_n;          /* 0: it showed none */
    bool vouched;                 /* the application has taken the peer's chain for good, whatever the report says */
    bool renegotiated;            /* by a handshake inside the connection */
} ak_info;
const ak_info *ak_hs_info(const ak_hs *h);
const ak_provider *ak_hs_provider(const ak_hs *h);
/* ak_hs_secret: "premaster", "master", "client_handshake_traffic", …: a secret by its name while the handshake lives. Empty view: not (or no more) there. */
ak_view ak_hs_secret(const ak_hs *h, const char *name);
/* ak_hs_secret_origin: TLS 1.3: the label that a secret was derived with, and the transcript hash under it (RFC 8446 §7.1; empty: the hash of nothing, or none). false: no such
 * secret was derived, or the session has begun. */
bool ak_hs_secret_origin(const ak_hs *h, const char *name, const char **label, ak_view *hash);
/* ak_hs_keylog: NSS key log lines collected so far (only with context.keylog). */
ak_view ak_hs_keylog(const ak_hs *h);

/* ==== session ================================================================================================================ */

void ak_session_free(ak_session *s);
const ak_info *ak_session_info(const ak_session *s);
const ak_provider *ak_session_provider(const ak_session *s);
/* ak_session_seal_size: room that ak_session_seal needs for n bytes. */
size_t ak_session_seal_size(const ak_session *s, size_t n);
/* ak_session_seal: application data as records; what waits in the reply goes before it. Errors: closed, write_closed, sequence_exhausted, …; the session's failure after one. */
ak_error ak_session_seal(ak_session *s, const uint8_t *plain, size_t n, uint8_t *out, size_t *out_n, ak_failure *f);
/* ak_session_fragment: plaintext bytes that go into one record. ak_session_seal_record: one record of application data, of at most so many bytes, with so much padding (as
 * far as the peer's limit allows) instead of the policy's; room: ak_session_seal_size(s, n) + padding. TLS <= 1.2: no padding. */
size_t ak_session_fragment(const ak_session *s);
ak_error ak_session_seal_record(ak_session *s, const uint8_t *plain, size_t n, size_t padding, uint8_t *out, size_t *out_n, ak_failure *f);
/* ak_session_pad_own: padding of what the protocol itself sends from now on (alerts, KeyUpdate), in place of the policy's. */
void ak_session_pad_own(ak_session *s, size_t alerts, size_t handshake);
/* ak_session_open_size: room that ak_session_open needs for n bytes of input. */
size_t ak_session_open_size(const ak_session *s, size_t n);
/* ak_session_open: takes bytes from the peer, writes the plaintext of every whole record. What the protocol itself wants sent waits in
 * ak_session_reply. AK_ERR_closed: the peer said close_notify (plaintext before it is in out). After a fatal error the alert is in the reply. */
ak_error ak_session_open(ak_session *s, ak_view in, uint8_t *out, size_t *out_n, ak_failure *f);
ak_view ak_session_reply(const ak_session *s);
void ak_session_reply_taken(ak_session *s);
/* ak_session_request_certificate: server, TLS 1.3, to a client that has said post_handshake_auth: a CertificateRequest into the reply. When the client has answered
 * (ak_session_open), ak_info has its chain; an empty one is refused only with client_auth require. Up to AK_POST_AUTH_REQUESTS may be under way, and are answered in any
 * order; ak_info has what was answered last. AK_ERR_not_ready when it cannot be asked now. */
#define AK_POST_AUTH_REQUESTS 8
ak_error ak_session_request_certificate(ak_session *s, ak_failure *f);
/* ak_session_event: what an authentication after the handshake asks: a question (AK_EV_untrusted, AK_EV_identity) or one of the gates compose, send, plain_out and receive
 * that its handshake had. NULL: nothing. Look after ak_session_open and ak_session_request_certificate, answer with ak_session_answer until it is NULL, then call ak_session_open
 * with no bytes for what came behind it. Meanwhile sealing is possible (except at plain_out), opening is not (AK_ERR_not_ready). */
bool ak_session_may_ask(const ak_session *s); /* such an authentication is possible at all */
const ak_event *ak_session_event(const ak_session *s);
ak_error ak_session_answer(ak_session *s, const ak_answer *a, ak_failure *f); /* the session's failure, if that ends it */
/* ak_session_hook_failed: a hook raised an error while the session waited for its answer: it fails with `hook_failed`. */
ak_error ak_session_hook_failed(ak_session *s, const char *text, ak_failure *f);
/* ak_session_close: close_notify into the reply; all keys are wiped. Later calls answer AK_ERR_closed. */
ak_error ak_session_close(ak_session *s, ak_failure *f);
/* ak_session_close_write: close_notify into the reply; reading goes on (RFC 8446 §6.1). */
ak_error ak_session_close_write(ak_session *s, ak_failure *f);
/* ak_session_eof: the transport has ended. AK_OK after a close_notify, else AK_ERR_truncated. */
ak_error ak_session_eof(ak_session *s, ak_failure *f);
/* ak_session_export: keying material, RFC 5705 / RFC 8446 §7.5. has_context false: no context (TLS <= 1.2 tells it from an empty one). */
ak_error ak_session_export(ak_session *s, const char *label, bool has_context, ak_view context, uint8_t *out, size_t n, ak_failure *f);
/* ak_session_channel_binding: "tls-unique" (RFC 5929 §3; TLS <= 1.2 with extended_master_secret alone, RFC 7627 §5.4), "tls-server-end-point" (RFC 5929 §4),
 * "tls-exporter" (RFC 9266), appended to out. AK_ERR_not_ready: this connection has none of that type, or the type is unknown. */
ak_error ak_session_channel_binding(ak_session *s, const char *type, ak_buf *out, ak_failure *f);
/* ak_session_renegotiation_wanted: the server has sent a HelloRequest, and the context allows it to be followed. */
bool ak_session_renegotiation_wanted(const ak_session *s);
/* ak_session_context: the context that the connection was begun in; borrowed. */
const ak_context *ak_session_context(const ak_session *s);
/* ak_session_renegotiate: client, TLS <= 1.2: a new handshake inside this connection, under its keys (RFC 5246 §7.4.1.1, RFC 5746). The session hands its record
 * protection and unread bytes over and is closed; the handshake, once done, gives the next one (ak_hs_session). Application data that comes
 * in between waits in ak_hs_application. ak_hs_set_resumption may give it a session to resume. NULL: AK_ERR_not_ready (not allowed by the context, a server, TLS 1.3),
 * no_renegotiation (the server
 * does not do RFC 5746), closed … */
ak_hs *ak_session_renegotiate(ak_session *s, ak_failure *f);
/* ak_session_update_keys: TLS 1.3 KeyUpdate into the reply; ask_peer: update_requested. */
ak_error ak_session_update_keys(ak_session *s, bool ask_peer, ak_failure *f);
/* ak_session_take_ticket: TLS 1.3 client: the newest ticket, which then is the caller's, so that each serves once; NULL: there is none. */
ak_resumption *ak_session_take_ticket(ak_session *s);
/* ak_session_alert: a fatal alert of the application's into the reply; the session is over. */
ak_error ak_session_alert(ak_session *s, int alert, ak_failure *f);
/* ak_session_state: "open", "closed", "peer_closed", "failed", … */
const char *ak_session_state(const ak_session *s);
const ak_failure *ak_session_failure(const ak_session *s);

#endif
