;; Calls a function that is not there.
(table 1 funcref)
(func (export "wflo:step/handler@0.1.0#run") (param i32 i32) (result i32)
  (call_indirect (result i32) (i32.const 0)))
