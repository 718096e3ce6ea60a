package main

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"runtime/debug"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// machine is what figures depend on.
type machine struct {
	Date       string            `json:"date"`
	Ledger     string            `json:"ledger"`
	Processor  string            `json:"processor"`
	Cores      int               `json:"cores"`
	MemoryGiB  float64           `json:"memory_gib"`
	Kernel     string            `json:"kernel"`
	FileSystem string            `json:"file_system"`
	Go         string            `json:"go"`
	Postgres   string            `json:"postgresql"`
	Modules    map[string]string `json:"modules"`
	LoadBefore string            `json:"load_before"`
	LoadAfter  string            `json:"load_after"`
}

// modules are those whose versions matter.
var modules = []string{
	"github.com/transparency-dev/tessera", "github.com/jackc/pgx/v5", "github.com/dgraph-io/badger/v4", "google.golang.org/grpc",
}

// describe describes this machine, and the disk of a directory.
func describe(ctx context.Context, dir, postgres string) *machine {
	return &machine{
		Date: time.Now().UTC().Format("2006-01-02 15:04 UTC"), Ledger: revision(ctx),
		Processor: lineOf("/proc/cpuinfo", "model name"), Cores: runtime.NumCPU(), MemoryGiB: memory(),
		Kernel: kernel(), FileSystem: fileSystem(dir), Go: runtime.Version(),
		Postgres: postgresVersion(ctx, postgres), Modules: moduleVersions(), LoadBefore: load(),
	}
}

// revision returns the commit that is measured, if git can tell.
func revision(ctx context.Context) string {
	out, err := exec.CommandContext(ctx, "git", "describe", "--always", "--dirty").Output()
	if err != nil {
		return "unknown"
	}
	return string(bytes.TrimSpace(out))
}

// lineOf returns the value of the first line with a name in a file of /proc.
func lineOf(path, name string) string {
	f, err := os.Open(path)
	if err != nil {
		return "unknown"
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		if k, v, ok := strings.Cut(lines.Text(), ":"); ok && strings.TrimSpace(k) == name {
			return strings.TrimSpace(v)
		}
	}
	return "unknown"
}

func memory() float64 {
	var kib float64
	fmt.Sscan(lineOf("/proc/meminfo", "MemTotal"), &kib)
	return float64(int(kib/(1<<20)*10)) / 10
}

func kernel() string {
	var u unix.Utsname
	if unix.Uname(&u) != nil {
		return "unknown"
	}
	return unix.ByteSliceToString(u.Sysname[:]) + " " + unix.ByteSliceToString(u.Release[:])
}

// fileSystem returns what a directory is on. On one in memory nothing is
// durable, and the figures mean nothing.
func fileSystem(dir string) string {
	var s unix.Statfs_t
	if unix.Statfs(dir, &s) != nil {
		return "unknown"
	}
	switch s.Type {
	case unix.EXT4_SUPER_MAGIC:
		return "ext4"
	case unix.XFS_SUPER_MAGIC:
		return "xfs"
	case unix.BTRFS_SUPER_MAGIC:
		return "btrfs"
	case unix.OVERLAYFS_SUPER_MAGIC:
		return "overlay"
	case unix.TMPFS_MAGIC:
		return "tmpfs: in memory, NOTHING IS DURABLE"
	}
	return fmt.Sprintf("type %#x", s.Type)
}

func moduleVersions() map[string]string {
	versions := make(map[string]string)
	info, _ := debug.ReadBuildInfo()
	if info == nil {
		return versions
	}
	for _, dep := range info.Deps {
		for _, name := range modules {
			if dep.Path == name {
				versions[name] = dep.Version
			}
		}
	}
	return versions
}

// load returns the load averages of the last 1, 5 and 15 minutes.
func load() string {
	b, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return "unknown"
	}
	return strings.Join(strings.Fields(string(b))[:3], " ")
}
