package main

import (
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

func TestMain(m *testing.M) {
	testscript.Main(withCommandLine{m}, map[string]func(){"magnetd": main})
}

// withCommandLine runs tests with magnet on the path.
type withCommandLine struct{ *testing.M }

func (w withCommandLine) Run() int {
	flag.Parse()
	dir, err := os.MkdirTemp("", "magnet-")
	if err == nil {
		defer os.RemoveAll(dir)
		cmd := exec.Command("go", "build", "-o", dir+string(filepath.Separator), "github.com/magnet-ledger/magnet-ledger/cmd/magnet")
		cmd.Stderr = os.Stderr
		err = cmd.Run()
	}
	if err == nil {
		err = os.Setenv("PATH", dir+string(os.PathListSeparator)+os.Getenv("PATH"))
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "building magnet:", err)
		return 1
	}
	return w.M.Run()
}

func TestScript(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir: filepath.Join("testdata", "script"),
		Setup: func(env *testscript.Env) error {
			address, err := freeAddress()
			env.Setenv("ADDR", address)
			env.Setenv("GORACE", "atexit_sleep_ms=0") // with the race detector, end at once
			return err
		},
		Cmds:                map[string]func(*testscript.TestScript, bool, []string){"answers": answers, "replace": replace},
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
	})
}

// answers waits until something listens on an address.
func answers(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: answers ADDRESS")
	}
	for start := time.Now(); ; time.Sleep(2 * time.Millisecond) {
		conn, err := net.Dial("tcp", args[0])
		if err == nil {
			ts.Check(conn.Close())
			return
		}
		if time.Since(start) > time.Minute {
			ts.Fatalf("nothing listens on %s", args[0])
		}
	}
}

// replace replaces a text in a file, once.
func replace(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 3 {
		ts.Fatalf("usage: replace FILE OLD NEW")
	}
	content := ts.ReadFile(args[0])
	if !strings.Contains(content, args[1]) {
		ts.Fatalf("%s does not hold %q", args[0], args[1])
	}
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte(strings.Replace(content, args[1], args[2], 1)), 0o600))
}

var given sync.Map // addresses that a test has

// freeAddress returns an address that nothing listens on. It is below the ports
// that the system hands out by itself, so that it stays free.
func freeAddress() (string, error) {
	for range 100 {
		address := fmt.Sprintf("127.0.0.1:%d", 10_000+rand.IntN(20_000))
		if _, taken := given.LoadOrStore(address, true); taken {
			continue
		}
		l, err := net.Listen("tcp", address)
		if err == nil {
			return address, l.Close()
		}
	}
	return "", errors.New("found no free port")
}
