//! The guest's side of `wit/0.2.0`, generated: one module for each world, on the same imports.

// The generator writes exports with as many parameters as their canonical form has.
#![allow(clippy::too_many_arguments)]

wit_bindgen::generate!({
    path: "../../wit/0.2.0",
    world: "auth-method",
    pub_export_macro: true,
    export_macro_name: "export_auth_method_component",
    default_bindings_module: "archstone_plugin::bindings",
    generate_all,
});

/// The world `redirect-connector`.
pub mod redirect_connector {
    wit_bindgen::generate!({
        path: "../../wit/0.2.0",
        world: "redirect-connector",
        pub_export_macro: true,
        export_macro_name: "export_redirect_connector_component",
        default_bindings_module: "archstone_plugin::bindings::redirect_connector",
        with: {
            "archstone:plugin/types@0.2.0": crate::bindings::archstone::plugin::types,
            "archstone:plugin/outcomes@0.2.0": crate::bindings::archstone::plugin::outcomes,
            "archstone:plugin/clock@0.2.0": crate::bindings::archstone::plugin::clock,
            "archstone:plugin/random@0.2.0": crate::bindings::archstone::plugin::random,
            "archstone:plugin/log@0.2.0": crate::bindings::archstone::plugin::log,
            "archstone:plugin/secrets@0.2.0": crate::bindings::archstone::plugin::secrets,
            "archstone:plugin/state@0.2.0": crate::bindings::archstone::plugin::state,
            "archstone:plugin/signatures@0.2.0": crate::bindings::archstone::plugin::signatures,
            "archstone:plugin/http@0.2.0": crate::bindings::archstone::plugin::http,
        },
        generate_all,
    });
}

/// The world `directory-connector`, and `stream`, which only it imports.
pub mod directory_connector {
    wit_bindgen::generate!({
        path: "../../wit/0.2.0",
        world: "directory-connector",
        pub_export_macro: true,
        export_macro_name: "export_directory_connector_component",
        default_bindings_module: "archstone_plugin::bindings::directory_connector",
        with: {
            "archstone:plugin/types@0.2.0": crate::bindings::archstone::plugin::types,
            "archstone:plugin/clock@0.2.0": crate::bindings::archstone::plugin::clock,
            "archstone:plugin/random@0.2.0": crate::bindings::archstone::plugin::random,
            "archstone:plugin/log@0.2.0": crate::bindings::archstone::plugin::log,
            "archstone:plugin/secrets@0.2.0": crate::bindings::archstone::plugin::secrets,
            "archstone:plugin/state@0.2.0": crate::bindings::archstone::plugin::state,
            "archstone:plugin/signatures@0.2.0": crate::bindings::archstone::plugin::signatures,
            "archstone:plugin/http@0.2.0": crate::bindings::archstone::plugin::http,
        },
        generate_all,
    });
}

/// The world `token-connector`.
pub mod token_connector {
    wit_bindgen::generate!({
        path: "../../wit/0.2.0",
        world: "token-connector",
        pub_export_macro: true,
        export_macro_name: "export_token_connector_component",
        default_bindings_module: "archstone_plugin::bindings::token_connector",
        with: {
            "archstone:plugin/types@0.2.0": crate::bindings::archstone::plugin::types,
            "archstone:plugin/outcomes@0.2.0": crate::bindings::archstone::plugin::outcomes,
            "archstone:plugin/presenting@0.2.0": crate::bindings::redirect_connector::archstone::plugin::presenting,
            "archstone:plugin/clock@0.2.0": crate::bindings::archstone::plugin::clock,
            "archstone:plugin/random@0.2.0": crate::bindings::archstone::plugin::random,
            "archstone:plugin/log@0.2.0": crate::bindings::archstone::plugin::log,
            "archstone:plugin/secrets@0.2.0": crate::bindings::archstone::plugin::secrets,
            "archstone:plugin/state@0.2.0": crate::bindings::archstone::plugin::state,
            "archstone:plugin/signatures@0.2.0": crate::bindings::archstone::plugin::signatures,
            "archstone:plugin/http@0.2.0": crate::bindings::archstone::plugin::http,
        },
        generate_all,
    });
}

/// The world `enrollable-method`.
pub mod enrollable_method {
    wit_bindgen::generate!({
        path: "../../wit/0.2.0",
        world: "enrollable-method",
        pub_export_macro: true,
        export_macro_name: "export_enrollable_method_component",
        default_bindings_module: "archstone_plugin::bindings::enrollable_method",
        with: {
            "archstone:plugin/types@0.2.0": crate::bindings::archstone::plugin::types,
            "archstone:plugin/outcomes@0.2.0": crate::bindings::archstone::plugin::outcomes,
            "archstone:plugin/authentication@0.2.0": crate::bindings::archstone::plugin::authentication,
            "archstone:plugin/clock@0.2.0": crate::bindings::archstone::plugin::clock,
            "archstone:plugin/random@0.2.0": crate::bindings::archstone::plugin::random,
            "archstone:plugin/log@0.2.0": crate::bindings::archstone::plugin::log,
            "archstone:plugin/secrets@0.2.0": crate::bindings::archstone::plugin::secrets,
            "archstone:plugin/state@0.2.0": crate::bindings::archstone::plugin::state,
            "archstone:plugin/signatures@0.2.0": crate::bindings::archstone::plugin::signatures,
            "archstone:plugin/http@0.2.0": crate::bindings::archstone::plugin::http,
        },
        generate_all,
    });
}

/// The world `event-sink`.
pub mod event_sink {
    wit_bindgen::generate!({
        path: "../../wit/0.2.0",
        world: "event-sink",
        pub_export_macro: true,
        export_macro_name: "export_event_sink_component",
        default_bindings_module: "archstone_plugin::bindings::event_sink",
        with: {
            "archstone:plugin/types@0.2.0": crate::bindings::archstone::plugin::types,
            "archstone:plugin/clock@0.2.0": crate::bindings::archstone::plugin::clock,
            "archstone:plugin/random@0.2.0": crate::bindings::archstone::plugin::random,
            "archstone:plugin/log@0.2.0": crate::bindings::archstone::plugin::log,
            "archstone:plugin/secrets@0.2.0": crate::bindings::archstone::plugin::secrets,
            "archstone:plugin/state@0.2.0": crate::bindings::archstone::plugin::state,
            "archstone:plugin/signatures@0.2.0": crate::bindings::archstone::plugin::signatures,
            "archstone:plugin/http@0.2.0": crate::bindings::archstone::plugin::http,
        },
        generate_all,
    });
}

/// The world `authorizer`.
pub mod authorizer {
    wit_bindgen::generate!({
        path: "../../wit/0.2.0",
        world: "authorizer",
        pub_export_macro: true,
        export_macro_name: "export_authorizer_component",
        default_bindings_module: "archstone_plugin::bindings::authorizer",
        with: {
            "archstone:plugin/types@0.2.0": crate::bindings::archstone::plugin::types,
            "archstone:plugin/clock@0.2.0": crate::bindings::archstone::plugin::clock,
            "archstone:plugin/random@0.2.0": crate::bindings::archstone::plugin::random,
            "archstone:plugin/log@0.2.0": crate::bindings::archstone::plugin::log,
            "archstone:plugin/secrets@0.2.0": crate::bindings::archstone::plugin::secrets,
            "archstone:plugin/state@0.2.0": crate::bindings::archstone::plugin::state,
            "archstone:plugin/signatures@0.2.0": crate::bindings::archstone::plugin::signatures,
            "archstone:plugin/http@0.2.0": crate::bindings::archstone::plugin::http,
        },
        generate_all,
    });
}
