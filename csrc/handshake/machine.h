/* machine.h: how a handshake runs: rows, gates, the two choke points, actions. Private to the handshake room.
 *
 * A flow is a table of rows that reads like the RFC's figure. machine.c walks it from either end:
 *
 *   ours:   compose (a draft) → ⟨compose⟩ → seal → ⟨send⟩ → flight → transcript → after
 *   theirs: ⟨receive⟩ → receive → transcript → after
 *
 * A function of a row builds or reads one message and notes what follows from it; it sends nothing and re-keys nothing itself: it asks for
 * that with h->actions, and machine.c does it in one place (loop.h names the parts of the loop). */
#ifndef AK_HANDSHAKE_MACHINE_H
#define AK_HANDSHAKE_MACHINE_H

#include "akushu.h"
#include "crypto/kdf.h"
#include "handshake/transcript.h"
#include "record/record.h"
#include "wire/schema.h"

/* AK_AGAIN: what a row's function returns after ak_hs_ask: call me again when the answer is there (h->phase tells where it was). */
#define AK_AGAIN AK_ERR_COUNT

typedef enum ak_when {
    AK_NO,   /* not in this handshake */
    AK_YES,  /* must come now */
    AK_MAYBE /* the peer may send it or leave it out */
} ak_when;

/* How rows name messages: the HandshakeType, or one of these. */
enum {
    AK_ROW_ccs = 0x100,
    AK_ROW_hello_retry_request = 0x101 /* on the wire a server_hello with a magic random */
};

typedef struct ak_row {
    bool server; /* who sends it */
    int message;
    const char *name;
    const char *sending, *waiting; /* the state's name on the two sides */
    ak_when (*when)(const ak_hs *h); /* NULL: always */
    ak_error (*compose)(ak_hs *h, ak_buf *body);
    ak_error (*seal)(ak_hs *h, ak_buf *message, size_t body_at); /* NULL: nothing is left open */
    ak_error (*receive)(ak_hs *h, ak_view body);
    ak_error (*after)(ak_hs *h); /* NULL: nothing. Both sides, when the transcript has taken the message */
    bool repeats;                /* it stays the current row as long as `when` says so */
} ak_row;

#define AK_ROW(side, msg, nm) .server = (side), .message = (msg), .name = #nm, .sending = "send_" #nm, .waiting = "wait_" #nm
#define AK_ROW_END {.name = NULL}

extern const ak_row ak_rows_hello[]; /* flow.c: up to ServerHello, before the version is known */
extern const ak_row ak_rows_12[];    /* flow12.c */
extern const ak_row ak_rows_13[];    /* flow13.c */
extern const ak_row ak_rows_post_auth[]; /* flow13.c: an authentication after the handshake */

enum { /* actions */
    AK_ACT_rekey_write = 1 << 0,
    AK_ACT_rekey_read = 1 << 1,
    AK_ACT_flush = 1 << 2,
    AK_ACT_no_certificate = 1 << 5, /* SSL 3.0: a warning alert in place of an empty Certificate (RFC 6101 §5.6.6) */
    AK_ACT_early_data = 1 << 4, /* h->early_data goes out, after a re-key that is asked for, too */
    AK_ACT_dummy_ccs = 1 << 3 /* TLS 1.3 middlebox compatibility: a plain ChangeCipherSpec record */
};

typedef enum ak_out_stage { AK_OUT_idle, AK_OUT_compose, AK_OUT_composed, AK_OUT_seal, AK_OUT_sealed, AK_OUT_put, AK_OUT_after } ak_out_stage;
typedef enum ak_in_stage { AK_INS_idle, AK_INS_record, AK_INS_unprotect, AK_INS_opened, AK_INS_plain, AK_INS_message, AK_INS_handle, AK_INS_after } ak_in_stage;
typedef enum ak_flush_stage { AK_FLUSH_idle, AK_FLUSH_next, AK_FLUSH_plain, AK_FLUSH_record } ak_flush_stage;

/* ak_item: bytes that a script has put before or after something. */
typedef struct ak_item {
    struct ak_item *next;
    bool raw;
    uint8_t content_type;
    ak_buf bytes;
} ak_item;

