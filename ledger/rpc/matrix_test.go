package rpc_test

import (
	"context"
	"slices"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"
	reflectionv1 "google.golang.org/grpc/reflection/grpc_reflection_v1"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/emptypb"

	"github.com/magnet-ledger/magnet-ledger/ledger/rpc"
	ledgerv1 "github.com/magnet-ledger/magnet-ledger/proto/gen/magnet/ledger/v1"
	tracev1 "github.com/magnet-ledger/magnet-ledger/proto/gen/magnet/trace/v1"
)

// readers are peers that are admitted, each in another way.
var readers = []string{
	"acme", "bolt", "shop", "late", "idle", "auditor", "auditor-acme", "auditor-all", "auditor-was", "auditor-once", "regulator", "authority",
}

// strangers have a certificate of the ledger and are not admitted.
var strangers = []string{"nobody", "root", "ledger", "customer"}

// method is a row of the matrix: how a method is called soundly, and whether a
// stranger may.
type method struct {
	strangers codes.Code
	call      func(p *peer) error
}

// methods is what is known of every method. What each shows to whom, is in
// objects.
var methods = map[string]method{
	ledgerv1.SubmissionService_Submit_FullMethodName: {codes.PermissionDenied, func(p *peer) error {
		_, err := p.Submit(p.ctx, &ledgerv1.SubmitRequest{Envelope: p.w.own(p.id)})
		return err
	}},
	ledgerv1.SubmissionService_SubmitStream_FullMethodName: {codes.PermissionDenied, func(p *peer) error {
		s := p.stream()
		send(p.t, s, 0, p.w.own(p.id))
		r := outcomes(p.t, s, 1)[0].GetRefusal()
		finish(p.t, s)
		if r == nil {
			return nil
		}
		st, err := status.New(codeFor(r.GetReason()), r.GetMessage()).WithDetails(r)
		if err != nil {
			p.t.Fatal(err)
		}
		return st.Err()
	}},
	ledgerv1.QueryService_GetStatement_FullMethodName: {codes.PermissionDenied, func(p *peer) error {
		_, err := p.GetStatement(p.ctx, &ledgerv1.GetStatementRequest{By: &ledgerv1.GetStatementRequest_Index{}})
		return err
	}},
	ledgerv1.QueryService_ListStatements_FullMethodName: {codes.PermissionDenied, func(p *peer) error {
		_, err := p.ListStatements(p.ctx, &ledgerv1.ListStatementsRequest{})
		return err
	}},
	ledgerv1.QueryService_QueryVolumes_FullMethodName: {codes.PermissionDenied, func(p *peer) error {
		s, err := p.QueryVolumes(p.ctx, &ledgerv1.QueryVolumesRequest{})
		return receiving(s, err, func(*ledgerv1.QueryVolumesResponse) {})
	}},
	ledgerv1.QueryService_GetParticipant_FullMethodName: {codes.PermissionDenied, func(p *peer) error {
		_, err := p.GetParticipant(p.ctx, &ledgerv1.GetParticipantRequest{ParticipantId: "acme"})
		return err
	}},
	ledgerv1.QueryService_ListParticipants_FullMethodName: {codes.PermissionDenied, func(p *peer) error {
		_, err := p.ListParticipants(p.ctx, &ledgerv1.ListParticipantsRequest{})
		return err
	}},
	ledgerv1.AuditService_GetCheckpoint_FullMethodName: {codes.PermissionDenied, func(p *peer) error {
		_, err := p.GetCheckpoint(p.ctx, &ledgerv1.GetCheckpointRequest{})
		return err
	}},
	ledgerv1.AuditService_GetReceipt_FullMethodName: {codes.PermissionDenied, func(p *peer) error {
		_, err := p.GetReceipt(p.ctx, &ledgerv1.GetReceiptRequest{By: &ledgerv1.GetReceiptRequest_Index{}})
		return err
	}},
	ledgerv1.AuditService_GetInclusionProof_FullMethodName: {codes.PermissionDenied, func(p *peer) error {
		_, err := p.GetInclusionProof(p.ctx, &ledgerv1.GetInclusionProofRequest{})
		return err
	}},
	ledgerv1.AuditService_GetConsistencyProof_FullMethodName: {codes.PermissionDenied, func(p *peer) error {
		_, err := p.GetConsistencyProof(p.ctx, &ledgerv1.GetConsistencyProofRequest{FromSize: 1})
		return err
	}},
	ledgerv1.AuditService_ReadEntries_FullMethodName: {codes.PermissionDenied, func(p *peer) error {
		_, err := p.tryRead(&ledgerv1.ReadEntriesRequest{View: full})
		return err
	}},
	healthv1.Health_Check_FullMethodName: {codes.OK, func(p *peer) error {
		_, err := p.health.Check(p.ctx, &healthv1.HealthCheckRequest{})
		return err
	}},
	healthv1.Health_List_FullMethodName: {codes.OK, func(p *peer) error {
		_, err := p.health.List(p.ctx, &healthv1.HealthListRequest{})
		return err
	}},
	healthv1.Health_Watch_FullMethodName: {codes.OK, func(p *peer) error {
		ctx, cancel := context.WithCancel(p.ctx)
		defer cancel()
		s, err := p.health.Watch(ctx, &healthv1.HealthCheckRequest{})
		if err == nil {
			_, err = s.Recv()
		}
		return err
	}},
	reflectionv1.ServerReflection_ServerReflectionInfo_FullMethodName: {codes.OK, func(p *peer) error {
		_, err := listServices(p)
		return err
	}},
}

