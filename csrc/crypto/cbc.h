/* cbc.h: block ciphers in CBC mode with the record MAC (RFC 5246 §6.2.3.2, RFC 7366), and the opening of a MAC-then-encrypt record that
 * tells nobody what was wrong with it (Lucky 13, POODLE's padding check, Vaudenay). */
#ifndef AK_CRYPTO_CBC_H
#define AK_CRYPTO_CBC_H

#include "crypto/aead.h"
#include "crypto/mac.h"

/* ak_cbc_crypt: encrypts or decrypts (as k was keyed) n bytes, a multiple of the block, from in to out (the same, or not overlapping),
 * with an IV of one block. False only when libcrypto fails. */
bool ak_cbc_crypt(ak_keyed *k, const uint8_t *iv, const uint8_t *in, size_t n, uint8_t *out);

/* ak_cbc_pad: writes the padding that brings n bytes to a multiple of block: 1..block bytes, each of them the number of the others.
 * Returns how many were written. */
size_t ak_cbc_pad(uint8_t *out, size_t n, size_t block);

/* ak_cbc_once: libcrypto's cipher that computes the MAC of a record while it encrypts it, in the time of the encryption alone; AK_CIPHER_null: there is none for these
 * here. For sealing: opening is not faster by it. A lab has none, as the bytes of an explicit IV come out of it encrypted, and not as they were given. */
ak_cipher_id ak_cbc_once(const ak_provider *p, ak_cipher_id cipher, ak_hash mac);
/* ak_cbc_twice: the cipher and the hash that it stands for. */
ak_cipher_id ak_cbc_twice(ak_cipher_id once, ak_hash *mac);
/* ak_cbc_seal_once: at record: an explicit IV when the version has one (TLS 1.1; random bytes of one block, which become others), the content, n bytes in all, and room for
 * MAC and padding up to size. aad: seq_num, type, version and n; changed. */
#define AK_CBC_AAD 13
bool ak_cbc_seal_once(ak_keyed *k, const uint8_t *iv, uint8_t aad[AK_CBC_AAD], uint8_t *record, size_t size);

/* ak_cbc_judge: data are n decrypted bytes: content, MAC, padding. Returns all ones when padding and MAC are right, else zero; *out_n is the
 * number of content bytes. n must be more than the MAC's size (and no more than 65535).
 * PUBLIC: n, block, the head, the suite. SECRET until the caller acts on the verdict: the data, *out_n, which part of it is wrong. It reads and
 * computes the same for all records of one n. ssl3: the padding's bytes are free, and it is at most one block (RFC 6101 §5.2.3.2). */
uint64_t ak_cbc_judge(const ak_mac *m, const ak_mac_head *head, bool ssl3, size_t block, const uint8_t *data, size_t n, uint64_t *out_n);

#endif
