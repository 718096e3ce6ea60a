package main

import (
	"context"
	"fmt"
	"time"

	"github.com/magnet-ledger/magnet-ledger/ledger/client"
	tracev1 "github.com/magnet-ledger/magnet-ledger/proto/gen/magnet/trace/v1"
)

// session is a profile with a connection, for one command.
type session struct {
	*app
	profile *profile
	client  *client.Client
	author  *client.Author // nil for those who only read
}

// session opens the profile of the command line. The caller closes it.
func (a *app) session() (*session, error) {
	p, err := a.loadProfile()
	if err != nil {
		return nil, err
	}
	return a.open(p)
}

func (a *app) open(p *profile) (*session, error) {
	c, err := a.dial(p)
	if err != nil {
		return nil, err
	}
	return &session{app: a, profile: p, client: c}, nil
}

// signing opens the profile of the command line, with the key that signs.
func (a *app) signing() (*session, error) {
	p, err := a.loadProfile()
	if err != nil {
		return nil, err
	}
	author, err := a.author(p)
	if err != nil {
		return nil, err
	}
	s, err := a.open(p)
	if err != nil {
		return nil, err
	}
	s.author = author
	return s, nil
}

// Close ends the connection; there is nothing that could be lost with it.
func (s *session) Close() { _ = s.client.Close() }

// signOne signs a statement under a random id.
func signOne(author *client.Author, st *tracev1.Statement) (*tracev1.Envelope, error) {
	payload, err := author.Payload(st, client.StatementID{}, time.Now())
	if err != nil {
		return nil, err
	}
	envs, err := author.SignAll(oneOf(payload), 1)
	if err != nil {
		return nil, err
	}
	return envs[0], nil
}

func oneOf[T any](v T) []T { return []T{v} }

// state signs and records one statement.
func (s *session) state(ctx context.Context, st *tracev1.Statement) (*client.Recorded, error) {
	env, err := signOne(s.author, st)
	if err != nil {
		return nil, err
	}
	return s.client.Submit(ctx, env)
}

// stateAndSay records a statement and says where.
func (s *session) stateAndSay(ctx context.Context, st *tracev1.Statement, what string, args ...any) error {
	r, err := s.state(ctx, st)
	if err != nil {
		return err
	}
	if s.json {
		return s.printJSON(r.Receipt)
	}
	s.say("%s, at index %d.", fmt.Sprintf(what, args...), r.Entry.Index)
	return nil
}
