package rpc

import (
	"context"
	"slices"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/magnet-ledger/magnet-ledger/ledger"
	"github.com/magnet-ledger/magnet-ledger/ledger/custody"
	ledgerv1 "github.com/magnet-ledger/magnet-ledger/proto/gen/magnet/ledger/v1"
	tracev1 "github.com/magnet-ledger/magnet-ledger/proto/gen/magnet/trace/v1"
)

var dimensions = map[ledgerv1.VolumeDimension]custody.Dimension{
	ledgerv1.VolumeDimension_VOLUME_DIMENSION_SELLER:              custody.BySeller,
	ledgerv1.VolumeDimension_VOLUME_DIMENSION_CUSTOMER:            custody.ByCustomer,
	ledgerv1.VolumeDimension_VOLUME_DIMENSION_KIND:                custody.ByKind,
	ledgerv1.VolumeDimension_VOLUME_DIMENSION_DAY:                 custody.ByDay,
	ledgerv1.VolumeDimension_VOLUME_DIMENSION_MONTH:               custody.ByMonth,
	ledgerv1.VolumeDimension_VOLUME_DIMENSION_YEAR:                custody.ByYear,
	ledgerv1.VolumeDimension_VOLUME_DIMENSION_PRODUCT_FAMILY:      custody.ByProductFamily,
	ledgerv1.VolumeDimension_VOLUME_DIMENSION_HS_CODE:             custody.ByHSCode,
	ledgerv1.VolumeDimension_VOLUME_DIMENSION_DESTINATION_COUNTRY: custody.ByDestinationCountry,
	ledgerv1.VolumeDimension_VOLUME_DIMENSION_END_USE:             custody.ByEndUse,
}

// defaultKinds are the kinds of a question that names none.
var defaultKinds = []tracev1.TransactionKind{
	tracev1.TransactionKind_TRANSACTION_KIND_SALE,
	tracev1.TransactionKind_TRANSACTION_KIND_EXPORT,
	tracev1.TransactionKind_TRANSACTION_KIND_TRANSFER,
}

// rowBytes is how large a message of rows grows: some thousand rows, fewer if
// they have many elements.
const rowBytes = 1 << 20

// QueryVolumes implements ledgerv1.QueryServiceServer. The view is closed before
// anything is sent.
func (s queryService) QueryVolumes(req *ledgerv1.QueryVolumesRequest, stream grpc.ServerStreamingServer[ledgerv1.QueryVolumesResponse]) error {
	header, parts, err := s.volumes(stream.Context(), req)
	if err != nil {
		return err
	}
	if err := stream.Send(&ledgerv1.QueryVolumesResponse{Part: &ledgerv1.QueryVolumesResponse_Header{Header: header}}); err != nil {
		return err
	}
	for _, part := range parts {
		if err := stream.Send(part); err != nil {
			return err
		}
	}
	return nil
}

// volumes answers from one view.
func (s queryService) volumes(ctx context.Context, req *ledgerv1.QueryVolumesRequest) (*ledgerv1.VolumeHeader, []*ledgerv1.QueryVolumesResponse, error) {
	v, c, err := s.reading(ctx)
	if err != nil {
		return nil, nil, err
	}
	defer v.Close()
	by, err := dimensionsOf(req.GetGroupBy())
	if err != nil {
		return nil, nil, err
	}
	filter := req.GetFilter()
	if filter == nil {
		filter = new(ledgerv1.TransactionFilter)
	}
	if len(filter.GetKinds()) == 0 {
		filter.Kinds = defaultKinds
	}
	f, err := filterOf(filter, req.GetPeriod())
	if err != nil {
		return nil, nil, err
	}
	answer, err := custody.QueryVolumes(v, c.scope(), f, by)
	if err != nil {
		return nil, nil, s.toStatus(ctx, err)
	}
	header := &ledgerv1.VolumeHeader{
		Checkpoint: v.Checkpoint().Note, Filter: filter, Period: req.GetPeriod(),
		ReportingUtcOffsetSeconds: s.ledger.Rules().ReportingUTCOffset(),
		RowCount:                  uint64(len(answer.Rows)),
		Totals:                    totals(&answer.Totals, answer.CountsTransactions, req.GetIncludeElements()),
	}
	parts, err := volumeParts(v, c, req, by, answer)
	return header, parts, s.toStatus(ctx, err)
}

