;; Asks for what it must not, by Redpanda's ABI, and keeps the answers at byte 128.
(module
  (import "redpanda_transform" "check_abi_version_1" (func $version))
  (import "redpanda_transform" "read_batch_header"
    (func $header (param i32 i32 i32 i32 i32 i32 i32 i32 i32 i32) (result i32)))
  (import "redpanda_transform" "read_next_record" (func $read (param i32 i32 i32 i32 i32) (result i32)))
  (import "redpanda_transform" "write_record" (func $write (param i32 i32) (result i32)))
  (import "redpanda_transform" "write_record_with_options" (func $writeTo (param i32 i32 i32 i32) (result i32)))
  (import "redpanda_schema_registry" "check_abi_version_0" (func $registry))
  (import "redpanda_schema_registry" "get_schema_definition_len" (func $schema (param i32 i32) (result i32)))
  (import "redpanda_schema_registry" "create_subject_schema" (func $subject (param i32 i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 17)
  (func $batch (result i32)
    (call $header (i32.const 44) (i32.const 40) (i32.const 36) (i32.const 34) (i32.const 30) (i32.const 22)
                  (i32.const 14) (i32.const 6) (i32.const 4) (i32.const 0)))
  (func $next (result i32)
    (call $read (i32.const 76) (i32.const 68) (i32.const 60) (i32.const 1024) (i32.const 1048576)))
  (data (i32.const 200) "\00\02v\00")       ;; an empty key, the value "v", no headers
  (data (i32.const 210) "\00\02v\00\00")     ;; a byte too many
  (data (i32.const 220) "\01\02b")           ;; to the output "b"
  (data (i32.const 230) "\01\02x")           ;; to one that is not declared
  (data (i32.const 240) "\02\02b")           ;; an option that nobody knows
  (func (export "_start")
    (call $version)
    (call $registry)
    (i32.store (i32.const 128) (call $write (i32.const 200) (i32.const 4)))
    (i32.store (i32.const 132) (call $next))
    (loop $batches
      (drop (call $batch))
      (i32.store (i32.const 136) (call $read (i32.const 76) (i32.const 68) (i32.const 60) (i32.const 1024) (i32.const 1)))
      (i32.store (i32.const 140) (call $write (i32.const 210) (i32.const 5)))
      (i32.store (i32.const 144) (call $write (i32.const 200) (i32.const 0)))
      (i32.store (i32.const 148) (call $writeTo (i32.const 200) (i32.const 4) (i32.const 240) (i32.const 3)))
      (i32.store (i32.const 152) (call $writeTo (i32.const 200) (i32.const 4) (i32.const 230) (i32.const 3)))
      (i32.store (i32.const 156) (call $writeTo (i32.const 200) (i32.const 4) (i32.const 220) (i32.const 3)))
      (i32.store (i32.const 160) (call $next))
      (i32.store (i32.const 164) (call $writeTo (i32.const 200) (i32.const 4) (i32.const 0) (i32.const 0)))
      (i32.store (i32.const 168) (call $next))
      (i32.store (i32.const 172) (call $write (i32.const 200) (i32.const 4)))
      (i32.store (i32.const 176) (call $schema (i32.const 7) (i32.const -1)))
      (i32.store (i32.const 180) (call $subject (i32.const -1) (i32.const 1) (i32.const -1) (i32.const 1) (i32.const -1)))
      (br $batches)))
)
