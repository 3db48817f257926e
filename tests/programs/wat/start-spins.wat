;; Spins before anything was asked of it.
(func $spin (loop $ever (br $ever)))
(start $spin)
