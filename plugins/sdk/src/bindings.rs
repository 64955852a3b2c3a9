//! The guest's side of `wit/0.1.0`, generated.

// The generator writes exports with as many parameters as their canonical form has.
#![allow(clippy::too_many_arguments)]

wit_bindgen::generate!({
    path: "../../wit/0.1.0",
    world: "auth-method",
    pub_export_macro: true,
    export_macro_name: "export_component",
    default_bindings_module: "archstone_plugin::bindings",
    generate_all,
});
