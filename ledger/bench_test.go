package ledger_test

import (
	"context"
	"fmt"
	"path/filepath"
	"sync"
	"testing"

	"github.com/magnet-ledger/magnet-ledger/ledger"
	"github.com/magnet-ledger/magnet-ledger/ledger/badgerstore"
	"github.com/magnet-ledger/magnet-ledger/ledger/custody"
	tracev1 "github.com/magnet-ledger/magnet-ledger/proto/gen/magnet/trace/v1"
	"github.com/magnet-ledger/magnet-ledger/verify/verifytest"
)

var benchStores = []struct {
	name  string
	place func(*site) *site
}{
	{"memory", func(s *site) *site { return s }},
	{"badger", (*site).onDisk},
}

// statementsPerSecond reports how many statements were recorded.
func statementsPerSecond(b *testing.B, n int) {
	b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "statements/s")
}

// BenchmarkSubmit submits groups of one-line transactions, one after the other.
// Signing is not measured; checking is where the name says so.
func BenchmarkSubmit(b *testing.B) {
	for _, store := range benchStores {
		for _, size := range []int{1, 256, 2048} {
			b.Run(fmt.Sprintf("store=%s/group=%d", store.name, size), func(b *testing.B) {
				s := store.place(newSite(b, "acme"))
				i := s.start()
				defer i.close()
				items := checked(b, i, transactions(s.made, "acme", b.N*size))
				b.ReportAllocs()
				b.ResetTimer()
				for n := range b.N {
					submitItems(b, i, items[n*size:(n+1)*size])
				}
				statementsPerSecond(b, b.N*size)
			})
		}
	}
}

