;; Returns text as its output that is no JSON.
(data (i32.const 2000) "{\"a\":1,}")
(func (export "wflo:step/handler@0.1.0#run") (param i32 i32) (result i32)
  (i32.store8 (i32.const 1024) (i32.const 0))
  (i32.store (i32.const 1028) (i32.const 2000))
  (i32.store (i32.const 1032) (i32.const 8))
  (i32.const 1024))
