;; Imports a function of wflo's by its name, with a type that it does not have.
;;! component
(component
  (import "wflo:step/context@0.1.0" (instance (export "attempt" (func (result string))))))
