;; Declares more memory than any instance can have.
(memory (export "memory") 20000)
