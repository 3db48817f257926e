;; Logs bytes that are no UTF-8.
;;! import wasi:logging/logging@0.1.0-draft;
(import "wasi:logging/logging@0.1.0-draft" "log" (func $log (param i32 i32 i32 i32 i32)))
(data (i32.const 2000) "\ff\fe\fd")
(func (export "wflo:step/handler@0.1.0#run") (param i32 i32) (result i32)
  (call $log (i32.const 2) (i32.const 2000) (i32.const 0) (i32.const 2000) (i32.const 3))
  (i32.const 1024))
