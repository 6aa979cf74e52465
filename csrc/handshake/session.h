/* session.h: the connection after the handshake. Private to the handshake room (machine.c makes it, session.c runs it, session13.c knows TLS 1.3's
 * post-handshake messages). */
#ifndef AK_HANDSHAKE_SESSION_H
#define AK_HANDSHAKE_SESSION_H

#include "handshake/machine.h"

/* The secrets that TLS 1.3 alone needs after a handshake: those of the traffic, and resumption_master_secret. */
enum { AK_KEPT_read, AK_KEPT_write, AK_KEPT_resumption, AK_KEPT_count };

struct ak_session {
    ak_context *ctx;
    ak_provider *p;
    ak_info *info;
    bool server;
    bool peer_closed;  /* close_notify came */
    bool write_closed; /* close_notify was sent */
    bool closed;       /* keys are gone */
    bool failed;       /* ak_session_failure says why */
    ak_failure *failure; /* made when it is needed; NULL and failed: there was no memory for it */
    uint16_t record_version, max_send;
    size_t read_limit;
    uint16_t peer_record_limit;
    bool renegotiation_wanted; /* a HelloRequest came */
    unsigned empty_records, warnings, key_updates, refused_renegotiations;
    ak_deframer deframer;
    ak_protect *read, *write;
    ak_buf assembly;    /* a post-handshake message being collected */
    bool excess;        /* it began in one record with the end of the message before it */
    ak_buf reply;       /* what the protocol wants sent */
    ak_secret exporter; /* TLS <= 1.2: the master secret; TLS 1.3: exporter_master_secret */
    struct ak_post_auth *post_auth; /* TLS 1.3: NULL: not possible here */
    bool key_update_pending; /* TLS 1.3: the peer asked for ours */
    bool key_update_answered; /* and got it, and no data has gone out since */
    bool stopped;       /* what is in the assembly waits: a message before it asked the application something, or ended the handshake */
    bool own_padded;    /* alerts and handshake messages: by these, and not by the policy */
    uint16_t alert_padding, handshake_padding;
    uint32_t gates;     /* those of the handshake, for the messages that come after it */
    ak_secret tls13[]; /* AK_KEPT_count of them in TLS 1.3, none before it */
};

/* ak_session_fail: the session is over; the alert goes into the reply. */
ak_error ak_session_fail(ak_session *s, ak_error e, const char *fmt, ...) AK_PRINTF(3, 4);
/* ak_session_fail_alert: the same with another alert than error.def's. */
ak_error ak_session_fail_alert(ak_session *s, ak_error e, int alert, const char *detail);
/* ak_session_failed: the same; an alert has gone into the reply already. */
ak_error ak_session_failed(ak_session *s, const ak_failure *f);
/* ak_session_drop_keys: wipes all keys; the session is closed. */
void ak_session_drop_keys(ak_session *s);
/* ak_session_put: one record of a type other than application data into the reply. */
bool ak_session_put(ak_session *s, uint8_t content_type, const void *p, size_t n);
/* ak_session13_message: a whole post-handshake message of TLS 1.3, header included. */
ak_error ak_session13_message(ak_session *s, ak_view message);
/* ak_session13_update: our KeyUpdate, and the new write key. */
ak_error ak_session13_update(ak_session *s, bool ask_peer);
#define AK_KEY_MARGIN 64u /* records kept back under a key: alerts, a KeyUpdate */
/* ak_session13_keep_key_fresh: before n bytes are sealed: when the write key is near its end a KeyUpdate goes into the reply, and the next key is in force. */
ak_error ak_session13_keep_key_fresh(ak_session *s, size_t n);

#endif
