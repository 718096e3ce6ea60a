package main

import (
	"bytes"
	"errors"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"filippo.io/age"
	"github.com/rogpeppe/go-internal/testscript"
)

// commands are what scripts can do beside running programs.
var commands = map[string]func(*testscript.TestScript, bool, []string){
	"answers":    answers,
	"exits":      exits,
	"enrol":      enrol,
	"replace":    replace,
	"append":     appendLine,
	"policy":     policyFile,
	"eventually": eventually,
	"put":        put,
	"flip":       flip,
	"messages":   messages,
	"modes":      modes,
	"rows":       rows,
	"during":     during,
	"receipts":   receipts,
	"onekey":     oneKey,
	"edit":       edit,
	"firstkey":   firstKey,
	"hash":       hash,
	"mode":       mode,
	"everywhere": everywhere,
	"seal":       seal,
	"identity":   identity,
}

// patience is how long a script waits for anything.
const patience = time.Minute

// poll calls done until it returns true.
func poll(ts *testscript.TestScript, what string, done func() bool) {
	for start := time.Now(); !done(); time.Sleep(2 * time.Millisecond) {
		if time.Since(start) > patience {
			ts.Fatalf("waited %v for %s", patience, what)
		}
	}
}

// usage ends the script if a command has not n arguments or more.
func usage(ts *testscript.TestScript, neg bool, args []string, n int, text string) {
	if neg || len(args) < n {
		ts.Fatalf("usage: %s", text)
	}
}

// answers waits until something listens on an address.
func answers(ts *testscript.TestScript, neg bool, args []string) {
	usage(ts, neg, args, 1, "answers ADDRESS")
	poll(ts, args[0], func() bool {
		conn, err := net.Dial("tcp", args[0])
		if err == nil {
			ts.Check(conn.Close())
		}
		return err == nil
	})
}

// exits runs a program that must exit with a code.
func exits(ts *testscript.TestScript, neg bool, args []string) {
	usage(ts, neg, args, 2, "exits CODE PROGRAM ARG...")
	code, err := strconv.Atoi(args[0])
	ts.Check(err)
	if got := exitCodeOf(ts.Exec(args[1], args[2:]...)); got != code {
		ts.Fatalf("exit code %d, want %d", got, code)
	}
}

// exitCodeOf returns the exit code of a program by the error of running it, -1
// if it was killed.
func exitCodeOf(err error) int {
	var exit *exec.ExitError
	switch {
	case err == nil:
		return 0
	case errors.As(err, &exit):
		return exit.ExitCode()
	}
	return -2
}

// appendLine appends a line to a file.
func appendLine(ts *testscript.TestScript, neg bool, args []string) {
	usage(ts, neg, args, 2, "append FILE LINE")
	write(ts, args[0], []byte(ts.ReadFile(args[0])+args[1]+"\n"))
}

// policyFile writes a policy that demands one witness, whose directory is given,
// perhaps with its address.
func policyFile(ts *testscript.TestScript, neg bool, args []string) {
	usage(ts, neg, args, 2, "policy FILE DIR [URL]")
	vkey := strings.TrimSpace(ts.ReadFile(filepath.Join(args[1], "witness.vkey")))
	write(ts, args[0], []byte("witness w "+strings.Join(append([]string{vkey}, args[2:]...), " ")+"\nquorum w\n"))
}

// eventually runs a program again and again until it exits with a code.
func eventually(ts *testscript.TestScript, neg bool, args []string) {
	usage(ts, neg, args, 2, "eventually CODE PROGRAM ARG...")
	code, err := strconv.Atoi(args[0])
	ts.Check(err)
	poll(ts, strings.Join(args[1:], " "), func() bool {
		time.Sleep(50 * time.Millisecond)
		return exitCodeOf(ts.Exec(args[1], args[2:]...)) == code
	})
}

// enrol makes a participant with keys in the clear, in the directory of its
// name.
func enrol(ts *testscript.TestScript, neg bool, args []string) {
	usage(ts, neg, args, 2, "enrol ID ROLES [FLAG...]")
	id, roles := args[0], args[1]
	request := append([]string{"enroll", "request", "--ledger", "reg/ledger.card", "--id", id, "--name", "The firm " + id, "--country", "CN", "--out", id, "--dev"}, args[2:]...)
	ts.Check(ts.Exec("magnet", request...))
	ts.Check(ts.Exec("magnet", "-p", "reg/profiles/authority.yaml", "enroll", "approve", id+"/request.json", "--role", roles))
	ts.Check(ts.Exec("magnet", "enroll", "finish", id, id+"/approval.json"))
}

// during runs a program until there are so many files in a directory, which may be
// a pattern, sends it a signal, and checks how it ended: with an exit code, or
// killed.
func during(ts *testscript.TestScript, neg bool, args []string) {
	usage(ts, neg, args, 5, "during DIR FILES INT|KILL CODE|killed PROGRAM ARG...")
	least, err := strconv.Atoi(args[1])
	ts.Check(err)
	cmd := exec.Command(args[4], args[5:]...)
	cmd.Dir, cmd.Env = ts.Getenv("WORK"), []string{"PATH=" + ts.Getenv("PATH"), "GORACE=" + goRace, "TMPDIR=" + ts.Getenv("TMPDIR")}
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	ts.Check(cmd.Start())
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	dir := ts.MkAbs(args[0])
	poll(ts, "files in "+args[0], func() bool { return files(dir) >= least || len(ended) > 0 })
	ts.Check(cmd.Process.Signal(map[string]os.Signal{"INT": os.Interrupt, "KILL": syscall.SIGKILL}[args[2]]))
	want, err := strconv.Atoi(args[3])
	if err != nil {
		want = -1
	}
	if got := exitCodeOf(<-ended); got != want {
		ts.Fatalf("%s\nexit code %d, want %d", out.Bytes(), got, want)
	}
	write(ts, "output", out.Bytes())
}

// files returns the number of files in a directory, or in those that match a
// pattern.
func files(dir string) int {
	entries, _ := filepath.Glob(filepath.Join(dir, "*")) // an error says that the pattern is none
	return len(entries)
}

// identity writes an age identity, and puts its recipient in a variable.
func identity(ts *testscript.TestScript, neg bool, args []string) {
	usage(ts, neg, args, 2, "identity FILE VARIABLE")
	id, err := age.GenerateX25519Identity()
	ts.Check(err)
	write(ts, args[0], []byte(id.String()+"\n"))
	ts.Setenv(args[1], id.Recipient().String())
}
