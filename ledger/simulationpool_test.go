package ledger_test

import (
	"fmt"
	"testing"

	tracev1 "github.com/magnet-ledger/magnet-ledger/proto/gen/magnet/trace/v1"
	"github.com/magnet-ledger/magnet-ledger/verify"
	"github.com/magnet-ledger/magnet-ledger/verify/verifytest"
)

// simulated returns the site of which each simulation takes a copy, and what may
// be submitted there.
func simulated(t *testing.T) (*site, []*made) {
	s := newSite(t)
	l := s.made
	second, late := verifytest.Key("acme 2"), verifytest.Key("late")
	boot := append(l.Register("acme", tracev1.Role_ROLE_PRODUCER), l.RegisterKey("acme", second))
	boot = append(append(boot, l.Register("zeta", tracev1.Role_ROLE_TRADER)...), l.Admit("late", tracev1.Role_ROLE_MINER))
	s.boot = l.SignBatch(l.Authority, statements(madeOf(t, boot...)...)...) // one signature is read faster
	sell := func(seller string, n int) *tracev1.Statement {
		st := l.TransactionStatement(seller, uint64(n*n*1009))
		st.GetTransaction().Customer.OwnCode = fmt.Sprint("C-", n%3)
		st.GetTransaction().TransactionDate = fmt.Sprintf("2026-%02d-11", 1+n%5)
		return st
	}
	var mine, others, lates []*tracev1.Statement
	for n := range 12 {
		mine = append(mine, sell("acme", n+1))
	}
	for n := range 6 { // the first of no grams
		others = append(others, sell("zeta", n))
	}
	for n := range 4 {
		lates = append(lates, sell("late", n+1))
	}
	// Conflicts: the ids of others for another content.
	for n, st := range mine[:3] {
		conflict := sell("acme", 20+n)
		conflict.StatementId = st.GetStatementId()
		mine = append(mine, conflict)
	}
	pool := madeOf(t, l.SignBatch(verifytest.Key("acme"), mine...)...)
	again := madeOf(t, l.Sign(verifytest.Key("acme"), mine[1]))[0] // other signature, same payload
	pool = append(pool, again)
	pool = append(pool, madeOf(t, l.SignBatch(second, sell("acme", 13), sell("acme", 14), mine[4], sell("acme", 15))...)...)
	pool = append(pool, madeOf(t, l.SignBatch(verifytest.Key("zeta"), others...)...)...)
	pool = append(pool, madeOf(t, l.SignBatch(late, lates...)...)...)
	pool = append(pool, versions(t, l, pool[:6], sell)...)
	return s, append(pool, acts(t, l, second, late)...)
}

func statements(ms ...*made) []*tracev1.Statement {
	var sts []*tracev1.Statement
	for _, m := range ms {
		sts = append(sts, m.st)
	}
	return sts
}

// versions returns amendments and voids of transactions of acme, some of which
// compete for one target, and some of which target one another.
func versions(t *testing.T, l *verifytest.Ledger, targets []*made, sell func(string, int) *tracev1.Statement) []*made {
	amend := func(target *made, n int) *tracev1.Statement {
		st := sell("acme", n)
		st.Stated = &tracev1.Statement_Amendment{Amendment: &tracev1.Amendment{
			Target: target.hash[:], Replacement: st.GetTransaction(), Reason: "weighed again"}}
		return st
	}
	void := func(target *made) *tracev1.Statement {
		return l.Complete("acme", &tracev1.Statement{Stated: &tracev1.Statement_Void{Void: &tracev1.Void{
			Target: target.hash[:], Reason: "never happened"}}})
	}
	var first, second []*tracev1.Statement
	for n, target := range targets {
		first = append(first, amend(target, 24+n), amend(target, 30+n), void(target))
	}
	vs := madeOf(t, l.SignBatch(verifytest.Key("acme"), first...)...)
	for n := range targets {
		second = append(second, amend(vs[3*n], 36+n), void(vs[3*n]))
	}
	return append(vs, madeOf(t, l.SignBatch(verifytest.Key("acme"), second...)...)...)
}

// acts returns acts of the authority that compete with each other and with
// transactions.
func acts(t *testing.T, l *verifytest.Ledger, second, late *verify.Signer) []*made {
	act := func(st *tracev1.Statement) *tracev1.Statement { return l.Complete(verify.AuthorityID, st) }
	suspended := func() *tracev1.Statement {
		return act(&tracev1.Statement{Stated: &tracev1.Statement_ParticipantSuspended{
			ParticipantSuspended: &tracev1.ParticipantSuspended{ParticipantId: "zeta", Reason: "inspection"}}})
	}
	reinstated := func() *tracev1.Statement {
		return act(&tracev1.Statement{Stated: &tracev1.Statement_ParticipantReinstated{
			ParticipantReinstated: &tracev1.ParticipantReinstated{ParticipantId: "zeta", Reason: "inspected"}}})
	}
	ms := madeOf(t, l.RevokeKey(second.Public()), l.RevokeKey(second.Public()), l.RegisterKey("late", late), l.RegisterKey("late", late))
	sts := append(statements(ms...), suspended(), suspended(), reinstated(), reinstated())
	return madeOf(t, l.SignBatch(l.Authority, sts...)...)
}
