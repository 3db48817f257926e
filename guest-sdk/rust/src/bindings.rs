//! What wit-bindgen makes of `wit/`. One world for all guests: the linker drops every interface that a
//! component never calls, so a step imports exactly what it uses.

#![allow(
    missing_docs,
    unsafe_code,
    unreachable_pub,
    clippy::all,
    clippy::allow_attributes_without_reason,
    reason = "generated"
)]

wit_bindgen::generate!({
    inline: "
        package wflo:sdk@0.1.0;
        world guest {
            import wflo:step/context@0.1.0;
            import wasi:logging/logging@0.1.0-draft;
            import wflo:llm/chat@0.1.0;
            import wflo:llm/tasks@0.1.0;
            import wflo:db/sql@0.1.0;
            import wflo:approval/gate@0.1.0;
            import wflo:approval/policy@0.1.0;
            import wflo:secret/secrets@0.1.0;
            import wflo:notify/mail@0.1.0;
            import wflo:notify/channel@0.1.0;
            import wflo:knowledge/search@0.1.0;
            import wflo:artifact/store@0.1.0;
            import wflo:artifact/http@0.1.0;
            import wflo:infra/terraform@0.1.0;
            import wasi:http/outgoing-handler@0.2.12;
            export wflo:step/handler@0.1.0;
        }
    ",
    path: [
        "wit/deps/logging",
        "wit/deps/io",
        "wit/deps/clocks",
        "wit/deps/http",
        "wit/step",
        "wit/approval",
        "wit/artifact",
        "wit/db",
        "wit/llm",
        "wit/secret",
        "wit/notify",
        "wit/knowledge",
        "wit/infra",
    ],
    world: "wflo:sdk/guest",
    additional_derives: [PartialEq],
    // It holds a handle.
    additional_derives_ignore: ["stream-error"],
    pub_export_macro: true,
    export_macro_name: "export_component",
    default_bindings_module: "::wflo::__rt::bindings",
    generate_all,
});
