;; Declares more memory than a step may have.
(memory (export "memory") 2000)
