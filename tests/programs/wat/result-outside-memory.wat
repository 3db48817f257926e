;; Says that its result is where it has no memory.
(func (export "wflo:step/handler@0.1.0#run") (param i32 i32) (result i32)
  (i32.const 0xfffffff0))
