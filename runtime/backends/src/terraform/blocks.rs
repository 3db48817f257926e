//! Where the state of a working copy is.

use std::path::Path;

use wflo_ports::TerraformError;

use super::vet::{backend, parse};

/// The file that makes the state of a copy that of the working copy `dir`; none where the configuration names a place
/// that is the same from everywhere.
///
/// # Errors
/// When a file of the copy cannot be read.
pub(super) fn state_override(copy: &Path, dir: &Path) -> Result<Option<String>, TerraformError> {
    let mut path = None;
    let unreadable = |name: &str, why: &str| TerraformError::Invalid {
        message: format!("`{name}` of the working copy: {why}"),
    };
    let reading = |error: std::io::Error| unreadable(".", &error.to_string());
    for entry in copy.read_dir().map_err(reading)? {
        let entry = entry.map_err(reading)?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if name.starts_with('.') || !(name.ends_with(".tf") || name.ends_with(".tf.json")) {
            continue;
        }
        let text =
            std::fs::read_to_string(entry.path()).map_err(|error| unreadable(&name, &error.to_string()))?;
        if name.ends_with(".tf.json") {
            let value: serde_json::Value =
                serde_json::from_str(&text).map_err(|error| unreadable(&name, &error.to_string()))?;
            if ["/terraform/backend", "/terraform/cloud"].iter().any(|at| value.pointer(at).is_some()) {
                return Ok(None);
            }
            continue;
        }
        let body = parse(&text).map_err(|why| unreadable(&name, &why))?;
        match backend(&body) {
            Some(named) if named.kind == "local" => path = Some(named.path.unwrap_or_else(default_path)),
            Some(_) => return Ok(None),
            None => {}
        }
    }
    let path = dir.join(path.unwrap_or_else(default_path));
    let text =
        |path: &Path| serde_json::Value::String(path.display().to_string()).to_string().replace("${", "$${");
    Ok(Some(format!(
        "# Written by wflo: this is a copy, and its state is that of the working copy.\nterraform {{\n  backend \"local\" {{\n    path          = {}\n    workspace_dir = {}\n  }}\n}}\n",
        text(&path),
        text(&dir.join("terraform.tfstate.d")),
    )))
}

fn default_path() -> String {
    "terraform.tfstate".to_owned()
}
