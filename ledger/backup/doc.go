// Package backup keeps copies of a ledger outside it: every statement as it was
// signed, with the time of its entry, under the checkpoints of the ledger. What
// else a ledger holds follows from these, and is made anew by a restore (package
// ledger, Import).
//
// # Guarantees
//
//   - What is written was checked: each entry is hashed from its statement, follows
//     the one before it, and all lead to the root of a signed checkpoint.
//   - Sealed files are never written again. A run that was interrupted, by a crash
//     of the machine, too, leaves a backup of which all checkpoints that it had
//     before are good, and which the next run goes on with.
//   - What is read is what was written, up to the last checkpoint, or ErrDamaged:
//     every byte of every file counts.
//
// Signatures and rules are judged by a restore, and not before.
//
// # Directory
//
// A backup is a directory of segments and one file named manifest. A run adds
// segments, then seals them with a checkpoint. Delete nothing in it; it can be
// copied at any time, the manifest first.
//
// A segment holds consecutive statements, 65,536 or 64 MiB of them, or what was
// left when a run ended. Its file is named after the index of the first, in twelve
// digits, with ".segment", and ".age" if it is encrypted. It is, compressed as
// Zstandard (RFC 8878), the line "magnet-ledger backup segment v1\n", and for each
// statement: microseconds since the one before it in the segment, of the first
// since 1970 (varint), length of the payload (varint), payload, key id (32), length
// of the signature block (varint), signature block. Varints are those of Protocol
// Buffers. The entries, 82 bytes each, follow from these (package verify).
//
// The manifest is the line "magnet-ledger backup v1\n", a JSON object (see
// Manifest), a line end, and the SHA-256 of all before in 64 hexadecimal digits
// with a line end. It names every segment with its length and SHA-256.
//
// # Stream
//
// A backup can be one stream: a tar archive (ustar) of these files, the manifest
// last, without times and owners. Unpacked it is a directory to go on with. A
// stream that was packed by other means is refused; unpack it.
//
// # Encryption
//
// With recipients of age (https://age-encryption.org/v1) segments are encrypted.
// That answers one threat: somebody gets at the medium, or at whoever stores it,
// and reads what was traded. Who makes backups needs no secret, and cannot read
// those of before. The manifest is in the clear: genesis, how many statements when,
// lengths and hashes. It is no proof of origin: anybody can encrypt to a recipient.
// That a backup is true is proved by checkpoints and signatures, with encryption
// and without. Who loses the identity has lost the backup.
package backup
