// Package client is the Go client of the ledger: it signs, submits, keeps what
// was signed, and checks what comes back. It trusts the pinned ledger card and
// nothing that the server says.
//
//	card, err := client.ReadCard("ledger.card")
//	c, err := client.Dial(client.Config{Card: card, Certificate: certificate})
//	author := client.Author{ID: "acme", Signer: signer, Log: c.Log()}
//	payload, err := author.Payload(statement, client.TransactionID(c.Log().ID(), "acme", "INV-001"), time.Now())
//	envelopes, err := author.SignAll([]*verify.Payload{payload}, 1)
//	err = outbox.Append(client.Draft{Label: "INV-001", Envelope: envelopes[0]})
//	recorded, err := c.Submit(ctx, envelopes[0])
//
// # What is guaranteed
//
//   - A statement that is submitted again in the same bytes is recorded once, so
//     every call may be repeated. The client repeats calls by itself where the
//     server is away or has too much to do. An [Outbox] keeps the bytes over a
//     crash.
//   - A [Recorded] was proved before it is returned: its entry stands for the
//     very envelope that was submitted and is in the tree of a checkpoint that
//     the pinned key signed.
//   - The checkpoints that a [Client] accepts never go back: one that answers a
//     call is at least as large as any that was accepted before the call was
//     made. Two of the same size have the same root. Otherwise the error is a
//     [ForkError], which holds both. [Client.ProveHistory] proves the rest, that
//     all of them stand in one history; [Client.SubmitAll] does so by itself.
//   - [Client.SubmitAll] delivers one outcome for each statement, or an error.
//
// # What is not
//
//   - That a key belongs to its participant: a receipt alone does not prove it,
//     a bundle does ([Client.Bundle]).
//   - That nothing else was changed in the log: [Client.Audit] reads it.
//   - That a refusal is just. A refusal is the server's word.
//   - That a checkpoint that only this client has seen is the one that others
//     see. Compare checkpoints with others, or ask for cosigned ones.
//
// # Outcomes that are refused
//
// A refusal is a *[RefusalError], from unary calls and from streams alike.
// Nothing of a refused statement is on the log. [Client.Compare] tells what is
// behind STATEMENT_EXISTS: the same content in other bytes, because somebody
// signed it twice, or something else under the same number.
//
// The package starts no goroutine that outlives the call that started it, except
// those of the connection, which Close ends.
package client
