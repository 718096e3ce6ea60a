//go:build !linux && !darwin

package badgerstore

import (
	"errors"
	"os"
)

func lock(*os.File) error {
	return errors.ErrUnsupported
}

func (d *directory) free() (int64, error) {
	return 0, errors.ErrUnsupported
}

func (d *directory) promised() bool {
	return false
}
