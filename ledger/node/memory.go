package node

import (
	"os"
	"runtime/debug"
)

// defaultMemoryLimit is what Go's memory of a server should stay below, beside
// the files that the store maps.
const defaultMemoryLimit = 896 << 20

// LimitMemory bounds the memory of this process, for a process that serves and
// does nothing else: the collector runs seldom, until memory comes near the
// limit. The environment variables GOMEMLIMIT and GOGC go before it.
func (c *Config) LimitMemory() {
	limit := c.Limits.MemoryBytes
	if limit == 0 {
		limit = defaultMemoryLimit
	}
	if os.Getenv("GOMEMLIMIT") == "" {
		debug.SetMemoryLimit(limit)
	}
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(200)
	}
}
