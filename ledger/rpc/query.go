package rpc

import (
	"context"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/magnet-ledger/magnet-ledger/ledger"
	"github.com/magnet-ledger/magnet-ledger/ledger/custody"
	ledgerv1 "github.com/magnet-ledger/magnet-ledger/proto/gen/magnet/ledger/v1"
	tracev1 "github.com/magnet-ledger/magnet-ledger/proto/gen/magnet/trace/v1"
	"github.com/magnet-ledger/magnet-ledger/verify"
)

type queryService struct {
	ledgerv1.UnimplementedQueryServiceServer
	*Server
}

// errNotFound is the answer to what does not exist and to what the caller may
// not read, alike in every byte.
var errNotFound = status.Error(codes.NotFound, "no such record, or none that you may read")

// naming is a request that names a statement by hash, key or index.
type naming interface {
	GetStatementHash() []byte
	GetKey() *ledgerv1.StatementKey
	GetIndex() uint64
}

// readable returns the record that a request names, if the caller may read it,
// else errNotFound.
func (s *Server) readable(v *ledger.View, c *caller, by naming) (ledger.Record, error) {
	index := by.GetIndex()
	ok, err := index < v.Size(), error(nil)
	if hash := by.GetStatementHash(); hash != nil {
		index, ok, err = custody.StatementByHash(v, hash)
	} else if key := by.GetKey(); key != nil {
		index, ok, err = custody.StatementByKey(v, key.GetSigner(), key.GetStatementId())
	}
	if err != nil {
		return ledger.Record{}, err
	}
	if !ok {
		return ledger.Record{}, errNotFound
	}
	r, err := v.Record(index)
	if err != nil {
		return ledger.Record{}, err
	}
	if ok, err = c.mayRead(v, r); err == nil && !ok {
		err = errNotFound
	}
	return r, err
}

// GetStatement implements ledgerv1.QueryServiceServer.
func (s queryService) GetStatement(ctx context.Context, req *ledgerv1.GetStatementRequest) (*ledgerv1.GetStatementResponse, error) {
	v, c, err := s.reading(ctx)
	if err != nil {
		return nil, err
	}
	defer v.Close()
	r, err := s.readable(v, c, req)
	if err != nil {
		return nil, s.toStatus(ctx, err)
	}
	version, err := custody.VersionAt(v, r.Entry.Index, v.Size())
	if err != nil {
		return nil, s.toStatus(ctx, err)
	}
	st, err := recordedStatement(v, r, version, req.GetView())
	if err != nil {
		return nil, s.toStatus(ctx, err)
	}
	receipt, err := v.Receipt(r)
	if err != nil {
		return nil, s.toStatus(ctx, err)
	}
	return &ledgerv1.GetStatementResponse{Statement: st, Receipt: receipt}, nil
}

// states are the fates of a version on the wire.
var states = map[custody.Fate]ledgerv1.StatementState{
	custody.Live:    ledgerv1.StatementState_STATEMENT_STATE_LIVE,
	custody.Amended: ledgerv1.StatementState_STATEMENT_STATE_AMENDED,
	custody.Voided:  ledgerv1.StatementState_STATEMENT_STATE_VOIDED,
}

// recordedStatement returns a record with what became of it; version is nil for
// what is no transaction.
func recordedStatement(v *ledger.View, r ledger.Record, version *custody.Version, view ledgerv1.StatementView) (*ledgerv1.RecordedStatement, error) {
	st := &ledgerv1.RecordedStatement{Entry: r.Entry.Bytes()}
	if view != ledgerv1.StatementView_STATEMENT_VIEW_ENTRY {
		st.Envelope = r.Envelope
	}
	if version == nil {
		return st, nil
	}
	st.State = states[version.Fate]
	if version.Latest != version.Index {
		latest, err := v.Record(version.Latest) // unlike StatementHash, checked against the tree
		if err != nil {
			return nil, err
		}
		st.LatestHash = latest.Entry.StatementHash[:]
	}
	return st, nil
}

const defaultPageSize = 100

// pageBytes bounds the envelopes or participants of a page, so that a page fits
// in a message.
const pageBytes = 2 << 20

func pageSize(asked int32) int {
	if asked == 0 {
		return defaultPageSize
	}
	return int(asked)
}

