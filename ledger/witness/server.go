package witness

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"github.com/transparency-dev/formats/log"
	"github.com/transparency-dev/merkle/proof"
	"github.com/transparency-dev/merkle/rfc6962"
	"golang.org/x/mod/sumdb/note"

	"github.com/magnet-ledger/magnet-ledger/ledger/durable"
	"github.com/magnet-ledger/magnet-ledger/verify"
)

// ServerConfig is what a witness is made of.
type ServerConfig struct {
	// Signer makes cosignatures (C2SP tlog-cosignature).
	Signer note.Signer
	// Logs are the verifier keys of the logs that it watches, whose names are their
	// origins.
	Logs []string
	// Dir keeps the last checkpoint of each log, and proofs of fork. It must not be
	// restored from a backup: the witness would cosign a second history.
	Dir string
	// Logger takes what the operator should know; nil discards.
	Logger *slog.Logger
}

// Server is a witness. It is an http.Handler for its submission prefix, which is
// its monitoring prefix too, and safe for concurrent use.
type Server struct {
	cfg  ServerConfig
	logs map[string]*watched // by origin
	room chan struct{}
	mux  *http.ServeMux
}

// watched is a log that is watched.
type watched struct {
	vkey     string
	verifier note.Verifier
	path     string // of the file with the last checkpoint

	mu     sync.Mutex // held while a checkpoint is compared and kept
	last   *log.Checkpoint
	signed []byte // last, with the signature of the log and the cosignature
}

// NewServer returns a witness that goes on where its directory says it stopped.
func NewServer(cfg ServerConfig) (*Server, error) {
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	if err := os.MkdirAll(cfg.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("opening witness: %w", err)
	}
	s := &Server{cfg: cfg, logs: make(map[string]*watched), room: make(chan struct{}, 32), mux: http.NewServeMux()}
	for _, vkey := range cfg.Logs {
		v, err := note.NewVerifier(vkey)
		if err != nil {
			return nil, fmt.Errorf("opening witness: log %q: %w", vkey, err)
		}
		w := &watched{vkey: vkey, verifier: v, path: filepath.Join(cfg.Dir, originHash(v.Name()))}
		if s.logs[v.Name()] != nil {
			return nil, fmt.Errorf("opening witness: two keys of the origin %q", v.Name())
		}
		if err := w.load(); err != nil {
			return nil, fmt.Errorf("opening witness: log %q: %w", v.Name(), err)
		}
		s.logs[v.Name()] = w
	}
	s.mux.HandleFunc("POST /add-checkpoint", s.addCheckpoint)
	s.mux.HandleFunc("GET /{origin}/checkpoint", s.checkpoint)
	return s, nil
}

func originHash(origin string) string { return fmt.Sprintf("%x", sha256.Sum256([]byte(origin))) }

// load reads the last checkpoint. A file that is there and cannot be read is an
// error: without it the witness would cosign any log.
func (w *watched) load() error {
	b, err := os.ReadFile(w.path)
	if errors.Is(err, fs.ErrNotExist) {
		w.last = &log.Checkpoint{Origin: w.verifier.Name(), Hash: rfc6962.DefaultHasher.EmptyRoot()}
		return nil
	}
	if err != nil {
		return err
	}
	w.last, _, _, err = log.ParseCheckpoint(b, w.verifier.Name(), w.verifier)
	w.signed = b
	return err
}

// ServeHTTP implements http.Handler.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	select {
	case s.room <- struct{}{}:
		defer func() { <-s.room }()
	default:
		w.Header().Set("Retry-After", "1")
		http.Error(w, "too many requests at once", http.StatusServiceUnavailable)
		return
	}
	s.mux.ServeHTTP(w, r)
}

// checkpoint answers with the last checkpoint that was cosigned of a log.
func (s *Server) checkpoint(w http.ResponseWriter, r *http.Request) {
	for origin, l := range s.logs {
		if originHash(origin) != r.PathValue("origin") {
			continue
		}
		l.mu.Lock()
		signed := l.signed
		l.mu.Unlock()
		if signed != nil {
			w.Header().Set("Content-Type", "text/plain; charset=utf-8")
			_, _ = w.Write(signed)
			return
		}
	}
	http.Error(w, "no checkpoint of this log was cosigned", http.StatusNotFound)
}

// refusal is why a checkpoint is not cosigned, in the words and the status of C2SP
// tlog-witness.
type refusal struct {
	code int
	text string
}

func (e *refusal) Error() string { return e.text }

// addCheckpoint cosigns a checkpoint, or refuses.
func (s *Server) addCheckpoint(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if err != nil {
		http.Error(w, "the request cannot be read, or is too long", http.StatusBadRequest)
		return
	}
	lines, err := s.cosign(r.Context(), body)
	var refused *refusal
	switch {
	case err == nil:
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		_, _ = w.Write(lines)
	case errors.As(err, &refused) && refused.code == http.StatusConflict:
		w.Header().Set("Content-Type", sizeType)
		w.WriteHeader(refused.code)
		_, _ = io.WriteString(w, refused.text)
	case refused != nil:
		http.Error(w, refused.text, refused.code)
	default:
		s.cfg.Logger.LogAttrs(r.Context(), slog.LevelError, "a checkpoint could not be cosigned", slog.Any("error", err))
		http.Error(w, "the witness cannot answer", http.StatusInternalServerError)
	}
}

