// Package cmd_test holds the walls of the house: who may import whom.
package cmd_test

import (
	"os/exec"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/magnet-ledger/magnet-ledger/"

// evidence is what package verify may stand on, beside the standard library. A
// package of this module is meant by itself, everything else with what is below
// it.
var evidence = []string{
	module + "verify", module + "proto/gen/magnet/trace/v1",
	"google.golang.org/protobuf/", "buf.build/gen/go/bufbuild/protovalidate/protocolbuffers/go/buf/validate",
	"golang.org/x/mod/sumdb/", "github.com/transparency-dev/merkle", "github.com/transparency-dev/formats", "filippo.io/edwards25519",
	"filippo.io/mldsa", "golang.org/x/crypto/cryptobyte", // of witnesses' keys, by formats
}

func TestWallsOfDependencies(t *testing.T) {
	rules := append(slices.Clone(evidence), module+"ledger/custody")
	runs := []string{module + "ledger/runs", "github.com/cespare/xxhash/v2"}
	writer := append(append(slices.Clone(rules), runs...), module+"ledger", "github.com/klauspost/compress/")
	for _, wall := range []struct {
		room    string
		may     []string
		because string
	}{
		{"verify", evidence, "an auditor imports evidence alone"},
		{"ledger/custody", rules, "the rules are a function of the log"},
		{"ledger/runs", runs, "a map of byte strings knows no ledger"},
		{"ledger", writer, "the writer knows no store and no wire"},
		{"ledger/tlog", append(slices.Clone(writer), module+"ledger/tlog", module+"ledger/durable", "github.com/klauspost/compress"), "strangers are served entries, hashes and checkpoints, by HTTP alone"},
		{"ledger/witness", append(slices.Clone(evidence), module+"ledger/witness", module+"ledger/durable", "golang.org/x/sync/errgroup"), "a witness needs no ledger"},
		{"ledger/backup", append(slices.Clone(evidence), module+"ledger/backup", "github.com/klauspost/compress", "filippo.io/", "golang.org/x/"), "a backup is read and checked without a ledger"},
		{"certs", []string{module + "certs", "github.com/spiffe/go-spiffe/v2/spiffeid"}, "the profile of certificates stands alone"},
	} {
		for _, dep := range dependencies(t, "./"+wall.room) {
			ok := slices.Contains(wall.may, dep)
			if !strings.HasPrefix(dep, module) {
				ok = startsWithAny(dep, wall.may)
			}
			if !ok {
				t.Errorf("%s depends on %s, but %s", wall.room, dep, wall.because)
			}
		}
	}
}

// TestWallsOfImports holds who alone may import what.
func TestWallsOfImports(t *testing.T) {
	imports := strings.Fields(list(t, "-f", "{{$p := .ImportPath}}{{range .Imports}}{{$p}}>{{.}}\n{{end}}", "./..."))
	for _, wall := range []struct {
		what string
		by   []string
	}{
		{"github.com/dgraph-io/badger/", []string{"ledger/badgerstore"}},
		{"github.com/grpc-ecosystem/", []string{"ledger/rpc"}},
		{"google.golang.org/grpc", []string{"ledger/rpc", "ledger/client", "proto/gen/", "cmd/"}},
		{"filippo.io/age", []string{"ledger/keyfile", "ledger/backup"}},
		{"github.com/prometheus/", []string{"ledger/rpc", "ledger/node"}},
		{"go.opentelemetry.io/", []string{"ledger/rpc", "ledger/node"}},
		{module + "cmd/", nil},
	} {
		for _, edge := range imports {
			from, to, _ := strings.Cut(edge, ">")
			if strings.HasPrefix(to, wall.what) && !startsWithAny(strings.TrimPrefix(from, module), wall.by) {
				t.Errorf("%s imports %s; only %v may", from, to, wall.by)
			}
		}
	}
}

// dependencies returns what a package depends on outside the standard library.
func dependencies(t *testing.T, pkg string) []string {
	t.Helper()
	deps := strings.Fields(list(t, "-deps", "-f", "{{if not .Standard}}{{.ImportPath}}{{end}}", pkg))
	if len(deps) < 2 {
		t.Fatalf("go list -deps %s gave %q", pkg, deps)
	}
	return deps
}

func list(t *testing.T, args ...string) string {
	t.Helper()
	cmd := exec.Command("go", append([]string{"list"}, args...)...)
	cmd.Dir = ".."
	var problem strings.Builder
	cmd.Stderr = &problem
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v: %v\n%s", cmd, err, problem.String())
	}
	return string(out)
}

func startsWithAny(s string, prefixes []string) bool {
	return slices.ContainsFunc(prefixes, func(p string) bool { return strings.HasPrefix(s, p) })
}
