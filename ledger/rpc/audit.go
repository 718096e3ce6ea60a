package rpc

import (
	"context"
	"errors"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/magnet-ledger/magnet-ledger/ledger"
	ledgerv1 "github.com/magnet-ledger/magnet-ledger/proto/gen/magnet/ledger/v1"
)

type auditService struct {
	ledgerv1.UnimplementedAuditServiceServer
	*Server
}

// reading opens a view for a caller who is admitted. The caller of reading
// closes the view, unless there is an error.
func (s *Server) reading(ctx context.Context) (*ledger.View, *caller, error) {
	v := s.ledger.View()
	var c *caller
	err := s.guarded(ctx, func() (err error) {
		c, err = identify(ctx, v)
		return err
	})
	if err != nil {
		v.Close()
		return nil, nil, s.toStatus(ctx, err)
	}
	return v, c, nil
}

// GetCheckpoint implements ledgerv1.AuditServiceServer.
func (s auditService) GetCheckpoint(ctx context.Context, req *ledgerv1.GetCheckpointRequest) (*ledgerv1.GetCheckpointResponse, error) {
	v, _, err := s.reading(ctx)
	if err != nil {
		return nil, err
	}
	defer v.Close()
	cp := v.Checkpoint()
	if req.GetCosigned() {
		if cp = s.cosigned(); cp == nil {
			return nil, errNotCosigned
		}
	}
	return &ledgerv1.GetCheckpointResponse{Checkpoint: cp.Note}, nil
}

// errNotCosigned is the answer to who must come again when witnesses have answered.
var errNotCosigned = status.Error(codes.FailedPrecondition, "no checkpoint that witnesses have cosigned covers this yet; come again, or ask without cosigned")

// GetReceipt implements ledgerv1.AuditServiceServer.
func (s auditService) GetReceipt(ctx context.Context, req *ledgerv1.GetReceiptRequest) (*ledgerv1.GetReceiptResponse, error) {
	v, c, err := s.reading(ctx)
	if err != nil {
		return nil, err
	}
	defer v.Close()
	r, err := s.readable(v, c, req)
	if err != nil {
		return nil, s.toStatus(ctx, err)
	}
	cp := v.Checkpoint()
	if req.GetCosigned() {
		if cp = s.cosigned(); cp == nil || cp.Size <= r.Entry.Index || cp.Size > v.Size() {
			return nil, errNotCosigned
		}
	}
	receipt, err := v.ReceiptUnder(r, cp)
	if err != nil {
		return nil, s.toStatus(ctx, err)
	}
	return &ledgerv1.GetReceiptResponse{Receipt: receipt}, nil
}

// GetInclusionProof implements ledgerv1.AuditServiceServer.
func (s auditService) GetInclusionProof(ctx context.Context, req *ledgerv1.GetInclusionProofRequest) (*ledgerv1.GetInclusionProofResponse, error) {
	v, _, err := s.reading(ctx)
	if err != nil {
		return nil, err
	}
	defer v.Close()
	size := req.GetTreeSize()
	if size == 0 {
		size = v.Size()
	}
	path, err := v.InclusionPath(req.GetIndex(), size)
	if err != nil {
		return nil, s.toStatus(ctx, err)
	}
	r, err := v.Record(req.GetIndex())
	if err != nil {
		return nil, s.toStatus(ctx, err)
	}
	return &ledgerv1.GetInclusionProofResponse{Entry: r.Entry.Bytes(), TreeSize: size, Path: path}, nil
}

// GetConsistencyProof implements ledgerv1.AuditServiceServer.
func (s auditService) GetConsistencyProof(ctx context.Context, req *ledgerv1.GetConsistencyProofRequest) (*ledgerv1.GetConsistencyProofResponse, error) {
	v, _, err := s.reading(ctx)
	if err != nil {
		return nil, err
	}
	defer v.Close()
	to := req.GetToSize()
	if to == 0 {
		to = v.Size()
	}
	path, err := v.ConsistencyPath(req.GetFromSize(), to)
	if err != nil {
		return nil, s.toStatus(ctx, err)
	}
	return &ledgerv1.GetConsistencyProofResponse{ToSize: to, Path: path}, nil
}

// Of a long range, entriesPerView and bytesPerView bound for how long one view
// is held by a reader, who may be slow, and what is held in memory for it;
// entryMessageBytes is how large a message of entries is.
const (
	entriesPerView    = 4096
	bytesPerView      = 4 << 20
	entryMessageBytes = 1 << 20
)

// errEnough ends the reading from a view.
var errEnough = errors.New("enough for one view")

// ReadEntries implements ledgerv1.AuditServiceServer. Entries never change, so
// a long range is read from one view after another.
func (s auditService) ReadEntries(req *ledgerv1.ReadEntriesRequest, stream grpc.ServerStreamingServer[ledgerv1.ReadEntriesResponse]) error {
	ctx := stream.Context()
	v, _, err := s.reading(ctx)
	if err != nil {
		return err
	}
	end := req.GetEndIndex()
	if end == 0 {
		end = v.Size()
	}
	size := v.Size()
	v.Close()
	if end > size || req.GetStartIndex() > end {
		return status.Errorf(codes.OutOfRange, "entries %d to %d: the log has %d", req.GetStartIndex(), end, size)
	}
	full := req.GetView() == ledgerv1.StatementView_STATEMENT_VIEW_FULL
	for next := req.GetStartIndex(); next < end; {
		messages, err := s.entries(ctx, next, min(end, next+entriesPerView), full)
		if err != nil {
			return err
		}
		for _, m := range messages {
			if err := stream.Send(m); err != nil {
				return err
			}
			next += uint64(len(m.GetEntries()))
		}
	}
	return nil
}

// entries reads a part of a range from its start on, with the caller's rights as
// they are now.
func (s auditService) entries(ctx context.Context, start, end uint64, full bool) ([]*ledgerv1.ReadEntriesResponse, error) {
	v, c, err := s.reading(ctx)
	if err != nil {
		return nil, err
	}
	defer v.Close()
	var messages []*ledgerv1.ReadEntriesResponse
	size := entryMessageBytes // of the last message; the first record opens one
	total := 0
	err = v.Records(ctx, start, end, func(r ledger.Record) error {
		if total >= bytesPerView {
			return errEnough
		}
		e := &ledgerv1.LoggedEntry{Entry: r.Entry.Bytes()}
		if full {
			ok, err := c.mayRead(v, r)
			if err != nil {
				return err
			}
			if ok {
				e.Envelope = r.Envelope
			}
		}
		if size >= entryMessageBytes {
			messages, size = append(messages, new(ledgerv1.ReadEntriesResponse)), 0
		}
		last := messages[len(messages)-1]
		last.Entries = append(last.GetEntries(), e)
		n := len(e.GetEntry()) + len(e.GetEnvelope().GetPayload()) + len(e.GetEnvelope().GetSignatureBlock()) + 48
		size, total = size+n, total+n
		return nil
	})
	if errors.Is(err, errEnough) {
		err = nil
	}
	return messages, s.toStatus(ctx, err)
}
