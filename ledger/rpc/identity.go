package rpc

import (
	"context"
	"slices"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/magnet-ledger/magnet-ledger/ledger"
	"github.com/magnet-ledger/magnet-ledger/ledger/custody"
	tracev1 "github.com/magnet-ledger/magnet-ledger/proto/gen/magnet/trace/v1"
	"github.com/magnet-ledger/magnet-ledger/verify"
)

// callerKey is the context key of the participant id of the TLS peer.
type callerKey struct{}

// authenticate returns the context with the participant that the TLS peer
// stands for. Whether it is admitted, each method asks the log.
func (s *Server) authenticate(ctx context.Context) (context.Context, error) {
	connection := connectionOf(ctx)
	if connection == nil {
		return nil, status.Error(codes.Unauthenticated, "mutual TLS is required")
	}
	if connection.id == "" {
		return nil, status.Error(codes.Unauthenticated, "the certificate names no participant of this ledger")
	}
	return context.WithValue(ctx, callerKey{}, connection.id), nil
}

func callerID(ctx context.Context) string {
	id, _ := ctx.Value(callerKey{}).(string)
	return id
}

// caller is a TLS peer as the log knows it at a view.
type caller struct {
	id     string
	record *tracev1.Participant // nil for the authority
}

// errNotAdmitted is what a peer gets that the log does not know.
var errNotAdmitted = status.Error(codes.PermissionDenied, "the participant of the certificate is not admitted to this ledger")

// identify looks the caller up. The authority, whose keys the genesis names, is
// a caller too.
func identify(ctx context.Context, v *ledger.View) (*caller, error) {
	id := callerID(ctx)
	if id == verify.AuthorityID {
		return &caller{id: id}, nil
	}
	p, err := custody.ParticipantByID(v, id)
	if err != nil {
		return nil, err
	}
	if p == nil {
		return nil, errNotAdmitted
	}
	return &caller{id: id, record: p}, nil
}

func (c *caller) is(r tracev1.Role) bool { return slices.Contains(c.record.GetRoles(), r) }

// scope returns which transactions the caller may read: a regulator all, an
// auditor those of the sellers that its right names, everybody its own as seller
// and as customer.
func (c *caller) scope() custody.Scope {
	if c.record == nil {
		return custody.Scope{}
	}
	s := custody.Scope{
		All:      c.is(tracev1.Role_ROLE_REGULATOR),
		Sellers:  []string{c.id},
		Customer: "participant:" + c.id,
	}
	if right := c.record.GetReadingRight(); right != nil && c.is(tracev1.Role_ROLE_AUDITOR) {
		s.All = s.All || right.GetAllSellers()
		s.Sellers = append(s.Sellers, right.GetSellers()...)
	}
	return s
}

// mayRead reports whether the caller may read a statement. Acts on the registry
// are for every participant; reading rights are for the authority, for who has
// them and for who may read everything, who could not audit the log otherwise;
// transactions are for their signer, their customer and whoever has a right to
// the signer's.
func (c *caller) mayRead(v *ledger.View, r ledger.Record) (bool, error) {
	payload, err := verify.ParsePayload(r.Envelope.GetPayload())
	if err != nil {
		return false, err
	}
	st := payload.Statement
	var customer *tracev1.Party
	switch what := st.GetStated().(type) {
	case *tracev1.Statement_Genesis, *tracev1.Statement_ParticipantAdmitted, *tracev1.Statement_ParticipantSuspended,
		*tracev1.Statement_ParticipantReinstated, *tracev1.Statement_RolesChanged,
		*tracev1.Statement_KeyRegistered, *tracev1.Statement_KeyRevoked:
		return true, nil
	case *tracev1.Statement_ReadingRightGranted:
		return c.id == verify.AuthorityID || c.id == what.ReadingRightGranted.GetParticipantId() || c.scope().All, nil
	case *tracev1.Statement_Transaction:
		customer = what.Transaction.GetCustomer()
	case *tracev1.Statement_Amendment:
		customer = what.Amendment.GetReplacement().GetCustomer()
	case *tracev1.Statement_Void:
		return c.mayReadVoid(v, st.GetSigner(), what.Void)
	default:
		return false, nil // what is not listed here is nobody's to read
	}
	key, err := custody.CustomerKey(v, st.GetSigner(), customer, r.Entry.Index)
	return c.scope().Includes(st.GetSigner(), key), err
}

// mayReadVoid: a void is for whoever may read what it voids.
func (c *caller) mayReadVoid(v *ledger.View, signer string, void *tracev1.Void) (bool, error) {
	if c.scope().Includes(signer, "") {
		return true, nil
	}
	index, ok, err := custody.StatementByHash(v, void.GetTarget())
	if err != nil || !ok {
		return false, err
	}
	target, err := v.Record(index)
	if err != nil {
		return false, err
	}
	return c.mayRead(v, target)
}
