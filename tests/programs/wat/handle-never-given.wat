;; Asks whether a pollable is ready that it was never given.
;;! import wasi:io/poll@0.2.12;
(import "wasi:io/poll@0.2.12" "[method]pollable.ready" (func $ready (param i32) (result i32)))
(func (export "wflo:step/handler@0.1.0#run") (param i32 i32) (result i32)
  (drop (call $ready (i32.const 12345)))
  (i32.const 1024))
