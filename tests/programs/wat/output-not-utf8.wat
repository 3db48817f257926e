;; Returns bytes as its output that are no UTF-8.
(data (i32.const 2000) "\"\ff\fe\c0\80\"")
(func (export "wflo:step/handler@0.1.0#run") (param i32 i32) (result i32)
  (i32.store8 (i32.const 1024) (i32.const 0))
  (i32.store (i32.const 1028) (i32.const 2000))
  (i32.store (i32.const 1032) (i32.const 6))
  (i32.const 1024))
