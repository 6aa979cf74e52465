/* renegotiation.h: a handshake inside a connection (RFC 5246 §7.4.1.1, RFC 5746), on the client's side alone: a server here refuses. */
#ifndef AK_HANDSHAKE_RENEGOTIATION_H
#define AK_HANDSHAKE_RENEGOTIATION_H

#include "handshake/session.h"

/* ak_renegotiation: what has to be the same as, or to prove knowledge of, the handshake before. */
typedef struct ak_renegotiation {
    ak_info *before;
    bool accepted_untrusted; /* its certificate was not trusted, and the application went on all the same */
} ak_renegotiation;

void ak_renegotiation_free(ak_renegotiation *r);

/* ak_renegotiation_verify_data: what renegotiation_info carries: the client's verify_data of the handshake before, and with `both` the server's after it
 * (RFC 5746 §3.5). Nothing in an initial handshake. */
bool ak_renegotiation_verify_data(const ak_hs *h, bool both, ak_buf *out);
/* ak_renegotiation_check_hello: client: version and extended_master_secret against the handshake before, and that renegotiation_info was there. */
ak_error ak_renegotiation_check_hello(ak_hs *h);
/* ak_renegotiation_check_certificate: whether the server shows the certificates of the handshake before, unless the context lets it change them. */
ak_error ak_renegotiation_check_certificate(ak_hs *h);

#endif
