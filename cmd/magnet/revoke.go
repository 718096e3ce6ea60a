package main

import (
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/magnet-ledger/magnet-ledger/certs"
	ledgerv1 "github.com/magnet-ledger/magnet-ledger/proto/gen/magnet/ledger/v1"
)

// crlLifetime is for how long a CRL stands before a newer one is due.
const crlLifetime = 30 * 24 * time.Hour

func (a *app) enrollRevokeCommand() *cobra.Command {
	var crl string
	cmd := &cobra.Command{
		Use:   "revoke [APPROVAL|CERTIFICATE]... --crl FILE",
		Short: "By the authority: withdraw TLS certificates before they end",
		Long: `By the authority: withdraw TLS certificates before they end, when their key was
lost or stolen. The file is the one that tls.crl of the server's configuration
names, or will be copied there; what it names already stays in it. Without
certificates it is signed anew. It needs no server.

The participant may go on with another certificate. To end that, too, suspend it:
magnet participant suspend.`,
		Example: "  magnet -p reg/profiles/authority.yaml enroll revoke acme/approval.json --crl reg/crl.pem",
		RunE: func(_ *cobra.Command, args []string) error {
			p, err := a.loadProfile()
			if err != nil {
				return err
			}
			authority, err := a.authority(p)
			if err != nil {
				return err
			}
			n, err := revoke(authority, args, crl, time.Now())
			if err == nil {
				a.say("Wrote %s: %d revoked. A new one is due in %d days.", crl, n, crlLifetime/(24*time.Hour))
			}
			return err
		},
	}
	cmd.Flags().StringVar(&crl, "crl", "", "the CRL, replaced if it is there")
	must(cmd.MarkFlagRequired("crl"))
	return cmd
}

// revoke adds certificates to a CRL file and returns how many it names.
func revoke(authority *certs.Authority, paths []string, crl string, now time.Time) (int, error) {
	number, serials, err := readCRL(authority, crl)
	if err != nil {
		return 0, err
	}
	known := make(map[string]bool)
	for _, s := range serials {
		known[s.String()] = true
	}
	for _, path := range paths {
		serial, err := serialOf(authority, path)
		if err != nil {
			return 0, fmt.Errorf("%s: %w", path, err)
		}
		if !known[serial.String()] {
			serials = append(serials, serial)
		}
	}
	list, err := authority.Revoke(number+1, now, now.Add(crlLifetime), serials...)
	if err != nil {
		return 0, err
	}
	// Renamed, so that a server never reads half of it.
	next := filepath.Join(filepath.Dir(crl), "."+filepath.Base(crl)+".new")
	if err := os.WriteFile(next, list, 0o644); err != nil {
		return 0, err
	}
	return len(serials), os.Rename(next, crl)
}

// readCRL returns number and content of the CRL that is there; nothing if there
// is none.
func readCRL(authority *certs.Authority, path string) (number int64, serials []*big.Int, err error) {
	b, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil, nil
	}
	if err != nil {
		return 0, nil, err
	}
	list, err := certs.ParseCRL(b)
	if err == nil {
		err = list.CheckSignatureFrom(authority.Certificate)
	}
	if err != nil {
		return 0, nil, fmt.Errorf("%s is not a CRL of this authority: %w", path, err)
	}
	for _, entry := range list.RevokedCertificateEntries {
		serials = append(serials, entry.SerialNumber)
	}
	return list.Number.Int64(), serials, nil
}

// serialOf returns the serial number of a certificate of the authority, which
// stands in an approval or by itself.
func serialOf(authority *certs.Authority, path string) (*big.Int, error) {
	pem, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	if strings.HasSuffix(path, ".json") {
		approval := new(ledgerv1.EnrolmentApproval)
		if err := readMessage(path, approval); err != nil {
			return nil, err
		}
		pem = []byte(approval.GetCertificatePem())
	}
	chain, err := certs.ParseCertificates(pem)
	if err != nil {
		return nil, err
	}
	if err := chain[0].CheckSignatureFrom(authority.Certificate); err != nil {
		return nil, fmt.Errorf("this authority did not issue it: %w", err)
	}
	return chain[0].SerialNumber, nil
}
