//! The host's side of the contract, generated: one module for each published version.

/// `wit/0.1.0`, whose one world is `auth-method`.
pub(crate) mod v0_1 {
    wasmtime::component::bindgen!({
        path: "../../wit/0.1.0",
        world: "auth-method",
        imports: {
            "archstone:plugin/http@0.1.0.send": async,
            "archstone:plugin/state@0.1.0.put": async,
            "archstone:plugin/state@0.1.0.take": async,
            "archstone:plugin/state@0.1.0.put-if-absent": async,
        },
        exports: { default: async },
    });
}

wasmtime::component::bindgen!({
    path: "../../wit/0.2.0",
    world: "auth-method",
    imports: {
        "archstone:plugin/http@0.2.0.send": async,
        "archstone:plugin/state@0.2.0.get": async,
        "archstone:plugin/state@0.2.0.put": async,
        "archstone:plugin/state@0.2.0.take": async,
        "archstone:plugin/state@0.2.0.put-if-absent": async,
    },
    exports: { default: async },
});

/// The world `redirect-connector` of `wit/0.2.0`; what it imports is as in the module above.
pub(crate) mod redirect_connector {
    wasmtime::component::bindgen!({
        path: "../../wit/0.2.0",
        world: "redirect-connector",
        exports: { default: async },
        with: {
            "archstone:plugin/types@0.2.0": super::archstone::plugin::types,
            "archstone:plugin/outcomes@0.2.0": super::archstone::plugin::outcomes,
            "archstone:plugin/clock@0.2.0": super::archstone::plugin::clock,
            "archstone:plugin/random@0.2.0": super::archstone::plugin::random,
            "archstone:plugin/log@0.2.0": super::archstone::plugin::log,
            "archstone:plugin/secrets@0.2.0": super::archstone::plugin::secrets,
            "archstone:plugin/state@0.2.0": super::archstone::plugin::state,
            "archstone:plugin/signatures@0.2.0": super::archstone::plugin::signatures,
            "archstone:plugin/http@0.2.0": super::archstone::plugin::http,
        },
    });
}

/// The world `token-connector` of `wit/0.2.0`.
pub(crate) mod token_connector {
    wasmtime::component::bindgen!({
        path: "../../wit/0.2.0",
        world: "token-connector",
        exports: { default: async },
        with: {
            "archstone:plugin/types@0.2.0": super::archstone::plugin::types,
            "archstone:plugin/outcomes@0.2.0": super::archstone::plugin::outcomes,
            "archstone:plugin/presenting@0.2.0": super::redirect_connector::archstone::plugin::presenting,
            "archstone:plugin/clock@0.2.0": super::archstone::plugin::clock,
            "archstone:plugin/random@0.2.0": super::archstone::plugin::random,
            "archstone:plugin/log@0.2.0": super::archstone::plugin::log,
            "archstone:plugin/secrets@0.2.0": super::archstone::plugin::secrets,
            "archstone:plugin/state@0.2.0": super::archstone::plugin::state,
            "archstone:plugin/signatures@0.2.0": super::archstone::plugin::signatures,
            "archstone:plugin/http@0.2.0": super::archstone::plugin::http,
        },
    });
}

/// The world `enrollable-method` of `wit/0.2.0`.
pub(crate) mod enrollable_method {
    wasmtime::component::bindgen!({
        path: "../../wit/0.2.0",
        world: "enrollable-method",
        exports: { default: async },
        with: {
            "archstone:plugin/types@0.2.0": super::archstone::plugin::types,
            "archstone:plugin/outcomes@0.2.0": super::archstone::plugin::outcomes,
            "archstone:plugin/authentication@0.2.0": super::archstone::plugin::authentication,
            "archstone:plugin/clock@0.2.0": super::archstone::plugin::clock,
            "archstone:plugin/random@0.2.0": super::archstone::plugin::random,
            "archstone:plugin/log@0.2.0": super::archstone::plugin::log,
            "archstone:plugin/secrets@0.2.0": super::archstone::plugin::secrets,
            "archstone:plugin/state@0.2.0": super::archstone::plugin::state,
            "archstone:plugin/signatures@0.2.0": super::archstone::plugin::signatures,
            "archstone:plugin/http@0.2.0": super::archstone::plugin::http,
        },
    });
}

/// The world `directory-connector` of `wit/0.2.0`, and `stream`, which only it imports.
pub(crate) mod directory_connector {
    wasmtime::component::bindgen!({
        path: "../../wit/0.2.0",
        world: "directory-connector",
        imports: {
            "archstone:plugin/stream@0.2.0.[static]connection.open": async | trappable,
            "archstone:plugin/stream@0.2.0.[method]connection.start-tls": async | trappable,
            "archstone:plugin/stream@0.2.0.[method]connection.write": async | trappable,
            "archstone:plugin/stream@0.2.0.[method]connection.read": async | trappable,
            "archstone:plugin/stream@0.2.0.keep": trappable,
            "archstone:plugin/stream@0.2.0.take": trappable,
        },
        exports: { default: async },
        with: {
            "archstone:plugin/types@0.2.0": super::archstone::plugin::types,
            "archstone:plugin/clock@0.2.0": super::archstone::plugin::clock,
            "archstone:plugin/random@0.2.0": super::archstone::plugin::random,
            "archstone:plugin/log@0.2.0": super::archstone::plugin::log,
            "archstone:plugin/secrets@0.2.0": super::archstone::plugin::secrets,
            "archstone:plugin/state@0.2.0": super::archstone::plugin::state,
            "archstone:plugin/signatures@0.2.0": super::archstone::plugin::signatures,
            "archstone:plugin/http@0.2.0": super::archstone::plugin::http,
            "archstone:plugin/stream.connection": crate::capabilities::Line,
        },
    });
}

/// The world `event-sink` of `wit/0.2.0`.
pub(crate) mod event_sink {
    wasmtime::component::bindgen!({
        path: "../../wit/0.2.0",
        world: "event-sink",
        exports: { default: async },
        with: {
            "archstone:plugin/types@0.2.0": super::archstone::plugin::types,
            "archstone:plugin/clock@0.2.0": super::archstone::plugin::clock,
            "archstone:plugin/random@0.2.0": super::archstone::plugin::random,
            "archstone:plugin/log@0.2.0": super::archstone::plugin::log,
            "archstone:plugin/secrets@0.2.0": super::archstone::plugin::secrets,
            "archstone:plugin/state@0.2.0": super::archstone::plugin::state,
            "archstone:plugin/signatures@0.2.0": super::archstone::plugin::signatures,
            "archstone:plugin/http@0.2.0": super::archstone::plugin::http,
        },
    });
}

/// The world `authorizer` of `wit/0.2.0`.
pub(crate) mod authorizer {
    wasmtime::component::bindgen!({
        path: "../../wit/0.2.0",
        world: "authorizer",
        exports: { default: async },
        with: {
            "archstone:plugin/types@0.2.0": super::archstone::plugin::types,
            "archstone:plugin/clock@0.2.0": super::archstone::plugin::clock,
            "archstone:plugin/random@0.2.0": super::archstone::plugin::random,
            "archstone:plugin/log@0.2.0": super::archstone::plugin::log,
            "archstone:plugin/secrets@0.2.0": super::archstone::plugin::secrets,
            "archstone:plugin/state@0.2.0": super::archstone::plugin::state,
            "archstone:plugin/signatures@0.2.0": super::archstone::plugin::signatures,
            "archstone:plugin/http@0.2.0": super::archstone::plugin::http,
        },
    });
}
