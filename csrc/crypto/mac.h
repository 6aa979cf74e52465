/* mac.h: the MAC of a record in CBC and NULL suites: HMAC (RFC 2104; RFC 5246 §6.2.3.1), or SSL 3.0's forerunner of it
 * (RFC 6101 §5.2.3.1) in the lab.
 *
 * Two ways to the same value: over bytes whose number everybody may know, and over bytes whose number is a secret
 * (a CBC record's plaintext before its padding is judged: Lucky 13). */
#ifndef AK_CRYPTO_MAC_H
#define AK_CRYPTO_MAC_H

#include "crypto/provider.h"

#define AK_MAC_MAX 64 /* bytes of the longest MAC */

/* ak_mac: a keyed MAC; opaque. */
typedef struct ak_mac ak_mac;

/* ak_mac_new: hash is one of md5, sha1, sha256, sha384, sha512; ssl3 only with md5 and sha1; a key is at most as long as the hash's block.
 * NULL: anything else, or out of memory. */
ak_mac *ak_mac_new(ak_hash hash, bool ssl3, ak_view key);
ak_mac *ak_mac_clone(const ak_mac *m);
void ak_mac_free(ak_mac *m); /* wipes */
size_t ak_mac_size(const ak_mac *m);

/* ak_mac_head: the pseudo header that the MAC covers before the data. */
typedef struct ak_mac_head {
    uint64_t seq;
    uint16_t version; /* not covered in SSL 3.0 */
    uint8_t type;
} ak_mac_head;

/* ak_mac_record: MAC over head, n and the n bytes of data, for a public n <= 65535. Writes ak_mac_size() bytes. */
void ak_mac_record(const ak_mac *m, const ak_mac_head *head, const uint8_t *data, size_t n, uint8_t *out);
/* ak_mac_record_secret: ak_mac_record for a SECRET n, min_n <= n <= max_n <= 65535, in time and with memory accesses that depend on min_n and
 * max_n alone. All max_n bytes of data are read. */
void ak_mac_record_secret(const ak_mac *m, const ak_mac_head *head, const uint8_t *data, uint64_t n, size_t min_n, size_t max_n,
                          uint8_t *out);

#endif
