;; A transform of rows that gives every record back to the first output, its key and value copied: what rows cost both ways.
(module
  (memory (export "memory") 2)
  (global $room (mut i32) (i32.const 0))
  (func (export "millrun_abi_v1"))

  ;; The input is at 65536, and the answer, which is at most a third larger, behind it.
  (func (export "millrun_alloc") (param $n i32) (result i32) (local $short i32)
    (if (i32.gt_u (local.get $n) (i32.const 0x10000000)) (then (return (i32.const 0))))
    (global.set $room (i32.and (i32.add (local.get $n) (i32.const 15)) (i32.const -16)))
    (local.set $short (i32.sub (i32.add (i32.mul (global.get $room) (i32.const 3)) (i32.const 131072))
                               (i32.mul (memory.size) (i32.const 65536))))
    (if (i32.gt_s (local.get $short) (i32.const 0))
      (then (if (i32.eq (memory.grow (i32.div_u (i32.add (local.get $short) (i32.const 65535)) (i32.const 65536))) (i32.const -1))
        (then (return (i32.const 0))))))
    (i32.const 65536))

  (func (export "millrun_wants") (result i32) (i32.const 6)) ;; key and value

  (func (export "millrun_transform") (param $p i32) (param $len i32) (param $n i32) (result i64)
    (local $start i32) (local $to i32) (local $i i32) (local $key i32) (local $value i32) (local $bytes i32)
    (local.set $start (i32.add (i32.const 65536) (global.get $room)))
    (local.set $to (local.get $start))
    (block $done
      (loop $next
        (br_if $done (i32.ge_u (local.get $i) (local.get $n)))
        (local.set $key (i32.load offset=8 (local.get $p)))
        (local.set $value (i32.load offset=12 (local.get $p)))
        (i64.store (local.get $to) (i64.const -1))
        (i32.store offset=8 (local.get $to) (local.get $key))
        (i32.store offset=12 (local.get $to) (local.get $value))
        (i32.store offset=16 (local.get $to) (i32.const -2))
        (i32.store offset=20 (local.get $to) (local.get $i))
        (i64.store offset=24 (local.get $to) (i64.const 0))
        (local.set $bytes (i32.add
          (select (local.get $key) (i32.const 0) (i32.gt_s (local.get $key) (i32.const 0)))
          (select (local.get $value) (i32.const 0) (i32.gt_s (local.get $value) (i32.const 0)))))
        (memory.copy (i32.add (local.get $to) (i32.const 32)) (i32.add (local.get $p) (i32.const 24)) (local.get $bytes))
        (local.set $p (i32.add (local.get $p) (i32.add (local.get $bytes) (i32.const 24))))
        (local.set $to (i32.add (local.get $to) (i32.add (local.get $bytes) (i32.const 32))))
        (local.set $i (i32.add (local.get $i) (i32.const 1)))
        (br $next)))
    (i64.or (i64.shl (i64.extend_i32_u (local.get $start)) (i64.const 32))
            (i64.extend_i32_u (i32.sub (local.get $to) (local.get $start)))))
)
