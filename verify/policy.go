package verify

import (
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	f_note "github.com/transparency-dev/formats/note"
	"golang.org/x/mod/sumdb/note"

	tracev1 "github.com/magnet-ledger/magnet-ledger/proto/gen/magnet/trace/v1"
)

// Errors of policies.
var (
	// ErrPolicy says that a checkpoint does not satisfy a policy.
	ErrPolicy = errors.New("the checkpoint does not satisfy the policy")
	// ErrCosignature says that a witness answered without a cosignature of its
	// own on the checkpoint.
	ErrCosignature = errors.New("not a cosignature of the witness on this checkpoint")
)

// Policy is a C2SP tlog-policy: which witnesses must have cosigned a checkpoint. It
// is immutable.
type Policy struct {
	logs      []string // verifier keys
	witnesses []Witness
	quorum    quorum
}

// Witness is a witness of a policy.
type Witness struct {
	// Name is what the policy calls it, VKey its verifier key, whose name it signs
	// with.
	Name, VKey string
	// URL is its submission prefix (C2SP tlog-witness); the policy need not say.
	URL string

	verifier note.Verifier
}

// quorum is a witness, or a group of which so many must be satisfied. A group
// without members always is.
type quorum struct {
	witness note.Verifier
	least   int
	members []quorum
}

func (q quorum) satisfied(cosigned func(note.Verifier) bool) bool {
	if q.witness != nil {
		return cosigned(q.witness)
	}
	n := 0
	for _, m := range q.members {
		if m.satisfied(cosigned) {
			n++
		}
	}
	return n >= q.least
}

// ParsePolicy reads a policy file. Witness keys are C2SP tlog-cosignature keys of
// Ed25519 or ML-DSA-44. The error names the line.
func ParsePolicy(b []byte) (*Policy, error) {
	p := &policyParser{names: map[string]quorum{}, members: map[string]bool{}, keys: map[string]bool{}}
	for i, line := range strings.Split(string(b), "\n") {
		if err := p.line(line); err != nil {
			return nil, fmt.Errorf("reading policy: line %d: %w", i+1, err)
		}
	}
	if !p.complete {
		return nil, errors.New("reading policy: it has no line with a quorum")
	}
	return &p.policy, nil
}

type policyParser struct {
	policy   Policy
	names    map[string]quorum // of witnesses and groups
	members  map[string]bool   // names that stand in a group
	keys     map[string]bool   // of logs and of witnesses, each behind its kind
	complete bool              // there was a quorum
}

func (p *policyParser) line(line string) error {
	if strings.ContainsFunc(line, func(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f }) {
		return errors.New("it has a control character")
	}
	fields := strings.FieldsFunc(line, func(r rune) bool { return r == ' ' || r == '\t' })
	if len(fields) == 0 || strings.HasPrefix(fields[0], "#") {
		return nil
	}
	switch kind, rest := fields[0], fields[1:]; {
	case kind == "log" && (len(rest) == 1 || len(rest) == 2):
		return p.log(rest[0])
	case kind == "witness" && (len(rest) == 2 || len(rest) == 3):
		return p.witness(rest)
	case kind == "group" && len(rest) >= 3:
		return p.group(rest[0], rest[1], rest[2:])
	case kind == "quorum" && len(rest) == 1:
		return p.quorum(rest[0])
	}
	return fmt.Errorf("%q is not of the form of C2SP tlog-policy", strings.Join(fields, " "))
}

func (p *policyParser) log(vkey string) error {
	key, err := CheckpointKey(vkey)
	if err != nil {
		return err
	}
	if p.keys["log "+string(key.spki)] {
		return errors.New("the key of this log stands there before")
	}
	p.keys["log "+string(key.spki)] = true
	p.policy.logs = append(p.policy.logs, vkey)
	return nil
}

func (p *policyParser) witness(fields []string) error {
	w := Witness{Name: fields[0], VKey: fields[1]}
	if len(fields) == 3 {
		w.URL = fields[2]
	}
	var key string
	var err error
	if w.verifier, key, err = cosignatureVerifier(w.VKey); err != nil {
		return err
	}
	if p.keys["witness "+key] {
		return errors.New("the key of this witness stands there before")
	}
	p.keys["witness "+key] = true
	p.policy.witnesses = append(p.policy.witnesses, w)
	return p.define(w.Name, quorum{witness: w.verifier})
}

// cosignatureVerifier returns the verifier of a cosignature key, and the public key
// in it. A key of plain notes is none: its signature would not say that anything was
// compared.
func cosignatureVerifier(vkey string) (v note.Verifier, key string, err error) {
	const ed25519, mldsa = 4, 6
	parts := strings.SplitN(vkey, "+", 3)
	if len(parts) == 3 {
		raw, err := base64.StdEncoding.DecodeString(parts[2])
		if err == nil && len(raw) > 0 && (raw[0] == ed25519 || raw[0] == mldsa) {
			v, err := f_note.NewVerifierForCosignatureV1(vkey)
			if err == nil && fmt.Sprintf("%08x", v.KeyHash()) == parts[1] {
				return v, string(raw[1:]), nil
			}
		}
	}
	return nil, "", fmt.Errorf("%q is no key of a witness: it must be a cosignature key (type 4 or 6) in the form name+hash+base64", vkey)
}

