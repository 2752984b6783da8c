;; A filter that keeps the records whose value begins with the byte of its
;; configuration: {"first":"A"}. It asks for the value column only.
(module
  (import "millrun" "log" (func $log (param i32 i32 i32)))
  (memory (export "memory") 1)
  (data (i32.const 16) "give exactly one key, first, of one character")
  (data (i32.const 64) "{\"first\":\"")
  (global $first (mut i32) (i32.const 0))

  (func (export "millrun_abi_v1"))

  ;; The input buffer is everything from byte 16384 on; memory grows to hold it.
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

  ;; Accepts exactly {"first":"?"}, which has 13 bytes.
  (func (export "millrun_configure") (param $p i32) (param $len i32) (result i32)
    (local $i i32)
    (block $bad
      (br_if $bad (i32.ne (local.get $len) (i32.const 13)))
      (loop $next
        (br_if $bad (i32.ne (i32.load8_u (i32.add (local.get $p) (local.get $i)))
                            (i32.load8_u offset=64 (local.get $i))))
        (br_if $next (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 10))))
      (global.set $first (i32.load8_u offset=10 (local.get $p)))
      (return (i32.const 0)))
    (call $log (i32.const 3) (i32.const 16) (i32.const 45))
    (i32.const 1))

  (func (export "millrun_wants") (result i32) (i32.const 4))

  ;; The bitmap is at byte 1024; it has room for the 65536 records that a call can have.
  (func (export "millrun_filter") (param $p i32) (param $len i32) (param $n i32) (result i32)
    (local $i i32) (local $size i32) (local $at i32)
    (if (i32.gt_u (local.get $n) (i32.const 65536)) (then (return (i32.const 0))))
    (memory.fill (i32.const 1024) (i32.const 0) (i32.const 8192))
    (loop $next
      (if (i32.lt_u (local.get $i) (local.get $n))
        (then
          (local.set $size (i32.load offset=12 (local.get $p)))   ;; valueLen; -1 is null
          (if (i32.gt_s (local.get $size) (i32.const 0))
            (then
              (if (i32.eq (i32.load8_u offset=24 (local.get $p)) (global.get $first))
                (then
                  (local.set $at (i32.add (i32.const 1024) (i32.shr_u (local.get $i) (i32.const 3))))
                  (i32.store8 (local.get $at)
                    (i32.or (i32.load8_u (local.get $at))
                            (i32.shl (i32.const 1) (i32.and (local.get $i) (i32.const 7)))))))
              (local.set $p (i32.add (local.get $p) (local.get $size)))))
          (local.set $p (i32.add (local.get $p) (i32.const 24)))
          (local.set $i (i32.add (local.get $i) (i32.const 1)))
          (br $next))))
    (i32.const 1024)))
