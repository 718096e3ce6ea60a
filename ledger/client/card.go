package client

import (
	"fmt"

	tracev1 "github.com/magnet-ledger/magnet-ledger/proto/gen/magnet/trace/v1"
	"github.com/magnet-ledger/magnet-ledger/verify"
)

// ReadCard reads a ledger card, protobuf JSON. What it says is believed from
// then on: it must come from somebody who is trusted to know the ledger.
func ReadCard(path string) (*tracev1.LedgerCard, error) {
	card := new(tracev1.LedgerCard)
	if err := readMessage(path, card); err != nil {
		return nil, fmt.Errorf("reading ledger card: %w", err)
	}
	return card, nil
}

// WriteCard writes a ledger card for everybody to read. It is durable when
// WriteCard returns nil; a file that was there is replaced as a whole.
func WriteCard(path string, card *tracev1.LedgerCard) error {
	if err := writeMessage(path, card, 0o644); err != nil {
		return fmt.Errorf("writing ledger card: %w", err)
	}
	return nil
}

// Pin returns what a verifier pins of a ledger card.
func Pin(card *tracev1.LedgerCard) (*verify.Log, error) {
	id, err := verify.ParseHash(card.GetLedgerId())
	if err != nil {
		return nil, fmt.Errorf("ledger id of the card: %w", err)
	}
	return verify.NewLog(id, card.GetCheckpointVkey())
}

// ReadBundle reads a receipt bundle, protobuf JSON. Nothing of it is checked:
// verify.Log.VerifyBundle does.
func ReadBundle(path string) (*tracev1.ReceiptBundle, error) {
	bundle := new(tracev1.ReceiptBundle)
	if err := readMessage(path, bundle); err != nil {
		return nil, fmt.Errorf("reading receipt bundle: %w", err)
	}
	return bundle, nil
}

// WriteBundle writes a receipt bundle for its owner alone to read: it holds the
// statement. It is durable when WriteBundle returns nil; a file that was there
// is replaced as a whole.
func WriteBundle(path string, bundle *tracev1.ReceiptBundle) error {
	if err := writeMessage(path, bundle, 0o600); err != nil {
		return fmt.Errorf("writing receipt bundle: %w", err)
	}
	return nil
}
