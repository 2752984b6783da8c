package millrun

import (
	"strconv"
	"syscall"

	"github.com/millrun/millrun/plugins/sdk/go/internal/le"
)

// Level is how much a log line matters.
type Level int32

// The levels of log lines.
const (
	Debug Level = iota
	Info
	Warn
	Error
)

// Log writes a line to the deployment's log (millrun wasm logs NAME).
func Log(level Level, message string) { hostLog(level, message) }

// Call says where the records of the current call come from.
type Call struct {
	Topic         string
	Partition     int32
	BaseOffset    int64
	BaseTimestamp int64 // ms
}

// Current asks the host for the current call. It is the zero Call while a module
// is being configured.
func Current() Call {
	buf := make([]byte, 64)
	size := hostContext(buf)
	if size > len(buf) {
		buf = make([]byte, size)
		size = hostContext(buf)
	}
	return parseCall(buf[:size])
}

func parseCall(p []byte) Call {
	const head = 26
	if len(p) < head {
		return Call{}
	}
	topic := p[head:]
	return Call{
		Partition:     int32(le.Uint32(p[4:])),
		BaseOffset:    int64(le.Uint64(p[8:])),
		BaseTimestamp: int64(le.Uint64(p[16:])),
		Topic:         string(topic[:min(len(topic), int(le.Uint16(p[24:])))]),
	}
}

// Outputs are the topics that the deployment writes to, in the order in which a
// transform numbers them.
func Outputs() []string {
	var topics []string
	for {
		topic, ok := syscall.Getenv("MILLRUN_OUTPUT_TOPIC_" + strconv.Itoa(len(topics)))
		if !ok {
			return topics
		}
		topics = append(topics, topic)
	}
}

// Guest is what the packages filter and transform register.
type Guest struct {
	Wants     Wants
	Configure func(Config) error // may be nil: then any key is refused
}

// registered is set by a module's init and read by its exports: a guest has one
// thread, and one module in it.
var registered Guest

// Register makes g the module. filter.Register and transform.Register call it.
func Register(g Guest) {
	if g.Wants == 0 {
		g.Wants = All
	}
	registered = g
}

// configure is millrun_configure: 0, or 1 after a log line with the reason.
func configure(text []byte) int32 {
	c, err := ParseConfig(text)
	if err == nil {
		if registered.Configure != nil {
			err = registered.Configure(c)
		} else if len(c) > 0 {
			err = c.Only()
		}
	}
	if err != nil {
		Log(Error, err.Error())
		return 1
	}
	return 0
}
