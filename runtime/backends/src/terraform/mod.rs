//! Infrastructure by the terraform that is installed, or OpenTofu: both by the same calls.
//!
//! A [`TerraformFolder`] is one working copy. What is done with it is done in copies of it, below its folder `.wflo`,
//! which nobody but the user of this process can read: plans and states have secrets in them. The working copy itself is
//! changed at one moment alone, when what was planned is applied: then the files of that plan take the place of its own.
//!
//! The state stays with terraform. Where the configuration names no backend it is `terraform.tfstate` of the working
//! copy, as it would be for people who run terraform there; where it names one, it is there.

mod blocks;
mod command;
mod copy;
mod depth;
mod folder;
mod kept;
mod lock;
mod plan_json;
mod redact;
mod restore;
mod state_json;
mod vet;

pub use folder::{TerraformConfig, TerraformFolder};