func (p *policyParser) define(name string, q quorum) error {
	if _, taken := p.names[name]; taken || name == "none" {
		return fmt.Errorf("the name %q is taken", name)
	}
	p.names[name] = q
	return nil
}

func (p *policyParser) group(name, least string, members []string) error {
	q := quorum{}
	switch n, err := strconv.ParseUint(least, 10, 16); {
	case least == "all":
		q.least = len(members)
	case least == "any":
		q.least = 1
	case err != nil || n < 1 || n > uint64(len(members)):
		return fmt.Errorf("%q is not a number from 1 to %d, all or any", least, len(members))
	default:
		q.least = int(n)
	}
	for _, m := range members {
		member, known := p.names[m]
		if !known || p.members[m] {
			return fmt.Errorf("%q is not the name of a witness or group above that no group has yet", m)
		}
		p.members[m] = true
		q.members = append(q.members, member)
	}
	return p.define(name, q)
}

func (p *policyParser) quorum(name string) error {
	q, known := p.names[name]
	if !known && name != "none" {
		return fmt.Errorf("%q is not the name of a witness or group above", name)
	}
	if p.complete {
		return errors.New("there is a quorum before")
	}
	p.policy.quorum, p.complete = q, true
	return nil
}

// Witnesses returns the witnesses of the policy.
func (p *Policy) Witnesses() []Witness { return slices.Clone(p.witnesses) }

// Check checks that a checkpoint of the log, which was opened by it, satisfies the
// policy: the policy names the log or none, and witnesses have cosigned. The error
// wraps ErrPolicy.
func (p *Policy) Check(log *Log, cp *Checkpoint) error {
	if len(p.logs) > 0 && !slices.Contains(p.logs, log.vkey) {
		return fmt.Errorf("%w: it does not name the log %s", ErrPolicy, log.vkey)
	}
	cosigned, err := p.cosigners(cp)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrPolicy, err)
	}
	if p.quorum.satisfied(func(v note.Verifier) bool { return cosigned[v] }) {
		return nil
	}
	var by []string
	for _, w := range p.witnesses {
		if cosigned[w.verifier] {
			by = append(by, w.Name)
		}
	}
	return fmt.Errorf("%w: of %d witnesses, %d have cosigned the checkpoint of size %d (%s)",
		ErrPolicy, len(p.witnesses), len(by), cp.Size, strings.Join(by, ", "))
}

// cosigners returns the witnesses whose cosignature a checkpoint bears.
func (p *Policy) cosigners(cp *Checkpoint) (map[note.Verifier]bool, error) {
	verifiers := make([]note.Verifier, len(p.witnesses))
	for i, w := range p.witnesses {
		verifiers[i] = w.verifier
	}
	n, err := note.Open(cp.Note, note.VerifierList(verifiers...))
	var unverified *note.UnverifiedNoteError
	if errors.As(err, &unverified) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	cosigned := make(map[note.Verifier]bool)
	for _, sig := range n.Sigs {
		for _, v := range verifiers {
			if v.Name() == sig.Name && v.KeyHash() == sig.Hash {
				cosigned[v] = true
			}
		}
	}
	return cosigned, nil
}

// Cosign returns the checkpoint with the cosignature that a witness answered with
// (C2SP tlog-witness), beside those of the policy that it has. Other lines of the
// answer are passed over. The error wraps ErrCosignature.
func (p *Policy) Cosign(log *Log, cp *Checkpoint, w Witness, answer []byte) (*Checkpoint, error) {
	with := append(slices.Clone(cp.Note), answer...)
	if n, err := note.Open(with, note.VerifierList(w.verifier)); err != nil || len(n.Sigs) != 1 {
		return nil, fmt.Errorf("%w: %v", ErrCosignature, err)
	}
	verifiers := []note.Verifier{log.verifier}
	for _, w := range p.witnesses {
		verifiers = append(verifiers, w.verifier)
	}
	n, err := note.Open(with, note.VerifierList(verifiers...))
	if err != nil {
		return nil, fmt.Errorf("%w: %v", ErrCosignature, err)
	}
	signed, err := note.Sign(&note.Note{Text: n.Text, Sigs: n.Sigs})
	if err != nil {
		return nil, fmt.Errorf("%w: %v", ErrCosignature, err)
	}
	return log.OpenCheckpoint(signed)
}

// CheckBundle checks that the checkpoint of every receipt of a bundle, which was
// verified by the log, satisfies the policy. The error wraps ErrPolicy.
func (p *Policy) CheckBundle(log *Log, b *tracev1.ReceiptBundle) error {
	proven := append([]*tracev1.ProvenStatement{b.GetStatement(), b.GetGenesis()}, b.GetKeyRegistrations()...)
	for _, s := range proven {
		cp, err := log.OpenCheckpoint(s.GetReceipt().GetCheckpoint())
		if err == nil {
			err = p.Check(log, cp)
		}
		if err != nil {
			return err
		}
	}
	return nil
}
