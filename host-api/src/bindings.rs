//! What wasmtime makes of `wit/`. Private: the modules beside it turn these types into those of the model.

wasmtime::component::bindgen!({
    // Dependencies first: each package is resolved against those before it.
    path: [
        "../wit/deps/logging",
        "../wit/step",
        "../wit/llm",
        "../wit/db",
        "../wit/approval",
        "../wit/host",
    ],
    world: "wflo:host/all",
    imports: { default: async | trappable },
    exports: { default: async },
});
