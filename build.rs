fn main() {
    println!("cargo:rustc-cdylib-link-arg=-Wl,-soname,libberth.so.0");
}
