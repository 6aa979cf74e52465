/* x509.h: certificates, identities, trust, and the one door to "is this chain good?".
 *
 * Certificates are read by our own bounded DER cursor: every field is a view over the certificate's own bytes. A parser here
 * decides nothing; policy is in verify.c, in words of RFC 5280 and RFC 9525. libcrypto sees public keys and signatures only.
 *
 * All objects belong to one thread (one Lua state) and are counted by reference; certificates never change once parsed. */
#ifndef AK_X509_X509_H
#define AK_X509_X509_H

#include "base/buf.h"
#include "base/error.h"
#include "crypto/key.h"
#include "crypto/provider.h"

/* ---- bounds ---------------------------------------------------------------------------------------------------------- */

#define AK_CERT_MAX_BYTES 65536   /* one certificate */
#define AK_CERT_MAX_EXTENSIONS 64 /* extensions in one certificate */
#define AK_CHAIN_MAX 64           /* certificates taken from a peer, or in an identity */
#define AK_PATH_MAX 16            /* certificates in a path, both ends counted */
#define AK_EXTRA_MAX 128          /* further certificates that a path may be built of */
#define AK_CRL_MAX_BYTES (64u << 20)

/* ---- certificates ---------------------------------------------------------------------------------------------------- */

/* Extensions that akushu knows (certificate.c); the rest is AK_EXT_other. */
typedef enum ak_ext_id {
    AK_EXT_other = 0,
    AK_EXT_subject_key_identifier,   /* RFC 5280 §4.2.1.2 */
    AK_EXT_authority_key_identifier, /* §4.2.1.1 */
    AK_EXT_key_usage,                /* §4.2.1.3 */
    AK_EXT_certificate_policies,     /* §4.2.1.4 */
    AK_EXT_policy_mappings,          /* §4.2.1.5 */
    AK_EXT_subject_alt_name,         /* §4.2.1.6 */
    AK_EXT_issuer_alt_name,          /* §4.2.1.7 */
    AK_EXT_basic_constraints,        /* §4.2.1.9 */
    AK_EXT_name_constraints,         /* §4.2.1.10 */
    AK_EXT_policy_constraints,       /* §4.2.1.11 */
    AK_EXT_extended_key_usage,       /* §4.2.1.12 */
    AK_EXT_crl_distribution_points,  /* §4.2.1.13 */
    AK_EXT_inhibit_any_policy,       /* §4.2.1.14 */
    AK_EXT_authority_info_access,    /* §4.2.2.1 */
    AK_EXT_tls_feature,              /* RFC 7633 */
    AK_EXT_sct_list,                 /* RFC 6962 §3.3 */
    AK_EXT_ocsp_no_check,            /* RFC 6960 §4.2.2.2.1 */
    AK_EXT_ct_poison,                /* RFC 6962 §3.1: never valid in a handshake */
    AK_EXT_count
} ak_ext_id;

typedef struct ak_ext {
    ak_ext_id id;
    bool critical;
    ak_view oid;   /* content bytes of the OBJECT IDENTIFIER */
    ak_view value; /* content bytes of extnValue's OCTET STRING */
} ak_ext;

/* keyUsage bits (RFC 5280 §4.2.1.3), bit 0 first. */
enum {
    AK_KU_digital_signature = 1 << 0,
    AK_KU_content_commitment = 1 << 1,
    AK_KU_key_encipherment = 1 << 2,
    AK_KU_data_encipherment = 1 << 3,
    AK_KU_key_agreement = 1 << 4,
    AK_KU_key_cert_sign = 1 << 5,
    AK_KU_crl_sign = 1 << 6,
    AK_KU_encipher_only = 1 << 7,
    AK_KU_decipher_only = 1 << 8
};

/* extKeyUsage purposes (RFC 5280 §4.2.1.12). */
enum {
    AK_EKU_server_auth = 1 << 0,
    AK_EKU_client_auth = 1 << 1,
    AK_EKU_code_signing = 1 << 2,
    AK_EKU_email_protection = 1 << 3,
    AK_EKU_time_stamping = 1 << 4,
    AK_EKU_ocsp_signing = 1 << 5,
    AK_EKU_any = 1 << 6,
    AK_EKU_other = 1 << 7
};

