package node

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"
)

// webServer serves HTTP on a listener that Open made.
type webServer struct {
	name     string // for errors
	listener net.Listener
	server   *http.Server
}

// serve answers until the context ends, over TLS if the server has a
// configuration of it. No answer is under way when it returns: the ledger is
// closed then.
func (w *webServer) serve(ctx context.Context) error {
	served := make(chan error, 1)
	go func() {
		if w.server.TLSConfig != nil {
			served <- w.server.ServeTLS(w.listener, "", "")
			return
		}
		served <- w.server.Serve(w.listener)
	}()
	select {
	case err := <-served:
		return fmt.Errorf("serving %s: %w", w.name, err)
	case <-ctx.Done():
	}
	patience, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
	defer cancel()
	if err := w.server.Shutdown(patience); err != nil {
		w.server.Close() // an answer takes longer
	}
	<-served
	return nil
}

// close closes a server that need not have served.
func (w *webServer) close() error {
	if err := w.listener.Close(); !errors.Is(err, net.ErrClosed) {
		return err
	}
	return nil
}

// address returns the address of a server, empty if there is none.
func (w *webServer) address() string {
	if w == nil {
		return ""
	}
	return w.listener.Addr().String()
}
