package witness

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"strings"
	"time"

	"github.com/magnet-ledger/magnet-ledger/verify"
)

// StatusError is an answer of a witness that is no cosignature.
type StatusError struct {
	// Code is the HTTP status, Text what the witness said.
	Code int
	Text string
}

func (e *StatusError) Error() string {
	meaning := map[int]string{
		http.StatusBadRequest:          "it calls the request malformed",
		http.StatusForbidden:           "it does not trust the checkpoint key: its operator must add it",
		http.StatusNotFound:            "it does not know the origin, or has another address: its operator must add the log",
		http.StatusConflict:            "it has cosigned another size, and does not say which",
		http.StatusUnprocessableEntity: "it holds a log that this one does not extend: one of the two was rolled back or forked",
	}[e.Code]
	if meaning == "" {
		meaning = "it cannot answer"
	}
	return fmt.Sprintf("%s (%d %q)", meaning, e.Code, e.Text)
}

// AheadError says that a witness claims to have cosigned a larger log.
type AheadError struct{ Witness, Ledger uint64 }

func (e *AheadError) Error() string {
	return fmt.Sprintf("it has cosigned %d entries, the ledger has %d", e.Witness, e.Ledger)
}

// asker asks one witness, in one goroutine.
type asker struct {
	feeder  *Feeder
	witness verify.Witness
	logger  *slog.Logger

	old  uint64 // the size that the witness last cosigned, as far as is known
	done uint64 // the size of the last target that it cosigned
}

// run asks for each target until the context ends.
func (a *asker) run(ctx context.Context) {
	failures, said := 0, ""
	for ctx.Err() == nil {
		target, changed := a.feeder.target()
		var again <-chan time.Time
		if target.Size != a.done {
			err := a.cosign(ctx, target)
			if ctx.Err() != nil {
				return
			}
			if err == nil {
				if said != "" {
					a.logger.LogAttrs(ctx, slog.LevelInfo, "the witness cosigns again")
				}
				failures, said, a.done = 0, "", target.Size
				continue
			}
			if err.Error() != said {
				said = err.Error()
				a.logger.LogAttrs(ctx, level(err), "the witness has not cosigned", slog.Any("error", err))
			}
			// Until then no new target changes anything.
			again, changed = time.After(a.pause(failures)), nil
			failures = min(failures+1, 8)
		}
		select {
		case <-changed:
		case <-again:
		case <-ctx.Done():
		}
	}
}

// pause is how long the witness is left alone, give or take a fifth.
func (a *asker) pause(failures int) time.Duration {
	d := a.feeder.cfg.Backoff << failures
	return d - d/5 + rand.N(2*d/5+1)
}

// level says how much an error is the operator's business.
func level(err error) slog.Level {
	var ahead *AheadError
	var code *StatusError
	if errors.As(err, &ahead) || errors.As(err, &code) && code.Code == http.StatusUnprocessableEntity || errors.Is(err, verify.ErrCosignature) {
		return slog.LevelError
	}
	return slog.LevelWarn
}

// cosign has the witness cosign a target. A witness that has cosigned another size
// than is known says so, and is asked again from there.
func (a *asker) cosign(ctx context.Context, target *verify.Checkpoint) error {
	for range 3 {
		if a.old > target.Size {
			// A later target may do.
			return a.ahead(ctx)
		}
		var proof [][]byte
		if a.old > 0 && a.old < target.Size {
			var err error
			if proof, err = a.feeder.cfg.Consistency(a.old, target.Size); err != nil {
				return fmt.Errorf("proving size %d from %d: %w", target.Size, a.old, err)
			}
		}
		code, header, answer, err := a.post(ctx, Request{Old: a.old, Proof: proof, Checkpoint: target.Note})
		if err != nil {
			return err
		}
		switch code {
		case http.StatusOK:
			if err := a.feeder.take(target.Size, a.witness, answer); err != nil {
				return err
			}
			a.old = target.Size
			return nil
		case http.StatusConflict:
			size, err := parseSize(bytes.TrimSuffix(answer, []byte("\n")))
			if err != nil || header.Get("Content-Type") != sizeType {
				return &StatusError{code, firstLine(answer)}
			}
			a.old = size
		default:
			return &StatusError{code, firstLine(answer)}
		}
	}
	return errors.New("it names another size each time that it is asked")
}

// post sends a request and returns the answer.
func (a *asker) post(ctx context.Context, r Request) (int, http.Header, []byte, error) {
	return a.do(ctx, http.MethodPost, "/add-checkpoint", bytes.NewReader(r.Bytes()))
}

func (a *asker) do(ctx context.Context, method, path string, body io.Reader) (int, http.Header, []byte, error) {
	ctx, cancel := context.WithTimeout(ctx, a.feeder.cfg.Timeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, strings.TrimSuffix(a.witness.URL, "/")+path, body)
	if err != nil {
		return 0, nil, nil, err
	}
	resp, err := a.feeder.cfg.Client.Do(req)
	if err != nil {
		return 0, nil, nil, err
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(resp.Body, maxBody))
	return resp.StatusCode, resp.Header, answer, err
}

// ahead judges a witness that claims a larger size than the target. Sizes below the
// latest checkpoint are in order. Beyond it, only a checkpoint with the ledger's
// own signature shows that the ledger was rolled back; it is asked for.
func (a *asker) ahead(ctx context.Context) error {
	latest := a.feeder.cfg.Latest()
	if a.old <= latest.Size {
		return &AheadError{a.old, latest.Size}
	}
	claimed := a.old
	a.old = 0 // the witness is asked anew the next time
	code, _, answer, err := a.do(ctx, http.MethodGet, fmt.Sprintf("/%x/checkpoint", sha256.Sum256([]byte(a.feeder.cfg.Log.Origin()))), nil)
	if err == nil && code == http.StatusOK {
		cp, err := a.feeder.cfg.Log.OpenCheckpoint(answer)
		if err == nil && cp.Size > a.feeder.cfg.Latest().Size && a.feeder.cfg.Ahead != nil {
			a.feeder.cfg.Ahead(cp)
		}
	}
	return &AheadError{claimed, latest.Size}
}

// firstLine returns what may stand in a log of what a stranger said.
func firstLine(b []byte) string {
	line, _, _ := strings.Cut(string(b), "\n")
	return line[:min(len(line), 200)]
}
