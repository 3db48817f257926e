;; Calls its host when it is told that its output was read.
;;! import wflo:step/context@0.1.0;
(import "wflo:step/context@0.1.0" "attempt" (func $attempt (result i32)))
(func (export "cabi_post_wflo:step/handler@0.1.0#run") (param i32)
  (drop (call $attempt)))
