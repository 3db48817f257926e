//! workflow.toml and wflo.toml: authored, validated, pinned as a Plan.
