package rpc_test

import (
	"slices"
	"testing"

	"google.golang.org/grpc/codes"

	ledgerv1 "github.com/magnet-ledger/magnet-ledger/proto/gen/magnet/ledger/v1"
)

// TestInvalidRequests sends requests that validation refuses before a method
// sees them: the fields are named in the form of every other refusal.
func TestInvalidRequests(t *testing.T) {
	w := newWorld(t)
	p := w.peer("acme")
	_, short := p.GetStatement(p.ctx, &ledgerv1.GetStatementRequest{By: &ledgerv1.GetStatementRequest_StatementHash{StatementHash: []byte("short")}})
	_, nothing := p.GetStatement(p.ctx, &ledgerv1.GetStatementRequest{})
	stream, err := p.QueryVolumes(p.ctx, &ledgerv1.QueryVolumesRequest{Filter: &ledgerv1.TransactionFilter{HsCodes: []string{"850511", "8505"}}})
	if err == nil {
		_, err = stream.Recv()
	}
	for name, test := range map[string]struct {
		err   error
		field string
	}{
		"unary":        {short, "statement_hash"},
		"nothing":      {nothing, "by"},
		"within lists": {err, "filter.hs_codes[1]"},
	} {
		got := refusedBy(t, test.err)
		if got.code != codes.InvalidArgument || got.reason != "VALUE_MALFORMED" || !slices.Equal(got.fields, []string{test.field}) {
			t.Errorf("%s: %+v, want VALUE_MALFORMED of %s", name, got, test.field)
		}
	}
}
