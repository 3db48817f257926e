;; Uses a pollable that it has dropped.
;;! import wasi:clocks/monotonic-clock@0.2.12;
;;! import wasi:io/poll@0.2.12;
(import "wasi:clocks/monotonic-clock@0.2.12" "subscribe-duration" (func $timer (param i64) (result i32)))
(import "wasi:io/poll@0.2.12" "[resource-drop]pollable" (func $drop (param i32)))
(import "wasi:io/poll@0.2.12" "[method]pollable.ready" (func $ready (param i32) (result i32)))
(func (export "wflo:step/handler@0.1.0#run") (param i32 i32) (result i32)
  (local $timer i32)
  (local.set $timer (call $timer (i64.const 0)))
  (call $drop (local.get $timer))
  (drop (call $ready (local.get $timer)))
  (i32.const 1024))