/* ak_taken: what the transcript takes of the current message when it is not simply the message. */
typedef struct ak_taken {
    ak_transcript_mode mode;
    ak_buf bytes; /* as_built: the message before the script changed it; given: what the script gave */
} ak_taken;

typedef struct ak_outgoing {
    ak_out_stage stage;
    const ak_row *row;
    ak_buf message; /* with its header */
    bool dropped;
    ak_taken taken;
    ak_item *after;
} ak_outgoing;

typedef struct ak_incoming {
    ak_in_stage stage;
    const ak_row *row;
    ak_record record;
    ak_buf record_bytes; /* a record that a script has put in place of the one that came */
    ak_buf plain;        /* the opened fragment */
    uint8_t type;        /* its content type */
    ak_buf message;      /* the current message with its header, a copy: gates and questions may take their time */
    bool is_ccs, dropped, accepted;
    ak_taken taken;
} ak_incoming;

typedef struct ak_flight {
    uint8_t content_type;
    ak_buf bytes;   /* messages not yet cut into records */
    size_t done;    /* of them already sent */
    ak_flush_stage stage;
    ak_buf fragment; /* with a gate: what the script sees and may change */
    ak_buf record;
    ak_item *after;
} ak_flight;

/* What a flow needs to remember between its messages; wiped as soon as it may be. */
typedef struct ak_secrets {
    ak_buf premaster;   /* TLS <= 1.2, and the (EC)DHE secret of 1.3 */
    ak_secret master;   /* TLS <= 1.2; once set it stays */
    ak_prf_key master_key; /* the same for the PRF, from the first use on */
    uint8_t key_block[256];
    size_t key_block_n;
    /* TLS 1.3 (key_schedule.c) */
    ak_secret early, handshake, master13;
    ak_secret client_early_traffic, early_exporter, binder;
    ak_secret client_handshake_traffic, server_handshake_traffic;
    ak_secret client_application_traffic, server_application_traffic;
    ak_secret exporter, resumption;
    ak_secret next_read, next_write; /* traffic secrets that the next re-key takes */
} ak_secrets;

/* Every buffer that a handshake owns, in one list: hs.c makes and frees them by it, fork.c copies by it. how: ak_buf_init or ak_buf_init_secret; max: what it may hold at most
 * (hs.c's `message` and `hello`: a message of the peer's, a ClientHello); over: nobody needs it when the handshake is over. What else it owns is released in hs.c and copied in
 * fork.c, one by one. */
#define AK_HS_BUFS(BUF)                                                                                                                                             \
    /*  field, how, max, over */                                                                                                                                    \
    BUF(out_msg.message, ak_buf_init, AK_BUF_NO_LIMIT, true)                                                                                                        \
    BUF(out_msg.taken.bytes, ak_buf_init, AK_BUF_NO_LIMIT, true)                                                                                                    \
    BUF(in_msg.record_bytes, ak_buf_init, AK_BUF_NO_LIMIT, true)                                                                                                    \
    BUF(in_msg.plain, ak_buf_init_secret, AK_CIPHERTEXT_MAX_12 + 64, true)                                                                                          \
    BUF(in_msg.message, ak_buf_init, AK_BUF_NO_LIMIT, true)                                                                                                         \
    BUF(in_msg.taken.bytes, ak_buf_init, AK_BUF_NO_LIMIT, true)                                                                                                     \
    BUF(flight.bytes, ak_buf_init, AK_BUF_NO_LIMIT, true)                                                                                                           \
    BUF(flight.fragment, ak_buf_init, AK_BUF_NO_LIMIT, true)                                                                                                        \
    BUF(flight.record, ak_buf_init, AK_BUF_NO_LIMIT, true)                                                                                                          \
    BUF(answer_bytes, ak_buf_init_secret, AK_BUF_NO_LIMIT, true) /* a session, a pre-shared key */                                                                  \
    BUF(client_hello_bytes, ak_buf_init, hello, true)                                                                                                               \
    BUF(server_hello_bytes, ak_buf_init, message, true)                                                                                                             \
    BUF(peer_ca_names, ak_buf_init, message, true)                                                                                                                  \
    BUF(certificate_request_context, ak_buf_init, 256, true)                                                                                                        \
    BUF(ticket, ak_buf_init, 65536, true)                                                                                                                           \
    BUF(share_public, ak_buf_init, 4096, true)                                                                                                                      \
    BUF(secrets.premaster, ak_buf_init_secret, 4096, true)                                                                                                          \
    BUF(scratch, ak_buf_init_secret, 1 << 20, true)                                                                                                                 \
    BUF(psk_hint, ak_buf_init, 65535, true)                                                                                                                         \
    BUF(psk_secret, ak_buf_init_secret, 65535, true)                                                                                                                \
    BUF(staple, ak_buf_init, 1 << 24, true)                                                                                                                         \
    BUF(assembly, ak_buf_init, (c->server && hello > message ? hello : message) + 65536, false) /* one message and one record beyond it */                          \
    BUF(why, ak_buf_init, 16384, false) /* the failure's detail, where that is long */                                                                              \
    BUF(output, ak_buf_init, AK_BUF_NO_LIMIT, false)                                                                                                                \
    BUF(keylog, ak_buf_init_secret, 1 << 16, false)                                                                                                                 \
    BUF(application, ak_buf_init_secret, AK_RENEGOTIATION_DATA, false)                                                                                              \
    BUF(early_data, ak_buf_init_secret, AK_BUF_NO_LIMIT, false)

