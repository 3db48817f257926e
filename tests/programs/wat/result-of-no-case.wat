;; Returns neither an output nor a failure.
(func (export "wflo:step/handler@0.1.0#run") (param i32 i32) (result i32)
  (i32.store8 (i32.const 1024) (i32.const 7))
  (i32.const 1024))
