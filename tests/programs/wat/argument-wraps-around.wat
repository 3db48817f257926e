;; Passes a list whose size in bytes wraps around 32 bits.
;;! import wasi:io/poll@0.2.12;
(import "wasi:io/poll@0.2.12" "poll" (func $poll (param i32 i32 i32)))
(func (export "wflo:step/handler@0.1.0#run") (param i32 i32) (result i32)
  (call $poll (i32.const 0) (i32.const 0x40000001) (i32.const 1024))
  (i32.const 1024))