struct ak_hs {
    ak_context *ctx;
    ak_provider *p;
    ak_info *info;
    bool server, started;
    uint32_t gates;

    const ak_row *rows; /* the current table */
    size_t at;          /* the row that is being sent or waited for */
    unsigned actions;
    int phase;          /* of a row's function that asked something */
    ak_outgoing out_msg;
    ak_incoming in_msg;
    ak_flight flight;
    ak_event event;
    ak_answer answer;   /* the last one; its bytes are in answer_bytes */
    ak_buf answer_bytes;
    bool done, failed, session_taken;
    bool remove_on_failure; /* the session in the store dies with this handshake */
    ak_failure failure;

    ak_deframer deframer;
    ak_protect *read, *write;
    uint16_t record_version; /* in the headers of records we send */
    ak_buf assembly;    /* handshake bytes not yet taken as messages */
    size_t assembly_at; /* of them already taken */
    bool excess;        /* what is left there came in one record with the end of the message before it */
    ak_buf why;         /* the failure's detail in full; empty: it has room in there */
    ak_buf output;      /* for the peer */
    unsigned empty_records, warnings, ccs_seen, hello_requests;

    /* the hellos, as they were really sent */
    ak_buf client_hello_bytes, server_hello_bytes;
    struct ak_client_hello client_hello;
    uint64_t client_extensions; /* a bit for each type below 64 that it has */
    struct ak_server_hello server_hello;
    uint16_t client_version; /* legacy_version of the (first) ClientHello */

    ak_transcript transcript;
    ak_secrets secrets;
    ak_share *shares[8];     /* our private key exchange values, client: one per share sent */
    size_t n_shares;
    ak_buf share_public;     /* server, TLS 1.3 and ECDHE: our public value when ak_share_answer made it */

    /* negotiation */
    ak_identity *identity;   /* ours */
    ak_key *peer_key;        /* of the peer's leaf */
    ak_resumption *offered;  /* client: the session we ask to resume */
    ak_resumption *resumed;  /* what is resumed */
    uint16_t peer_schemes[AK_LIST_MAX]; /* signature schemes that the peer accepts */
    size_t n_peer_schemes;
    const ak_scheme *scheme; /* for our signature */
    uint16_t dh_version;
    bool client_certificate_requested, client_certificate_sent, send_ticket, expect_ticket, expect_status;
    ak_buf peer_ca_names;    /* CertificateRequest: the list */
    ak_buf certificate_request_context;
    uint8_t offered_session_id[32];
    uint8_t offered_session_id_n;
    ak_buf ticket;           /* 1.2 server: the ticket that the client sent; client: received */
    uint32_t ticket_lifetime;
    ak_buf psk_hint;         /* client, TLS <= 1.2: the server's */
    ak_buf psk_secret;       /* TLS <= 1.2: the pre-shared key that is used */
    ak_buf staple;           /* server: the application's OCSP response */
    bool staple_asked;
    uint8_t grease[16];      /* what its RFC 8701 values are made from */
    bool greased;            /* they are drawn */
    bool no_client_certificate; /* SSL 3.0: the no_certificate alert stood for it */
    bool read_protected;     /* this handshake has re-keyed reading */
    struct ak_renegotiation *renegotiation; /* what a handshake inside a connection keeps of the one before; NULL: an initial one */
    ak_buf application;      /* data that came during a renegotiation */
    uint16_t peer_record_limit; /* RFC 8449: what the peer is willing to receive; 0: no limit */
    ak_buf keylog;
    ak_buf scratch;
    bool send_early;         /* client: 0-RTT data is wanted */
    ak_buf early_data;       /* client: to be sent; server: received */
    struct ak_post_auth *post_auth; /* TLS 1.3: what authentication after the handshake needs (post_auth.c) */
    bool after_handshake;    /* this is such an authentication */
    bool alerts_padded;      /* by alert_padding, and not by the policy */
    uint16_t alert_padding;
    const uint16_t *data_padding; /* of the records of one call: ak_hs_pad_data */
    size_t data_padding_n;
    void *flow13;            /* what only TLS 1.3 needs (client13.c, server13.c) */
};

