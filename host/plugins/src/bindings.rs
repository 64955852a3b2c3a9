//! The host's side of `wit/0.1.0`, generated.

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
