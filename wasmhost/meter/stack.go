package meter

import (
	"reflect"

	"github.com/tetratelabs/wazero/api"
)

// StackBytes is how much memory the runtime holds for the call stack of a function
// that was exported: it doubles as calls go deeper, up to 400 MB, and never shrinks.
// The runtime does not tell, so it is read from its own structure. -1: it could not be
// read, as this is not the compiler's function or not the runtime that go.mod asks for.
func StackBytes(f api.Function) int {
	v := reflect.ValueOf(f)
	if v.Kind() != reflect.Pointer || v.Elem().Kind() != reflect.Struct {
		return -1
	}
	stack := v.Elem().FieldByName("stack")
	if stack.Kind() != reflect.Slice || stack.Type().Elem().Kind() != reflect.Uint8 {
		return -1
	}
	return stack.Len()
}
