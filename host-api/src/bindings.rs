//! What wasmtime makes of `wit/`. Private: the modules beside it turn these types into those of the model.

wasmtime::component::bindgen!({
    // Dependencies first: each package is resolved against those before it.
    path: [
        "../wit/deps/logging",
        "../wit/deps/io",
        "../wit/deps/clocks",
        "../wit/deps/http",
        "../wit/deps/filesystem",
        "../wit/step",
        "../wit/llm",
        "../wit/db",
        "../wit/approval",
        "../wit/secret",
        "../wit/http",
        "../wit/host",
    ],
    world: "wflo:host/all",
    imports: { default: async | trappable },
    exports: { default: async },
    with: {
        // Streams and pollables are wasmtime's own.
        "wasi:io": wasmtime_wasi::p2::bindings::io,
        "wasi:clocks": wasmtime_wasi::p2::bindings::clocks,
        "wasi:filesystem/types.descriptor": crate::files::Descriptor,
        "wasi:filesystem/types.directory-entry-stream": crate::files::Entries,
        "wasi:http/types.fields": crate::http::Fields,
        "wasi:http/types.outgoing-request": crate::http::OutgoingRequest,
        "wasi:http/types.outgoing-body": crate::http::OutgoingBody,
        "wasi:http/types.request-options": crate::http::RequestOptions,
        "wasi:http/types.future-incoming-response": crate::http::FutureResponse,
        "wasi:http/types.incoming-response": crate::http::IncomingResponse,
        "wasi:http/types.incoming-body": crate::http::IncomingBody,
        "wasi:http/types.future-trailers": crate::http::FutureTrailers,
        "wasi:http/types.incoming-request": crate::http::Served,
        "wasi:http/types.outgoing-response": crate::http::Served,
        "wasi:http/types.response-outparam": crate::http::Served,
    },
});
