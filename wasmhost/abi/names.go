package abi

// What a guest exports.
const (
	ExportMemory    = "memory"
	ExportMarker    = "millrun_abi_v1"    // () -> ()
	ExportAlloc     = "millrun_alloc"     // (n i32) -> i32
	ExportConfigure = "millrun_configure" // (p, len i32) -> i32, optional
	ExportWants     = "millrun_wants"     // () -> i32, optional
	ExportFilter    = "millrun_filter"    // (p, len, n i32) -> i32
	ExportTransform = "millrun_transform" // (p, len, n i32) -> i64
	ExportInit      = "_initialize"       // () -> (), optional
	ExportStart     = "_start"            // refused in a v1 module
)

// What a guest may import. WASI is whole: what a guest may not do answers ENOSYS.
const (
	ImportModule  = "millrun"
	ImportContext = "context" // (p, cap i32) -> i32
	ImportLog     = "log"     // (level, p, len i32)

	ImportFind      = "find"       // (p, len, needle, needleLen i32) -> i32
	ImportEquals    = "equals"     // (a, aLen, b, bLen i32) -> i32
	ImportJSONField = "json_field" // (p, len, path, pathLen i32) -> i64

	ImportWASI  = "wasi_snapshot_preview1"
	ImportEnv   = "env"
	ImportAbort = "abort" // (message, file, line, column i32), as AssemblyScript calls it
)

// EnvOutputTopic and a number name the outputs, in the order in which rows number
// them, in the guest's environment.
const EnvOutputTopic = "MILLRUN_OUTPUT_TOPIC_"

// Levels of millrun.log, and of every line that a guest writes.
const (
	LevelDebug = 0
	LevelInfo  = 1
	LevelWarn  = 2
	LevelError = 3
)

// LogFunc takes one line of a guest: what it logged, or a line of its stdout
// (LevelInfo) or stderr (LevelWarn). It is called on the goroutine that runs the
// guest and must not block. msg is valid UTF-8 without a line feed at its end.
type LogFunc func(level int, msg string)

// LevelName is the word for a level in logs and in the logs topic.
func LevelName(level int) string {
	switch level {
	case LevelDebug:
		return "debug"
	case LevelInfo:
		return "info"
	case LevelWarn:
		return "warn"
	default:
		return "error"
	}
}
