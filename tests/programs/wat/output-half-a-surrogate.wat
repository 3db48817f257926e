;; Returns half a surrogate pair as UTF-8, which it is not.
(data (i32.const 2000) "\"\ed\a0\80\"")
(func (export "wflo:step/handler@0.1.0#run") (param i32 i32) (result i32)
  (i32.store8 (i32.const 1024) (i32.const 0))
  (i32.store (i32.const 1028) (i32.const 2000))
  (i32.store (i32.const 1032) (i32.const 5))
  (i32.const 1024))