/* What an AlgorithmIdentifier of a signature says. */
typedef enum ak_sig_kind { AK_SIG_unknown, AK_SIG_rsa_pkcs1, AK_SIG_rsa_pss, AK_SIG_ecdsa, AK_SIG_ed25519, AK_SIG_ed448 } ak_sig_kind;
typedef struct ak_sigalg {
    ak_sig_kind kind;
    ak_hash hash;        /* AK_HASH_none for EdDSA and for what is unknown */
    const char *name;    /* "ecdsa-with-SHA256"; NULL when unknown */
    unsigned salt;       /* of RSASSA-PSS, in bytes; 0 for others */
    bool bad_parameters; /* a known algorithm with parameters that its standard does not allow */
} ak_sigalg;

typedef struct ak_cert {
    size_t refs;
    ak_view der;               /* the whole certificate; owned */
    ak_view tbs;               /* TBSCertificate with its header: the bytes that are signed */
    ak_view sigalg_der;        /* the outer AlgorithmIdentifier, header included */
    ak_view sigalg_inner;      /* TBSCertificate.signature, header included */
    ak_sigalg sigalg;          /* what the outer one says */
    ak_view signature;         /* the BIT STRING's bytes */
    unsigned version;          /* 1, 2 or 3 */
    ak_view serial;            /* content bytes of the INTEGER, as they are */
    ak_view issuer, subject;   /* Name, header included */
    uint64_t issuer_hash, subject_hash; /* of the canonical names (ak_name_hash) */
    int64_t not_before, not_after;      /* seconds since 1970-01-01T00:00:00Z */
    ak_view spki;              /* SubjectPublicKeyInfo, header included */
    ak_view public_key;        /* the BIT STRING's bytes inside it */

    ak_ext *exts;
    size_t n_exts;
    const ak_ext *ext[AK_EXT_count]; /* by id (first of its kind); NULL: absent */
    const ak_ext *unknown_critical;  /* the first critical extension that is not known here */
    bool malformed;                  /* a known extension cannot be read, or appears twice: … */
    const char *malformed_text;      /* … which, and why. The rest of the certificate is readable; ak_verify_chain refuses it */

    /* what the known extensions say; zero or empty when absent */
    bool is_ca;
    int path_len;          /* -1: no limit */
    unsigned key_usage;    /* AK_KU_*; see ak_cert_allows */
    unsigned ext_key_usage; /* AK_EKU_* */
    ak_view san;           /* GeneralNames: content of the SEQUENCE; walk with ak_names_next */
    ak_view ski;           /* subject key identifier */
    ak_view aki_key_id;    /* authority key identifier: keyIdentifier */
    ak_view aki_issuer, aki_serial; /* …: authorityCertIssuer (GeneralNames content), authorityCertSerialNumber */
    ak_view nc_permitted, nc_excluded; /* GeneralSubtrees contents */
    ak_view policies;      /* content of SEQUENCE OF PolicyInformation */
    ak_view policy_mappings;
    int require_explicit_policy, inhibit_policy_mapping, inhibit_any_policy; /* SkipCerts, -1: absent */
    ak_view aia;           /* content of SEQUENCE OF AccessDescription */
    ak_view crl_dps;       /* content of SEQUENCE OF DistributionPoint */
    ak_view scts;          /* the SignedCertificateTimestampList (TLS encoding, with its length) */
    bool must_staple;      /* TLS feature 5 (status_request) */
    bool must_staple_v2;   /* TLS feature 17 */
    bool self_issued;      /* subject and issuer are the same name */

    ak_key *key;           /* made on demand: ak_cert_key */
    ak_provider *key_provider;
} ak_cert;

/* ak_cert_parse: copies and reads one DER certificate. AK_ERR_undecodable_certificate: not one DER SEQUENCE of exactly these bytes;
 * AK_ERR_bad_certificate: its inside does not have RFC 5280's form (f->detail says where); AK_ERR_out_of_memory. */
