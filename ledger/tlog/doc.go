// Package tlog publishes a log as C2SP tlog-tiles, to be read with tools that
// nobody here wrote: the resources, an HTTP handler that serves them, and folders
// that hold them as files.
//
// What is published is the entries of 82 bytes (package verify), the hashes over
// them and the checkpoint. A statement, its signer or anything else commercial is
// not: a statement hash is salted.
//
// # Guarantees
//
//   - The bytes of a resource follow from its name and the log, byte-exact. A tile
//     or a bundle of a name never changes.
//   - What is served was found in the tree of the log's latest checkpoint; bytes
//     that were damaged are an error and never served.
//   - Of a name there is one form. Leading zeros, other digits, escapes, or a width
//     of 256 in a partial name are not found.
//   - A partial tile is there for every width that the log has reached, also when
//     the full one is.
//   - A checkpoint in a folder stands for tiles that were written, synced and
//     found to lead to it, and to extend the checkpoint that stood there before.
//
// # Sources
//
//   - https://c2sp.org/tlog-tiles
//   - https://c2sp.org/tlog-checkpoint
package tlog
