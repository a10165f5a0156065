;; The WASI preview 1 functions that the guest's Rust and C libraries import. They use the three
;; component interfaces that the host links: two clocks and random numbers. preview1.rs merges this
;; module into the guest.
;;
;; Only `clock_time_get` and `random_get` have an effect. The engine has no environment, files or
;; exit. The other functions return preview 1's error codes.
;;
;; Functions that the guest does not import are left out. If a change of the guest needs another
;; function, the build names it.
(module
  (import "wasi:clocks/wall-clock@0.2.12" "now" (func $wall_now (param $datetime i32)))
  (import "wasi:clocks/monotonic-clock@0.2.12" "now" (func $monotonic_now (result i64)))
  (import "wasi:random/random@0.2.12" "get-random-u64" (func $random_u64 (result i64)))
  ;; The guest's memory.
  (import "guest" "memory" (memory 0))

  ;; Errno: success 0, badf 8, inval 28.

  ;; clock_time_get(id, precision, out: *mut u64) -> errno
  (func (export "clock_time_get")
    (param $id i32) (param $precision i64) (param $out i32) (result i32)
    (local $beyond i64)
    ;; 0 is the wall clock.
    (if (i32.eqz (local.get $id))
      (then
        ;; `now` writes a record of 16 bytes (seconds u64, nanoseconds u32), but the caller provides 8.
        ;; The next 8 bytes are saved and restored.
        (local.set $beyond (i64.load offset=8 (local.get $out)))
        (call $wall_now (local.get $out))
        (i64.store (local.get $out)
          (i64.add
            (i64.mul (i64.load (local.get $out)) (i64.const 1000000000))
            (i64.load32_u offset=8 (local.get $out))))
        (i64.store offset=8 (local.get $out) (local.get $beyond))
        (return (i32.const 0))))
    ;; 1 is the monotonic clock.
    (if (i32.eq (local.get $id) (i32.const 1))
      (then
        (i64.store (local.get $out) (call $monotonic_now))
        (return (i32.const 0))))
    ;; The CPU clocks do not exist here.
    (i32.const 28))

  ;; random_get(buffer: *mut u8, length) -> errno
  (func (export "random_get") (param $buffer i32) (param $length i32) (result i32)
    (local $word i64)
    ;; Eight bytes at a time ...
    (block $tail
      (loop $words
        (br_if $tail (i32.lt_u (local.get $length) (i32.const 8)))
        (i64.store align=1 (local.get $buffer) (call $random_u64))
        (local.set $buffer (i32.add (local.get $buffer) (i32.const 8)))
        (local.set $length (i32.sub (local.get $length) (i32.const 8)))
        (br $words)))
    ;; ... and the last few from one more number, lowest byte first.
    (if (local.get $length)
      (then
        (local.set $word (call $random_u64))
        (loop $bytes
          (i32.store8 (local.get $buffer) (i32.wrap_i64 (local.get $word)))
          (local.set $word (i64.shr_u (local.get $word) (i64.const 8)))
          (local.set $buffer (i32.add (local.get $buffer) (i32.const 1)))
          (local.set $length (i32.sub (local.get $length) (i32.const 1)))
          (br_if $bytes (local.get $length)))))
    (i32.const 0))

  ;; environ_sizes_get(count: *mut u32, bytes: *mut u32) -> errno: no variables.
  (func (export "environ_sizes_get") (param $count i32) (param $bytes i32) (result i32)
    (i32.store (local.get $count) (i32.const 0))
    (i32.store (local.get $bytes) (i32.const 0))
    (i32.const 0))

  (func (export "environ_get") (param $pointers i32) (param $bytes i32) (result i32)
    (i32.const 0))

  ;; No descriptor is open, standard output and standard error included.
  (func (export "fd_close") (param $fd i32) (result i32)
    (i32.const 8))

  (func (export "fd_fdstat_get") (param $fd i32) (param $stat i32) (result i32)
    (i32.const 8))

  (func (export "fd_seek")
    (param $fd i32) (param $offset i64) (param $whence i32) (param $position i32) (result i32)
    (i32.const 8))

  (func (export "fd_write")
    (param $fd i32) (param $buffers i32) (param $count i32) (param $written i32) (result i32)
    (i32.const 8))

  ;; Only the host ends a run, so an exit is a trap.
  (func (export "proc_exit") (param $code i32)
    (unreachable)))