ak_error ak_cert_parse(ak_view der, ak_cert **out, ak_failure *f);
ak_cert *ak_cert_ref(ak_cert *c);
void ak_cert_free(ak_cert *c);
/* ak_cert_key: the public key, made at the first call and kept; borrowed. NULL and *f (AK_ERR_bad_certificate, …) when it is not usable.
 * A key of an algorithm that is unknown here has type AK_KEY_other. */
ak_key *ak_cert_key(ak_provider *p, ak_cert *c, ak_failure *f);
/* ak_cert_forget_key: releases the kept key; ak_cert_key makes it again. */
void ak_cert_forget_key(ak_cert *c);
bool ak_cert_same(const ak_cert *a, const ak_cert *b); /* the same bytes */
/* ak_cert_allows: whether keyUsage has one of these bits (AK_KU_*), or is absent. */
bool ak_cert_allows(const ak_cert *c, unsigned usage);
/* ak_cert_for: whether extKeyUsage has one of these purposes (AK_EKU_*), or is absent. */
bool ak_cert_for(const ak_cert *c, unsigned purposes);
bool ak_cert_fingerprint(ak_provider *p, const ak_cert *c, uint8_t out[32]); /* SHA-256 of the DER */
/* ak_cert_serial: the serial as lower-case hexadecimal, "-" before a negative one. */
bool ak_cert_serial(const ak_cert *c, ak_buf *out);
/* ak_cert_self_signed: self-issued, and its signature verifies with its own key. */
bool ak_cert_self_signed(ak_provider *p, ak_cert *c);
/* ak_cert_check_signature: whether `issuer`'s key made c's signature: AK_OK, AK_ERR_certificate_signature, AK_ERR_unsupported_certificate
 * (an algorithm that is unknown here, or that does not fit the key). Says nothing about strength: that is ak_verify_chain's. */
ak_error ak_cert_check_signature(ak_provider *p, const ak_cert *c, ak_cert *issuer, ak_failure *f);
/* ak_cert_scheme: the TLS SignatureScheme that names c's signature (RFC 8446 §4.2.3), as signature_algorithms_cert would list it; 0: none does.
 * ECDSA is named by its hash alone. */
uint16_t ak_cert_scheme(const ak_cert *c);
/* ak_cert_binding_hash: the hash of tls-server-end-point (RFC 5929 §4.1): the signature's, SHA-256 instead of MD5 and SHA-1; AK_HASH_none when
 * the signature has none. */
ak_hash ak_cert_binding_hash(const ak_cert *c);
/* ak_signed_check: the same for any signed structure (CRL, OCSP response). */
ak_error ak_signed_check(ak_provider *p, const ak_sigalg *alg, ak_view tbs, ak_view signature, ak_key *key, ak_failure *f);
void ak_sigalg_read(ak_view algorithm_identifier, ak_sigalg *out);

/* ---- names (name.c) ---------------------------------------------------------------------------------------------------- */

/* ak_name_print: a Name in the manner of RFC 4514 ("CN=Some CA,O=Org,C=DE"); control characters and malformed UTF-8 are escaped, so that it may be
 * shown on a terminal. */
bool ak_name_print(ak_view name, ak_buf *out);
/* ak_name_short: what a person would call it: the common name, else the organisation, else all of it. */
bool ak_name_short(ak_view name, ak_buf *out);
/* ak_name_brief: the same for a sentence, to be put into quotation marks: its own are escaped, and what is longer than AK_BRIEF bytes is cut off ("…"). */
#define AK_BRIEF 96
bool ak_name_brief(ak_view name, ak_buf *out);
/* ak_name_eq: the comparison of RFC 5280 §7.1: attribute by attribute, case and white space of directory strings aside. */
bool ak_name_eq(ak_view a, ak_view b);
uint64_t ak_name_hash(ak_view name); /* equal for names that are ak_name_eq */
bool ak_name_empty(ak_view name);

