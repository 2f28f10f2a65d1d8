//! Where `ajard` looks for the decoders of `make decoders` before it takes the system's.

fn main() {
    // Of the old kind, which also holds for the libraries of a plugin.
    println!("cargo::rustc-link-arg-bin=ajard=-Wl,--disable-new-dtags,-rpath,$ORIGIN/../lib/ajar");
    println!("cargo::rerun-if-changed=build.rs");
}
