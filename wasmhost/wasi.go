package wasmhost

import (
	"encoding/binary"

	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/sys"

	"github.com/millrun/millrun/wasmhost/abi"
)

// WASI preview 1 as a guest finds it: standard output and error are log lines,
// standard input is empty, environment and arguments are the program's (environ.go),
// there are no files and no network; time is that of the records and random numbers
// follow from them, so that the same records give the same result.

// WASI's numbers for what happened.
const (
	wasiOK     = 0
	wasiBadF   = 8
	wasiFault  = 21
	wasiInval  = 28
	wasiNoSys  = 52
	wasiNotPip = 70 // ESPIPE: no seeking in a pipe
)

// wasiTypes gives every function of preview 1: i is an i32, I an i64; all but
// proc_exit return an errno.
var wasiTypes = []struct{ name, params string }{
	{"args_get", "ii"}, {"args_sizes_get", "ii"}, {"environ_get", "ii"}, {"environ_sizes_get", "ii"},
	{"clock_res_get", "ii"}, {"clock_time_get", "iIi"},
	{"fd_advise", "iIIi"}, {"fd_allocate", "iII"}, {"fd_close", "i"}, {"fd_datasync", "i"}, {"fd_fdstat_get", "ii"},
	{"fd_fdstat_set_flags", "ii"}, {"fd_fdstat_set_rights", "iII"}, {"fd_filestat_get", "ii"},
	{"fd_filestat_set_size", "iI"}, {"fd_filestat_set_times", "iIIi"}, {"fd_pread", "iiiIi"}, {"fd_prestat_get", "ii"},
	{"fd_prestat_dir_name", "iii"}, {"fd_pwrite", "iiiIi"}, {"fd_read", "iiii"}, {"fd_readdir", "iiiIi"},
	{"fd_renumber", "ii"}, {"fd_seek", "iIii"}, {"fd_sync", "i"}, {"fd_tell", "ii"}, {"fd_write", "iiii"},
	{"path_create_directory", "iii"}, {"path_filestat_get", "iiiii"}, {"path_filestat_set_times", "iiiiIIi"},
	{"path_link", "iiiiiii"}, {"path_open", "iiiiiIIii"}, {"path_readlink", "iiiiii"}, {"path_remove_directory", "iii"},
	{"path_rename", "iiiiii"}, {"path_symlink", "iiiii"}, {"path_unlink_file", "iii"},
	{"poll_oneoff", "iiii"}, {"proc_exit", "i"}, {"proc_raise", "i"}, {"sched_yield", ""}, {"random_get", "ii"},
	{"sock_accept", "iii"}, {"sock_recv", "iiiiii"}, {"sock_send", "iiiii"}, {"sock_shutdown", "ii"},
}

type wasiFunc func(i *Instance, mem api.Memory, args []uint64) (errno uint64)

// wasiFuncs is all of preview 1; what is not answered below says ENOSYS.
func wasiFuncs() []hostFunc {
	args := func(i *Instance) []string { return i.program.args }
	environ := func(i *Instance) []string { return i.program.environ }
	answered := map[string]wasiFunc{
		"args_get": wasiStrings(args), "args_sizes_get": wasiSizes(args),
		"environ_get": wasiStrings(environ), "environ_sizes_get": wasiSizes(environ),
		"clock_res_get": wasiClockRes, "clock_time_get": wasiClockTime, "random_get": wasiRandom,
		"fd_close": wasiStdio(wasiOK), "fd_fdstat_get": wasiFdstat, "fd_prestat_get": wasiStdio(wasiBadF),
		"fd_read": wasiRead, "fd_write": wasiWrite, "fd_seek": wasiStdio(wasiNotPip), "fd_tell": wasiStdio(wasiNotPip),
		"poll_oneoff": wasiPoll, "sched_yield": wasiNothing,
	}
	var out []hostFunc
	for _, t := range wasiTypes {
		params := make([]byte, len(t.params))
		for n := range params {
			params[n] = i32[0]
			if t.params[n] == 'I' {
				params[n] = i64[0]
			}
		}
		f := hostFunc{module: abi.ImportWASI, name: t.name, params: string(params), results: i32}
		if t.name == "proc_exit" {
			f.results, f.call = "", wasiExit
		} else {
			answer, ok := answered[t.name]
			if !ok {
				answer = func(*Instance, api.Memory, []uint64) uint64 { return wasiNoSys }
			}
			f.call = func(i *Instance, mem api.Memory, stack []uint64) { stack[0] = answer(i, mem, stack) }
		}
		out = append(out, f)
	}
	return out
}

func wasiExit(i *Instance, _ api.Memory, stack []uint64) {
	i.exited = true
	panic(sys.NewExitError(uint32(stack[0])))
}

func wasiNothing(*Instance, api.Memory, []uint64) uint64 { return wasiOK }

