/* post_auth.h: client authentication after the handshake (RFC 8446 §4.6.2). Private to the handshake room. */
#ifndef AK_HANDSHAKE_POST_AUTH_H
#define AK_HANDSHAKE_POST_AUTH_H

#include "handshake/machine.h"

typedef struct ak_post_auth ak_post_auth;

/* ak_post_auth_keep: at the client's Finished: if the client has said post_handshake_auth, and this context does it, the transcript so far is kept in h->post_auth. */
ak_error ak_post_auth_keep(ak_hs *h);
/* ak_post_auth_copy: what a forked handshake keeps. NULL: out of memory. */
ak_post_auth *ak_post_auth_copy(const ak_post_auth *p);
void ak_post_auth_free(ak_post_auth *p);
/* ak_post_auth_message: a Certificate, CertificateVerify, Finished (server) or CertificateRequest (client) after the handshake. *taken: it was one that is expected
 * now, and is dealt with; otherwise it is none of this file's business. */
ak_error ak_post_auth_message(ak_session *s, ak_view message, bool *taken);
/* ak_post_auth_pending: the client's messages have begun and are not complete: nothing else may stand between them. */
bool ak_post_auth_pending(const ak_session *s);
/* ak_post_auth_waits: a question or a gate waits for the application (ak_session_event). */
bool ak_post_auth_waits(const ak_session *s);
/* ak_post_auth_between_records: … in the middle of its messages: what is sealed now would stand between them. */
bool ak_post_auth_between_records(const ak_session *s);
/* ak_post_auth_holds_key: a client's Finished is being made: the write key must stay. */
bool ak_post_auth_holds_key(const ak_session *s);
/* ak_post_auth_data_came: application data: a client's requests are counted anew. */
void ak_post_auth_data_came(ak_session *s);

#endif