/* GeneralName (RFC 5280 §4.2.1.6): the context tag is its kind. */
typedef enum ak_gn_kind {
    AK_GN_other = 0,
    AK_GN_email = 1,
    AK_GN_dns = 2,
    AK_GN_x400 = 3,
    AK_GN_directory = 4, /* value: the Name, header included */
    AK_GN_edi = 5,
    AK_GN_uri = 6,
    AK_GN_ip = 7,
    AK_GN_oid = 8
} ak_gn_kind;
typedef struct ak_gn {
    ak_gn_kind kind;
    ak_view value;
} ak_gn;
/* ak_names_next: takes the next GeneralName from the front of *names; false at the end. *names was checked when the certificate was parsed. */
bool ak_names_next(ak_view *names, ak_gn *out);
bool ak_gn_print(const ak_gn *gn, ak_buf *out); /* "DNS:example.com", "IP:192.0.2.1" */
bool ak_ip_print(ak_view ip, ak_buf *out);      /* 4 or 16 bytes */

/* ak_view_print: bytes that a peer chose, as text: UTF-8 kept, all else escaped as \xx. */
bool ak_view_print(ak_view v, ak_buf *out);

/* ---- host names (host.c) -------------------------------------------------------------------------------------------------- */

/* ak_host_valid: whether `host` can be a reference identity (RFC 9525 §6.1): a DNS name of letters, digits, hyphens and underscores (A-labels; one trailing
 * dot allowed; the last label not a number), an IPv4 address in four decimal parts without leading zeros, or an IPv6 address without brackets or zone. */
bool ak_host_valid(ak_view host);
/* ak_host_preferred: whether a dNSName is what RFC 5280 §4.2.1.6 calls preferred name syntax (RFC 1034 §3.5, RFC 1123 §2.1), perhaps behind a wildcard. */
bool ak_host_preferred(ak_view name);
/* ak_host_ip: reads an address; returns 4 or 16, or 0 when it is none. */
size_t ak_host_ip(ak_view host, uint8_t out[16]);
/* ak_host_check: RFC 9525 §6.3-6.5. DNS names against dNSName only, addresses against iPAddress only, never the common name; a wildcard is the whole
 * leftmost label, stands for exactly one label, and has at least two labels after it. AK_OK, AK_ERR_host_mismatch (f->detail: what the
 * certificate is for), AK_ERR_bad_host_name. */
ak_error ak_host_check(const ak_cert *c, ak_view host, ak_failure *f);
/* ak_host_match: the same rule for one dNSName pattern (also how a server chooses an identity by SNI). */
bool ak_host_match(ak_view pattern, ak_view host);

/* ---- chains and identities (identity.c) ------------------------------------------------------------------------------------- */

/* ak_chain: certificates, the end entity first. The array holds references. Part of something else (all zeros: empty), or made by ak_chain_new, counted by reference
 * and not changed once it is shared. */
typedef struct ak_chain {
    ak_cert **certs;
    size_t n;
    size_t refs; /* of ak_chain_new's */
} ak_chain;
ak_chain *ak_chain_new(void); /* NULL: out of memory */
/* ak_chain_share: a reference, NULL for NULL and for an empty chain. */
ak_chain *ak_chain_share(ak_chain *c);
void ak_chain_free(ak_chain *c);
/* ak_chain_add: parses and appends. AK_ERR_verify_budget beyond AK_CHAIN_MAX, AK_ERR_out_of_memory. */
ak_error ak_chain_add(ak_chain *c, ak_view der, ak_failure *f);
ak_error ak_chain_push(ak_chain *c, ak_cert *cert, ak_failure *f); /* adds a reference */
void ak_chain_clear(ak_chain *c);                                  /* of one that is part of something: releases all */

/* ak_identity: what one proves oneself with. Immutable but for its OCSP response. */
typedef struct ak_identity {
    size_t refs;
    ak_chain chain;
    ak_key *key;
    ak_buf ocsp; /* an OCSPResponse to staple; empty: none */
    ak_buf scts; /* a SignedCertificateTimestampList to send; empty: none */
} ak_identity;
/* ak_identity_new: takes references. AK_ERR_key_mismatch when the key is not the first certificate's; AK_ERR_no_certificate for an empty chain. */
ak_identity *ak_identity_new(ak_provider *p, const ak_chain *chain, ak_key *key, ak_failure *f);
ak_identity *ak_identity_ref(ak_identity *i);
void ak_identity_free(ak_identity *i);
bool ak_identity_set_ocsp(ak_identity *i, ak_view response);
bool ak_identity_set_scts(ak_identity *i, ak_view list);
/* ak_identity_serves: whether the identity's first certificate is for this host name. */
bool ak_identity_serves(const ak_identity *i, ak_view host);
/* ak_identity_issued_by: whether a certificate of the chain is issued by one of these names, a DistinguishedName list as in CertificateRequest or
 * certificate_authorities (without the outer length). An empty list suits everybody. */
