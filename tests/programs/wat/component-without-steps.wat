;; Exports nothing.
;;! component
(component)
