;; Logs bytes that are no text, and what steers a terminal, in lines of 64 KiB.
(module
  (import "millrun" "log" (func $log (param i32 i32 i32)))
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
  (data (i32.const 0) "\ff\fe\80\1b[2J\1b]0;owned\07\00\0d\0a{\22level\22:\22error\22}\c3")
  (func (export "millrun_filter") (param $p i32) (param $len i32) (param $n i32) (result i32)
    (local $left i32)
    (local.set $left (i32.const 2000))
    (loop $l
      (call $log (i32.const 77) (i32.const 0) (i32.const 65536))
      (br_if $l (local.tee $left (i32.sub (local.get $left) (i32.const 1)))))
    ;; 8192 bytes of ones, for 65536 records, at byte 1024
    (memory.fill (i32.const 1024) (i32.const 255) (i32.const 8192))
    (i32.const 1024))
)
