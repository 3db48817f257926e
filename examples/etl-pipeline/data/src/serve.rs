//! The source: a small server that streams the export.

use std::io::{BufRead as _, BufReader, BufWriter, Write};
use std::net::{TcpListener, TcpStream};

use anyhow::{Context, Result};

use crate::{HEADER, Quality, row};

/// What the source gives to whoever asks for `/customers.csv`.
#[derive(Clone, Copy, Debug)]
pub struct Source {
    /// Customers.
    pub rows: u64,
    /// How good they are.
    pub quality: Quality,
    /// Requests that are turned away as if the server were busy, before any is answered.
    pub busy: u32,
}

/// Answers requests for ever, one after another; says of each what was asked.
///
/// # Errors
/// When nobody can connect any more.
pub fn serve(listener: &TcpListener, source: Source, mut asked: impl FnMut(&str)) -> Result<()> {
    let mut busy = source.busy;
    loop {
        let (stream, _) = listener.accept().context("nobody can connect")?;
        // Whoever hangs up in the middle has its reasons.
        if let Ok(line) = answer(stream, source, &mut busy) {
            asked(&line);
        }
    }
}

fn answer(stream: TcpStream, source: Source, busy: &mut u32) -> std::io::Result<String> {
    let mut lines = BufReader::new(stream.try_clone()?).lines();
    let asked = lines.next().transpose()?.unwrap_or_default();
    // The rest of the head; a GET has no body.
    for line in lines {
        if line?.is_empty() {
            break;
        }
    }
    let mut out = BufWriter::with_capacity(1 << 16, stream);
    let path = asked.split(' ').nth(1).unwrap_or_default();
    if *busy > 0 {
        *busy -= 1;
        out.write_all(
            b"HTTP/1.1 503 Service Unavailable\r\ncontent-length: 5\r\nconnection: close\r\n\r\nbusy\n",
        )?;
    } else if path == "/customers.csv" && asked.starts_with("GET ") {
        // No length is told: what comes is what there is.
        out.write_all(b"HTTP/1.1 200 OK\r\ncontent-type: text/csv\r\nconnection: close\r\n\r\n")?;
        out.write_all(HEADER.as_bytes())?;
        for number in 0..source.rows {
            out.write_all(row(number, source.quality).as_bytes())?;
        }
    } else {
        out.write_all(b"HTTP/1.1 404 Not Found\r\ncontent-length: 8\r\nconnection: close\r\n\r\nnothing\n")?;
    }
    out.flush()?;
    Ok(asked)
}
