/* groups.h: key exchange groups (RFC 8446 §4.2.7, RFC 8422, RFC 7919, the ML-KEM hybrids), one shape for all of them. */
#ifndef AK_CRYPTO_GROUPS_H
#define AK_CRYPTO_GROUPS_H

#include "crypto/provider.h"

typedef enum ak_group_kind { AK_GROUP_x, AK_GROUP_ec, AK_GROUP_ff, AK_GROUP_hybrid } ak_group_kind;

typedef struct ak_group {
    uint16_t id;
    const char *name;      /* IANA name: "x25519", "secp256r1", "X25519MLKEM768" */
    const char *nid_name;  /* libcrypto's name: "X25519", "P-256", "ffdhe2048" */
    ak_group_kind kind;
    uint16_t client_share, server_share; /* bytes on the wire */
    uint16_t secret;                     /* bytes of the shared secret */
    uint16_t security_bits;
    uint16_t min_version, max_version;
} ak_group;

enum { AK_GROUP_secp256r1 = 23 };

extern const ak_group ak_groups[];
extern const size_t ak_groups_count;
const ak_group *ak_group_find(uint16_t id);
const ak_group *ak_group_by_name(const char *name); /* IANA name; "P-256", "X25519" etc. are accepted too */
/* ak_group_usable: whether this libcrypto has it (probed once at run time). */
bool ak_group_usable(ak_provider *p, const ak_group *g);

/* ak_share: a private key exchange value, ours, with its public half. */
typedef struct ak_share ak_share;
/* ak_share_new: a fresh value in the group (purpose key_share; in a lab all but the hybrids' ML-KEM are the source's bytes themselves, big-endian
 * scalars in 1..n-1 for EC). NULL: *f says why: AK_ERR_unsupported, AK_ERR_randomness, AK_ERR_crypto_failed. */
ak_share *ak_share_new(ak_provider *p, const ak_group *g, ak_failure *f);
/* ak_share_new_dh: the same in explicit finite-field parameters (TLS 1.2 DHE). The caller has checked p and g with ak_dh_check. */
ak_share *ak_share_new_dh(ak_provider *p, ak_view prime, ak_view generator, ak_failure *f);
/* ak_share_given_dh: the same with a given private value, a big-endian number from 1 to p-1 (AK_ERR_illegal_parameter: it is none): for laboratories. g: an
 * RFC 7919 group (prime and generator are its own then), or NULL. */
ak_share *ak_share_given_dh(ak_provider *p, const ak_group *g, ak_view prime, ak_view generator, ak_view private_value, ak_failure *f);
/* ak_dh_check: a server's DHE parameters: size (at least min_bits, at most 8192), odd, g in 2..p-2; a prime that is one of RFC 7919 or RFC 3526 is
 * known to be safe, others are tested for primality. AK_OK, AK_ERR_weak_dh_group or AK_ERR_illegal_parameter. */
ak_error ak_dh_check(ak_provider *p, ak_view prime, ak_view generator, unsigned min_bits, ak_failure *f);
/* ak_group_dh_params: prime and generator of one of RFC 7919's groups, as a TLS 1.2 ServerKeyExchange spells them; owned by the provider. false: not such a group. */
bool ak_group_dh_params(ak_provider *p, const ak_group *g, ak_view *prime, ak_view *generator);
void ak_share_free(ak_share *s);
/* ak_share_clone: the same private value once more (forks); NULL: out of memory. */
ak_share *ak_share_clone(const ak_share *s);
const ak_group *ak_share_group(const ak_share *s); /* NULL for explicit DH parameters */
ak_view ak_share_public(const ak_share *s);        /* as it goes on the wire, owned by s */
/* ak_share_derive: the shared secret with the peer's public value, appended to a secret buffer. Checks the point, its order where
 * that matters, and that the result is not all zeros: AK_ERR_bad_key_share. strip_zeros: leading zero bytes removed (TLS 1.2 finite-field
 * DHE, RFC 5246 §8.1.2); TLS 1.3 pads instead (RFC 8446 §7.4.1). A finite-field value may then be shorter than the prime, too; without strip_zeros it must be exactly
 * as long (RFC 8446 §4.2.8.1). EC points: uncompressed only. Nothing is appended on failure. */
ak_error ak_share_derive(ak_provider *p, ak_share *s, ak_view peer, bool strip_zeros, ak_buf *out, ak_failure *f);
/* ak_share_answer: the responder's side in one: makes our value for the peer's, writes our public value and the shared secret (hybrids
 * encapsulate here). Works for every group, by the rules of TLS 1.3 (exact lengths, no stripping). On failure both buffers are as before. */
ak_error ak_share_answer(ak_provider *p, const ak_group *g, ak_view peer, ak_buf *out_public, ak_buf *out_secret, ak_failure *f);

#endif
