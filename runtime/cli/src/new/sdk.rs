//! Where the SDK of a new project comes from.

use std::path::{Path, PathBuf};

use crate::args::Lang;
use crate::failure::Failure;

/// The SDK of Go, as a module.
const GO: &str = "github.com/wflo-ai/wflo/guest-sdk/go";

/// The SDKs: those of a checkout, or the published ones of this version.
pub(super) enum Sdk {
    Folder(PathBuf),
    Published,
}

impl Sdk {
    /// Those in the folder that is named, else those of the checkout that this command was built from, else those that
    /// are published.
    pub(super) fn find(named: Option<&Path>) -> Result<Self, Failure> {
        let checkout = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../guest-sdk");
        let folder = named.map(ToOwned::to_owned).or_else(|| is_sdk(&checkout).then_some(checkout));
        let Some(folder) = folder else { return Ok(Self::Published) };
        if !is_sdk(&folder) {
            return Err(Failure::usage(format!("there are no SDKs in `{}`", folder.display()))
                .hint("`--sdk-path` names the folder `guest-sdk` of a checkout"));
        }
        let absolute = folder.canonicalize();
        absolute.map(Self::Folder).map_err(|error| Failure::usage(format!("`{}`: {error}", folder.display())))
    }

    /// The dependency, as the language's package manager writes it.
    pub(super) fn dependency(&self, lang: Lang) -> String {
        let version = env!("CARGO_PKG_VERSION");
        match (self, lang) {
            (Self::Published, Lang::Rust) => format!("version = \"{version}\""),
            (Self::Published, Lang::Js | Lang::Ts) => format!("^{version}"),
            (Self::Published, Lang::Python) => format!("wflo-sdk=={version}"),
            (Self::Published, Lang::Go) => String::new(),
            (Self::Folder(folder), Lang::Rust) => format!("path = {:?}", folder.join("rust")),
            (Self::Folder(folder), Lang::Js | Lang::Ts) => format!("file:{}", folder.join("js").display()),
            (Self::Folder(folder), Lang::Python) => folder.join("python").display().to_string(),
            (Self::Folder(folder), Lang::Go) => {
                format!("\nreplace {GO} => {:?}\n", folder.join("go"))
            }
            // It comes with this command.
            (_, Lang::C) => String::new(),
        }
    }

    /// As people read it.
    pub(super) fn words(&self, lang: Lang) -> String {
        let package = match lang {
            Lang::Rust | Lang::Python => "wflo-sdk",
            Lang::Js | Lang::Ts => "@wflo/sdk",
            Lang::Go => GO,
            Lang::C => return "that of this command".to_owned(),
        };
        match self {
            Self::Published => format!("`{package}` {}", env!("CARGO_PKG_VERSION")),
            Self::Folder(folder) => format!("that in `{}`", folder.display()),
        }
    }
}

fn is_sdk(folder: &Path) -> bool {
    folder.join("rust/Cargo.toml").is_file() && folder.join("js/package.json").is_file()
}
