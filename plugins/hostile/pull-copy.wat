;; A tame guest of Redpanda's ABI: every record goes to the first output. What a batch and a record are like stands in the
;; first bytes of memory, field against field and the last one first, so that a write that is too wide shows.
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
  (data (i32.const 77) "\aa")
  (func (export "_start") (local $n i32)
    (call $version)
    (loop $batches
      (drop (call $batch))
      (loop $records
        (if (i32.ge_s (local.tee $n (call $next)) (i32.const 0))
          (then
            (drop (call $write (i32.const 1024) (local.get $n)))
            (br $records))))
      (br $batches)))
)
