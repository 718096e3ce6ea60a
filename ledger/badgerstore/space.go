package badgerstore

import (
	"fmt"
	"time"
)

// How much may be written, and how long the last look may be ago, before a
// spaceGate looks again. Both are small against MinFreeBytes.
const (
	spaceEveryBytes = 16 << 20
	spaceEvery      = time.Second
)

// spaceGate refuses writes before the disk is full. It looks now and then only:
// the call takes a microsecond on ext4, but may wait for other work on xfs.
type spaceGate struct {
	min  int64
	free func() (int64, error)

	looked time.Time
	passed int64 // bytes since then
}

func newSpaceGate(dir *directory, opts Options) spaceGate {
	return spaceGate{min: opts.MinFreeBytes, free: dir.free}
}

// pass returns ErrNoSpace if the bytes about to be written must not be.
func (g *spaceGate) pass(bytes int64) error {
	g.passed += bytes
	if g.passed < spaceEveryBytes && time.Since(g.looked) < spaceEvery {
		return nil
	}
	free, err := g.free()
	if err != nil {
		return fmt.Errorf("looking for free space: %w", err)
	}
	if free < g.min {
		return fmt.Errorf("%w: %d bytes, not %d", ErrNoSpace, free, g.min)
	}
	g.looked, g.passed = time.Now(), 0
	return nil
}
