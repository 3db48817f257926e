;; Never comes back when it is told that its output was read.
(func (export "cabi_post_wflo:step/handler@0.1.0#run") (param i32)
  (loop $ever (br $ever)))
