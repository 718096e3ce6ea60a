package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"time"

	"github.com/jackc/pgx/v5"

	ledgerv1 "github.com/magnet-ledger/magnet-ledger/proto/gen/magnet/ledger/v1"
)

// The question: the volume of each customer in each month, of one producer, over
// all that there is. A quarter of the statements is that producer's.

const (
	volumeTable = "volume_statement"
	volumeChunk = 20_000 // statements made and loaded at a time
	volumeSQL   = "SELECT customer, month, sum(mass_grams)::bigint, count(*) FROM " + volumeTable +
		" WHERE seller = $1 GROUP BY customer, month ORDER BY customer, month"
)

// cell names a group of the answer.
type cell struct{ customer, month string }

// figures are what is known of a cell.
type figures struct{ grams, lines int64 }

// volumes is an answer.
type volumes map[cell]figures

// loadVolumes fills a ledger and a table with the same statements, and makes
// sure that they give the same answer.
func (b *bench) loadVolumes(ctx context.Context) (err error) {
	b.volumeDir = filepath.Join(b.dir, "volumes")
	if err := os.Mkdir(b.volumeDir, 0o700); err != nil {
		return err
	}
	s, err := b.founding.openLedger(ctx, b.volumeDir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.stop()) }()
	db, err := b.cluster.start(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.stop()) }()
	if err := db.newTable(ctx, volumeTable); err != nil {
		return err
	}
	if err := b.load(ctx, s, db); err != nil {
		return err
	}
	if err := db.exec(ctx, "VACUUM (ANALYZE) "+volumeTable, "CHECKPOINT"); err != nil {
		return err
	}
	if b.volumePlan, err = db.plan(ctx, b.founding.producers[0].id); err != nil {
		return err
	}
	return b.sameAnswers(ctx, s, db)
}

// load makes statements chunk by chunk, streams them to the ledger and copies
// them to the table.
func (b *bench) load(ctx context.Context, s *ledgerServer, db *database) error {
	var ours, theirs time.Duration
	chain := new(appChain)
	for from := 0; from < b.opts.volumeRows; from += volumeChunk {
		to := min(from+volumeChunk, b.opts.volumeRows)
		chunk, err := makeStatements(b.founding.producers, from, to, batchSigned)
		if err != nil {
			return err
		}
		got, err := s.streamAll(ctx, chunk, batchSigned, 0)
		if err != nil {
			return err
		}
		ours += time.Duration(got.Seconds * float64(time.Second))
		began := time.Now()
		if err := copyInto(ctx, db.conn, volumeTable, chain.rows(chunk, batchSigned)); err != nil {
			return err
		}
		theirs += time.Since(began)
		if to%(10*volumeChunk) == 0 || to == b.opts.volumeRows {
			b.say("loaded %s statements (stream %.0f s, COPY over one connection %.0f s)", grouped(to), ours.Seconds(), theirs.Seconds())
		}
	}
	return nil
}

func (b *bench) sameAnswers(ctx context.Context, s *ledgerServer, db *database) error {
	id := b.founding.producers[0].id
	ours, err := s.volumes(ctx, id)
	if err != nil {
		return err
	}
	theirs, err := volumesOf(ctx, db.conn, id)
	if err != nil {
		return err
	}
	if !maps.Equal(ours, theirs) {
		return fmt.Errorf("the ledger and PostgreSQL answer differently: %d and %d cells", len(ours), len(theirs))
	}
	b.volumeCells = len(ours)
	return nil
}

// volumes asks the ledger, as the producer, and reads the whole answer.
func (s *ledgerServer) volumes(ctx context.Context, id string) (volumes, error) {
	answer, err := s.clients[0].Queries().QueryVolumes(ctx, &ledgerv1.QueryVolumesRequest{
		GroupBy: []ledgerv1.VolumeDimension{ledgerv1.VolumeDimension_VOLUME_DIMENSION_CUSTOMER, ledgerv1.VolumeDimension_VOLUME_DIMENSION_MONTH},
		Filter:  &ledgerv1.TransactionFilter{Sellers: []string{id}},
		Columns: true,
	})
	if err != nil {
		return nil, err
	}
	cells := make(volumes)
	for {
		part, err := answer.Recv()
		if errors.Is(err, io.EOF) {
			return cells, nil
		}
		if err != nil {
			return nil, err
		}
		c := part.GetColumns()
		for i := range int(c.GetRowCount()) {
			customer, month := c.GetKeys()[0], c.GetKeys()[1]
			cells[cell{customer.GetValues()[customer.GetPlaces()[i]].GetValue(), month.GetValues()[month.GetPlaces()[i]].GetValue()}] =
				figures{int64(c.GetNetMassGrams().GetLow()[i]), int64(c.GetLineCount()[i])}
		}
	}
}

// volumesOf asks PostgreSQL and reads the whole answer.
func volumesOf(ctx context.Context, conn *pgx.Conn, id string) (volumes, error) {
	rows, err := conn.Query(ctx, volumeSQL, id)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	cells := make(volumes)
	for rows.Next() {
		var customer string
		var month time.Time
		var f figures
		if err := rows.Scan(&customer, &month, &f.grams, &f.lines); err != nil {
			return nil, err
		}
		cells[cell{customer, month.Format("2006-01")}] = f
	}
	return cells, rows.Err()
}

// plan returns how PostgreSQL answers.
func (db *database) plan(ctx context.Context, id string) (string, error) {
	rows, err := db.conn.Query(ctx, "EXPLAIN (COSTS OFF) "+volumeSQL, id)
	if err != nil {
		return "", err
	}
	lines, err := pgx.CollectRows(rows, pgx.RowTo[string])
	return joinPlan(lines), err
}

func measureVolumes(ctx context.Context, b *bench) (out sample, err error) {
	s, err := b.founding.openLedger(ctx, b.volumeDir)
	if err != nil {
		return sample{}, err
	}
	defer func() { err = errors.Join(err, s.stop()) }()
	return b.queries(ctx, func() (volumes, error) { return s.volumes(ctx, b.founding.producers[0].id) })
}

func measureVolumesSQL(ctx context.Context, b *bench) (out sample, err error) {
	db, err := b.cluster.start(ctx)
	if err != nil {
		return sample{}, err
	}
	defer func() { err = errors.Join(err, db.stop()) }()
	return b.queries(ctx, func() (volumes, error) { return volumesOf(ctx, db.conn, b.founding.producers[0].id) })
}

// volumeWarmUps are questions before the clock starts: the servers have just
// started, and their caches are empty.
const volumeWarmUps = 3

// queries asks one question after the other until the time is over.
func (b *bench) queries(ctx context.Context, ask func() (volumes, error)) (sample, error) {
	check := func() error {
		answer, err := ask()
		if err == nil && len(answer) != b.volumeCells {
			err = fmt.Errorf("%d cells, not %d", len(answer), b.volumeCells)
		}
		return err
	}
	for range volumeWarmUps {
		if err := check(); err != nil {
			return sample{}, err
		}
	}
	work, watch := newFeed(1<<30, b.opts.limit), newStopwatch()
	for ctx.Err() == nil {
		if from, to := work.take(1); from == to {
			break
		}
		if err := watch.lap(check); err != nil {
			return sample{}, err
		}
	}
	return watch.p50(), ctx.Err()
}