bool ak_identity_issued_by(const ak_identity *i, ak_view names);

/* ---- PEM (pem.c) ---------------------------------------------------------------------------------------------------------- */

typedef struct ak_pem {
    ak_view label; /* "CERTIFICATE" */
    ak_buf der;    /* owned: ak_buf_free */
} ak_pem;
/* ak_pem_next: takes the next block (RFC 7468) from the front of *text: 1, 0 at the end, -1 for a block that is broken (skipped). out->der is reused. Text
 * between blocks is skipped. */
int ak_pem_next(ak_view *text, ak_pem *out);
bool ak_pem_write(const char *label, ak_view der, ak_buf *out);
/* ak_looks_pem: whether bytes that may be PEM or DER are PEM. */
bool ak_looks_pem(ak_view bytes);

/* ---- CRLs (crl.c) ------------------------------------------------------------------------------------------------------------ */

typedef struct ak_crl ak_crl;
ak_error ak_crl_parse(ak_view der, ak_crl **out, ak_failure *f); /* copies; AK_ERR_bad_crl */
ak_crl *ak_crl_ref(ak_crl *c);
void ak_crl_free(ak_crl *c);
ak_view ak_crl_der(const ak_crl *c);

/* ak_use: what the peer is that shows a certificate: a server when a client verifies. */
typedef enum ak_use { AK_USE_server, AK_USE_client } ak_use;
#define AK_USES 2

/* ---- trust (trust.c) --------------------------------------------------------------------------------------------------------- */

/* ak_trust: the CAs that somebody believes, indexed by subject, with CRLs and the policy that goes with them. A certificate that is not self-issued is
 * an anchor only with partial_chain; without it, it helps to build chains and is not believed. */
typedef struct ak_trust ak_trust;
ak_trust *ak_trust_new(ak_failure *f);
ak_trust *ak_trust_ref(ak_trust *t);
void ak_trust_free(ak_trust *t);
ak_error ak_trust_add(ak_trust *t, ak_cert *c, ak_failure *f); /* a second time is no error */
ak_error ak_trust_add_crl(ak_trust *t, ak_crl *c, ak_failure *f);
/* ak_trust_distrust: for this use no path may have c on it, nor any certificate of its subject's name and key; whatever else the store says. */
ak_error ak_trust_distrust(ak_trust *t, ak_use use, ak_cert *c, ak_failure *f);
bool ak_trust_distrusts(const ak_trust *t, ak_use use, const ak_cert *c);
const ak_trust *ak_trust_distrusted(const ak_trust *t, ak_use use); /* a store of those; NULL: nobody */
size_t ak_trust_crls(const ak_trust *t, ak_crl *const **out);
/* ak_trust_add_pem: every CERTIFICATE, TRUSTED CERTIFICATE (OpenSSL's form; distrusted for the uses that it rejects or leaves out) and X509 CRL of a PEM text, or one
 * DER certificate. *out_added counts; certificates that
 * cannot be read are counted in *out_skipped and left out. AK_ERR_bad_pem when there is none at all. Either pointer may be NULL. */
