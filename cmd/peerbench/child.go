package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"
)

// stopPatience is how long a child may take to stop before it is killed.
const stopPatience = 30 * time.Second

// child is a server in a process of its own. It has its own process group, so
// that an interrupt from the terminal reaches it through stop alone, and it dies
// with this process, however that ends.
type child struct {
	cmd    *exec.Cmd
	signal syscall.Signal // that asks it to stop
	done   chan struct{}
	err    error // of Wait, once done is closed
}

// startChild starts a process. What it writes to standard error goes to log.
func startChild(cmd *exec.Cmd, signal syscall.Signal, log io.Writer) (*child, error) {
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = new(syscall.SysProcAttr)
	}
	cmd.SysProcAttr.Setpgid, cmd.SysProcAttr.Pdeathsig = true, syscall.SIGKILL
	cmd.Stderr = log
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	c := &child{cmd: cmd, signal: signal, done: make(chan struct{})}
	go func() {
		c.err = cmd.Wait()
		close(c.done)
	}()
	return c, nil
}

// stop asks the child to stop, waits, and returns how it ended. Stopping twice
// is fine.
func (c *child) stop() error {
	select {
	case <-c.done:
		return c.err
	default:
	}
	if err := c.cmd.Process.Signal(c.signal); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	select {
	case <-c.done:
		return c.err
	case <-time.After(stopPatience):
		err := c.cmd.Process.Kill()
		<-c.done
		return errors.Join(fmt.Errorf("%s did not stop within %v", c.cmd.Path, stopPatience), err)
	}
}

// startSelf starts this program as a server and returns the address that it
// prints when it is ready.
func startSelf(ctx context.Context, args ...string) (*child, string, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, "", err
	}
	// What Cmd.StdoutPipe returns is closed by Wait, which runs already.
	out, in, err := os.Pipe()
	if err != nil {
		return nil, "", err
	}
	defer out.Close()
	cmd := exec.Command(self, args...)
	cmd.Stdout = in
	c, err := startChild(cmd, syscall.SIGTERM, os.Stderr)
	in.Close()
	if err != nil {
		return nil, "", err
	}
	defer context.AfterFunc(ctx, func() { out.Close() })()
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		return nil, "", errors.Join(fmt.Errorf("%s did not start: %w", args[0], err), ctx.Err(), c.stop())
	}
	return c, strings.TrimSpace(line), nil
}
