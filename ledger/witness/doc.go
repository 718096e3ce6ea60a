// Package witness is both ends of C2SP tlog-witness: a Feeder that asks witnesses
// to cosign the checkpoints of a ledger, and a Server that is a witness of others'.
//
// A cosignature says that its witness has seen the log grow to this checkpoint and
// never saw it otherwise. Whoever demands a quorum of them (verify.Policy) needs
// not fear that the operator shows it another log than others.
//
// # Guarantees of the Feeder
//
//   - Nothing waits for a witness but that witness: one that is down, slow or wrong
//     delays neither the ledger nor another witness.
//   - A cosignature that does not verify is not taken over.
//   - The newest checkpoint that satisfied the policy is kept in a file, with its
//     cosignatures, and is there after a restart.
//   - What is published never goes back to a smaller size, across restarts too.
//
// # Guarantees of the Server
//
//   - It cosigns a checkpoint only if it extends the last one that it cosigned of
//     that origin, and has that on disk before it answers.
//   - Of two that contradict each other it keeps the proof, if there is one.
//
// # Sources
//
//   - https://c2sp.org/tlog-witness
//   - https://c2sp.org/tlog-cosignature
//   - https://c2sp.org/tlog-policy
package witness