ak_error ak_trust_add_pem(ak_trust *t, size_t *out_added, size_t *out_skipped, ak_view bytes, ak_failure *f);
/* ak_trust_add_source: says where anchors came from ("/etc/ssl/cert.pem"), for people. */
bool ak_trust_add_source(ak_trust *t, const char *source);
size_t ak_trust_count(const ak_trust *t);
ak_cert *ak_trust_at(const ak_trust *t, size_t i); /* borrowed */
size_t ak_trust_sources(const ak_trust *t);
const char *ak_trust_source(const ak_trust *t, size_t i);
bool ak_trust_has(const ak_trust *t, const ak_cert *c);
void ak_trust_set_partial_chain(ak_trust *t, bool on);
bool ak_trust_partial_chain(const ak_trust *t);
/* ak_trust_set_strict (default off): RFC 5280 §4 makes demands on CAs beyond those of path validation (§6). A certificate from the peer that contradicts itself is always
 * refused (AK_ERR_certificate_profile); one in which something is missing (key identifiers, a critical mark, …) is refused when strict, and warned of otherwise:
 * common tools leave these out. Never applied to anchors. A CRL without a number is believed only when not strict. */
void ak_trust_set_strict(ak_trust *t, bool on);
bool ak_trust_strict(const ak_trust *t);
/* ak_trust_changes: a count that grows with every change: what was made of a store is as good as before while it is the same. */
uint64_t ak_trust_changes(const ak_trust *t);
/* ak_trust_digest: a hash (SHA-256) of all that decides what the store vouches for: certificates and CRLs, in whatever order they came, what is
 * distrusted, policies, partial_chain, strict
 * and revocation. false: out of memory, or a failure of libcrypto's. */
bool ak_trust_digest(const ak_trust *t, ak_provider *p, uint8_t out[32]);
/* ak_trust_set_revocation: which certificates of a path (the anchor aside) must be known not to be revoked, by a CRL or, the end entity, by a stapled OCSP
 * response. What is missing is AK_ERR_revocation_unknown. Default: none; an answer that is there always counts. */
typedef enum ak_demand { AK_DEMAND_none, AK_DEMAND_leaf, AK_DEMAND_chain } ak_demand;
void ak_trust_set_revocation(ak_trust *t, ak_demand d);
ak_demand ak_trust_revocation(const ak_trust *t);
/* ak_policies: what RFC 5280 §6.1.1(c), (e)-(g) lets the user say about certificate policies. Default: any policy, nothing demanded. */
typedef struct ak_policies {
    ak_buf taken;    /* user-initial-policy-set: OBJECT IDENTIFIERs in DER, one after the other; empty: any-policy */
    bool required;   /* initial-explicit-policy */
    bool no_mapping; /* initial-policy-mapping-inhibit */
    bool no_any;     /* initial-any-policy-inhibit */
} ak_policies;
/* ak_trust_set_policies: copies p->taken; AK_ERR_out_of_memory. */
ak_error ak_trust_set_policies(ak_trust *t, const ak_policies *p, ak_failure *f);
const ak_policies *ak_trust_policies(const ak_trust *t);
/* ak_trust_names: the subjects of those that are trusted with clients, each with its two length bytes, as CertificateRequest.certificate_authorities lists them; stops
 * before max bytes. */
bool ak_trust_names(const ak_trust *t, size_t max, ak_buf *out);

/* ---- verification (verify.c) ----------------------------------------------------------------------------------------------------- */

typedef enum ak_revocation { AK_REVOCATION_none, AK_REVOCATION_good, AK_REVOCATION_revoked, AK_REVOCATION_unknown, AK_REVOCATION_bad } ak_revocation;

typedef struct ak_verify_params {
    ak_view host;            /* p NULL: the host name is not checked */
    int64_t time;            /* seconds since 1970 */
    ak_use purpose;          /* what the peer is: AK_USE_server when a client verifies */
    unsigned level;          /* security level 0-5: 0, 80, 112, 128, 192, 256 bits */
    unsigned max_depth;      /* certificates in a path, both ends counted */
    unsigned max_signatures; /* signature checks for the whole answer; one with a slow key (RSA above 4096 bits, curves other than P-256) counts as several */
    unsigned max_paths;      /* complete or abandoned paths */
    ak_view ocsp;            /* a stapled OCSPResponse; empty: none */
    bool no_must_staple;     /* do not enforce RFC 7633 (a client that did not ask for a status) */
    ak_crl *const *crls;     /* besides those of the trust store */
    size_t n_crls;
    ak_cert *const *extra;   /* certificates that may help to build a path, not trusted; only the first AK_EXTRA_MAX are looked at */
    size_t n_extra;
} ak_verify_params;

