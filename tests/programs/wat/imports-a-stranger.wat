;; Imports an interface that nobody offers.
;;! import evil:corp/spy;
(import "evil:corp/spy" "tell" (func $tell (param i32 i32)))
(func (export "wflo:step/handler@0.1.0#run") (param i32 i32) (result i32)
  (call $tell (local.get 0) (local.get 1))
  (i32.const 1024))
