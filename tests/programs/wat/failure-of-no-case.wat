;; Fails in a way that there is not.
(func (export "wflo:step/handler@0.1.0#run") (param i32 i32) (result i32)
  (i32.store8 (i32.const 1024) (i32.const 1))
  (i32.store8 (i32.const 1028) (i32.const 99))
  (i32.const 1024))
