;; Reads past the end of its memory.
(func (export "wflo:step/handler@0.1.0#run") (param i32 i32) (result i32)
  (i32.load (i32.const 0x7fffffff)))
