;; Says that it holds a million steps, all in the same few bytes of memory, each with a megabyte of summary.
(memory (export "memory") 1024)
(func (export "wflo:step/handler@0.1.0#describe") (result i32)
  (local $at i32)
  (local.set $at (i32.const 4096))
  (loop $next
    (i32.store (i32.add (local.get $at) (i32.const 8)) (i32.const 0))
    (i32.store (i32.add (local.get $at) (i32.const 12)) (i32.const 1048576))
    (local.set $at (i32.add (local.get $at) (i32.const 40)))
    (br_if $next (i32.lt_u (local.get $at) (i32.const 40004096))))
  (i32.store (i32.const 1024) (i32.const 4096))
  (i32.store (i32.const 1028) (i32.const 1000000))
  (i32.const 1024))
