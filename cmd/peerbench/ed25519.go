package main

import (
	"context"
	"crypto/ed25519"
	"errors"
	"runtime"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/magnet-ledger/magnet-ledger/verify"
)

// signedMessage is what a single signature covers, and the signature.
type signedMessage struct {
	key       ed25519.PublicKey
	message   []byte
	signature []byte
}

func signedMessages(b *bench) ([]signedMessage, error) {
	all := make([]signedMessage, len(b.statements))
	return all, inParallel(len(all), func(i int) error {
		e := b.statements[i].envelopes[singleSigned]
		block, err := verify.ParseSignatureBlock(e.GetSignatureBlock())
		if err != nil {
			return err
		}
		private := b.founding.producers[i%producers].private
		all[i] = signedMessage{private.Public().(ed25519.PublicKey), verify.PAE(verify.StatementType, e.GetPayload()), block.Signature}
		return nil
	})
}

// measureEd25519 verifies the signatures of the singly signed statements, and
// does nothing else, on all cores.
func measureEd25519(_ context.Context, b *bench) (sample, error) {
	messages, err := signedMessages(b)
	if err != nil {
		return sample{}, err
	}
	work := newFeed(len(messages), b.opts.limit)
	var group errgroup.Group
	began := time.Now()
	for range runtime.NumCPU() {
		group.Go(func() error {
			for {
				from, to := work.take(64)
				if from == to {
					return nil
				}
				for _, m := range messages[from:to] {
					if !ed25519.Verify(m.key, m.message, m.signature) {
						return errors.New("a signature does not verify")
					}
				}
			}
		})
	}
	err = group.Wait()
	return rate(work.taken(), began), err
}
