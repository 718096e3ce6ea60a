package main

import (
	"slices"
	"testing"
	"time"
)

func TestMedian(t *testing.T) {
	for _, c := range []struct {
		name   string
		values []float64
		want   float64
	}{
		{"of none", nil, 0},
		{"of one", []float64{7}, 7},
		{"of two", []float64{4, 1}, 2.5},
		{"of three, unsorted", []float64{9, 1, 4}, 4},
		{"of four", []float64{8, 2, 1, 4}, 3},
		{"an outlier does not move it", []float64{3, 1000, 2}, 3},
	} {
		t.Run(c.name, func(t *testing.T) {
			given := slices.Clone(c.values)
			if got := median(c.values); got != c.want {
				t.Errorf("median of %v is %v, want %v", c.values, got, c.want)
			}
			if !slices.Equal(given, c.values) {
				t.Errorf("the values were changed: %v", c.values)
			}
		})
	}
}

func TestPairwise(t *testing.T) {
	for _, c := range []struct {
		name string
		of   []float64
		over [][]float64
		want []float64
	}{
		{"round by round", []float64{10, 30}, [][]float64{{5, 10}}, []float64{2, 3}},
		{"over the sum of two", []float64{12, 6}, [][]float64{{1, 2}, {2, 1}}, []float64{4, 2}},
		{"rounds that one lacks", []float64{10, 30}, [][]float64{{5}}, []float64{2}},
		{"over nothing", []float64{10}, [][]float64{{0}}, []float64{0}},
		{"no rounds", nil, [][]float64{{1}}, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := pairwise(c.of, c.over...); !slices.Equal(got, c.want) {
				t.Errorf("got %v, want %v", got, c.want)
			}
		})
	}
}

// TestMedianOfRatios shows why ratios are made within a round: a machine that is
// half as fast in one round changes the medians of both, and no ratio.
func TestMedianOfRatios(t *testing.T) {
	fast, slow := []float64{200, 90, 180}, []float64{100, 45, 90}
	if got := median(pairwise(fast, slow)); got != 2 {
		t.Errorf("median of the ratios is %v, want 2", got)
	}
}

func TestRatioVerdict(t *testing.T) {
	for _, c := range []struct {
		name string
		claim
		ratio float64
		want  string
	}{
		{"at least, met", claim{target: 1.5}, 1.5, "yes"},
		{"at least, missed", claim{target: 1.5}, 1.49, "no"},
		{"at most, met", claim{target: 3, atMost: true}, 3, "yes"},
		{"at most, missed", claim{target: 3, atMost: true}, 3.1, "no"},
		{"only reported", claim{}, 0.4, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := c.verdict(c.ratio); got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}

func TestStopwatch(t *testing.T) {
	w := &stopwatch{began: time.Now(), laps: []time.Duration{4 * time.Millisecond, time.Millisecond, 9 * time.Millisecond}}
	if s := w.p50(); s.Value != 4 || s.Count != 3 {
		t.Errorf("p50 %v of %d, want 4 of 3", s.Value, s.Count)
	}
}

func TestFeed(t *testing.T) {
	f := newFeed(5, 0)
	var got [][2]int
	for {
		from, to := f.take(2)
		if from == to {
			break
		}
		got = append(got, [2]int{from, to})
	}
	if want := [][2]int{{0, 2}, {2, 4}, {4, 5}}; !slices.Equal(got, want) || f.taken() != 5 {
		t.Errorf("got %v and %d taken, want %v and 5", got, f.taken(), want)
	}
	late := newFeed(5, time.Nanosecond)
	time.Sleep(time.Microsecond)
	if from, to := late.take(2); from != to || late.taken() != 0 {
		t.Errorf("after the time was over: %d to %d, %d taken", from, to, late.taken())
	}
}
