//go:build linux || darwin

package node

import "golang.org/x/sys/unix"

// freeBytes returns the bytes that the file system of a directory has for an
// ordinary user.
func freeBytes(dir string) (int64, error) {
	var st unix.Statfs_t
	if err := unix.Statfs(dir, &st); err != nil {
		return 0, err
	}
	return int64(st.Bavail) * int64(st.Bsize), nil
}
