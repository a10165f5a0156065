(component
  
  (core module $core (memory (export "memory") 1) (memory 1) (func (export "run") (param i32) (result i32) (i32.const 0)))
  (core instance $main (instantiate $core))
  (alias core export $main "memory" (core memory $memory))
  (type $failure' (record
    (field "name" string) (field "message" string) (field "file" string)
    (field "line" u32) (field "column" u32) (field "stack" string)))
  (component $shim
    (import "failure" (type $import (eq $failure')))
    (import "run" (func $run (param "heap-bytes-max" u32) (result (result u32 (error $import)))))
    (export $failure "failure" (type $import))
    (export "run" (func $run) (func (param "heap-bytes-max" u32) (result (result u32 (error $failure))))))
  (func $run (param "heap-bytes-max" u32) (result (result u32 (error $failure')))
    (canon lift (core func $main "run") (memory $memory)))
  (instance $script (instantiate $shim (with "failure" (type $failure')) (with "run" (func $run))))
  (export "sluice:page/script@0.1.0" (instance $script)))