#define AK_VERIFY_LEVEL 2u
#define AK_VERIFY_DEPTH 12u /* at most AK_PATH_MAX */
#define AK_VERIFY_SIGNATURES 100u
#define AK_VERIFY_PATHS 200u
/* ak_verify_defaults: server purpose, level 2, the budgets above; host none, time 0 (set it). */
void ak_verify_defaults(ak_verify_params *v);

typedef struct ak_reason {
    ak_error error;      /* reasons; AK_OK in warnings */
    const char *code;    /* stable: ak_error_code(error), or the warning's code */
    size_t depth;        /* place in the path, 0: the end entity */
    ak_cert *cert;       /* a reference; NULL when it is about no certificate */
    char *text;          /* one sentence for a person */
    const char *section; /* "RFC 5280 §6.1.3(a)(2)" */
} ak_reason;

typedef struct ak_tried {
    ak_cert *certs[AK_PATH_MAX]; /* references; the first n of the path */
    size_t n;
    bool anchored;    /* it reached a trusted CA */
    ak_error error;   /* why it ended; AK_OK for the one that was taken */
    size_t depth;     /* where */
} ak_tried;

#define AK_REPORT_TRIED 16    /* paths remembered */
#define AK_REPORT_REASONS 32  /* reasons, and warnings, remembered */

/* ak_report: what was decided and why. By reference count; immutable. */
typedef struct ak_report {
    size_t refs;
    ak_error verdict;      /* AK_OK, or the most important reason */
    char *host;            /* NULL: not checked */
    int64_t time;
    ak_use purpose;
    ak_chain path;         /* the path taken, or the best one found: end entity first, anchor last when `anchored` */
    bool anchored;
    ak_reason *reasons;    /* most important first */
    size_t n_reasons;
    ak_reason *warnings;
    size_t n_warnings;
    ak_tried *tried;       /* in the order of trying */
    size_t n_tried, n_more; /* n_more: tried, and not remembered */
    unsigned signatures;   /* checks made */
    ak_revocation revocation; /* of the end entity, as far as CRLs or a stapled response say */
    const char *revocation_by; /* "crl", "ocsp", or NULL */
    size_t anchors;        /* how many CAs the trust store has */
} ak_report;

/* ak_verify_chain: the only door. Returns the verdict (also in *out when a report could be made: everything but AK_ERR_out_of_memory). *f gets the first reason as
 * its detail. chain->n == 0 gives AK_ERR_no_certificate. */
ak_error ak_verify_chain(ak_provider *p, ak_report **out, const ak_trust *t, const ak_chain *chain, const ak_verify_params *v, ak_failure *f);
ak_report *ak_report_ref(ak_report *r);
void ak_report_free(ak_report *r);
bool ak_report_has(const ak_report *r, ak_error e); /* among its reasons */
/* ak_report_text: the report as a person reads it, several lines. */
bool ak_report_text(const ak_report *r, ak_buf *out);

/* ak_time_print: "2026-11-22 16:00:00 UTC". */
bool ak_time_print(int64_t t, ak_buf *out);

/* ---- OCSP (ocsp.c) ------------------------------------------------------------------------------------------------------------------ */

typedef struct ak_ocsp_answer {
    ak_revocation status;
    int64_t produced_at, this_update, next_update; /* next_update INT64_MAX: not given */
    int64_t revoked_at;
    int reason;                                    /* CRLReason, -1: not given */
} ak_ocsp_answer;
/* ak_ocsp_check: what a stapled OCSPResponse (RFC 6960) says of c, signed by its issuer or by somebody the issuer delegated (§4.2.2.2), fresh at `time`.
 * AK_ERR_bad_ocsp_response for anything that cannot be believed, AK_ERR_certificate_revoked, AK_OK with status good or unknown. */
ak_error ak_ocsp_check(ak_provider *p, ak_ocsp_answer *out, ak_view response, const ak_cert *c, ak_cert *issuer, int64_t time, unsigned level, ak_failure *f);

#endif
