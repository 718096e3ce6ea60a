// Package ledger is the single writer of a ledger and the reader of what it
// wrote.
//
// # Writing
//
// Statements are checked by many callers at once (Check), then judged and
// sequenced by one goroutine, Run. Run takes what waits, admits statement after
// statement against the state as of the last admitted one, and hands the whole
// batch to one Store.Commit: times, envelopes, tiles and head, all or nothing.
// While a batch is being made durable the next one is admitted.
//
// What follows from the statements, the state, is no part of the commit: the log
// is its journal. It is kept in sorted runs (package runs), first in memory; when
// there is enough of it, a third goroutine stores it in one piece, and merges runs
// so that they stay few. Open judges those statements again that the stored state
// does not cover, and Run stores what is left when it ends.
//
// The order of a batch, and what a crash leaves:
//
//  1. Admit. A crash: nothing happened.
//  2. Store.Commit. A crash: the batch is there as a whole or not at all. It was
//     not acknowledged; a retry finds it or records it.
//  3. Anchor.Append: size, root and chain of the new head, synced, in a file of
//     its own. A crash: as before; the anchor is one batch behind, which Open
//     proves to be harmless.
//  4. Sign the checkpoint, publish, acknowledge. A crash: the statements are
//     there; a retry returns the original entries.
//
// Any failure in 2 to 4 stops the writer for good: the outcome is unknown, and
// only opening the ledger again can tell. Except that a store may say ErrTryAgain of
// a commit that it did not begin, for want of space: then all that was not published
// is refused and forgotten, and the writer asks every second until the store writes
// again.
//
// # Read-only
//
// A ledger in doubt records nothing and answers what it can prove. Why, ReadOnly
// says: stored data was found damaged, a commit failed, the clock is behind, there is
// no space, or the writer was stopped. The first two last until it is opened again.
// Scrub reads what is stored again, so that damage is found that no reader asks for.
//
// # Guarantees
//
//   - A Result without an error is durable and covered by its checkpoint.
//   - The same payload of the same signer has one entry, whatever is retried.
//   - A refused statement leaves no trace.
//   - No index is issued twice, if the store keeps its contract, or the anchor
//     survives: Open refuses a store that is behind its anchor.
//   - What a View returns was hashed again and found in the tree of its
//     checkpoint; pages of the state carry a checksum, and lists say which there
//     are. A mismatch is ErrDamaged, never an answer. A list that is gone is made
//     anew from the log.
//
// # Importing
//
// Import builds a ledger anew from its records, as a backup has them. It is the one
// way beside Submit by which records enter a store, and judges and verifies each as
// Check and Run would have; it takes over their times, and signs nothing.
package ledger