func (s *Server) cosign(ctx context.Context, body []byte) ([]byte, error) {
	req, err := ParseRequest(body)
	if err != nil {
		return nil, &refusal{http.StatusBadRequest, err.Error()}
	}
	origin, _, _ := strings.Cut(string(req.Checkpoint), "\n")
	l := s.logs[origin]
	if l == nil {
		return nil, &refusal{http.StatusNotFound, "the origin is not known"}
	}
	n, err := note.Open(req.Checkpoint, note.VerifierList(l.verifier))
	var unverified *note.UnverifiedNoteError
	var invalid *note.InvalidSignatureError
	if errors.As(err, &unverified) || errors.As(err, &invalid) {
		return nil, &refusal{http.StatusForbidden, "no signature by the key of this origin verifies"}
	}
	cp := new(log.Checkpoint)
	if err == nil {
		_, err = cp.Unmarshal([]byte(n.Text))
	}
	if err != nil || len(cp.Hash) != verify.HashSize {
		return nil, &refusal{http.StatusBadRequest, "the checkpoint is malformed"}
	}
	if req.Old > cp.Size {
		return nil, &refusal{http.StatusBadRequest, "the old size is larger than that of the checkpoint"}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.extends(cp, req); err != nil {
		s.report(ctx, l, cp, req)
		return nil, err
	}
	return l.keep(s.cfg.Signer, n, cp)
}

// extends checks that a checkpoint extends the last one. The error is a *refusal.
// mu is held.
func (l *watched) extends(cp *log.Checkpoint, req Request) error {
	if req.Old != l.last.Size {
		return &refusal{http.StatusConflict, fmt.Sprintf("%d\n", l.last.Size)}
	}
	switch {
	case cp.Size == 0 && !bytes.Equal(cp.Hash, rfc6962.DefaultHasher.EmptyRoot()):
		return &refusal{http.StatusUnprocessableEntity, "the root is not that of the empty tree"}
	case req.Old == 0 && len(req.Proof) > 0:
		return &refusal{http.StatusUnprocessableEntity, "the proof from the empty tree is not empty"}
	case cp.Size == l.last.Size && !bytes.Equal(cp.Hash, l.last.Hash):
		return &refusal{http.StatusUnprocessableEntity, "another root was cosigned at this size"}
	}
	if err := proof.VerifyConsistency(rfc6962.DefaultHasher, l.last.Size, cp.Size, req.Proof, l.last.Hash, cp.Hash); err != nil {
		return &refusal{http.StatusUnprocessableEntity, "the proof does not show that the checkpoint extends the last one that was cosigned"}
	}
	return nil
}

// keep cosigns a checkpoint and makes it the last one, durably. mu is held.
func (l *watched) keep(signer note.Signer, n *note.Note, cp *log.Checkpoint) ([]byte, error) {
	cosigned, err := note.Sign(&note.Note{Text: n.Text}, signer)
	if err != nil {
		return nil, fmt.Errorf("cosigning: %w", err)
	}
	lines := cosigned[len(n.Text)+1:]
	signed, err := note.Sign(&note.Note{Text: n.Text, Sigs: n.Sigs})
	if err != nil {
		return nil, fmt.Errorf("cosigning: %w", err)
	}
	signed = append(signed, lines...)
	if err := durable.Write(l.path, signed, 0o600); err != nil {
		return nil, fmt.Errorf("keeping checkpoint: %w", err)
	}
	l.last, l.signed = cp, signed
	return lines, nil
}

// report keeps the proof if a checkpoint that was refused contradicts the last one.
// A request of another size with a proof that leads to the new root, from another
// root than the last one, is such a proof. mu is held.
func (s *Server) report(ctx context.Context, l *watched, cp *log.Checkpoint, req Request) {
	root, path := cp.Hash, [][]byte(nil)
	var mismatch proof.RootMismatchError
	switch {
	case l.signed == nil || cp.Size < l.last.Size, cp.Size == l.last.Size && bytes.Equal(cp.Hash, l.last.Hash):
		return
	case cp.Size > l.last.Size:
		err := proof.VerifyConsistency(rfc6962.DefaultHasher, l.last.Size, cp.Size, req.Proof, l.last.Hash, cp.Hash)
		if req.Old != l.last.Size || !errors.As(err, &mismatch) {
			return
		}
		root, path = mismatch.CalculatedRoot, req.Proof
	}
	file, err := forkFile(l.vkey, l.signed, req.Checkpoint, root, path)
	if err != nil {
		return // it contradicts nothing, or is no proof for others
	}
	at := l.path + ".fork.json"
	if _, err := os.Stat(at); err == nil {
		return // one will do
	}
	if err := durable.Write(at, file, 0o600); err != nil {
		s.cfg.Logger.LogAttrs(ctx, slog.LevelError, "the proof of fork was not kept", slog.Any("error", err))
	}
	s.cfg.Logger.LogAttrs(ctx, slog.LevelError, "a log is forked: its key signed two histories", slog.String("origin", l.verifier.Name()), slog.String("proof", at))
}

// forkFile returns a proof of fork, if it is one.
func forkFile(vkey string, older, newer, root []byte, path [][]byte) ([]byte, error) {
	pinned, err := verify.NewLog(verify.Hash{}, vkey)
	if err != nil {
		return nil, err
	}
	other, err := verify.ParseHash(root)
	if err != nil {
		return nil, err
	}
	fork, err := pinned.NewFork(older, newer, other, path)
	if err != nil {
		return nil, err
	}
	return pinned.MarshalFork(fork)
}