// ListStatements implements ledgerv1.QueryServiceServer.
func (s queryService) ListStatements(ctx context.Context, req *ledgerv1.ListStatementsRequest) (*ledgerv1.ListStatementsResponse, error) {
	v, c, err := s.reading(ctx)
	if err != nil {
		return nil, err
	}
	defer v.Close()
	f, err := filterOf(req.GetFilter(), req.GetPeriod())
	if err != nil {
		return nil, err
	}
	at, err := s.openToken(c.id, req, req.GetPageToken(), v.Size())
	if err != nil {
		return nil, err
	}
	page := &ledgerv1.ListStatementsResponse{AsOfSize: at.size}
	room := pageBytes
	var last custody.Cursor
	var failed error
	err = custody.ListVersions(v, c.scope(), f, fatesOf(req.GetStates()), at.size, at.cursor, func(version *custody.Version, cursor custody.Cursor) bool {
		if len(page.GetStatements()) == pageSize(req.GetPageSize()) || room <= 0 {
			page.NextPageToken = s.sealToken(c.id, req, token{size: at.size, cursor: last})
			return false
		}
		var st *ledgerv1.RecordedStatement
		if st, failed = listed(v, version, req.GetView()); failed != nil {
			return false
		}
		page.Statements, last = append(page.GetStatements(), st), cursor
		room -= len(st.GetEnvelope().GetPayload())
		return true
	})
	if err == nil {
		err = failed
	}
	return page, s.toStatus(ctx, err)
}

func listed(v *ledger.View, version *custody.Version, view ledgerv1.StatementView) (*ledgerv1.RecordedStatement, error) {
	r, err := v.Record(version.Index)
	if err != nil {
		return nil, err
	}
	return recordedStatement(v, r, version, view)
}

func fatesOf(asked []ledgerv1.StatementState) []custody.Fate {
	var fates []custody.Fate
	for _, a := range asked {
		for fate, state := range states {
			if state == a {
				fates = append(fates, fate)
			}
		}
	}
	return fates
}

// filterOf returns the filter of a request. The error is a status.
func filterOf(f *ledgerv1.TransactionFilter, p *ledgerv1.Period) (custody.Filter, error) {
	out := custody.NewFilter()
	out.Sellers, out.Customers, out.Kinds = f.GetSellers(), f.GetCustomers(), f.GetKinds()
	out.ProductFamilies, out.HSCodes = f.GetProductFamilies(), f.GetHsCodes()
	out.DestinationCountries, out.EndUses = f.GetDestinationCountries(), f.GetEndUses()
	if p == nil {
		return out, nil
	}
	var ok [2]bool
	out.FirstDay, ok[0] = custody.ParseDay(p.GetFirstDay())
	out.LastDay, ok[1] = custody.ParseDay(p.GetLastDay())
	if !ok[0] || !ok[1] || out.FirstDay > out.LastDay {
		return out, status.Error(codes.InvalidArgument, "period: first_day and last_day are dates YYYY-MM-DD from 1900 to 2199, the first not after the last")
	}
	return out, nil
}

// GetParticipant implements ledgerv1.QueryServiceServer.
func (s queryService) GetParticipant(ctx context.Context, req *ledgerv1.GetParticipantRequest) (*ledgerv1.GetParticipantResponse, error) {
	v, c, err := s.reading(ctx)
	if err != nil {
		return nil, err
	}
	defer v.Close()
	p, err := custody.ParticipantByID(v, req.GetParticipantId())
	if err != nil {
		return nil, s.toStatus(ctx, err)
	}
	keys, err := custody.KeysOf(v, req.GetParticipantId())
	if err != nil {
		return nil, s.toStatus(ctx, err)
	}
	if p == nil && len(keys) == 0 {
		return nil, errNotFound
	}
	if p == nil { // root, authority and ledger have keys only
		p = &tracev1.Participant{ParticipantId: req.GetParticipantId()}
	}
	return &ledgerv1.GetParticipantResponse{Participant: c.shown(p), Keys: keys}, nil
}

// shown returns a participant as the caller may see it: reading rights are the
// business of those who have them, of regulators and of the authority.
func (c *caller) shown(p *tracev1.Participant) *tracev1.Participant {
	if c.id != p.GetParticipantId() && c.id != verify.AuthorityID && !c.is(tracev1.Role_ROLE_REGULATOR) {
		p.ReadingRight = nil
	}
	return p
}

// ListParticipants implements ledgerv1.QueryServiceServer.
func (s queryService) ListParticipants(ctx context.Context, req *ledgerv1.ListParticipantsRequest) (*ledgerv1.ListParticipantsResponse, error) {
	v, c, err := s.reading(ctx)
	if err != nil {
		return nil, err
	}
	defer v.Close()
	at, err := s.openToken(c.id, req, req.GetPageToken(), v.Size())
	if err != nil {
		return nil, err
	}
	page := new(ledgerv1.ListParticipantsResponse)
	room := pageBytes
	err = custody.Participants(v, string(at.cursor), func(p *tracev1.Participant) bool {
		if len(page.GetParticipants()) == pageSize(req.GetPageSize()) || room <= 0 {
			page.NextPageToken = s.sealToken(c.id, req, token{size: at.size, cursor: custody.Cursor(p.GetParticipantId())})
			return false
		}
		if p.GetAdmittedIndex() < at.size {
			page.Participants = append(page.GetParticipants(), c.shown(p))
			room -= proto.Size(p)
		}
		return true
	})
	return page, s.toStatus(ctx, err)
}
