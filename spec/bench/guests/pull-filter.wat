;; The filter of P15 for Redpanda's ABI, as fast as it gets: it reads records one by one and writes those whose value holds ERROR.
(module
  (import "redpanda_transform" "check_abi_version_1" (func $version))
  (import "redpanda_transform" "read_batch_header"
    (func $header (param i32 i32 i32 i32 i32 i32 i32 i32 i32 i32) (result i32)))
  (import "redpanda_transform" "read_next_record" (func $read (param i32 i32 i32 i32 i32) (result i32)))
  (import "redpanda_transform" "write_record" (func $write (param i32 i32) (result i32)))
  (memory (export "memory") 18)
  (global $at (mut i32) (i32.const 0))

  ;; The zigzag varint at $at, which moves behind it. Lengths here have at most 32 bits.
  (func $varint (result i32) (local $byte i32) (local $shift i32) (local $u i32)
    (loop $more
      (local.set $byte (i32.load8_u (global.get $at)))
      (global.set $at (i32.add (global.get $at) (i32.const 1)))
      (local.set $u (i32.or (local.get $u) (i32.shl (i32.and (local.get $byte) (i32.const 127)) (local.get $shift))))
      (local.set $shift (i32.add (local.get $shift) (i32.const 7)))
      (br_if $more (i32.ge_u (local.get $byte) (i32.const 128))))
    (i32.xor (i32.shr_u (local.get $u) (i32.const 1)) (i32.sub (i32.const 0) (i32.and (local.get $u) (i32.const 1)))))

  ;; Whether ERROR lies between p and end. 20 bytes after the end are read, whatever they hold.
  (func $found (param $p i32) (param $end i32) (result i32) (local $mask i32) (local $place i32)
    (local.set $end (i32.sub (local.get $end) (i32.const 4)))
    (block $none
      (loop $next
        (br_if $none (i32.ge_s (local.get $p) (local.get $end)))
        (local.set $mask (i8x16.bitmask (v128.and
          (i8x16.eq (v128.load (local.get $p)) (i8x16.splat (i32.const 0x45)))
          (i8x16.eq (v128.load offset=4 (local.get $p)) (i8x16.splat (i32.const 0x52))))))
        (block $miss
          (loop $hits
            (br_if $miss (i32.eqz (local.get $mask)))
            (local.set $place (i32.add (local.get $p) (i32.ctz (local.get $mask))))
            (br_if $miss (i32.ge_s (local.get $place) (local.get $end)))
            (if (i32.eq (i32.load (local.get $place)) (i32.const 0x4f525245)) (then (return (i32.const 1))))
            (local.set $mask (i32.and (local.get $mask) (i32.sub (local.get $mask) (i32.const 1))))
            (br $hits)))
        (local.set $p (i32.add (local.get $p) (i32.const 16)))
        (br $next)))
    (i32.const 0))

  ;; Whether the value of the payload at 1024 holds it.
  (func $keep (result i32) (local $n i32)
    (global.set $at (i32.const 1024))
    (local.set $n (call $varint))
    (if (i32.gt_s (local.get $n) (i32.const 0))
      (then (global.set $at (i32.add (global.get $at) (local.get $n)))))
    (local.set $n (call $varint))
    (if (i32.lt_s (local.get $n) (i32.const 5)) (then (return (i32.const 0))))
    (call $found (global.get $at) (i32.add (global.get $at) (local.get $n))))

  (func (export "_start") (local $n i32)
    (call $version)
    (loop $batches
      (drop (call $header (i32.const 44) (i32.const 40) (i32.const 36) (i32.const 34) (i32.const 30) (i32.const 22)
                          (i32.const 14) (i32.const 6) (i32.const 4) (i32.const 0)))
      (loop $records
        (if (i32.ge_s (local.tee $n (call $read (i32.const 76) (i32.const 68) (i32.const 60) (i32.const 1024) (i32.const 1048576)))
                      (i32.const 0))
          (then
            (if (call $keep) (then (drop (call $write (i32.const 1024) (local.get $n)))))
            (br $records))))
      (br $batches)))
)
