package main

import (
	"fmt"
	"io/fs"
	"math/bits"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"time"
)

// histogram counts durations in buckets, each less than 1 % wide, so that a run
// of hours takes no more memory than one of seconds. It is safe for concurrent
// use; the zero value is empty.
type histogram struct {
	buckets [(65 - histogramBits) << histogramBits]atomic.Int64
}

// histogramBits is how many bits of a duration in nanoseconds, after the leading
// one, tell buckets apart.
const histogramBits = 7

func (h *histogram) add(d time.Duration) { h.buckets[bucketOf(uint64(max(0, d)))].Add(1) }

func bucketOf(v uint64) int {
	shift := max(0, bits.Len64(v)-histogramBits-1)
	return shift<<histogramBits + int(v>>shift)
}

// bucketMiddle is a duration in the middle of a bucket.
func bucketMiddle(i int) time.Duration {
	shift := max(0, i>>histogramBits-1)
	return time.Duration(uint64(i-shift<<histogramBits)<<shift + 1<<shift/2)
}

func (h *histogram) count() (n int64) {
	for i := range h.buckets {
		n += h.buckets[i].Load()
	}
	return n
}

// quantile returns a duration that a share q of all does not exceed, 0 if there
// are none.
func (h *histogram) quantile(q float64) time.Duration {
	rank := int64(q * float64(h.count()))
	for i := range h.buckets {
		if rank -= h.buckets[i].Load(); rank < 0 {
			return bucketMiddle(i)
		}
	}
	return 0
}

// latencies are the quantiles that a report shows.
type latencies struct {
	P50  float64 `json:"p50_ms"`
	P99  float64 `json:"p99_ms"`
	P999 float64 `json:"p999_ms"`
}

func (h *histogram) latencies() latencies {
	at := func(q float64) float64 { return float64(h.quantile(q).Nanoseconds()) / 1e6 }
	return latencies{P50: at(0.50), P99: at(0.99), P999: at(0.999)}
}

func (l latencies) String() string { return fmt.Sprintf("%.1f / %.1f / %.1f ms", l.P50, l.P99, l.P999) }

// processTime returns the CPU time of this process, nil if the system does not
// say.
func processTime() *time.Duration {
	var u syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &u) != nil {
		return nil
	}
	d := time.Duration(u.Utime.Nano() + u.Stime.Nano())
	return &d
}

// threadCPU returns the CPU time of a thread of this process (the first field of
// its schedstat, in nanoseconds), nil if the system does not say.
func threadCPU(id int64) *time.Duration {
	b, err := os.ReadFile(fmt.Sprintf("/proc/self/task/%d/schedstat", id))
	if err != nil {
		return nil
	}
	first, _, _ := strings.Cut(string(b), " ")
	n, err := strconv.ParseInt(first, 10, 64)
	if err != nil {
		return nil
	}
	d := time.Duration(n)
	return &d
}

// processCPU returns the CPU time of another process (proc(5), stat fields 14
// and 15 in clock ticks of 10 ms), nil if the system does not say.
func processCPU(pid int) *time.Duration {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return nil
	}
	_, rest, _ := strings.Cut(string(b), ") ")
	fields := strings.Fields(rest)
	if len(fields) < 13 {
		return nil
	}
	user, err1 := strconv.ParseInt(fields[11], 10, 64)
	system, err2 := strconv.ParseInt(fields[12], 10, 64)
	if err1 != nil || err2 != nil {
		return nil
	}
	d := time.Duration(user+system) * 10 * time.Millisecond
	return &d
}

// processWritten returns the bytes that another process had the disk write
// (proc(5), io), nil if the system does not say.
func processWritten(pid int) *int64 {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/io", pid))
	if err != nil {
		return nil
	}
	for line := range strings.Lines(string(b)) {
		if text, ok := strings.CutPrefix(line, "write_bytes: "); ok {
			if n, err := strconv.ParseInt(strings.TrimSpace(text), 10, 64); err == nil {
				return &n
			}
		}
	}
	return nil
}

// diskUsage returns the bytes that files take on the disk; Badger's are sparse.
func diskUsage(dir string) (int64, error) {
	var total int64
	err := filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		if st, ok := info.Sys().(*syscall.Stat_t); ok && info.Mode().IsRegular() {
			total += st.Blocks * 512
		}
		return nil
	})
	return total, err
}
