package rtc

import (
	"context"
	"fmt"
	"log/slog"
	"strings"

	"github.com/pion/logging"
)

// logFactory gives pion's parts loggers that write to ours. Pion warns of much that is
// ordinary in a network, so its warnings are our debug messages.
type logFactory struct{ log *slog.Logger }

func (f logFactory) NewLogger(scope string) logging.LeveledLogger {
	return logger{f.log.With("pion", scope)}
}

type logger struct{ log *slog.Logger }

func (l logger) emit(level slog.Level, text string) { l.log.Log(context.Background(), level, text) }

func (l logger) emitf(level slog.Level, format string, args []any) {
	if l.log.Enabled(context.Background(), level) {
		l.log.Log(context.Background(), level, fmt.Sprintf(format, args...))
	}
}

const levelTrace = slog.LevelDebug - 4

func (l logger) Trace(msg string)          { l.emit(levelTrace, msg) }
func (l logger) Tracef(f string, a ...any) { l.emitf(levelTrace, f, a) }
func (l logger) Debug(msg string)          { l.emit(levelTrace, msg) }
func (l logger) Debugf(f string, a ...any) { l.emitf(levelTrace, f, a) }
func (l logger) Info(msg string)           { l.emit(levelTrace, msg) }
func (l logger) Infof(f string, a ...any)  { l.emitf(levelTrace, f, a) }
func (l logger) Warn(msg string)           { l.emit(slog.LevelDebug, msg) }
func (l logger) Warnf(f string, a ...any)  { l.emitf(slog.LevelDebug, f, a) }
func (l logger) Error(msg string)          { l.emit(errorLevel(msg), msg) }
func (l logger) Errorf(f string, a ...any) { l.Error(fmt.Sprintf(f, a...)) }

// errorLevel leaves out what pion's parts report while their connection is being closed.
func errorLevel(msg string) slog.Level {
	if strings.Contains(msg, "closed") {
		return slog.LevelDebug
	}
	return slog.LevelWarn
}
