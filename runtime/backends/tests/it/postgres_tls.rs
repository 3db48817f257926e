//! TLS to PostgreSQL: a server with a certificate of an authority made for the test.

use std::path::{Path, PathBuf};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use wflo_backends::db::postgres::{Postgres, PostgresOptions, Preparation};
use wflo_model::{DbAccess, SqlValue};
use wflo_ports::{Capture, Database as _, DbError, QueryLimits};
use wflo_test_postgres::{Cluster, Programs};

use crate::postgres::begin;
use crate::sqlite::{access, statement};

/// A server that is `db.example.org` and `localhost`, and the files of its authority and of another one.
struct Server {
    cluster: Cluster,
    folder: tempfile::TempDir,
}

impl Server {
    fn start() -> Self {
        let authority = authority();
        let key = KeyPair::generate().unwrap();
        let names = ["db.example.org", "localhost"].map(str::to_owned).to_vec();
        let certificate = CertificateParams::new(names).unwrap().signed_by(&key, &authority).unwrap();
        let folder = tempfile::tempdir().unwrap();
        for (name, authority) in [("ours.pem", authority), ("theirs.pem", self::authority())] {
            std::fs::write(folder.path().join(name), authority.pem()).unwrap();
        }
        std::fs::write(folder.path().join("none.pem"), "").unwrap();
        let cluster =
            Cluster::start_with_tls(Programs::find().unwrap(), &certificate.pem(), &key.serialize_pem());
        Self { cluster: cluster.unwrap(), folder }
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }
}

fn authority() -> CertifiedIssuer<'static, KeyPair> {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

/// Reads something by this address.
async fn read(url: &str) -> Result<SqlValue, DbError> {
    let db = Postgres::new(url, None, PostgresOptions::default())?;
    let rows = db.query(&statement("SELECT 1", &[]), &DbAccess::default(), QueryLimits::default()).await?;
    Ok(rows.rows[0][0].clone())
}

fn trusting(file: &Path) -> String {
    format!("sslrootcert={}", file.display())
}

#[tokio::test]
async fn a_server_has_to_prove_its_name_by_an_authority_that_is_trusted() {
    let server = Server::start();
    let pg = server.cluster.database();
    let (ours, theirs) = (trusting(&server.file("ours.pem")), trusting(&server.file("theirs.pem")));
    let at = |host: &str, query: &str| format!("{}?{query}", pg.url_at("read", host));
    for secret in [
        at("localhost", &format!("sslmode=require&{ours}")),
        at("localhost", &format!("sslmode=verify-full&{ours}")),
        at("db.example.org", &format!("hostaddr=127.0.0.1&sslmode=verify-ca&{ours}")),
    ] {
        assert_eq!(read(&secret).await, Ok(SqlValue::Integer(1)), "{secret}");
    }
    for (refused, says) in [
        // Another name, also where the other end would be the right one.
        (
            at("other.example.org", &format!("hostaddr=127.0.0.1&sslmode=require&{ours}")),
            "not valid for name",
        ),
        (at("127.0.0.1", &format!("sslmode=require&{ours}")), "not valid for name"),
        // Another authority, and one that only this test knows.
        (at("localhost", &format!("sslmode=verify-full&{theirs}")), "invalid peer certificate"),
        (at("localhost", "sslmode=require"), "certificate"),
        (
            at("localhost", &format!("sslmode=require&{}", trusting(&server.file("none.pem")))),
            "no certificate",
        ),
        (
            at("localhost", &format!("sslmode=require&{}", trusting(&server.file("nowhere.pem")))),
            "`sslrootcert`",
        ),
    ] {
        let error = read(&refused).await.expect_err(&refused).to_string();
        assert!(error.contains(says), "{refused}: {error}");
    }
    // What is plain is plain, because it says so or does not leave the machine.
    for plain in [pg.url_at("read", "localhost"), at("127.0.0.1", "sslmode=disable")] {
        assert_eq!(read(&plain).await, Ok(SqlValue::Integer(1)), "{plain}");
    }
}

#[tokio::test]
async fn everything_is_said_in_secret() {
    let server = Server::start();
    let pg = server.cluster.database();
    pg.sql("CREATE TABLE t (id int PRIMARY KEY)");
    let query = format!("?sslmode=require&{}", trusting(&server.file("ours.pem")));
    let url = |role: &str| pg.url_at(role, "localhost") + &query;
    let db = Postgres::new(&url("read"), Some(&url("write")), PostgresOptions::default()).unwrap();
    let both = access(&["t"], &["t"]);
    let (reads_as, writes_as) = db.roles();
    let mut preparation = Preparation::new(reads_as, writes_as);
    preparation.grant(&both);
    preparation.run(&url("owner")).await.unwrap();
    let mut transaction = begin(&db, 1, Capture::On).await;
    transaction.execute(&statement("INSERT INTO t VALUES (1)", &[]), &both).await.unwrap();
    let count = statement("SELECT count(*) FROM t", &[]);
    assert_eq!(db.query(&count, &both, QueryLimits::default()).await.unwrap().rows, [[SqlValue::Integer(0)]]);
    let ways =
        "SELECT string_agg(DISTINCT a.usename || ' ' || s.ssl, ', ' ORDER BY a.usename || ' ' || s.ssl)
                FROM pg_stat_ssl s JOIN pg_stat_activity a USING (pid) WHERE a.application_name = 'wflo'";
    let expect = format!("{0}_read true, {0}_write true", pg.name());
    assert_eq!(pg.superuser(ways), expect);
    transaction.commit().await.unwrap();
    assert_eq!(pg.sql("SELECT count(*) FROM t"), "1");
    // A statement that nobody waits for is stopped by TLS as well.
    let endless = statement("SELECT count(*) FROM generate_series(1, 1000000000)", &[]);
    let short = QueryLimits { time: std::time::Duration::from_millis(50), ..QueryLimits::default() };
    assert!(matches!(db.query(&endless, &both, short).await, Err(DbError::Limit(_))));
}

#[tokio::test]
async fn nothing_is_said_to_a_server_that_speaks_no_tls() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let heard = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        // It asks for TLS, and is told that there is none.
        let mut asked = [0; 8];
        stream.read_exact(&mut asked).await.unwrap();
        assert_eq!(asked, [0, 0, 0, 8, 4, 210, 22, 47]);
        stream.write_all(b"N").await.unwrap();
        let mut rest = Vec::new();
        stream.read_to_end(&mut rest).await.unwrap();
        rest
    });
    let error = read(&format!("postgres://u:s3cret@localhost:{port}/x?sslmode=require")).await.unwrap_err();
    assert!(matches!(&error, DbError::Unavailable(text) if text.contains("TLS")), "{error}");
    assert_eq!(heard.await.unwrap(), b"", "neither a name nor a password");
}
