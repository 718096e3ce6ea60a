package node

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/pprof"
	"time"

	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/magnet-ledger/magnet-ledger/ledger"
)

// openMonitor begins to listen for what an operator looks at, over plain HTTP on
// an address of its own, if the configuration has one: /metrics, /healthz, /readyz
// and, if configured, /debug/pprof/.
func (n *Node) openMonitor() error {
	c := n.cfg.Monitor
	if c.Listen == "" {
		return nil
	}
	listener, err := net.Listen("tcp", c.Listen)
	if err != nil {
		return fmt.Errorf("listening for the monitor: %w", err)
	}
	mux := http.NewServeMux()
	if c.Profiles {
		if a, ok := listener.Addr().(*net.TCPAddr); !ok || !a.IP.IsLoopback() {
			return errors.Join(fmt.Errorf("monitor.profiles: %s is not a loopback address, and profiles tell what is in memory", c.Listen), listener.Close())
		}
		mux.HandleFunc("/debug/pprof/", pprof.Index)
		mux.HandleFunc("/debug/pprof/cmdline", pprof.Cmdline)
		mux.HandleFunc("/debug/pprof/profile", pprof.Profile)
		mux.HandleFunc("/debug/pprof/symbol", pprof.Symbol)
		mux.HandleFunc("/debug/pprof/trace", pprof.Trace)
	}
	mux.Handle("GET /metrics", promhttp.HandlerFor(n.metrics.registry, promhttp.HandlerOpts{MaxRequestsInFlight: 4, Timeout: 10 * time.Second}))
	mux.HandleFunc("GET /healthz", answer(n.alive))
	mux.HandleFunc("GET /readyz", answer(n.server.Ready))
	n.monitor = &webServer{"the monitor", listener, &http.Server{
		Handler: mux, ReadTimeout: 5 * time.Second, WriteTimeout: 2 * time.Minute, IdleTimeout: time.Minute, MaxHeaderBytes: 16 << 10,
		ErrorLog: slog.NewLogLogger(n.logger.Handler(), slog.LevelWarn),
	}}
	return nil
}

// answer says "ok", or why not.
func answer(check func() error) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		if err := check(); err != nil {
			w.WriteHeader(http.StatusServiceUnavailable)
			var why *ledger.ReadOnlyError
			if errors.As(err, &why) { // whoever looks here is the operator
				fmt.Fprintln(w, why.Detail())
				return
			}
			fmt.Fprintln(w, err)
			return
		}
		fmt.Fprintln(w, "ok")
	}
}

// alive says why questions would not be answered: the end of the log cannot be
// read, or is damaged.
func (n *Node) alive() error {
	v := n.ledger.View()
	defer v.Close()
	_, err := v.Record(v.Size() - 1)
	return err
}
