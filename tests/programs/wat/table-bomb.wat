;; Grows a table until something gives.
(table $table 1 funcref)
(func (export "wflo:step/handler@0.1.0#run") (param i32 i32) (result i32)
  (loop $ever
    (drop (table.grow $table (ref.null func) (i32.const 1000)))
    (br $ever))
  (unreachable))
