;; Writes a million times the whole of its memory to stdout with one call of WASI.
(module
  (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 130)
  (func (export "millrun_abi_v1"))
  ;; the input buffer is everything from byte 16384 on
  (func (export "millrun_alloc") (param $n i32) (result i32)
    (local $short i32)
    (local.set $short
      (i32.sub (i32.add (local.get $n) (i32.const 16384)) (i32.mul (memory.size) (i32.const 65536))))
    (if (i32.gt_s (local.get $short) (i32.const 0))
      (then
        (if (i32.eq (memory.grow (i32.div_u (i32.add (local.get $short) (i32.const 65535)) (i32.const 65536)))
                    (i32.const -1))
          (then (return (i32.const 0))))))
    (i32.const 16384))
  (func (export "millrun_filter") (param $p i32) (param $len i32) (param $n i32) (result i32)
    (local $i i32)
    (local.set $i (i32.const 32768))
    (loop $l
      (i32.store (local.get $i) (i32.const 0))
      (i32.store offset=4 (local.get $i) (i32.const 65536))
      (br_if $l (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 8))) (i32.const 8388608))))
    (drop (call $write (i32.const 1) (i32.const 32768) (i32.const 1044480) (i32.const 512)))
    ;; 8192 bytes of ones, for 65536 records, at byte 1024
    (memory.fill (i32.const 1024) (i32.const 255) (i32.const 8192))
    (i32.const 1024))
)
