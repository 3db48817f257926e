//! PostgreSQL beside the model of rows, with others who write while a step does.

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use proptest::test_runner::{Config, TestRunner};
use tokio_postgres::NoTls;
use tokio_postgres::error::SqlState;
use wflo_backends::db::postgres::{Postgres, PostgresOptions};
use wflo_ports::Database;

use crate::postgres::{Bank, bank};
use crate::row_model::{Subject, TABLE, happenings, play};

struct Server {
    bank: Bank,
    /// Somebody who is no step.
    owner: tokio_postgres::Client,
    superuser: tokio_postgres::Client,
}

impl Server {
    async fn new() -> Self {
        let bank = bank(TABLE, &["t"]).await;
        let login = async |url: String| {
            let (client, connection) = tokio_postgres::connect(&url, NoTls).await.unwrap();
            tokio::spawn(connection);
            client
        };
        let owner = login(bank.pg.url("owner")).await;
        let superuser = login(bank.pg.url_of("postgres")).await;
        Self { bank, owner, superuser }
    }

    async fn empty(&mut self) {
        self.kill().await;
        self.owner.batch_execute("TRUNCATE t, wflo_effects").await.unwrap();
    }
}

#[async_trait]
impl Subject for Server {
    fn database(&self) -> Arc<dyn Database> {
        Arc::clone(&self.bank.db) as Arc<dyn Database>
    }

    async fn outside(&mut self, sql: &str) -> bool {
        match self.owner.batch_execute(sql).await {
            Ok(()) => true,
            Err(error) if error.code() == Some(&SqlState::UNIQUE_VIOLATION) => false,
            Err(error) => panic!("{sql}: {error}"),
        }
    }

    async fn kill(&mut self) {
        let kill = "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity \
                    WHERE application_name = 'wflo' AND datname = current_database()";
        self.superuser.batch_execute(kill).await.unwrap();
        let (read, write) = (self.bank.pg.url("read"), self.bank.pg.url("write"));
        self.bank.db = Arc::new(Postgres::new(&read, Some(&write), PostgresOptions::default()).unwrap());
    }

    fn is_shared(&self) -> bool {
        true
    }
}

#[test]
fn the_table_is_what_the_model_says() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let server = Mutex::new(runtime.block_on(Server::new()));
    let config = Config { cases: 40, max_shrink_iters: 200, failure_persistence: None, ..Config::default() };
    let played = TestRunner::new(config).run(&happenings(), |happens| {
        // One that has failed has left it as it was then.
        let mut server = server.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        runtime.block_on(async {
            server.empty().await;
            play(&mut *server, &happens).await;
        });
        Ok(())
    });
    if let Err(failed) = played {
        panic!("{failed}");
    }
}
