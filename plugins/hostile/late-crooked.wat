;; Offers a good small input buffer, and one that is not aligned when more is asked for.
(module
  (memory (export "memory") 2)
  (func (export "millrun_abi_v1"))
  (func (export "millrun_alloc") (param $n i32) (result i32)
    (if (i32.le_u (local.get $n) (i32.const 4096)) (then (return (i32.const 16384))))
    (i32.const 16385))
  (func (export "millrun_filter") (param $p i32) (param $len i32) (param $n i32) (result i32)
    (i32.const 1024))
)
