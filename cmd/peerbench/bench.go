package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// bench is one run.
type bench struct {
	opts       options
	dir        string
	founding   *founding
	statements []statement
	cluster    *cluster // nil if nothing of PostgreSQL is measured

	// Of the volume query, once it is loaded.
	volumeDir   string
	volumeCells int
	volumePlan  string

	samples map[string][]sample // by measurement, round by round
}

// run measures and prints.
func run(ctx context.Context, o options) (err error) {
	if err := o.check(); err != nil {
		return err
	}
	b := &bench{opts: o, samples: make(map[string][]sample)}
	if b.dir, err = os.MkdirTemp(o.dir, "peerbench-"); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, b.remove()) }()
	machine := describe(ctx, b.dir, o.postgres)
	if err := b.prepare(ctx); err != nil {
		return err
	}
	if err := b.measureAll(ctx); err != nil {
		return err
	}
	machine.LoadAfter = load()
	return b.report(machine).print(os.Stdout, o.json)
}

// remove removes all data. Nothing runs any more when it is called.
func (b *bench) remove() error {
	var err error
	if b.cluster != nil {
		err = b.cluster.remove()
	}
	return errors.Join(err, os.RemoveAll(b.dir))
}

// prepare makes everything that is there before the first clock starts.
func (b *bench) prepare(ctx context.Context) (err error) {
	// PostgreSQL runs as another user; the directories in this one are closed.
	if err := os.Chmod(b.dir, 0o711); err != nil {
		return err
	}
	if b.founding, err = found(filepath.Join(b.dir, "founding")); err != nil {
		return err
	}
	if b.wants(func(name string) bool { return !strings.Contains(name, "volumes") }) {
		b.say("signing %s statements, each in a batch and alone", grouped(b.opts.count))
		if b.statements, err = makeStatements(b.founding.producers, 0, b.opts.count, batchSigned, singleSigned); err != nil {
			return err
		}
	}
	volumes := b.wants(func(name string) bool { return strings.Contains(name, "volumes") })
	if volumes || b.wants(func(name string) bool { return strings.HasPrefix(name, "pg-") }) {
		if b.cluster, err = newCluster(ctx, b.opts.postgres, filepath.Join(b.dir, "postgres")); err != nil {
			return err
		}
	}
	if volumes {
		return b.loadVolumes(ctx)
	}
	return ctx.Err()
}

// wants reports whether a measurement is among the chosen.
func (b *bench) wants(is func(name string) bool) bool {
	return slices.ContainsFunc(b.chosen(), func(m measurement) bool { return is(m.name) })
}

// chosen returns the measurements to take.
func (b *bench) chosen() []measurement {
	all := catalogue()
	if len(b.opts.only) == 0 {
		return all
	}
	return slices.DeleteFunc(all, func(m measurement) bool { return !slices.Contains(b.opts.only, m.name) })
}

// measureAll takes all measurements, round by round. Every second round goes
// backwards, so that a drift of the machine favours nobody.
func (b *bench) measureAll(ctx context.Context) error {
	for round := range b.opts.rounds {
		order := b.chosen()
		if round%2 == 1 {
			slices.Reverse(order)
		}
		for i, m := range order {
			if err := b.settle(ctx); err != nil {
				return err
			}
			s, err := m.measure(ctx, b)
			if err != nil {
				return fmt.Errorf("measuring %s: %w", m.name, err)
			}
			b.samples[m.name] = append(b.samples[m.name], s)
			b.say("round %d of %d, %2d of %d  %-14s %12s %-6s (%s in %.1f s)",
				round+1, b.opts.rounds, i+1, len(order), m.name, figure(s.Value, m.unit), m.unit, grouped(s.Count), s.Seconds)
		}
	}
	return nil
}

// settle leaves nothing to do to the collector, or to the disk, that belongs to
// the measurement before.
func (b *bench) settle(ctx context.Context) error {
	debug.FreeOSMemory()
	dir, err := os.Open(b.dir)
	if err != nil {
		return err
	}
	defer dir.Close()
	return errors.Join(ctx.Err(), unix.Syncfs(int(dir.Fd())))
}

// scratch makes a directory for one measurement, and returns what removes it.
func (b *bench) scratch() (dir string, remove func() error, err error) {
	dir, err = os.MkdirTemp(b.dir, "scratch-")
	return dir, func() error { return os.RemoveAll(dir) }, err
}

// say prints a line of progress.
func (b *bench) say(format string, args ...any) { fmt.Fprintf(os.Stderr, format+"\n", args...) }
