;; Is a core module and no component.
;;! component
(module (func (export "run")))
