;; Asks for things while it only is to say what it holds.
;;! import wflo:step/context@0.1.0;
(import "wflo:step/context@0.1.0" "attempt" (func $attempt (result i32)))
(func (export "wflo:step/handler@0.1.0#describe") (result i32)
  (drop (call $attempt))
  (i32.const 1024))
