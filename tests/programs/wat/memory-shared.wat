;; Declares memory that threads would share.
(memory (export "memory") 1 1 shared)
