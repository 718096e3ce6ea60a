package ledger

import (
	"os"
	"syscall"
)

// syncData makes what was written to a file durable, and of what is known about it
// only what is needed to read it again.
func syncData(f *os.File) error {
	for {
		if err := syscall.Fdatasync(int(f.Fd())); err != syscall.EINTR {
			return os.NewSyscallError("fdatasync", err)
		}
	}
}
