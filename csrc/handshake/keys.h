/* keys.h: from secrets to keys. keys12.c: master secret, key block, verify_data of TLS 1.0-1.2 (RFC 5246 §6.3, §7.4.9, §8.1; RFC 7627);
 * keys13.c: the key schedule (RFC 8446 §7.1). keys.c: installing them, and what the machine asks about the version in force. */
#ifndef AK_HANDSHAKE_KEYS_H
#define AK_HANDSHAKE_KEYS_H

#include "handshake/machine.h"

/* ak_keys_install: gives one direction its next keys (an action: only machine.c calls it). */
ak_error ak_keys_install(ak_hs *h, bool write, ak_failure *f);

/* ---- TLS <= 1.2 ------------------------------------------------------------------------------------------------------ */

/* ak_keys12_hash: the PRF's (and the transcript's) hash: MD5+SHA-1 up to TLS 1.1, else the suite's. */
ak_hash ak_keys12_hash(uint16_t version, const ak_suite *s);
/* ak_keys12_master: master secret from h->secrets.premaster, which is wiped; extended (RFC 7627 §4) when both agreed on it:
 * the transcript then ends with ClientKeyExchange. */
ak_error ak_keys12_master(ak_hs *h);
/* ak_keys12_expand: the key block from the master secret and both randoms. */
ak_error ak_keys12_expand(ak_hs *h);
/* ak_keys12_verify_data: over the transcript so far: 12 bytes, 36 in SSL 3.0. */
#define AK_VERIFY_DATA_MAX 36
size_t ak_verify_data_size(const ak_hs *h);
ak_error ak_keys12_verify_data(ak_hs *h, bool server, uint8_t out[AK_VERIFY_DATA_MAX]);

/* ---- SSL 3.0 (ssl3.c); false: libcrypto failed ------------------------------------------------------------------------ */

#define AK_SSL3_HASHES 36 /* an MD5 and a SHA-1 value */
/* ak_ssl3_derive: the master secret or the key block (RFC 6101 §6.1, §6.2.2). */
bool ak_ssl3_derive(ak_provider *p, ak_view secret, ak_view random_a, ak_view random_b, uint8_t *out, size_t n);
bool ak_ssl3_finished(ak_hs *h, bool server, uint8_t out[AK_SSL3_HASHES]);
/* ak_ssl3_certificate_verify: what a CertificateVerify signs. */
bool ak_ssl3_certificate_verify(ak_hs *h, uint8_t out[AK_SSL3_HASHES]);

/* ---- what depends on the version while records come in ---------------------------------------------------------------- */

/* ak_hs_application_data: application data inside the handshake: true when it was early data (TLS 1.3) and is taken care of. */
bool ak_hs_application_data(ak_hs *h, ak_view v);
/* ak_hs_filter_record: true when the record is to be passed over (TLS 1.3: compatibility ChangeCipherSpec, RFC 8446 §5, §D.4). */
bool ak_hs_filter_record(ak_hs *h, const ak_record *r);
/* ak_hs_skip_undecryptable: true when a record that cannot be opened is early data that was refused (RFC 8446 §4.2.10). */
bool ak_hs_skip_undecryptable(ak_hs *h, const ak_record *r, ak_error e);
/* ak_hs_under_early_key: a server that reads early data: EndOfEarlyData has not come. */
bool ak_hs_under_early_key(const ak_hs *h);
/* ak_hs_record_opened: a record was opened under the current keys: from here on nothing is passed over. */
void ak_hs_record_opened(ak_hs *h);
/* ak_note_end_point: info->end_point (RFC 5929 §4), from the server's certificate, or from the session that is resumed (channel_binding.c). */
void ak_note_end_point(const ak_hs *h);
/* ak_hs_no_client_certificate: true when a warning alert is SSL 3.0's way of showing no certificate, and is taken care of (certificate12.c). */
bool ak_hs_no_client_certificate(ak_hs *h, uint8_t alert);
/* ak_hs_read_limit: plaintext bytes allowed in one record now. */
size_t ak_hs_read_limit(const ak_hs *h);
/* ak_hs_finished: the handshake is over: what the session needs is put aside, the rest wiped. */
void ak_hs_finished(ak_hs *h);

#endif
