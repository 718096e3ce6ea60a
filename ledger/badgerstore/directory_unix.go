//go:build linux || darwin

package badgerstore

import (
	"errors"
	"os"
	"runtime"

	"golang.org/x/sys/unix"
)

// What statfs says of the file systems on which durability is promised.
const (
	ext4Type = 0xef53
	xfsType  = 0x58465342
)

// lock takes the lock on a directory that Badger takes, too. It goes with the
// process at the latest.
func lock(file *os.File) error {
	err := unix.Flock(int(file.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	if errors.Is(err, unix.EWOULDBLOCK) {
		return ErrLocked
	}
	return err
}

// free returns the bytes that the file system has for an ordinary user.
func (d *directory) free() (int64, error) {
	var st unix.Statfs_t
	if err := unix.Fstatfs(int(d.file.Fd()), &st); err != nil {
		return 0, err
	}
	return int64(st.Bavail) * int64(st.Bsize), nil
}

// promised reports whether durability is promised on the file system.
func (d *directory) promised() bool {
	var st unix.Statfs_t
	if err := unix.Fstatfs(int(d.file.Fd()), &st); err != nil {
		return false
	}
	return runtime.GOOS == "linux" && (st.Type == ext4Type || st.Type == xfsType)
}
