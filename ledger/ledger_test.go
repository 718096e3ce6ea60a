package ledger_test

import (
	"path/filepath"
	"testing"

	"github.com/magnet-ledger/magnet-ledger/ledger/custody"
)

func TestRecordAndProve(t *testing.T) {
	s := newSite(t, "acme")
	path := filepath.Join(t.TempDir(), "anchor")
	s.anchor = openAnchor(t, path)
	envs := transactions(s.made, "acme", 600)
	i := s.start()
	results := i.record(envs...)
	for n := range results {
		if results[n].Already {
			t.Fatalf("result %d: %+v", n, results[n])
		}
		if n%25 == 0 || n%256 > 250 {
			s.checkReceipt(i.Ledger, envs[n], &results[n], uint64(n+3))
		}
	}
	again := i.record(envs[7])[0]
	if !again.Already {
		t.Fatalf("retry: %+v", again)
	}
	s.checkReceipt(i.Ledger, envs[7], &again, 10)
	s.wantSize(i.Ledger, 603)
	i.close()

	s.anchor = openAnchor(t, path)
	i = s.start()
	defer i.close()
	again = i.record(envs[7])[0]
	if !again.Already {
		t.Fatalf("retry after restart: %+v", again)
	}
	s.checkReceipt(i.Ledger, envs[7], &again, 10)
	s.wantSize(i.Ledger, 603)
	v := i.View()
	defer v.Close()
	volumes, err := custody.QueryVolumes(v, custody.Scope{All: true}, custody.NewFilter(), []custody.Dimension{custody.ByCustomer})
	if err != nil {
		t.Fatal(err)
	}
	if len(volumes.Rows) != 1 || volumes.Rows[0].Keys[0] != "own:acme/C-1" || volumes.Rows[0].NetMassGrams.String() != "180300" {
		t.Errorf("volumes %+v", volumes)
	}
}
