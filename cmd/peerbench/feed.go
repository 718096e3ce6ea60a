package main

import (
	"slices"
	"sync/atomic"
	"time"
)

// feed hands out statements, by their numbers from 0, to workers that may run at
// once, until there are no more or the time is over. So a fast measurement ends
// with the statements and a slow one with the time.
type feed struct {
	count int
	until time.Time // zero: no limit
	next  atomic.Int64
}

// newFeed starts the time.
func newFeed(count int, limit time.Duration) *feed {
	f := &feed{count: count}
	if limit > 0 {
		f.until = time.Now().Add(limit)
	}
	return f
}

// take returns the next statements, n of them or what is left: from is below to
// unless it is over.
func (f *feed) take(n int) (from, to int) {
	if !f.until.IsZero() && time.Now().After(f.until) {
		return 0, 0
	}
	to = int(f.next.Add(int64(n)))
	return min(to-n, f.count), min(to, f.count)
}

// taken returns how many statements were handed out.
func (f *feed) taken() int { return min(int(f.next.Load()), f.count) }

// sample is what one measurement gave in one round.
type sample struct {
	// Value is in the unit of the measurement.
	Value float64 `json:"value"`
	// Count is how many statements, calls or queries it is made of.
	Count int `json:"count"`
	// Seconds is how long they took.
	Seconds float64 `json:"seconds"`
}

// rate is the sample of count statements since began.
func rate(count int, began time.Time) sample {
	seconds := time.Since(began).Seconds()
	return sample{Value: float64(count) / seconds, Count: count, Seconds: seconds}
}

// stopwatch times one call after another.
type stopwatch struct {
	began time.Time
	laps  []time.Duration
}

func newStopwatch() *stopwatch { return &stopwatch{began: time.Now()} }

// lap times a call.
func (w *stopwatch) lap(call func() error) error {
	began := time.Now()
	err := call()
	w.laps = append(w.laps, time.Since(began))
	return err
}

// p50 is the sample of the calls: half of them took no longer, in milliseconds.
func (w *stopwatch) p50() sample {
	s := sample{Count: len(w.laps), Seconds: time.Since(w.began).Seconds()}
	slices.Sort(w.laps)
	if len(w.laps) > 0 {
		s.Value = float64(w.laps[(len(w.laps)-1)/2].Nanoseconds()) / 1e6
	}
	return s
}
