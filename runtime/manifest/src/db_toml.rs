//! Reads `[db.<label>]` of `wflo.toml`.

use std::collections::BTreeSet;

use crate::deployment::DbBinding;
use crate::deployment_toml::{address, text};
use crate::reader::{Node, Reader, Section, Spanned};
use crate::text::Text;

/// What an address of a PostgreSQL database begins with.
const SCHEMES: [&str; 2] = ["postgres://", "postgresql://"];
const EXAMPLE: &str =
    "write it such as `\"env:BANK_READ_URL\"`, and there `postgres://wflo_read:password@host/bank`";

pub(crate) fn read_db(reader: &mut Reader, mut section: Section<'_>) -> Option<DbBinding> {
    let binding = if section.has("read_url") || section.has("write_url") {
        let file = section.take("url");
        let read_url = section.need("read_url").and_then(|node| login(reader, &node));
        let write_url = section.take("write_url").map(|node| login(reader, &node));
        if let Some(file) = &file {
            reader
                .error(file.key.clone(), "a database has `url`, or `read_url` and `write_url`")
                .hint("a SQLite file has the first, a PostgreSQL database the others");
        }
        match (file, read_url, write_url) {
            (None, Some(read_url), None) => Some(DbBinding::Postgres { read_url, write_url: None }),
            (None, Some(read_url), Some(Some(write_url))) => {
                Some(DbBinding::Postgres { read_url, write_url: Some(write_url) })
            }
            _ => None,
        }
    } else {
        section.need("url").and_then(|node| file(reader, &node))
    };
    section.finish(reader);
    binding
}

/// `audit`: the tables that the database's own triggers write, and no step.
pub(crate) fn read_audit(reader: &mut Reader, section: &mut Section<'_>) -> BTreeSet<String> {
    let tables: Vec<Spanned<String>> =
        section.take("audit").map(|node| node.names(reader)).unwrap_or_default();
    tables.into_iter().map(|table| table.value).collect()
}

fn file(reader: &mut Reader, node: &Node<'_>) -> Option<DbBinding> {
    let url = node.text(reader)?;
    if SCHEMES.iter().any(|scheme| url.value.starts_with(scheme)) {
        reader
            .error(url.span, "a PostgreSQL database is bound by two login roles, not by one address")
            .hint("write `read_url` and `write_url`; a role that may do everything holds nobody back");
        return None;
    }
    address(reader, node, "[db]", "sqlite", "sqlite:bank.db").map(|path| DbBinding::Sqlite { path })
}

/// The address by which a role logs in, or the variable that has it.
fn login(reader: &mut Reader, node: &Node<'_>) -> Option<Text> {
    let url = text(reader, node)?;
    if url.plain().is_some_and(|url| !SCHEMES.iter().any(|scheme| url.starts_with(scheme))) {
        let message = format!("`{}` must begin with `postgres://`", node.name);
        reader.error(node.span.clone(), message).hint(EXAMPLE);
        return None;
    }
    Some(url)
}

#[cfg(test)]
mod tests {
    use crate::{DbBinding, Deployment};

    fn said(section: &str) -> String {
        match Deployment::parse("wflo.toml", &format!("[db.bank]\n{section}")) {
            Ok(deployment) => format!("{:?}", deployment.db["bank"]),
            Err(found) => found.render(false),
        }
    }

    #[test]
    fn a_database_may_have_audit_tables() {
        let text = "[db.bank]\nurl = \"sqlite:bank.db\"\naudit = [\"changes\", \"log.rows\"]\n[db.shop]\nurl = \"sqlite:s\"";
        let deployment = Deployment::parse("wflo.toml", text).unwrap();
        assert_eq!(deployment.db_audit["bank"], ["changes".to_owned(), "log.rows".to_owned()].into());
        assert!(deployment.db_audit["shop"].is_empty());
        assert!(said("url = \"sqlite:bank.db\"\naudit = [\"\"]").contains("is empty"));
    }

    #[test]
    fn a_database_is_a_file_or_two_login_roles() {
        assert_eq!(
            said("url = \"sqlite:bank.db\""),
            format!("{:?}", DbBinding::Sqlite { path: "bank.db".into() })
        );
        let both = said("read_url = \"env:R\"\nwrite_url = \"postgres://w@h/bank\"");
        assert!(both.starts_with("Postgres {"), "{both}");
        assert!(said("read_url = \"env:R\"").contains("write_url: None"));
        for (section, says) in [
            ("url = \"postgres://w@h/bank\"", "bound by two login roles"),
            ("write_url = \"env:W\"", "`read_url` is missing"),
            ("read_url = \"env:R\"\nurl = \"sqlite:a\"", "a database has `url`, or"),
            ("read_url = \"mysql://h/bank\"", "must begin with `postgres://`"),
        ] {
            assert!(said(section).contains(says), "{section}: {}", said(section));
        }
    }
}
