;; Offers an input buffer that starts inside its memory and ends beyond.
(module
  (memory (export "memory") 1)
  (func (export "millrun_abi_v1"))
  (func (export "millrun_alloc") (param $n i32) (result i32)
    (i32.const 0xfff0))
  (func (export "millrun_filter") (param $p i32) (param $len i32) (param $n i32) (result i32)
    ;; 8192 bytes of ones, for 65536 records, at byte 1024
    (memory.fill (i32.const 1024) (i32.const 255) (i32.const 8192))
    (i32.const 1024))
)
