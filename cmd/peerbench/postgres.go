package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
)

// postgresPatience is how long a server may take until it answers.
const postgresPatience = 30 * time.Second

// cluster is a PostgreSQL cluster of our own. Its server runs only while
// something of it is measured.
type cluster struct {
	bin     string // directory of initdb and postgres
	dir     string
	sockets string // a short path: that of a socket has room for 107 bytes
	owner   *syscall.Credential
}

// newCluster makes a cluster: PostgreSQL as it comes, save that it listens on a
// socket alone. Collation is that of C, which is the fastest for its indexes.
func newCluster(ctx context.Context, bin, dir string) (*cluster, error) {
	c := &cluster{bin: bin, dir: dir}
	var err error
	if c.sockets, err = os.MkdirTemp("", "pb-"); err != nil {
		return nil, err
	}
	if err := os.Mkdir(dir, 0o700); err != nil {
		return nil, errors.Join(err, c.remove())
	}
	if err := c.disown(); err != nil {
		return nil, errors.Join(err, c.remove())
	}
	init := c.command(ctx, "initdb", "--pgdata", dir, "--username", "postgres", "--auth", "trust", "--encoding", "UTF8", "--locale", "C")
	init.Cancel = func() error { return init.Process.Signal(syscall.SIGINT) } // it cleans up
	init.WaitDelay = stopPatience
	if out, err := init.CombinedOutput(); ctx.Err() != nil {
		return nil, errors.Join(ctx.Err(), c.remove())
	} else if err != nil {
		return nil, errors.Join(fmt.Errorf("initdb (user postgres must be able to reach %s): %w\n%s", dir, err, out), c.remove())
	}
	return c, nil
}

// disown gives the directories to the user postgres if this process is root's,
// because PostgreSQL does not run as root.
func (c *cluster) disown() error {
	if os.Geteuid() != 0 {
		return nil
	}
	u, err := user.Lookup("postgres")
	if err != nil {
		return fmt.Errorf("PostgreSQL does not run as root: %w", err)
	}
	uid, err1 := strconv.Atoi(u.Uid)
	gid, err2 := strconv.Atoi(u.Gid)
	c.owner = &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
	return errors.Join(err1, err2, os.Chown(c.dir, uid, gid), os.Chown(c.sockets, uid, gid))
}

func (c *cluster) command(ctx context.Context, name string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, filepath.Join(c.bin, name), args...)
	cmd.Dir = c.dir
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: c.owner, Pdeathsig: syscall.SIGKILL}
	return cmd
}

// postgresVersion returns what the server says of itself.
func postgresVersion(ctx context.Context, bin string) string {
	out, err := exec.CommandContext(ctx, filepath.Join(bin, "postgres"), "--version").Output()
	if err != nil {
		return "not found in " + bin
	}
	return string(bytes.TrimSpace(out))
}

func (c *cluster) remove() error { return os.RemoveAll(c.sockets) }

// database is a server that runs.
type database struct {
	cluster *cluster
	child   *child
	conn    *pgx.Conn
}

// start starts the server and connects.
func (c *cluster) start(ctx context.Context) (*database, error) {
	var log bytes.Buffer
	// Not with ctx: an interrupt must not kill it, but stop it.
	cmd := c.command(context.WithoutCancel(ctx), "postgres", "-D", c.dir, "-c", "listen_addresses=", "-c", "unix_socket_directories="+c.sockets)
	server, err := startChild(cmd, syscall.SIGINT, &log) // SIGINT: a fast shutdown
	if err != nil {
		return nil, err
	}
	db := &database{cluster: c, child: server}
	if db.conn, err = c.await(ctx, server); err != nil {
		err = errors.Join(err, server.stop())
		return nil, fmt.Errorf("starting PostgreSQL: %w\n%s", err, log.Bytes())
	}
	return db, nil
}

// await connects as soon as the server answers.
func (c *cluster) await(ctx context.Context, server *child) (*pgx.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, postgresPatience)
	defer cancel()
	for {
		conn, err := c.connect(ctx)
		if err == nil {
			return conn, nil
		}
		select {
		case <-server.done:
			return nil, errors.Join(err, errors.New("the server ended"))
		case <-ctx.Done():
			return nil, errors.Join(err, ctx.Err())
		case <-time.After(20 * time.Millisecond):
		}
	}
}

func (c *cluster) connect(ctx context.Context) (*pgx.Conn, error) {
	return pgx.Connect(ctx, fmt.Sprintf("host=%s user=postgres dbname=postgres", c.sockets))
}

// stop disconnects and stops the server.
func (db *database) stop() error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	return errors.Join(db.conn.Close(ctx), db.child.stop())
}

// exec runs statements one after the other.
func (db *database) exec(ctx context.Context, statements ...string) error {
	for _, sql := range statements {
		if _, err := db.conn.Exec(ctx, sql); err != nil {
			return fmt.Errorf("%s: %w", sql, err)
		}
	}
	return nil
}

// connections opens connections with a prepared statement.
func (db *database) connections(ctx context.Context, n int, sql string) ([]*pgx.Conn, error) {
	conns := make([]*pgx.Conn, 0, n)
	for range n {
		conn, err := db.cluster.connect(ctx)
		if err != nil {
			return nil, errors.Join(err, closeAll(conns))
		}
		conns = append(conns, conn)
		if sql == "" {
			continue
		}
		if _, err := conn.Prepare(ctx, "insert", sql); err != nil {
			return nil, errors.Join(err, closeAll(conns))
		}
	}
	return conns, nil
}

func closeAll(conns []*pgx.Conn) error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	var errs []error
	for _, conn := range conns {
		errs = append(errs, conn.Close(ctx))
	}
	return errors.Join(errs...)
}

// withDatabase calls do with a running server, and a table that is new.
func (b *bench) withDatabase(ctx context.Context, do func(*database) (sample, error)) (sample, error) {
	db, err := b.cluster.start(ctx)
	if err != nil {
		return sample{}, err
	}
	if err := db.newTable(ctx, insertTable); err != nil {
		return sample{}, errors.Join(err, db.stop())
	}
	out, err := do(db)
	if err == nil {
		err = db.checkChain(ctx, insertTable, out.Count)
	}
	if err == nil {
		err = db.exec(ctx, "DROP TABLE "+insertTable)
	}
	return out, errors.Join(err, db.stop())
}
