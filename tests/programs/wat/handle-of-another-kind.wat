;; Passes a stream where a pollable is expected.
;;! import wasi:cli/stdout@0.2.12;
;;! import wasi:io/poll@0.2.12;
(import "wasi:cli/stdout@0.2.12" "get-stdout" (func $stdout (result i32)))
(import "wasi:io/poll@0.2.12" "[method]pollable.ready" (func $ready (param i32) (result i32)))
(func (export "wflo:step/handler@0.1.0#run") (param i32 i32) (result i32)
  (drop (call $ready (call $stdout)))
  (i32.const 1024))
