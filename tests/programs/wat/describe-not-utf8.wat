;; Gives a step a name that is no text.
(data (i32.const 2000) "\ff\ff\ff\ff\ff\ff\ff\ff")
(func (export "wflo:step/handler@0.1.0#describe") (result i32)
  (i32.store (i32.const 1024) (i32.const 3000))
  (i32.store (i32.const 1028) (i32.const 1))
  (i32.store (i32.const 3000) (i32.const 2000))
  (i32.store (i32.const 3004) (i32.const 8))
  (i32.const 1024))
