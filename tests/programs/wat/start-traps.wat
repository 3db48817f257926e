;; Traps before anything was asked of it.
(func $trap (unreachable))
(start $trap)
