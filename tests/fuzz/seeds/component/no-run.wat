(component (instance $i) (export "sluice:page/script@0.1.0" (instance $i)))
