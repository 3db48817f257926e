;; Tries the first thousand numbers for a handle that might be somebody else's.
;;! import wasi:io/poll@0.2.12;
(import "wasi:io/poll@0.2.12" "[method]pollable.ready" (func $ready (param i32) (result i32)))
(func (export "wflo:step/handler@0.1.0#run") (param i32 i32) (result i32)
  (local $n i32)
  (loop $next
    (drop (call $ready (local.get $n)))
    (local.set $n (i32.add (local.get $n) (i32.const 1)))
    (br_if $next (i32.lt_u (local.get $n) (i32.const 1000))))
  (i32.const 1024))
