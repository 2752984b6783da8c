;; Asks for a batch of Redpanda's ABI in its start section.
(module
  (import "redpanda_transform" "check_abi_version_1" (func $version))
  (import "redpanda_transform" "read_batch_header"
    (func $header (param i32 i32 i32 i32 i32 i32 i32 i32 i32 i32) (result i32)))
  (import "redpanda_transform" "read_next_record" (func $read (param i32 i32 i32 i32 i32) (result i32)))
  (import "redpanda_transform" "write_record" (func $write (param i32 i32) (result i32)))
  (memory (export "memory") 17)
  (func $batch (result i32)
    (call $header (i32.const 44) (i32.const 40) (i32.const 36) (i32.const 34) (i32.const 30) (i32.const 22)
                  (i32.const 14) (i32.const 6) (i32.const 4) (i32.const 0)))
  (func $next (result i32)
    (call $read (i32.const 76) (i32.const 68) (i32.const 60) (i32.const 1024) (i32.const 1048576)))
  (func $early (drop (call $batch)))
  (start $early)
  (func (export "_start") (drop (call $batch)))
)
