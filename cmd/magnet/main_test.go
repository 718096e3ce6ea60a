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

	"github.com/rogpeppe/go-internal/testscript"
	"github.com/spf13/cobra"
)

func TestMain(m *testing.M) {
	testscript.Main(withServer{m}, map[string]func(){"magnet": main})
}

// withServer runs tests with magnetd on the path.
type withServer struct{ *testing.M }

func (w withServer) Run() int {
	flag.Parse()
	dir, err := os.MkdirTemp("", "magnetd-")
	if err == nil {
		defer os.RemoveAll(dir)
		err = build(dir, "github.com/magnet-ledger/magnet-ledger/cmd/magnetd")
	}
	if err == nil {
		err = os.Setenv("PATH", dir+string(os.PathListSeparator)+os.Getenv("PATH"))
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "building magnetd:", err)
		return 1
	}
	return w.M.Run()
}

func build(dir, pkg string) error {
	cmd := exec.Command("go", "build", "-o", dir+string(filepath.Separator), pkg)
	cmd.Stderr = os.Stderr
	return cmd.Run()
}

func TestScript(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 filepath.Join("testdata", "script"),
		Setup:               setup,
		Cmds:                commands,
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
	})
}

// goRace has a program that was built with the race detector end at once, not a
// second later.
const goRace = "atexit_sleep_ms=0"

// setup gives a script two addresses to serve on.
func setup(env *testscript.Env) error {
	for _, name := range []string{"ADDR", "ADDR2"} {
		address, err := freeAddress()
		if err != nil {
			return err
		}
		env.Setenv(name, address)
	}
	env.Setenv("GORACE", goRace)
	env.Values["tb"] = env.T()
	return nil
}

var given sync.Map // ports that a script has

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

func TestEveryCommandHasAnExample(t *testing.T) {
	var walk func(cmd *cobra.Command)
	walk = func(cmd *cobra.Command) {
		if cmd.Short == "" && !cmd.Hidden {
			t.Errorf("%s says nowhere in a line what it does", cmd.CommandPath())
		}
		if cmd.HasSubCommands() {
			for _, c := range cmd.Commands() {
				walk(c)
			}
			return
		}
		for line := range strings.Lines(cmd.Example) {
			line = strings.TrimSpace(line)
			if !strings.HasPrefix(line, "magnet") && !strings.HasPrefix(line, "#") {
				t.Errorf("%s: an example is no command: %q", cmd.CommandPath(), line)
			}
		}
		if name := strings.TrimPrefix(cmd.CommandPath(), "magnet "); !strings.Contains(cmd.Example, name) {
			t.Errorf("%s has no example of itself: %q", cmd.CommandPath(), cmd.Example)
		}
	}
	walk(new(app).root())
}
