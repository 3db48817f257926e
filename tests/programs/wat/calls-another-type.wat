;; Calls a function as if it had another type.
(table funcref (elem $other))
(func $other (param i64) (result i64) (local.get 0))
(func (export "wflo:step/handler@0.1.0#run") (param i32 i32) (result i32)
  (call_indirect (result i32) (i32.const 0)))
