;; Logs at a level that there is not.
;;! import wasi:logging/logging@0.1.0-draft;
(import "wasi:logging/logging@0.1.0-draft" "log" (func $log (param i32 i32 i32 i32 i32)))
(func (export "wflo:step/handler@0.1.0#run") (param i32 i32) (result i32)
  (call $log (i32.const 77) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0))
  (i32.const 1024))
