package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/transparency-dev/tessera"
	"github.com/transparency-dev/tessera/storage/posix"
	"golang.org/x/mod/sumdb/note"
	"golang.org/x/sync/errgroup"
	"k8s.io/klog/v2"
)

// How Tessera is set up: for the most that it gives with callers that wait. Its
// checkpoints are as frequent as the POSIX storage allows (the default is 10 s).
// A batch closes when all callers wait for it (the default is 256 of them), or
// soon after the first came (the default is 250 ms): smaller batches and shorter
// waits cost more files and syncs. Each poll wakes all callers, so that more
// polls cost more than they gain.
const (
	tesseraCheckpointEvery = 100 * time.Millisecond
	tesseraBatchAge        = 20 * time.Millisecond
	tesseraPoll            = 10 * time.Millisecond
)

// tesseraLog is a Tessera log in this process: there is no server between.
type tesseraLog struct {
	appender *tessera.Appender
	awaiter  *tessera.PublicationAwaiter
	close    func() error
}

func openTessera(ctx context.Context, dir string, callers int) (*tesseraLog, error) {
	klog.LogToStderr(false)
	klog.SetOutput(io.Discard)
	skey, _, err := note.GenerateKey(rand.Reader, origin)
	if err != nil {
		return nil, err
	}
	signer, err := note.NewSigner(skey)
	if err != nil {
		return nil, err
	}
	// Tessera's goroutines end with this context, after the shutdown.
	running, cancel := context.WithCancel(context.WithoutCancel(ctx))
	driver, err := posix.New(running, posix.Config{Path: dir})
	if err != nil {
		cancel()
		return nil, err
	}
	appender, shutdown, reader, err := tessera.NewAppender(running, driver, tessera.NewAppendOptions().
		WithCheckpointSigner(signer).
		WithCheckpointInterval(tesseraCheckpointEvery).
		WithBatching(uint(callers), tesseraBatchAge))
	if err != nil {
		cancel()
		return nil, err
	}
	return &tesseraLog{
		appender: appender,
		awaiter:  tessera.NewPublicationAwaiter(running, reader.ReadCheckpoint, tesseraPoll),
		close: func() error {
			defer cancel()
			return shutdown(running)
		},
	}, nil
}

// measureTessera adds envelopes from a number of callers, each of whom waits for
// a published checkpoint that covers its own before it adds the next.
func measureTessera(f form, callers int) measure {
	return func(ctx context.Context, b *bench) (out sample, err error) {
		dir, remove, err := b.scratch()
		if err != nil {
			return sample{}, err
		}
		defer func() { err = errors.Join(err, remove()) }()
		leaves, err := wire(b.statements, f)
		if err != nil {
			return sample{}, err
		}
		log, err := openTessera(ctx, dir, callers)
		if err != nil {
			return sample{}, err
		}
		out, err = log.addAll(ctx, leaves, callers, b.opts.limit)
		return out, errors.Join(err, log.close())
	}
}

func (l *tesseraLog) addAll(ctx context.Context, leaves [][]byte, callers int, limit time.Duration) (sample, error) {
	work := newFeed(len(leaves), limit)
	group, ctx := errgroup.WithContext(ctx)
	began := time.Now()
	for range callers {
		group.Go(func() error {
			for {
				i, to := work.take(1)
				if i == to {
					return ctx.Err()
				}
				index, checkpoint, err := l.awaiter.Await(ctx, l.appender.Add(ctx, tessera.NewEntry(leaves[i])))
				if err != nil {
					return err
				}
				if len(checkpoint) == 0 || index.IsDup {
					return fmt.Errorf("entry %d was not added", i)
				}
			}
		})
	}
	err := group.Wait()
	return rate(work.taken(), began), err
}
