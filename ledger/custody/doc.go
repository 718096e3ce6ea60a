// Package custody holds the rules of a ledger: who may state what, and what
// follows from it.
//
// The rules are a function of the log alone. They have no clock and do no I/O:
// time comes with the entry, state through the interfaces Lookup, Reader and
// State. A server that admits statements and an auditor who replays them run the
// same code and arrive at the same state, key by key.
//
// # Judgement
//
// A statement is judged in this order, and the first fault decides: within
// limits and canonical; made to this ledger (ParseSubmission); the key is
// registered for the signer (CheckKey) and the signature is true; the statement
// is on record already (Admit, and all that follows); the key is not revoked;
// the signer may state this; its values are possible; its date is not ahead;
// the rule of what is stated. A refusal changes nothing and does not use up the
// statement id.
//
// What is possible but suspicious is admitted: a regulator wants it on record.
//
// # Projections
//
// Participants, keys, identifiers; statements by id and by hash; listings by
// seller, customer and date; and the volumes of a month for each seller,
// customer, kind, product family, end use, destination and HS code. An amendment
// takes the figures of the version that it replaces away and adds its own.
package custody
