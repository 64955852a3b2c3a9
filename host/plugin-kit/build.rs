//! The SDK and the contract are part of this crate: it is built again when a file there is added.

fn main() {
    for directory in ["../../plugins/sdk", "../../wit", "templates"] {
        println!("cargo:rerun-if-changed={directory}");
    }
}
