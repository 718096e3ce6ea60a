// Package certs is the X.509 profile of the ledger: which certificates its
// authority issues, whom they stand for, and how both ends of a connection
// check them.
//
// A certificate says who is at the other end of a connection, and nothing
// else. Roles, rights and suspensions are on the log; the keys that sign
// statements are registered there and are never TLS keys. A stolen TLS key can
// read what its participant may read, until the certificate ends or the
// participant is suspended; it cannot sign.
//
// The package does no I/O except in [Reloader], which reads the files it is
// given. It keeps no clock: the times of issue are arguments, and crypto/tls
// asks its own clock at each handshake.
//
// # Names
//
// One deployment has one trust domain: a lower-case host name such as
// "ledger.test", of letters, digits and hyphens in labels of 1 to 63, at most
// 253 in all, not an IP address. Underscores, which SPIFFE allows, are refused,
// because many TLS stacks do not take them for host names.
//
//	spiffe://<trust domain>                     the authority
//	spiffe://<trust domain>/ledger              the ledger's server
//	spiffe://<trust domain>/participant/<id>    a participant
//
// A participant id is [a-z0-9][a-z0-9._-]{0,63}. The ids that the ledger
// reserves (ledger, authority, root) are ordinary ids here: the registry desk
// connects as a participant too. Whether an id is admitted is for the log to
// say, and for the authority to ask before it issues.
//
// # Profile
//
// Every certificate:
//
//   - Its key is ECDSA P-256 or Ed25519; a request with another key is refused.
//     The authority's own key is P-256.
//   - The serial number is random, positive, at most 20 octets, with 159 bits
//     of entropy (RFC 5280, 4.1.2.2).
//   - Validity is in whole seconds, both ends included (4.1.2.5), and lies
//     within the authority's. A longer one is refused, not cut.
//   - The subject key identifier is the SHA-256 of the DER
//     SubjectPublicKeyInfo (RFC 7093, 2, method 4). That is the form of the
//     ledger's key ids, so a TLS key that was also registered for signing is
//     seen by comparing the two.
//   - There is exactly one URI in the subject alternative names, the SPIFFE id
//     (X509-SVID, 2).
//
// The authority:
//
//   - Self-signed; basic constraints critical, CA true, path length 0: it
//     issues leaves and no further authorities (RFC 5280, 4.2.1.9).
//   - Key usage critical, keyCertSign and cRLSign (4.2.1.3; X509-SVID, 4.3). An
//     authority made before cRLSign was part of the profile serves on, and signs
//     no CRL.
//   - A subject common name, which must not be empty (4.1.2.6).
//   - Its URI has no path (X509-SVID, 3.2). It has no name constraint on URIs:
//     widely used verifiers (rustls-webpki, Python's cryptography) refuse every
//     chain that bears one, and the exact trust domain is checked by
//     [ParticipantID] and [ClientConfig] anyway. The authority must not be
//     installed as a root for anything but the ledger.
//
// A leaf:
//
//   - Basic constraints critical, CA false; key usage critical,
//     digitalSignature alone (X509-SVID, 4.1 and 4.3).
//   - The subject is empty and the alternative names therefore critical (RFC
//     5280, 4.1.2.6): there is no common name that anybody could go by.
//   - The authority key identifier is the authority's subject key identifier.
//   - A participant's extended key usage is clientAuth alone, and it has no
//     name besides its URI. A server's is serverAuth alone, with the DNS names
//     and addresses it is reached by. X509-SVID, 4.4, asks for both usages in
//     every leaf; this profile departs from it, so that no participant can pose
//     as a server whatever a client forgets to check.
//
// # Connections
//
//   - TLS 1.3 only, both ends certified, ALPN h2.
//   - No resumption: every connection proves both keys anew and is judged by
//     the authorities of that moment.
//   - A missing pool of authorities trusts nobody. (In crypto/tls a nil pool
//     means the roots of the host.)
//   - The server learns its peer from [PeerParticipant], which reads verified
//     chains only.
//   - A client checks the server's host name as usual, and that its certificate
//     bears the ledger's SPIFFE id. Either alone is refused.
//
// crypto/tls judges a certificate at the handshake and not again. A server that
// means an expired, revoked or no longer trusted certificate to lose access
// asks [Reloader.CheckPeer] about its open connections now and then, and the log
// about the participant at each call.
//
// # Revocation
//
// Certificates are short-lived, and a suspension on the log ends what a
// participant may do. A certificate whose key was stolen, while its participant
// goes on with another, is withdrawn by a CRL (RFC 5280, 5): complete, signed by
// an authority of the same file, without critical extensions, which rules out
// delta and indirect CRLs. A CRL that is past its next update stays in force,
// since a revocation has no end: see [Reloader.NextUpdate].
//
// # Files
//
// Certificates, keys, requests and CRLs are PEM (RFC 7468): keys as PKCS#8,
// requests as PKCS#10. Parsing is strict. A block that cannot be decoded, of
// another type, or with headers is an error and is never skipped, so that a
// damaged file of authorities does not become a shorter one.
//
// # Sources
//
// RFC 5280, RFC 7093, RFC 7468, RFC 8446; SPIFFE-ID and X509-SVID at
// https://github.com/spiffe/spiffe/tree/main/standards.
package certs
