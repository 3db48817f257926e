//! The two ends of the etl-pipeline example, on this machine.

use std::io::{Write, stdout};
use std::net::TcpListener;
use std::path::PathBuf;

use anyhow::{Context, Result};
use clap::{Parser, Subcommand};
use etl_data::{Quality, ROWS, Source, make_warehouse, serve};

/// The two ends of the etl-pipeline example.
#[derive(Parser)]
struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Make the warehouse.
    Warehouse {
        /// The file to write; one that is there is replaced.
        #[arg(default_value = "warehouse.db")]
        path: PathBuf,
    },
    /// Be the source, until stopped: `GET /customers.csv` on this machine.
    Serve {
        /// The port; 0 for any.
        #[arg(long, default_value_t = 8765)]
        port: u16,
        /// Customers; some 470 bytes each.
        #[arg(long, default_value_t = ROWS)]
        rows: u64,
        /// Let one row in twenty lack its name or its date.
        #[arg(long)]
        broken: bool,
        /// Turn so many requests away first, as if busy.
        #[arg(long, default_value_t = 0)]
        busy: u32,
    },
}

fn main() -> Result<()> {
    match Args::parse().command {
        Command::Warehouse { path } => {
            make_warehouse(&path)?;
            writeln!(stdout(), "{}: a warehouse with 1 customer", path.display())?;
            Ok(())
        }
        Command::Serve { port, rows, broken, busy } => {
            let listener = TcpListener::bind(("127.0.0.1", port)).context("the port is taken")?;
            let mut out = stdout();
            writeln!(out, "{rows} customers at http://{}/customers.csv", listener.local_addr()?)?;
            out.flush()?;
            let quality = if broken { Quality::Broken } else { Quality::Good };
            serve(&listener, Source { rows, quality, busy }, |line| {
                // Whoever reads along may have gone.
                let _ = writeln!(stdout(), "{line}");
            })
        }
    }
}
