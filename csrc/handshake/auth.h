/* auth.h: who proves what to whom: choosing identities, suites' key exchange and signature schemes; verifying the peer's chain. */
#ifndef AK_HANDSHAKE_AUTH_H
#define AK_HANDSHAKE_AUTH_H

#include "handshake/machine.h"

/* ak_auth_peer_schemes: notes the schemes the peer accepts, from a list as it came, however long: of those that exist here. */
void ak_auth_peer_schemes(ak_hs *h, ak_view list);
/* ak_auth_default_schemes: what RFC 5246 §7.4.1.4.1 says of a peer that names none. */
void ak_auth_default_schemes(ak_hs *h);
/* ak_auth_scheme: the scheme for a signature of ours with this key at this version, NULL when there is no common one. */
const ak_scheme *ak_auth_scheme(const ak_hs *h, ak_key *key, uint16_t version);
/* ak_auth_scheme_offered: whether we offered to accept this scheme. */
bool ak_auth_scheme_offered(const ak_hs *h, uint16_t scheme);
/* ak_auth_own_schemes: our signature_algorithms, as they go on the wire at versions up to `version`. */
void ak_auth_own_schemes(const ak_hs *h, ak_buf *out);

/* ak_auth_take_chain: the peer's certificates become info->peer_chain and h->peer_key. list: certificate_list of TLS <= 1.2. */
ak_error ak_auth_take_chain(ak_hs *h, ak_view list);
/* ak_auth_take_key: h->peer_key from the leaf of info->peer_chain. */
ak_error ak_auth_take_key(ak_hs *h);
/* ak_auth_verify: the chain against the context's trust; asks AK_EV_untrusted when the context says so (AK_AGAIN). Called again with the answer
 * in h->answer when h->phase says so. */
ak_error ak_auth_verify(ak_hs *h);

/* ak_auth_ask_staple: server, once the identity is chosen: asks the application for the OCSP response to staple when the client wants one and the context says so
 * (AK_AGAIN; called again with the answer). Without that AK_OK at once. */
ak_error ak_auth_ask_staple(ak_hs *h);
/* ak_auth_staple: the OCSP response that goes with our certificate; empty: none. */
ak_view ak_auth_staple(const ak_hs *h);

/* ak_auth_choose12: server, TLS <= 1.2: suite, identity, group and scheme together. AK_ERR_no_shared_suite tells what each side offered. */
ak_error ak_auth_choose12(ak_hs *h);
/* ak_auth_no_suite: fails with AK_ERR_no_shared_suite, which tells what each side offered. */
ak_error ak_auth_no_suite(ak_hs *h);
/* ak_auth_identity_serves: the identities that may be used for this connection's server name, best first. */
size_t ak_auth_candidates(const ak_hs *h, ak_identity **out, size_t max);
/* ak_auth_shared_group: our first (or the client's first, with prefer_client) group that both have at this version; NULL: none. */
const ak_group *ak_auth_shared_group(const ak_hs *h, uint16_t version, bool finite_field);
/* ak_auth_client_lists_group: whether the client's supported_groups has it (true when it sent none and the version is <= 1.2). */
bool ak_auth_client_lists_group(const ak_hs *h, uint16_t group);

#endif
