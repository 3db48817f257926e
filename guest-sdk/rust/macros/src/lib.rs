//! The attributes of `wflo-sdk`; use them through that crate, as `wflo::step` and `wflo::data`.

mod data;
mod step;

use proc_macro::TokenStream;

/// Makes a function a step of a workflow.
///
/// The function takes a `wflo::Context`, or nothing, and returns `wflo::Result<T>` with a `T` that serde can
/// serialize. The first line of its doc comment is the summary that people see. Name it in `wflo::export!`, or
/// it is no part of the component.
///
/// - `name = "..."`: the step's name, where it is not the function's.
/// - `compensate = function`: what undoes the step, `fn(wflo::Context, wflo::Undo) -> wflo::Result<()>`.
#[proc_macro_attribute]
pub fn step(options: TokenStream, item: TokenStream) -> TokenStream {
    step::expand(options.into(), item.into()).unwrap_or_else(syn::Error::into_compile_error).into()
}

/// Derives what data needs that goes in or out of a step: serde's `Serialize` and `Deserialize`, and the JSON
/// Schema by which a model is held to it. Attributes of serde (`#[serde(rename_all = "snake_case")]`) work as
/// ever, and doc comments of fields become descriptions that a model reads.
#[proc_macro_attribute]
pub fn data(options: TokenStream, item: TokenStream) -> TokenStream {
    data::expand(options.into(), item.into()).unwrap_or_else(syn::Error::into_compile_error).into()
}