/* ak_hs_fail: ends the handshake: the first cause stays; the alert is derived from it (error.def) and goes out under the current keys. Returns e. */
ak_error ak_hs_fail(ak_hs *h, ak_error e, const char *fmt, ...) AK_PRINTF(3, 4);
/* ak_hs_fail_alert: the same with another alert than error.def's. */
ak_error ak_hs_fail_alert(ak_hs *h, ak_error e, int alert, const char *fmt, ...) AK_PRINTF(4, 5);
/* ak_hs_ask: puts a question; the row's function sets h->phase and returns AK_AGAIN. The answer will be in h->answer. */
ak_error ak_hs_ask(ak_hs *h, ak_event_kind kind);
/* ak_hs_refused: ends the handshake as the application's answer (AK_REFUSE) says. */
ak_error ak_hs_refused(ak_hs *h);
/* ak_hs_message: the message that is being handled or has just been built, header included, as it is really sent. */
ak_view ak_hs_message(const ak_hs *h);
/* ak_hs_keylog_line: "LABEL <client random> <secret>". */
bool ak_hs_keylog_line(ak_hs *h, const char *label, ak_view secret);
/* ak_hs_record_limit: plaintext bytes in one record that we take now (limits.c). */
size_t ak_hs_record_limit(const ak_hs *h);
/* send_ahead.c. ak_hs_settled: nothing of ours is half-way: what is sealed now goes out between messages. ak_hs_seal_data: application data into the output. */
bool ak_hs_settled(const ak_hs *h);
ak_error ak_hs_seal_data(ak_hs *h, ak_view data, ak_failure *f);
/* ak_hs_use_rows: the next row is the first of another table. */
void ak_hs_use_rows(ak_hs *h, const ak_row *rows);
/* ak_hs_max_fragment: plaintext bytes in one record that we may send now. */
size_t ak_hs_max_fragment(const ak_hs *h);
static inline bool ak_hs_is_13(const ak_hs *h) { return h->info->version >= AK_TLS13; }

/* ak_hs_drop_shares: releases our key exchange values: they were used, or are of no use in this version. */
void ak_hs_drop_shares(ak_hs *h);
/* ak_flow13_over: the handshake is done: all that stays in h->flow13 is where its secrets came from, for as long as the last of them are there.
 * ak_flow13_free: releases h->flow13 (TLS 1.3's own memory). */
void ak_flow13_over(ak_hs *h);
void ak_flow13_free(ak_hs *h);

/* Every buffer that an ak_info owns, and its max: made and freed in context.c, copied in fork.c. */
#define AK_INFO_BUFS(BUF)                                                                                                                                           \
    BUF(ocsp_response, 1 << 24)                                                                                                                                     \
    BUF(scts, 1 << 16)                                                                                                                                              \
    BUF(psk_identity, 65535)                                                                                                                                        \
    BUF(server_name, AK_SERVER_NAME_MAX)                                                                                                                            \
    BUF(alpn, AK_ALPN_MAX)

ak_info *ak_info_new(ak_provider *p, bool server);
ak_info *ak_info_ref(ak_info *i);
ak_info *ak_info_copy(const ak_info *i); /* fork.c; NULL: out of memory */
void ak_info_free(ak_info *i);

#endif