// own returns a statement that a peer made itself.
func (w *world) own(id string) *tracev1.Envelope { return w.signed(w.sale(id)) }

// judged passes the refusal of an admitted peer whose role states no
// transactions: it may call, and its statement was judged.
func judged(err error) error {
	for _, d := range status.Convert(err).Details() {
		if r, ok := d.(*tracev1.Refusal); ok && (r.GetReason() == reason("ROLE") || r.GetReason() == reason("SUSPENDED")) {
			return nil
		}
	}
	return err
}

// TestEveryMethodIsKnown holds what is registered against the table of access
// rules and against the matrix of this test.
func TestEveryMethodIsKnown(t *testing.T) {
	w := newWorld(t)
	registered := w.server.Methods()
	if ruled := rpc.AccessTable(); !slices.Equal(registered, ruled) {
		t.Errorf("registered %q, access rules for %q", registered, ruled)
	}
	for _, m := range registered {
		if methods[m].call == nil {
			t.Errorf("%s is not in the matrix", m)
		}
	}
	if len(methods) != len(registered) {
		t.Errorf("the matrix has %d methods, %d are registered", len(methods), len(registered))
	}
}

// TestNoServiceChoosesItsAuthentication: a service with AuthFuncOverride would
// silently replace the interceptor.
func TestNoServiceChoosesItsAuthentication(t *testing.T) {
	w := newWorld(t)
	for _, s := range w.server.Services() {
		if _, ok := s.(interface {
			AuthFuncOverride(context.Context, string) (context.Context, error)
		}); ok {
			t.Errorf("%T implements AuthFuncOverride", s)
		}
	}
}

func TestWhoMayCall(t *testing.T) {
	w := newWorld(t)
	w.objects()
	for name, m := range methods {
		t.Run(name, func(t *testing.T) {
			for _, id := range readers {
				if err := judged(m.call(w.peer(id))); err != nil {
					t.Errorf("%s: %v", id, err)
				}
			}
			for _, id := range strangers {
				if err := m.call(w.peer(id)); status.Code(err) != m.strangers {
					t.Errorf("%s: got %v, want %v", id, err, m.strangers)
				}
			}
		})
	}
}

// TestUnruledMethod: what is not registered is not there, whoever asks.
func TestUnruledMethod(t *testing.T) {
	w := newWorld(t)
	p := w.peer("regulator")
	for _, name := range []string{"/magnet.ledger.v1.QueryService/Everything", "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo"} {
		err := p.conn.Invoke(p.ctx, name, &emptypb.Empty{}, &emptypb.Empty{})
		codeIs(t, err, codes.Unimplemented)
	}
}

// listServices asks the reflection service for the names of all services.
func listServices(p *peer) ([]string, error) {
	s, err := reflectionv1.NewServerReflectionClient(p.conn).ServerReflectionInfo(p.ctx)
	if err != nil {
		return nil, err
	}
	ask := &reflectionv1.ServerReflectionRequest{MessageRequest: &reflectionv1.ServerReflectionRequest_ListServices{}}
	if err := s.Send(ask); err != nil {
		return nil, err
	}
	if err := s.CloseSend(); err != nil {
		return nil, err
	}
	var names []string
	err = receiving(grpc.ServerStreamingClient[reflectionv1.ServerReflectionResponse](s), nil, func(m *reflectionv1.ServerReflectionResponse) {
		for _, service := range m.GetListServicesResponse().GetService() {
			names = append(names, service.GetName())
		}
	})
	return names, err
}
