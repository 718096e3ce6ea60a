package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/magnet-ledger/magnet-ledger/certs"
	"github.com/magnet-ledger/magnet-ledger/ledger/keyfile"
)

// What one caller alone cannot do without: a call there and back, and one
// synced write.

const echoMethod = "/peerbench.Echo/Echo"

// echoService answers each call with what it was sent.
var echoService = grpc.ServiceDesc{
	ServiceName: "peerbench.Echo",
	HandlerType: (*any)(nil),
	Methods: []grpc.MethodDesc{{
		MethodName: "Echo",
		Handler: func(_ any, _ context.Context, decode func(any) error, _ grpc.UnaryServerInterceptor) (any, error) {
			m := new(wrapperspb.BytesValue)
			return m, decode(m)
		},
	}},
}

// serveEcho is the child process: it echoes under the certificate and the
// transport that the ledger has, and prints its address when it is ready.
func serveEcho(ctx context.Context, dir string) error {
	config, err := serverTLS(dir)
	if err != nil {
		return err
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	server := grpc.NewServer(grpc.Creds(credentials.NewTLS(config)))
	server.RegisterService(&echoService, nil)
	defer context.AfterFunc(ctx, server.Stop)()
	fmt.Println(listener.Addr())
	return server.Serve(listener)
}

func serverTLS(dir string) (*tls.Config, error) {
	leaf, err1 := os.ReadFile(filepath.Join(dir, "tls.pem"))
	ca, err2 := os.ReadFile(filepath.Join(dir, "ca.pem"))
	key, err3 := keyfile.ReadSigner(filepath.Join(dir, "tls.key"), nil)
	if err := errors.Join(err1, err2, err3); err != nil {
		return nil, err
	}
	chain, err1 := certs.ParseCertificates(leaf)
	authorities, err2 := certs.ParseCertificates(ca)
	if err := errors.Join(err1, err2); err != nil {
		return nil, err
	}
	pair, err1 := certs.KeyPair(chain, key)
	pool, err2 := certs.NewPool(authorities...)
	return certs.ServerConfig(pair, pool), errors.Join(err1, err2)
}

// measureEcho calls the echo with envelopes, one call after the other.
func measureEcho(ctx context.Context, b *bench) (out sample, err error) {
	c, address, err := startSelf(ctx, "echo", b.founding.dir)
	if err != nil {
		return sample{}, err
	}
	defer func() { err = errors.Join(err, c.stop()) }()
	pool, err := certs.NewPool(b.founding.ca.Certificate)
	if err != nil {
		return sample{}, err
	}
	config := certs.ClientConfig(b.founding.tls[0], pool, trustDomain, "")
	conn, err := grpc.NewClient(address, grpc.WithTransportCredentials(credentials.NewTLS(config)))
	if err != nil {
		return sample{}, err
	}
	defer conn.Close()
	messages, err := wire(b.statements, singleSigned)
	if err != nil {
		return sample{}, err
	}
	return echoAll(ctx, conn, messages, b.opts)
}

func echoAll(ctx context.Context, conn *grpc.ClientConn, messages [][]byte, o options) (sample, error) {
	call := func(i int) error {
		return conn.Invoke(ctx, echoMethod, wrapperspb.Bytes(messages[i]), new(wrapperspb.BytesValue))
	}
	if err := call(0); err != nil { // connects
		return sample{}, err
	}
	work, watch := newFeed(len(messages), o.limit), newStopwatch()
	for {
		i, to := work.take(1)
		if i == to {
			return watch.p50(), nil
		}
		if err := watch.lap(func() error { return call(i) }); err != nil {
			return sample{}, err
		}
	}
}

// syncedFileSize is large enough that the file system has to find no new blocks
// for a while, and small enough to be laid out at once.
const syncedFileSize = 16 << 20

// measureSync writes envelopes to a file, one after the other, each synced. The
// file has its size and its blocks before, as a database's log has: what is
// synced is data alone.
func measureSync(ctx context.Context, b *bench) (out sample, err error) {
	dir, remove, err := b.scratch()
	if err != nil {
		return sample{}, err
	}
	defer func() { err = errors.Join(err, remove()) }()
	messages, err := wire(b.statements, singleSigned)
	if err != nil {
		return sample{}, err
	}
	file, err := os.Create(filepath.Join(dir, "synced"))
	if err != nil {
		return sample{}, err
	}
	defer file.Close()
	if _, err := file.Write(make([]byte, syncedFileSize)); err != nil {
		return sample{}, err
	}
	if err := file.Sync(); err != nil {
		return sample{}, err
	}
	return syncAll(ctx, file, messages, b.opts)
}

func syncAll(ctx context.Context, file *os.File, messages [][]byte, o options) (sample, error) {
	work, watch := newFeed(len(messages), o.limit), newStopwatch()
	offset := int64(0)
	for ctx.Err() == nil {
		i, to := work.take(1)
		if i == to {
			break
		}
		if offset+int64(len(messages[i])) > syncedFileSize {
			offset = 0
		}
		err := watch.lap(func() error {
			_, err := file.WriteAt(messages[i], offset)
			return errors.Join(err, unix.Fdatasync(int(file.Fd())))
		})
		if err != nil {
			return sample{}, err
		}
		offset += int64(len(messages[i]))
	}
	return watch.p50(), ctx.Err()
}
