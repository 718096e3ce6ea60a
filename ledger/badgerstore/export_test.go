package badgerstore

import "time"

// SetFree has the store believe in this much free space from now on.
func SetFree(s *Store, bytes int64) {
	s.space.free = func() (int64, error) { return bytes, nil }
	s.space.passed = spaceEveryBytes // look at the next commit
}

// SetFailing has the sync of names fail, at the next commit.
func SetFailing(s *Store) {
	s.dir.file.Close()
}

// Synced returns the time of the last change of names that is durable.
func Synced(s *Store) time.Time {
	return s.dir.synced
}

// LogError is what Badger does with some errors that it tells nobody.
func LogError(s *Store) { s.errors.Add(1) }
