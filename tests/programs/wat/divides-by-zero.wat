;; Divides by zero.
(func (export "wflo:step/handler@0.1.0#run") (param i32 i32) (result i32)
  (i32.div_u (i32.const 1) (i32.const 0)))
