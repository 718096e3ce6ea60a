package badgerstore

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync/atomic"
)

// logger is a badger.Logger.
type logger struct {
	to *slog.Logger
	// errors counts what Badger calls an error. Some, as of a sync of the value
	// log that failed, it tells nobody but its log.
	errors *atomic.Int64
}

func (l logger) Errorf(format string, args ...any) {
	l.errors.Add(1)
	l.log(slog.LevelError, format, args)
}
func (l logger) Warningf(format string, args ...any) { l.log(slog.LevelWarn, format, args) }
func (l logger) Infof(format string, args ...any)    { l.log(slog.LevelDebug, format, args) } // mostly dumps of levels
func (l logger) Debugf(format string, args ...any)   { l.log(slog.LevelDebug, format, args) }

func (l logger) log(level slog.Level, format string, args []any) {
	if !l.to.Enabled(context.Background(), level) {
		return
	}
	text := format // Badger also logs texts that were never meant as formats
	if len(args) > 0 {
		text = fmt.Sprintf(format, args...)
	}
	if text = strings.TrimSpace(text); text != "" {
		l.to.Log(context.Background(), level, "badger: "+text)
	}
}
