//! Takes connections, and ends those that ask for nothing.

use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::time::Duration;

use axum::Router;
use axum::extract::{ConnectInfo, Request};
use axum::response::Response;
use hyper::server::conn::http1;
use hyper::service::{Service as _, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

/// How long the head of a request may take, from the connection or the answer before on: against whoever keeps connections
/// by sending a byte now and then.
const HEAD: Duration = Duration::from_secs(15);
/// How long is waited where no more connections can be taken: there are too many files open.
const PAUSE: Duration = Duration::from_secs(1);

/// Answers what is asked over the connections that come, until `stopped` is there and what was asked by then is answered.
pub(crate) async fn listen(listener: TcpListener, router: Router, stopped: impl Future<Output = ()>) {
    listen_within(HEAD, listener, router, stopped).await;
}

async fn listen_within(
    head: Duration,
    listener: TcpListener,
    router: Router,
    stopped: impl Future<Output = ()>,
) {
    let (tell, told) = watch::channel(false);
    let mut open = JoinSet::new();
    let mut stopped = pin!(stopped);
    loop {
        let accepted = tokio::select! {
            () = &mut stopped => break,
            Some(_) = open.join_next() => continue,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, from)) => _ = open.spawn(serve(head, stream, from, router.clone(), told.clone())),
            // One that went away before it was taken says nothing of the others.
            Err(error) if is_of_connection(&error) => {}
            Err(error) => {
                tracing::error!(%error, "connections cannot be taken");
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
    drop(listener);
    tell.send_replace(true);
    while open.join_next().await.is_some() {}
}

/// Answers what is asked over one connection; once `told`, no more than what is under way.
async fn serve(
    head: Duration,
    stream: TcpStream,
    from: SocketAddr,
    router: Router,
    mut told: watch::Receiver<bool>,
) {
    let router = TowerToHyperService::new(router);
    let service = service_fn(move |request: hyper::Request<hyper::body::Incoming>| {
        let mut request: Request = request.map(axum::body::Body::new);
        request.extensions_mut().insert(ConnectInfo(from));
        let answer = router.call(request);
        async move { Ok::<Response, Infallible>(answer.await.unwrap_or_else(|never| match never {})) }
    });
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(head);
    let mut connection = pin!(http.serve_connection(TokioIo::new(stream), service));
    tokio::select! {
        // Whoever is on the other side hears of it, and nobody on this one has to.
        _ = connection.as_mut() => return,
        _ = told.wait_for(|told| *told) => {}
    }
    connection.as_mut().graceful_shutdown();
    let _ = connection.await;
}

fn is_of_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset)
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};
    use std::net::{SocketAddr, TcpStream};
    use std::time::Duration;

    use axum::Router;
    use axum::routing::get;
    use tokio::net::TcpListener;
    use tokio::sync::oneshot;

    use super::listen_within;

    /// Says so much, and hears what comes of it until the connection ends.
    async fn ask(address: SocketAddr, words: &'static str) -> String {
        let asking = tokio::task::spawn_blocking(move || {
            let mut stream = TcpStream::connect(address).unwrap();
            stream.write_all(words.as_bytes()).unwrap();
            let mut said = Vec::new();
            // It may be cut off.
            let _ = stream.read_to_end(&mut said);
            String::from_utf8(said).unwrap()
        });
        asking.await.unwrap()
    }

    #[tokio::test]
    async fn who_takes_for_ever_to_ask_is_not_waited_for() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel::<()>();
        let router = Router::new().route("/", get(|| async { "here" }));
        let stopped = async move { _ = stopped.await };
        let serving = tokio::spawn(listen_within(Duration::from_millis(50), listener, router, stopped));
        // Each ends by itself, without an answer to what was not asked.
        for slow in ["", "GET / HTTP/1.1\r\nhost: here\r\nx-"] {
            let said = ask(address, slow).await;
            assert!(!said.contains("here"), "{said:?}");
        }
        let said = ask(address, "GET / HTTP/1.1\r\nhost: here\r\nconnection: close\r\n\r\n").await;
        assert!(said.starts_with("HTTP/1.1 200") && said.ends_with("here"), "{said}");
        stop.send(()).unwrap();
        serving.await.unwrap();
    }
}