// BenchmarkCheck checks one-line transactions of batches of 1,024, under one
// signature each, and such that have a signature of their own.
func BenchmarkCheck(b *testing.B) {
	const size = 1024
	s := newSite(b, "acme")
	i := s.start()
	defer i.close()
	var batches []*tracev1.Envelope
	for range 16 {
		batches = append(batches, transactions(s.made, "acme", size)...)
	}
	for name, envs := range map[string][]*tracev1.Envelope{"batch": batches, "single": singles(s, size)} {
		b.Run("signed="+name, func(b *testing.B) {
			b.ReportAllocs()
			for n := 0; b.Loop(); n++ {
				if _, err := i.Check(envs[n%len(envs)], "acme"); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkCheckAndSubmit is BenchmarkSubmit with the checks, in the same
// goroutine: of statements that share a signature, and of such that have one
// each.
func BenchmarkCheckAndSubmit(b *testing.B) {
	const size = 256
	for _, store := range benchStores {
		for name, sign := range map[string]func(*site, int) []*tracev1.Envelope{
			"batch":  func(s *site, n int) []*tracev1.Envelope { return transactions(s.made, "acme", n) },
			"single": singles,
		} {
			b.Run(fmt.Sprintf("store=%s/signed=%s/group=%d", store.name, name, size), func(b *testing.B) {
				s := store.place(newSite(b, "acme"))
				i := s.start()
				defer i.close()
				envs := sign(s, b.N*size)
				b.ReportAllocs()
				b.ResetTimer()
				for n := range b.N {
					submitItems(b, i, checked(b, i, envs[n*size:(n+1)*size]))
				}
				statementsPerSecond(b, b.N*size)
			})
		}
	}
}

// BenchmarkSubmitUnary submits statements one by one from many goroutines, as
// unary calls do.
func BenchmarkSubmitUnary(b *testing.B) {
	for _, store := range benchStores {
		for _, callers := range []int{16, 256} {
			b.Run(fmt.Sprintf("store=%s/callers=%d", store.name, callers), func(b *testing.B) {
				s := store.place(newSite(b, "acme"))
				i := s.start()
				defer i.close()
				items := checked(b, i, transactions(s.made, "acme", b.N))
				next := make(chan *ledger.Item, len(items))
				for _, item := range items {
					next <- item
				}
				close(next)
				b.ReportAllocs()
				b.ResetTimer()
				var work sync.WaitGroup
				for range callers {
					work.Go(func() {
						for item := range next {
							submitItems(b, i, []*ledger.Item{item})
						}
					})
				}
				work.Wait()
				statementsPerSecond(b, b.N)
			})
		}
	}
}

// singles returns n transactions with a signature each.
func singles(s *site, n int) []*tracev1.Envelope {
	envs := make([]*tracev1.Envelope, n)
	for k := range envs {
		envs[k] = s.made.Transaction("acme", uint64(k+1))
	}
	return envs
}

func checked(b *testing.B, i *instance, envs []*tracev1.Envelope) []*ledger.Item {
	items := make([]*ledger.Item, len(envs))
	for n, env := range envs {
		var err error
		if items[n], err = i.Check(env, "acme"); err != nil {
			b.Fatal(err)
		}
	}
	return items
}

func submitItems(b *testing.B, i *instance, items []*ledger.Item) []ledger.Result {
	results, err := i.Submit(context.Background(), items)
	if err != nil || results[0].Err != nil || results[len(results)-1].Err != nil {
		b.Errorf("%v, %+v", err, results)
	}
	return results
}

// grow lets a log grow to more than 100,000 entries.
func grow(s *site) {
	l := s.mustOpen()
	defer l.Close()
	for range 10 {
		if err := l.Grow(10_000); err != nil {
			s.t.Fatal(err)
		}
	}
}

// BenchmarkReceipt makes receipts: of fresh results, from what their batch added
// to the tree, and of old ones, from what is stored.
func BenchmarkReceipt(b *testing.B) {
	for _, store := range benchStores {
		s := store.place(newSite(b, "acme"))
		grow(s)
		i := s.start()
		items := checked(b, i, transactions(s.made, "acme", 2048))
		for _, age := range []string{"fresh", "old"} {
			results := submitItems(b, i, items)
			b.Run(fmt.Sprintf("store=%s/%s", store.name, age), func(b *testing.B) {
				b.ReportAllocs()
				n := 0
				for b.Loop() {
					if _, err := i.Receipt(&results[n%len(results)]); err != nil {
						b.Fatal(err)
					}
					n++
				}
			})
		}
		i.close()
	}
}

// traded returns a site with 100,000 transactions of 10 sellers with 1,000
// customers within 12 months.
func traded(b *testing.B, place func(*site) *site) *site {
	const statements, sellers = 100_000, 10
	var names []string
	for n := range sellers {
		names = append(names, fmt.Sprint("seller-", n))
	}
	s := place(newSite(b, names...))
	i := s.start()
	defer i.close()
	for _, seller := range names {
		for done := 0; done < statements/sellers; done += 2500 {
			var sts []*tracev1.Statement
			for k := range 2500 {
				st := s.made.TransactionStatement(seller, uint64(k+1))
				tx := st.GetTransaction()
				tx.Customer.OwnCode = fmt.Sprint("C-", (done+k)%(1000/sellers))
				tx.TransactionDate = fmt.Sprintf("2025-%02d-%02d", 1+(done+k)/100%12, 1+k%28)
				sts = append(sts, st)
			}
			i.record(s.made.SignBatch(verifytest.Key(seller), sts...)...)
		}
	}
	return s
}

// BenchmarkQueryVolumes asks for the volumes of all customers and months among
// 100,000 transactions: 12,000 rows; and for those of one seller.
func BenchmarkQueryVolumes(b *testing.B) {
	for _, store := range benchStores {
		s := traded(b, store.place)
		l := s.mustOpen()
		for name, scope := range map[string]custody.Scope{"all": {All: true}, "seller": {Sellers: []string{"seller-3"}}} {
			b.Run(fmt.Sprintf("store=%s/scope=%s", store.name, name), func(b *testing.B) {
				b.ReportAllocs()
				rows := 0
				for b.Loop() {
					v := l.View()
					answer, err := custody.QueryVolumes(v, scope, custody.NewFilter(), []custody.Dimension{custody.ByCustomer, custody.ByMonth})
					v.Close()
					if err != nil {
						b.Fatal(err)
					}
					rows = len(answer.Rows)
				}
				b.ReportMetric(float64(rows), "rows")
			})
		}
		b.Run(fmt.Sprintf("store=%s/days", store.name), func(b *testing.B) {
			b.ReportAllocs()
			f := custody.NewFilter()
			f.FirstDay, _ = custody.ParseDay("2025-03-02")
			f.LastDay, _ = custody.ParseDay("2025-03-02")
			for b.Loop() {
				v := l.View()
				_, err := custody.QueryVolumes(v, custody.Scope{All: true}, f, []custody.Dimension{custody.ByCustomer})
				v.Close()
				if err != nil {
					b.Fatal(err)
				}
			}
		})
		l.Close()
	}
}

// BenchmarkOpen opens a ledger of 100,000 entries.
func BenchmarkOpen(b *testing.B) {
	b.Run("store=memory", func(b *testing.B) {
		s := newSite(b, "acme")
		grow(s)
		b.ReportAllocs()
		for b.Loop() {
			s.mustOpen().Close()
		}
	})
	b.Run("store=badger", func(b *testing.B) {
		s := newSite(b, "acme").onDisk()
		grow(s)
		b.ReportAllocs()
		for b.Loop() {
			s.mustOpen().Close()
		}
	})
	b.Run("store=badger/with=store", func(b *testing.B) {
		dir := filepath.Join(b.TempDir(), "store")
		s := newSite(b, "acme")
		opened := func() *badgerstore.Store {
			store, err := badgerstore.Open(dir, badgerstore.Options{MinFreeBytes: 1})
			if err != nil {
				b.Fatal(err)
			}
			return store
		}
		store := opened()
		s.store = store
		grow(s)
		b.ReportAllocs()
		for b.Loop() {
			if err := store.Close(); err != nil {
				b.Fatal(err)
			}
			store = opened()
			s.store = store
			s.mustOpen().Close()
		}
		if err := store.Close(); err != nil {
			b.Fatal(err)
		}
	})
}
