//! Lets the modules of pages use the engine's table and its stack in linear memory.

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    for argument in ["--export-table", "--growable-table", "--export=__stack_pointer"] {
        println!("cargo:rustc-cdylib-link-arg={argument}");
    }
}
