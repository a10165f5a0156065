(component
  (core module $core (memory (export "memory") 1) (func (export "run") (param i32) (result i32) (i32.const 0)))
  (core instance $main (instantiate $core))
  (func $run async (param "heap-bytes-max" u32) (canon lift (core func $main "run") async)))
