;; Declares more memories than an instance may have.
(memory (export "memory") 1) (memory 1) (memory 1) (memory 1)
