package wflo

import (
	"bytes"
	"context"
	"log"
	"log/slog"
	"time"

	host "github.com/wflo-ai/wflo/guest-sdk/go/internal/wit/imports/wasi_logging_logging"
)

// LevelTrace is below [slog.LevelDebug].
const LevelTrace = slog.Level(-8)

// LogHandler is a [slog.Handler] that hands messages to wflo, with their attributes as fields. It is the default's already,
// and its zero value is ready; Level is the lowest that is kept.
type LogHandler struct {
	Level  slog.Level
	fields []byte
	groups []string
}

// installLog has every logger end at wflo.
func installLog() {
	slog.SetDefault(slog.New(&LogHandler{Level: slog.LevelInfo}))
	// wflo keeps the time.
	log.SetFlags(0)
}

// Enabled says whether messages of a level are kept.
func (h *LogHandler) Enabled(_ context.Context, level slog.Level) bool { return level >= h.Level }

// Handle logs a message.
func (h *LogHandler) Handle(_ context.Context, record slog.Record) error {
	line := append([]byte(`{"message":`), written(record.Message)...)
	line = append(line, h.fields...)
	record.Attrs(func(attr slog.Attr) bool {
		line = appendAttr(line, h.groups, attr)
		return true
	})
	host.Log(level(record.Level), "", string(append(line, '}')))
	return nil
}

// WithAttrs gives a handler whose messages all have these fields.
func (h *LogHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	more := *h
	more.fields = bytes.Clone(h.fields)
	for _, attr := range attrs {
		more.fields = appendAttr(more.fields, h.groups, attr)
	}
	return &more
}

// WithGroup gives a handler whose fields begin with a name and a dot.
func (h *LogHandler) WithGroup(name string) slog.Handler {
	more := *h
	if name != "" {
		more.groups = append(h.groups[:len(h.groups):len(h.groups)], name)
	}
	return &more
}

func appendAttr(line []byte, groups []string, attr slog.Attr) []byte {
	value := attr.Value.Resolve()
	if value.Kind() == slog.KindGroup {
		if attr.Key != "" {
			groups = append(groups[:len(groups):len(groups)], attr.Key)
		}
		for _, attr := range value.Group() {
			line = appendAttr(line, groups, attr)
		}
		return line
	}
	if attr.Equal(slog.Attr{}) {
		return line
	}
	key := ""
	for _, group := range groups {
		key += group + "."
	}
	key += attr.Key
	// A field of that name must not take the place of the message.
	if key == "message" {
		key = "message_"
	}
	line = append(append(append(line, ','), written(key)...), ':')
	return append(line, written(plain(value))...)
}

func plain(value slog.Value) any {
	switch it := value.Any().(type) {
	case error:
		return it.Error()
	case time.Duration:
		return it.String()
	default:
		return it
	}
}

// written is a value as JSON. One that has no such form says why, and fails nothing.
func written(value any) []byte {
	text, err := Marshal(value)
	if err != nil {
		text, _ = Marshal(err.Error())
	}
	return text
}

func level(level slog.Level) host.Level {
	switch {
	case level >= slog.LevelError:
		return host.Level_Error
	case level >= slog.LevelWarn:
		return host.Level_Warn
	case level >= slog.LevelInfo:
		return host.Level_Info
	case level >= slog.LevelDebug:
		return host.Level_Debug
	default:
		return host.Level_Trace
	}
}