func dimensionsOf(asked []ledgerv1.VolumeDimension) ([]custody.Dimension, error) {
	var by []custody.Dimension
	times := 0
	for _, a := range asked {
		d, ok := dimensions[a]
		if !ok {
			return nil, status.Errorf(codes.InvalidArgument, "group_by: unknown dimension %d", a)
		}
		if d == custody.ByDay || d == custody.ByMonth || d == custody.ByYear {
			times++
		}
		by = append(by, d)
	}
	if times > 1 {
		return nil, status.Error(codes.InvalidArgument, "group_by: day, month and year exclude each other")
	}
	return by, nil
}

// volumeParts returns the messages with the rows of an answer.
func volumeParts(v *ledger.View, c *caller, req *ledgerv1.QueryVolumesRequest, by []custody.Dimension, answer *custody.Volumes) (parts []*ledgerv1.QueryVolumesResponse, err error) {
	if req.GetOrderBy() == ledgerv1.VolumeOrder_VOLUME_ORDER_NET_MASS_DESCENDING {
		slices.SortStableFunc(answer.Rows, func(a, b custody.VolumeRow) int { return b.NetMassGrams.Cmp(a.NetMassGrams) })
	}
	if limit := int(req.GetLimit()); limit > 0 && limit < len(answer.Rows) {
		answer.Rows = answer.Rows[:limit]
	}
	names := &namer{view: v, scope: c.scope(), own: answer.CustomerNames, known: make(map[customerOrSeller]string)}
	if req.GetColumns() {
		for rows := range slices.Chunk(answer.Rows, columnRows) {
			columns, err := columns(rows, by, names, answer.CountsTransactions, req.GetIncludeElements())
			if err != nil {
				return nil, err
			}
			parts = append(parts, &ledgerv1.QueryVolumesResponse{Part: &ledgerv1.QueryVolumesResponse_Columns{Columns: columns}})
		}
		return parts, nil
	}
	part, size := new(ledgerv1.VolumeRows), 0
	for i := range answer.Rows {
		row, err := rowOf(&answer.Rows[i], by, names, answer.CountsTransactions, req.GetIncludeElements())
		if err != nil {
			return nil, err
		}
		if part.Rows = append(part.GetRows(), row); len(part.GetRows()) == 1 {
			parts = append(parts, &ledgerv1.QueryVolumesResponse{Part: &ledgerv1.QueryVolumesResponse_Rows{Rows: part}})
		}
		if size += proto.Size(row); size >= rowBytes {
			part, size = new(ledgerv1.VolumeRows), 0
		}
	}
	return parts, nil
}

func rowOf(row *custody.VolumeRow, by []custody.Dimension, names *namer, transactions, elements bool) (*ledgerv1.VolumeRow, error) {
	m := &ledgerv1.VolumeRow{Totals: totals(&row.Figures, transactions, elements)}
	for i, value := range row.Keys {
		name, err := names.name(by[i], value)
		if err != nil {
			return nil, err
		}
		m.Keys = append(m.GetKeys(), &ledgerv1.VolumeKey{Value: value, DisplayName: name})
	}
	return m, nil
}

// namer finds names for people, each once.
type namer struct {
	view  *ledger.View
	scope custody.Scope
	own   map[string]string // of customers whom sellers named
	known map[customerOrSeller]string
}

type customerOrSeller struct {
	dimension custody.Dimension
	value     string
}

func (n *namer) name(d custody.Dimension, value string) (string, error) {
	if d != custody.BySeller && d != custody.ByCustomer {
		return "", nil
	}
	if name, ok := n.own[value]; ok && d == custody.ByCustomer {
		return name, nil
	}
	key := customerOrSeller{d, value}
	name, ok := n.known[key]
	if ok {
		return name, nil
	}
	var err error
	if d == custody.BySeller {
		name, err = custody.ParticipantName(n.view, value)
	} else {
		name, err = custody.CustomerName(n.view, n.scope, value)
	}
	n.known[key] = name
	return name, err
}

func totals(f *custody.Figures, transactions, elements bool) *ledgerv1.VolumeTotals {
	t := &ledgerv1.VolumeTotals{
		NetMassGrams: f.NetMassGrams.String(), PieceCount: f.PieceCount.String(), LineCount: f.LineCount,
		MassWithCompositionGrams: f.MassWithCompositionGrams.String(),
	}
	if transactions {
		t.TransactionCount = &f.TransactionCount
	}
	if elements {
		for _, e := range f.Elements {
			if !e.Micrograms.IsZero() {
				t.Elements = append(t.Elements, &ledgerv1.ElementMass{
					Symbol: custody.ElementSymbol(e.Number), MassMicrograms: e.Micrograms.String(),
				})
			}
		}
	}
	return t
}
