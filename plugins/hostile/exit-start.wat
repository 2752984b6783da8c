;; Ends itself with exit code 0 as soon as it is started.
(module
  (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
  (memory (export "memory") 1)
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
  (func (export "_initialize") (call $exit (i32.const 0)))
  (func (export "millrun_filter") (param $p i32) (param $len i32) (param $n i32) (result i32)
    (i32.const 1024))
)
