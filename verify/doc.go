// Package verify is the evidence of the ledger: the bytes that are signed,
// hashed and put on the log, and the checks of everything that claims to prove
// something about them. This page specifies them, so that a verifier can be
// written in another language; the folder testdata has frozen vectors of each
// format and each refusal.
//
// The server calls what its auditors call: there is no second definition of a
// byte. Everything here is a function of its arguments. The package has no
// clock and does no I/O; it starts no goroutine; only signing uses randomness,
// that of crypto/rand.
//
// # Guarantees
//
//   - A statement is kept, hashed and returned in the bytes that were signed.
//     Nothing marshals it a second time.
//   - A payload that is accepted has one meaning. Readers that take the first
//     of a repeated field and readers that take the last agree on it.
//   - A signature that is accepted is accepted by every verifier that follows
//     RFC 8032 or FIPS 186-5, cofactored or not: no signer can sign what others
//     take for unsigned, and disown it.
//   - A signature, a key and a hash each serve one purpose. What is signed
//     begins with its type, and what is hashed with its domain.
//   - A receipt that verifies proves, offline and for ever, that these bytes,
//     signed by this key, stand at this index of the log of this checkpoint.
//   - An audit that finds nothing proves that the log is an extension, entry by
//     entry and in time, of what the auditor kept; a full one, that every
//     statement is signed by a key that was valid at its index.
//   - A parser takes any bytes and returns a value or an error. It never
//     panics, and what it returns has exactly one serialization, except a
//     payload (see Statement) and a checkpoint (signatures can be added to it,
//     and the base64 of a signature has spare bits).
//   - Reading a log takes constant memory, and in a full audit that of the
//     registered keys.
//
// # What is not guaranteed
//
//   - Values are not judged. An accepted payload may lack a salt or a signer,
//     or state a mass of zero: that is for the rules of custody. A full audit
//     follows keys only; whether those rules were kept, a replay finds out.
//   - A checkpoint is the operator's promise. Two that contradict each other
//     prove a fork, but somebody must have both. Signatures by other keys, those
//     of witnesses among them, are passed over unless a Policy is asked.
//   - Nothing shows that a statement was never refused or delayed.
//   - Whether a participant is who it says it is, the authority vouches for.
//   - One checkpoint key is pinned. Checkpoints by a key that replaced it do
//     not verify.
//   - The statement hash of a statement with a guessable salt can be guessed.
//   - A signer may sign the same payload again, which makes another statement
//     hash. Signer and statement id, not the hash, tell statements apart.
//
// # Notation
//
// || joins bytes; a number in parentheses is a size in bytes. Integers are
// big-endian and unsigned. Hexadecimal below is broken into lines.
//
// # Statement
//
// A payload is a serialized magnet.trace.v1.Statement (protobuf, proto3) in its
// canonical form. It is a sequence of fields, each a tag and a value; a tag is
// a varint that holds 8 times the field number plus the wire type. The payload
// is malformed if, in it or in a message within it,
//
//   - a varint does not end before its message or its packed field ends, or has
//     a tenth byte above 1;
//   - a field number is 0 or above 2^29-1;
//   - a length is larger than what remains of the enclosing message;
//   - a string is not UTF-8 (RFC 3629: no overlong forms, no surrogates,
//     nothing above U+10FFFF).
//
// It is not canonical if
//
//   - a varint (tag, length or value) is longer than needed: it has two bytes
//     or more, and the last is 0;
//   - a field is unknown: its number is not one of the message's. Names and
//     numbers that a later version adds are unknown to this one, so that it
//     refuses what it would misread;
//   - a field has another wire type than its type has: 0 for a single number,
//     bool or enum, 2 for everything else. Groups and fixed-width values are
//     thereby refused;
//   - a field that is not repeated stands twice, or a second field of one oneof
//     stands, the same or another;
//   - a repeated number, bool or enum is not packed, or its field stands twice.
//     A packed field may be empty;
//   - a bool is above 1; an enum has a number that is not defined (0 is); a
//     uint32 is above 2^32-1; an int32 is not one, sign-extended to 64 bits.
//     Negative numbers, int32 as well as int64, therefore take 10 bytes;
//   - messages are nested deeper than 16, the statement itself being at depth 1.
//     No message of this version nests deeper than 5.
//
// The first departure, in the order of the bytes, decides which of the two a
// payload is: [ErrMalformed] or [ErrNotCanonical].
//
// All else is free: the order of fields at every level, whether repeated
// strings, bytes and messages stand together, and whether a field that has its
// default value (zero, empty) stands at all. The empty payload is canonical.
// So one statement has many canonical payloads, but one payload has one
// meaning. Payloads are compared as bytes and never by their meaning.
//
// The messages have no maps, no groups, no floating-point, fixed-width or
// zigzag fields, and no field number above 127; the package does not start with
// a schema that has.
//
// # Pre-authentication encoding
//
// What is signed is a DSSE v1 encoding, PAE(type, body), in ASCII but for the
// body:
//
//	"DSSEv1" SP LEN(type) SP type SP LEN(body) SP body
//
// SP is one space (0x20), LEN the length in bytes in decimal without leading
// zeros. The types are
//
//	application/vnd.magnet-ledger.statement.v1+protobuf    a payload
//	application/vnd.magnet-ledger.batch.v1                 size (8) || root (32) of a batch
//	application/vnd.magnet-ledger.key-possession.v1        a proof of possession
//
// # Payload leaf
//
//	leaf = SHA-256(0x00 || PAE(statement type, payload))
//
// # Keys
//
// A public key is a DER SubjectPublicKeyInfo of exactly one of two forms, in
// hexadecimal:
//
//	302a300506032b6570032100 || A                                                   Ed25519, 44 bytes (RFC 8410)
//	3059301306072a8648ce3d020106082a8648ce3d030107034200 || 04 || X || Y            P-256, 91 bytes (RFC 5480)
//
// A (32) encodes a point of edwards25519 as in RFC 8032, section 5.1.2: y is
// below p = 2^255-19, the sign of x = 0 is 0, the point is on the curve, is not
// the identity, and l times the point is the identity, l being the order of the
// base point. So it has order l: it is of neither small nor mixed order. X and
// Y (32 each) are below the p of P-256 and a point on the curve.
//
// The key id is the SHA-256 of the SubjectPublicKeyInfo.
//
// # Signatures
//
// A signature has 64 bytes. An Ed25519 signature R || S is accepted if
//
//   - R is not the identity, 0x01 followed by 31 zeros;
//   - S, little-endian, is below l;
//   - R is, byte for byte, the encoding of [S]B - [k]A, where k is
//     SHA-512(R || A || message) mod l (RFC 8032, section 5.1.7, without
//     multiplying by the cofactor).
//
// As A has order l, R then is canonical and has order l too. Signatures are
// verified one at a time.
//
// An ECDSA signature r || s (32 each) over SHA-256(message) is accepted if 1 <=
// r < n and 1 <= s <= (n-1)/2 and it verifies as in FIPS 186-5, section 6.4.2.
//
// # Proof of possession
//
// Whoever registers a key signs with it PAE(possession type, body), where body
// is
//
//	ledger id (32) || key id (32) || participant id
//
// The ledger id is all zeros for the keys that a genesis names.
//
// # Batch
//
// One signature may cover 1 to 4,096 payloads. Their leaves, in the order of
// their positions from 0, make a Merkle tree (RFC 9162, section 2.1.1), in which
//
//	node = SHA-256(0x01 || left (32) || right (32))
//
// The signature covers PAE(batch type, size (8) || root (32)). Each envelope of
// the batch has size, position and inclusion path of its leaf, and stands alone.
// The position shows how many statements stood before it when they were
// signed: shuffle a batch where that must not be told.
//
// # Signature block
//
//	offset  size  field
//	0       1     form: 1 single, 2 batch
//	1       1     algorithm: 1 Ed25519, 2 ECDSA P-256 with SHA-256 (3 SM2 with SM3 and 4 ML-DSA-44 are reserved)
//	2       2     length of the signature: 64
//	4       64    signature
//	68      8     batch only: size, 1 to 4,096
//	76      8     batch only: position, below size
//	84      32 n  batch only: path, from leaf to root
//
// n is the number of hashes that the inclusion path of that position has in a
// tree of that size (RFC 9162, section 2.1.3.1): with k the number of bits of
// position XOR (size-1), it is k plus the number of ones among the bits of
// position above the lowest k. Nothing follows. A single block has 68 bytes, a
// batch block 84 + 32 n. Any other bytes are malformed.
//
// The signature of a single block covers PAE(statement type, payload), that of
// a batch the root to which the path leads from the leaf (section 2.1.3.2). The
// algorithm must be that of the key.
//
// # Statement hash
//
// An envelope is payload, key id and signature block. Its statement hash is
//
//	SHA-256("magnet-ledger statement v1\n" || leaf (32) || key id (32) || SHA-256(signature block) (32))
//
// with one newline (0x0a) after v1; 123 bytes go in.
//
// # Genesis and ledger id
//
// The ledger id is the statement hash of entry 0, the genesis. Verifiers get it
// out of band and pin it with the verifier key of the checkpoints ([NewLog]). A
// genesis is sound ([OpenGenesis]) if
//
//   - its payload is canonical, states a genesis, has the signer "root" and no
//     ledger id;
//   - the keys it names for root, authority and ledger are acceptable, differ
//     from each other and from the checkpoint key, and each has a proof of
//     possession for the participant id "root", "authority" or "ledger" and the
//     ledger id of zeros;
//   - the envelope's key id is that of the root key it names, and the signature
//     verifies, in either form;
//   - its verifier key has the form below (see Checkpoint), and its name is the
//     origin.
//
// A statement is made to the ledger whose id it names in ledger_id. A genesis
// is made to the ledger that it founds.
//
// # Entry
//
//	offset  size  field
//	0       2     version: 1
//	2       8     index, from 0
//	10      8     sequenced_at: Unix microseconds, below 2^63
//	18      32    previous: the leaf hash of the entry before; zeros at index 0
//	50      32    statement hash
//
// An entry has 82 bytes. Its leaf hash is SHA-256(0x00 || entry).
//
// # Chain and tree
//
// Entries follow each other if each has the next index, the leaf hash of the
// one before as its previous, and no earlier time. The leaf hashes are the
// leaves of a Merkle tree (RFC 9162, section 2.1.1; nodes as above); the root of
// no entries is SHA-256 of nothing. Inclusion and consistency proofs are those
// of sections 2.1.3 and 2.1.4, hashes in the order in which they are used. The
// proof that a size extends 0 is empty, and says nothing of the root at 0.
//
// # Checkpoint
//
// A checkpoint is a C2SP tlog-checkpoint: a signed note whose text has exactly
// three lines, each ended by a newline (0x0a):
//
//	origin
//	size, in decimal without leading zeros, below 2^64
//	root, in standard base64 with padding, spare bits zero
//
// An origin is [a-z0-9.-]+(/[a-z0-9._-]+)* of at most 200 bytes. The text is
// followed by an empty line and signature lines: an em dash (U+2014), a space,
// the name of a key, a space, the base64 of key hash (4) || signature, a newline.
//
// The verifier key, in text, is
//
//	origin "+" key hash in 8 hexadecimal digits "+" base64(0x01 || A)
//
// where A is an acceptable Ed25519 key and the key hash the first 4 bytes of
// SHA-256(origin || 0x0a || 0x01 || A), in lower case. A checkpoint is accepted if its origin is that of the
// pinned verifier key, the first signature line with name and hash of that key
// verifies over the text (with its last newline, without the empty line), and
// there is one. Lines by other keys must have the form of a signature line and
// are passed over. At most 100 lines are read.
//
// # Receipt
//
// A receipt is entry, inclusion path, checkpoint and the signer's
// SubjectPublicKeyInfo. With its envelope it verifies ([Log.VerifyReceipt]) if
//
//   - the payload is canonical and made to the pinned ledger;
//   - the SubjectPublicKeyInfo is an acceptable key with the key id of the
//     envelope;
//   - the signature block verifies with that key;
//   - the entry has the statement hash of the envelope;
//   - the checkpoint is one of the pinned log, and the path leads from the leaf
//     hash of the entry, at its index, to the root at its size.
//
// It says nothing of whose key it is. Of statements by one signer that stand
// in one log, the receipts may have different checkpoints; that one extends the
// other, a consistency proof shows.
//
// # Policy
//
// A policy is a C2SP tlog-policy file: logs, witnesses with their keys, groups and
// the quorum ([ParsePolicy]). A checkpoint satisfies it ([Policy.Check]) if the log's
// verifier key is one of the policy's, or the policy names none, and the witnesses
// whose cosignature (C2SP tlog-cosignature, of Ed25519 or ML-DSA-44) it bears are a
// quorum. A signature line with name and hash of a witness's key that does not verify
// makes the checkpoint malformed. The times in cosignatures are not judged.
//
// # Proof of fork
//
// A proof of fork is two checkpoints of the pinned log, the older not larger than
// the newer and not of size 0, a root, and a consistency proof. It verifies
// ([Log.NewFork]) if the root is not that of the older checkpoint, and the
// consistency proof shows that the newer checkpoint extends that root at the older's
// size (RFC 9162, section 2.1.4.2). Of two checkpoints of one size the proof is
// empty, and the root that of the newer.
//
// In a file ([OpenFork]) it is a JSON object with the fields format ("magnet-ledger
// fork v1"), checkpoint_vkey, older and newer (signed notes), root (base64) and
// consistency (an array of hashes in base64, or null). That two checkpoints have no
// consistency proof between them is proved by what was hashed, not by what a server
// will not say.
//
// # Range proof
//
// A range proof shows where several leaves stand that follow each other, from
// index first on, in the tree of size entries ([VerifyRange]). Let lo be first, hi
// the index after the last, count the size, and row the leaf hashes. While count
// is above 1:
//
//   - if lo is odd, the next hash of the proof goes before the row, and lo falls
//     by 1;
//   - if hi is odd and below count, the next hash of the proof goes behind the
//     row, and hi rises by 1;
//   - the hashes of the row, from its beginning, are replaced in pairs by their
//     node; one that is left over stays at the end;
//   - lo becomes lo / 2 rounded down, hi and count become half rounded up.
//
// The proof verifies if there is at least one leaf, all are below the size, every
// hash of the proof was used, and the one hash that remains is the root. The
// inclusion path of each leaf has come by on the way: the hash in the row at the
// number that differs from the leaf's in the last bit, unless that number is count
// or above; the number, first the index, is halved at every turn. For one leaf,
// the range proof is the inclusion path.
//
// A server proves with it in one go what it has recorded for a client, who
// makes receipts of it ([VerifyRun]). It is not evidence by itself, and never
// stored.
//
// # Bundle
//
// A receipt bundle is for readers who have nothing but what they pinned: a
// statement, the genesis, and the registrations of keys that lead from one to
// the other, each with its receipt. It verifies ([Log.VerifyBundle]) if
//
//   - the genesis is sound, has the pinned ledger id and verifier key, and its
//     receipt verifies at index 0;
//   - the receipt of the statement verifies;
//   - each registration has a receipt that verifies, is signed in the name of
//     "authority", and registers the very key that signed the statement before
//     it in the bundle, for the signer that the latter names, at a lower index
//     than the latter's; that participant is not "root";
//   - the last of them, or the statement if there are none, is signed by the
//     key that the genesis names for its signer.
//
// It does not prove that no key was revoked in between, nor that the rules
// admitted the statement: a log that passes a full audit and a replay has no
// such statement. It does not prove that all its checkpoints are of one
// history, nor that other readers see that history: compare checkpoints with
// others, or ask for consistency proofs. Proofs of possession in registrations
// are not read: the statement itself shows that the holder of the key signs in
// that participant's name.
//
// # Audit
//
// An [Auditor] judges a checkpoint against the one it kept, then entry by entry
// what lies between, then that the entries add up to the checkpoint, which it
// keeps. These findings are of entries and checkpoints; none that follows in the
// log can be judged after one:
//
//	cut-back         index: size of the checkpoint. It has fewer entries than the kept one.
//	rewritten        index: kept size. The same size has another root, or the first new entry
//	                 does not name the last leaf hash that was kept.
//	malformed-entry  index: its place. The bytes are no entry.
//	wrong-index      index: its place. It has another index: one was left out, repeated or moved.
//	broken-chain     index: its place. It does not name the leaf hash of the entry before.
//	time-reversed    index: its place. Its time is before that of the entry before.
//	missing-entry    index: entries read. The checkpoint has another size.
//	wrong-root       index: size of the checkpoint. The entries have another root.
//	bad-checkpoint   for callers: what was given as a checkpoint is not one of the log.
//
// A change of an entry shows at the entry itself if its version, index or
// previous was changed or its time set before that of the entry before; any
// other shows at the next entry, or at the root if there is none.
//
// A full audit is given the envelopes too. It checks each in this order, the
// index of the finding being that of the entry, and reads on:
//
//	statement-withheld       The envelope was not given.
//	statement-changed        It does not have the statement hash of the entry.
//	statement-not-canonical  The payload is not canonical; or the genesis is unsound; or a key that is
//	                         registered is not acceptable.
//	wrong-ledger             It is made to another ledger; or a genesis stands elsewhere than at index 0,
//	                         or none stands there; or the genesis names another checkpoint key than the
//	                         pinned one.
//	unknown-key              No sound statement registered the key; or a key that is not valid is revoked.
//	key-not-signers          The key was registered for another than the signer.
//	key-not-valid            The key was revoked; or a key is registered that was registered before, or that
//	                         signs the checkpoints.
//	bad-signature            The signature block is malformed or does not verify.
//	wrong-author             Keys are registered or revoked by another than the authority, or for root.
//	bad-possession           A key is registered without a proof of possession for its ledger and participant.
//
// A key is valid for the statement at index i if it was registered at an index
// below i and not revoked at one below i. The times that statements claim do
// not count. A statement with a finding registers and revokes nothing.
//
// The state between audits is trusted: it has a checksum against damage, but
// whoever can write it can forget keys. Its size and edge cannot be changed
// without the checkpoint key.
//
// # Example
//
// The Ed25519 key with a seed of 32 bytes 0x07 has the SubjectPublicKeyInfo
//
//	302a300506032b6570032100
//	ea4a6c63e29c520abef5507b132ec5f9954776aebebe7b92421eea691446d22c
//
// and the key id
//
//	324be2dea8bc44461b0233e51fa48902ed6b1cc671e7739af2551e0bfe68f54e
//
// The payload "abc" (616263; it is no statement, which does not matter here) has
// the PAE
//
//	445353457631203531206170706c69636174696f6e2f766e642e6d61676e6574
//	2d6c65646765722e73746174656d656e742e76312b70726f746f627566203320
//	616263
//
// and the leaf
//
//	fb741873d95f03038258d8357e741b3411ebb5f93e6525bfbc765f241cb67ead
//
// Signed alone, it has the signature block
//
//	01010040
//	17fa397766c7b93f83453c5644793d17c812b3d456d58bb49265510e9d3eb85b
//	6011ccbfe8aead4cf177f7421d8851301218c3bdb122b48841752eef6808a907
//
// and the statement hash
//
//	a07214e333a45e498820a1fcae6df8d58b2be1b274cb173ca1913bcd3a8eed7f
//
// As a batch of one, what is signed is
//
//	445353457631203338206170706c69636174696f6e2f766e642e6d61676e6574
//	2d6c65646765722e62617463682e7631203430200000000000000001
//	fb741873d95f03038258d8357e741b3411ebb5f93e6525bfbc765f241cb67ead
//
// the signature block is
//
//	02010040
//	3d9bf5a41f9b7d0b24663db7b1652ffc7e56d930c0e13806569cd94f851ff8b3
//	29f937eb810434fe5e9235fa78395d06aec34a2c9f03b3aac47ee7bd8ef1520e
//	00000000000000010000000000000000
//
// and the statement hash
//
//	381c3c3bd535ef8a3c330968e6176fcb6c4889b8520eb3fda1a2a279f719203b
//
// Were these two the first of a log, sequenced at 2026-06-01 00:00:00 UTC, their
// entries would be
//
//	0001000000000000000000065325e029e000
//	0000000000000000000000000000000000000000000000000000000000000000
//	a07214e333a45e498820a1fcae6df8d58b2be1b274cb173ca1913bcd3a8eed7f
//
//	0001000000000000000100065325e029e000
//	4945c17e81c41918c9f26dcd33125a1be1c1c118464cf4e807c36b49da511043
//	381c3c3bd535ef8a3c330968e6176fcb6c4889b8520eb3fda1a2a279f719203b
//
// with the leaf hashes
//
//	4945c17e81c41918c9f26dcd33125a1be1c1c118464cf4e807c36b49da511043
//	7a64cdafbd2ef2342974a5886f06ea97207d20bf76b694dc85eb703f4b5a0dbb
//
// The root is
//
//	c40e31ba1c44cb03109e1953a4b0c9c873e2e9291724318a1c35cf1377407bec
//
// and the verifier key
//
//	ledger.test/2026+17fac3cf+AZuw4JnD43iyqXIsVI0rTZ5lY3TWl452HcxrOp5ZHkJJ
//
// accepts the checkpoint
//
//	ledger.test/2026
//	2
//	xA4xuhxEywMQnhlTpLDJyHPi6SkXJDGKHDXPE3dAe+w=
//
//	— ledger.test/2026 F/rDz8aC6uU53ABXz4kU0oHSZBMYuEs+yYclyIN7ZI5jlFMjLK6xHqsSh0m04JJF5MpqPDS4k/LnaLHcnaN1Wlt98AI=
//
// # Sources
//
//   - RFC 6962 and RFC 9162, section 2.1: Merkle trees and their proofs. The two
//     define the same hashes.
//   - RFC 8032: Ed25519; RFC 8410: its SubjectPublicKeyInfo.
//   - FIPS 186-5: ECDSA; RFC 5480: its SubjectPublicKeyInfo.
//   - DSSE: https://github.com/secure-systems-lab/dsse/blob/master/protocol.md
//   - C2SP: https://c2sp.org/tlog-checkpoint and https://c2sp.org/signed-note;
//     https://c2sp.org/tlog-policy and https://c2sp.org/tlog-cosignature
//   - Protobuf: https://protobuf.dev/programming-guides/encoding/
package verify
