//! A database of one test.

use std::io::{self, Write as _};
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::atomic::Ordering;

use crate::cluster::Cluster;
use crate::programs::Programs;

/// A database, with an owner who is no superuser, and a login role for reading and one for writing that may do nothing
/// yet. It is left when it is dropped: it goes with its cluster.
#[derive(Clone, Debug)]
pub struct Database {
    name: String,
    socket: PathBuf,
    port: Option<u16>,
    programs: Programs,
}

impl Database {
    pub(crate) fn create(cluster: &Cluster) -> Self {
        let n = cluster.databases.fetch_add(1, Ordering::Relaxed);
        let name = format!("t{}_{n}", std::process::id());
        let socket = cluster.socket().to_owned();
        let this = Self { name, socket, port: cluster.port, programs: cluster.programs.clone() };
        let Self { name, .. } = &this;
        let made = this.psql(
            "postgres",
            "postgres",
            &format!(
                "CREATE ROLE {name}_owner LOGIN; CREATE ROLE {name}_read LOGIN; CREATE ROLE {name}_write LOGIN;\n\
                 CREATE DATABASE {name} OWNER {name}_owner TEMPLATE template0;"
            ),
        );
        made.unwrap_or_else(|said| panic!("no database can be made: {said}"));
        this.superuser(&format!("ALTER SCHEMA public OWNER TO {name}_owner"));
        this
    }

    /// Its name, which the names of its roles begin with: `<name>_owner`, `<name>_read`, `<name>_write`.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The address by which a role logs in: `owner`, `read` or `write`.
    #[must_use]
    pub fn url(&self, role: &str) -> String {
        self.url_of(&format!("{}_{role}", self.name))
    }

    /// The address by which any role of the cluster logs in.
    #[must_use]
    pub fn url_of(&self, role: &str) -> String {
        let socket = self.socket.to_string_lossy().replace('/', "%2F");
        let port = self.port.map(|port| format!(":{port}")).unwrap_or_default();
        format!("postgres://{role}@{socket}{port}/{}", self.name)
    }

    /// The address by which a role logs in over TCP, at this name or address; nothing says of TLS.
    ///
    /// # Panics
    /// Where the cluster does not listen on loopback.
    #[must_use]
    pub fn url_at(&self, role: &str, host: &str) -> String {
        let port = self.port.expect("the cluster was started with TLS");
        format!("postgres://{0}_{role}@{host}:{port}/{0}", self.name)
    }

    /// Runs statements as the owner, and gives what they print: a row a line, `|` between values.
    ///
    /// # Panics
    /// When one fails.
    pub fn sql(&self, sql: &str) -> String {
        self.run(&format!("{}_owner", self.name), sql)
    }

    /// Runs statements as the superuser of the cluster.
    ///
    /// # Panics
    /// When one fails.
    pub fn superuser(&self, sql: &str) -> String {
        self.run("postgres", sql)
    }

    /// Runs statements as a role.
    ///
    /// # Errors
    /// What the server said.
    pub fn try_as(&self, role: &str, sql: &str) -> Result<String, String> {
        self.psql(role, &self.name, sql)
    }

    fn run(&self, role: &str, sql: &str) -> String {
        self.psql(role, &self.name, sql).unwrap_or_else(|said| panic!("{said}\n{sql}"))
    }

    fn psql(&self, role: &str, database: &str, sql: &str) -> Result<String, String> {
        let failed = |error: io::Error| format!("`psql` does not start: {error}");
        let mut command = self.programs.command("psql");
        command.args(["-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-U", role, "-d", database, "-h"]);
        command.arg(&self.socket);
        if let Some(port) = self.port {
            command.arg("-p").arg(port.to_string());
        }
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().map_err(failed)?;
        // Not by an argument: all statements of one are one transaction. It stops reading when a statement has failed.
        let mut input = child.stdin.take().expect("it is piped");
        let _ = input.write_all(sql.as_bytes());
        drop(input);
        let output = child.wait_with_output().map_err(failed)?;
        match output.status.success() {
            true => Ok(String::from_utf8_lossy(&output.stdout).trim_end().to_owned()),
            false => Err(String::from_utf8_lossy(&output.stderr).into_owned()),
        }
    }
}
