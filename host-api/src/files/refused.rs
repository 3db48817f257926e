//! Everything that would write.

use serde::Serialize;
use wasmtime::component::Resource;
use wflo_model::Call;

use super::{Descriptor, FilesView};
use crate::bindings::wasi::filesystem::types::ErrorCode;

/// The arguments of a call that writes, as far as the journal keeps them.
#[derive(Serialize)]
struct Args {
    folder: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    path: String,
}

impl FilesView<'_> {
    /// Has the gate deny what would write.
    pub(super) async fn refuse<T>(
        &mut self,
        function: &str,
        this: &Resource<Descriptor>,
        path: String,
    ) -> wasmtime::Result<Result<T, ErrorCode>> {
        let folder = self.table.get(this)?.to_string();
        let args = serde_json::to_value(Args { folder, path }).expect("texts are JSON");
        let call = Call::new(super::descriptor::INTERFACE, function, args);
        match self.gate()?.call(call).await? {
            Err(_) => Ok(Err(ErrorCode::ReadOnly)),
            Ok(_) => Err(crate::link::unexpected(super::descriptor::INTERFACE, function, "it was allowed")),
        }
    }
}
