package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"golang.org/x/sync/errgroup"

	"github.com/magnet-ledger/magnet-ledger/verify"
)

const (
	insertTable   = "statement"
	singleConns   = 64   // that insert single rows
	bulkConns     = 4    // that insert rows by the thousand: one for each producer
	bulkRows      = 1000 // rows of one unnest or COPY
	columnList    = "index, entry, payload, key_id, signature_block, seller, statement_id, customer, month, mass_grams"
	insertOne     = "INSERT INTO " + insertTable + " (" + columnList + ") VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)"
	insertByArray = "INSERT INTO " + insertTable + " (" + columnList + `)
SELECT * FROM unnest($1::bigint[], $2::bytea[], $3::bytea[], $4::bytea[], $5::bytea[], $6::text[], $7::uuid[], $8::text[], $9::date[], $10::bigint[])`
)

// newTable makes the table of statements with the two indexes that its users
// need: by id, which also refuses duplicates, and by customer and month. The
// second one bears the mass, so that the sums need no look at the rows. There is
// none by index of the log, which many a user would want as well.
func (db *database) newTable(ctx context.Context, name string) error {
	return db.exec(ctx,
		"DROP TABLE IF EXISTS "+name,
		"CREATE TABLE "+name+` (
	index bigint NOT NULL,
	entry bytea NOT NULL,
	payload bytea NOT NULL,
	key_id bytea NOT NULL,
	signature_block bytea NOT NULL,
	seller text NOT NULL,
	statement_id uuid NOT NULL,
	customer text NOT NULL,
	month date NOT NULL,
	mass_grams bigint NOT NULL
)`,
		"CREATE UNIQUE INDEX ON "+name+" (seller, statement_id)",
		"CREATE INDEX ON "+name+" (seller, customer, month) INCLUDE (mass_grams)",
		"CHECKPOINT")
}

// appChain is the hash chain in the application: the entries of the ledger, each
// with the leaf hash of the one before. The lock forces the one order that a
// chain has.
//
// It is not held until the row is there, because no two rows could be inserted
// at once then. So a crash can leave a row without the one before it, and a
// chain that does not verify; who builds this for real has to see to that.
type appChain struct {
	mu    sync.Mutex
	index uint64
	last  verify.Hash
	time  int64
}

// extend appends entries for statement hashes.
func (c *appChain) extend(hashes ...verify.Hash) []verify.Entry {
	entries := make([]verify.Entry, len(hashes))
	c.mu.Lock()
	defer c.mu.Unlock()
	c.time = max(c.time, time.Now().UnixMicro())
	for i, h := range hashes {
		entries[i] = verify.Entry{Index: c.index, SequencedAtMicros: c.time, Previous: c.last, StatementHash: h}
		c.index, c.last = c.index+1, entries[i].LeafHash()
	}
	return entries
}

// rows chains statements and returns their rows, in the order of columnList.
func (c *appChain) rows(statements []statement, f form) [][]any {
	hashes := make([]verify.Hash, len(statements))
	for i, s := range statements {
		e := s.envelopes[f]
		hashes[i] = verify.StatementHash(verify.PayloadLeaf(e.GetPayload()), verify.Hash(e.GetKeyId()), e.GetSignatureBlock())
	}
	entries := c.extend(hashes...)
	rows := make([][]any, len(statements))
	for i, s := range statements {
		e, r := s.envelopes[f], s.row
		rows[i] = []any{
			int64(entries[i].Index), entries[i].Bytes(), e.GetPayload(), e.GetKeyId(), e.GetSignatureBlock(),
			r.seller, [16]byte(r.id), r.customer, r.month, r.grams,
		}
	}
	return rows
}

// insert puts rows in the table, durably.
type insert func(ctx context.Context, conn *pgx.Conn, rows [][]any) error

func insertSingle(ctx context.Context, conn *pgx.Conn, rows [][]any) error {
	_, err := conn.Exec(ctx, "insert", rows[0]...)
	return err
}

func insertUnnest(ctx context.Context, conn *pgx.Conn, rows [][]any) error {
	_, err := conn.Exec(ctx, "insert",
		column[int64](rows, 0), column[[]byte](rows, 1), column[[]byte](rows, 2), column[[]byte](rows, 3), column[[]byte](rows, 4),
		column[string](rows, 5), column[[16]byte](rows, 6), column[string](rows, 7), column[time.Time](rows, 8), column[int64](rows, 9))
	return err
}

func column[T any](rows [][]any, i int) []T {
	values := make([]T, len(rows))
	for r, row := range rows {
		values[r] = row[i].(T)
	}
	return values
}

func insertCopy(ctx context.Context, conn *pgx.Conn, rows [][]any) error {
	return copyInto(ctx, conn, insertTable, rows)
}

func copyInto(ctx context.Context, conn *pgx.Conn, table string, rows [][]any) error {
	n, err := conn.CopyFrom(ctx, pgx.Identifier{table}, columnNames, pgx.CopyFromRows(rows))
	if err == nil && n != int64(len(rows)) {
		err = fmt.Errorf("%d rows of %d copied", n, len(rows))
	}
	return err
}

var columnNames = []string{"index", "entry", "payload", "key_id", "signature_block", "seller", "statement_id", "customer", "month", "mass_grams"}

// inserting is a way to insert rows.
type inserting struct {
	conns, rows int
	sql         string // to prepare, if any
	insert      insert
}

var (
	bySingle = inserting{singleConns, 1, insertOne, insertSingle}
	byUnnest = inserting{bulkConns, bulkRows, insertByArray, insertUnnest}
	byCopy   = inserting{bulkConns, bulkRows, "", insertCopy}
)

// measureInserts inserts statements, each transaction durable before it returns.
func measureInserts(f form, how inserting) measure {
	return func(ctx context.Context, b *bench) (sample, error) {
		return b.withDatabase(ctx, func(db *database) (out sample, err error) {
			conns, err := db.connections(ctx, how.conns, how.sql)
			if err != nil {
				return sample{}, err
			}
			defer func() { err = errors.Join(err, closeAll(conns)) }()
			return insertAll(ctx, conns, b.statements, f, how, b.opts.limit)
		})
	}
}

func insertAll(ctx context.Context, conns []*pgx.Conn, statements []statement, f form, how inserting, limit time.Duration) (sample, error) {
	work, chain := newFeed(len(statements), limit), new(appChain)
	group, ctx := errgroup.WithContext(ctx)
	began := time.Now()
	for _, conn := range conns {
		group.Go(func() error {
			for {
				from, to := work.take(how.rows)
				if from == to {
					return nil
				}
				if err := how.insert(ctx, conn, chain.rows(statements[from:to], f)); err != nil {
					return err
				}
			}
		})
	}
	err := group.Wait()
	return rate(work.taken(), began), err
}

// checkChain makes sure that a table holds a sound chain of a length.
func (db *database) checkChain(ctx context.Context, table string, size int) error {
	rows, err := db.conn.Query(ctx, "SELECT entry FROM "+table+" ORDER BY index")
	if err != nil {
		return err
	}
	defer rows.Close()
	chain := verify.NewChain()
	var b []byte
	for rows.Next() {
		if err := rows.Scan(&b); err != nil {
			return err
		}
		e, err := verify.ParseEntry(b)
		if err != nil {
			return err
		}
		if err := chain.Append(e, nil); err != nil {
			return fmt.Errorf("the chain in PostgreSQL: %w", err)
		}
	}
	if chain.Size() != uint64(size) {
		return fmt.Errorf("%d rows in PostgreSQL, not %d", chain.Size(), size)
	}
	return rows.Err()
}
