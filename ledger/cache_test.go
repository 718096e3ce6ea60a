package ledger_test

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/magnet-ledger/magnet-ledger/ledger"
)

// TestStateCache reads through a small cache while values change: what it holds
// is what is stored.
func TestStateCache(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 1))
	cache, stored := ledger.NewStateCache(8), make(map[string][]byte)
	hits := 0
	for n := range 20_000 {
		key := fmt.Sprint(random.IntN(20))
		if random.IntN(3) == 0 {
			changed := make(map[string][]byte)
			for range random.IntN(4) {
				changed[fmt.Sprint(random.IntN(20))] = fmt.Append(nil, n)
			}
			for k, v := range changed {
				stored[k] = v
			}
			cache.Update(changed)
			continue
		}
		value, ok := cache.Get(key)
		if ok {
			hits++
			if string(value) != string(stored[key]) {
				t.Fatalf("step %d: %s = %q, want %q", n, key, value, stored[key])
			}
		} else if stored[key] != nil {
			cache.Put(key, stored[key])
		}
		if cache.Len() > 2*8 {
			t.Fatalf("step %d: %d values", n, cache.Len())
		}
	}
	if hits < 5000 {
		t.Errorf("%d hits", hits)
	}
}
