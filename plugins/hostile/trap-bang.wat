;; A filter that traps when a call holds a record whose value begins with an exclamation mark, and lets all others pass.
(module
  (memory (export "memory") 1)
  (func $marker (export "millrun_abi_v1"))
  ;; the input buffer is everything from byte 16384 on
  (func $alloc (export "millrun_alloc") (param $n i32) (result i32)
    (local $short i32)
    (local.set $short
      (i32.sub (i32.add (local.get $n) (i32.const 16384)) (i32.mul (memory.size) (i32.const 65536))))
    (if (i32.gt_s (local.get $short) (i32.const 0))
      (then
        (if (i32.eq (memory.grow (i32.div_u (i32.add (local.get $short) (i32.const 65535)) (i32.const 65536)))
                    (i32.const -1))
          (then (return (i32.const 0))))))
    (i32.const 16384))
  (func $wants (export "millrun_wants") (result i32) (i32.const 4))
  (func $look (param $value i32)
    (if (i32.eq (i32.load8_u (local.get $value)) (i32.const 33))
      (then unreachable)))
  (func $filter (export "millrun_filter") (param $p i32) (param $len i32) (param $n i32) (result i32)
    (local $size i32)
    (loop $next
      (if (local.get $n)
        (then
          (local.set $size (i32.load offset=12 (local.get $p)))   ;; valueLen; -1 is null
          (local.set $p (i32.add (local.get $p) (i32.const 24)))
          (if (i32.gt_s (local.get $size) (i32.const 0))
            (then
              (call $look (local.get $p))
              (local.set $p (i32.add (local.get $p) (local.get $size)))))
          (local.set $n (i32.sub (local.get $n) (i32.const 1)))
          (br $next))))
    ;; 8192 bytes of ones, for 65536 records, at byte 1024
    (memory.fill (i32.const 1024) (i32.const 255) (i32.const 8192))
    (i32.const 1024))
)
