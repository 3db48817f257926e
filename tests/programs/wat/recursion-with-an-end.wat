;; Calls itself 100,000 times, which is more than the default stack holds, and then gives up.
(func $deep (param i32) (result i32)
  (if (i32.eqz (local.get 0)) (then (unreachable)))
  (i32.add (i32.const 1) (call $deep (i32.sub (local.get 0) (i32.const 1)))))
(func (export "wflo:step/handler@0.1.0#run") (param i32 i32) (result i32)
  (call $deep (i32.const 100000)))