// wasiSizes is how many strings there are, and their bytes, zeros included.
func wasiSizes(of func(*Instance) []string) wasiFunc {
	return func(i *Instance, mem api.Memory, a []uint64) uint64 {
		all, size := of(i), 0
		for _, v := range all {
			size += len(v) + 1
		}
		if !mem.WriteUint32Le(uint32(a[0]), uint32(len(all))) || !mem.WriteUint32Le(uint32(a[1]), uint32(size)) {
			return wasiFault
		}
		return wasiOK
	}
}

// wasiStrings writes a pointer to each string, and the strings, which end in a zero.
func wasiStrings(of func(*Instance) []string) wasiFunc {
	return func(i *Instance, mem api.Memory, a []uint64) uint64 {
		at, text := uint32(a[0]), uint32(a[1])
		for _, v := range of(i) {
			if !mem.WriteUint32Le(at, text) || !mem.WriteString(text, v) || !mem.WriteByte(text+uint32(len(v)), 0) {
				return wasiFault
			}
			at += 4
			text += uint32(len(v)) + 1
		}
		return wasiOK
	}
}

// wasiStdio answers errno for the three standard descriptors, EBADF for others:
// a language's start-up code counts on EBADF to learn that no folder is open.
func wasiStdio(errno uint64) wasiFunc {
	return func(_ *Instance, _ api.Memory, a []uint64) uint64 {
		if uint32(a[0]) > 2 {
			return wasiBadF
		}
		return errno
	}
}

// wasiFdstat describes the standard descriptors as a terminal's: u8 type, u16
// flags, u64 rights, u64 rights of what is opened through it.
func wasiFdstat(_ *Instance, mem api.Memory, a []uint64) uint64 {
	fd := uint32(a[0])
	if fd > 2 {
		return wasiBadF
	}
	stat, ok := mem.Read(uint32(a[1]), 24)
	if !ok {
		return wasiFault
	}
	const characterDevice, mayRead, mayWrite = 2, 1 << 1, 1 << 6
	clear(stat)
	stat[0], stat[8] = characterDevice, mayWrite
	if fd == 0 {
		stat[8] = mayRead
	}
	return wasiOK
}

// wasiRead is the end of standard input.
func wasiRead(_ *Instance, mem api.Memory, a []uint64) uint64 {
	if uint32(a[0]) != 0 {
		return wasiBadF
	}
	if !mem.WriteUint32Le(uint32(a[3]), 0) {
		return wasiFault
	}
	return wasiOK
}

// wasiWrite takes what stands in the buffers up to a bound, so that a list of a
// million overlapping buffers is not one long call, and says how much it took.
func wasiWrite(i *Instance, mem api.Memory, a []uint64) uint64 {
	fd, list, n := uint32(a[0]), uint32(a[1]), uint32(a[2])
	if fd != 1 && fd != 2 {
		return wasiBadF
	}
	i.allowance.handle(writeBytes)
	taken := uint32(0)
	for range min(n, writeBuffers) {
		p, ok1 := mem.ReadUint32Le(list)
		size, ok2 := mem.ReadUint32Le(list + 4)
		if !ok1 || !ok2 {
			return wasiFault
		}
		b, ok := mem.Read(p, min(size, writeBytes-taken))
		if !ok {
			return wasiFault
		}
		i.out.write(int(fd), b)
		taken += uint32(len(b))
		if taken == writeBytes {
			break
		}
		list += 8
	}
	if !mem.WriteUint32Le(uint32(a[3]), taken) {
		return wasiFault
	}
	return wasiOK
}

// wasiPoll lets every subscription happen at once; waiting for a clock moves it.
func wasiPoll(i *Instance, mem api.Memory, a []uint64) uint64 {
	const subscription, event = 48, 32
	n := uint32(a[2])
	if n == 0 || n > pollSubscribe {
		return wasiInval
	}
	in, ok1 := mem.Read(uint32(a[0]), n*subscription)
	out, ok2 := mem.Read(uint32(a[1]), n*event)
	if !ok1 || !ok2 || !mem.WriteUint32Le(uint32(a[3]), n) {
		return wasiFault
	}
	i.allowance.handle(int(n) * subscription)
	le := binary.LittleEndian
	for k := range n {
		// A copy: in and out may overlap. 0 user data, 8 kind, 16 clock or fd, 24 time, 40 flags.
		var s [subscription]byte
		copy(s[:], in[k*subscription:])
		e := out[k*event:][:event]
		clear(e)
		copy(e, s[:8])
		e[10] = s[8]
		switch fd := le.Uint32(s[16:]); {
		case s[8] == 0:
			i.time.wait(fd, le.Uint64(s[24:]), s[40]&1 != 0)
		case fd > 2:
			le.PutUint16(e[8:], wasiBadF)
		}
	}
	return wasiOK
}
