;; Exports as its own a function that it imports.
(module
  (import "wasi_snapshot_preview1" "random_get" (func $random (param i32 i32) (result i32)))
  (export "millrun_configure" (func $random))
  (memory (export "memory") 1)
  (func (export "millrun_abi_v1"))
  (func (export "millrun_alloc") (param $n i32) (result i32) (i32.const 16384))
  (func (export "millrun_filter") (param $p i32) (param $len i32) (param $n i32) (result i32)
    (i32.const 1024))
)
