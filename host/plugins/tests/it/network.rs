//! Where plugins may send requests, and where not.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use archstone_model::directory::EntryKind;
use archstone_plugins::{
    Connector, ConnectorSetup, Entry, EntryKey, PluginError, Reach, StreamServer,
};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};

use crate::guests::{Bench, asserted, component, detail, refusal};

/// A server on loopback that answers every request the same way.
async fn server(answer: &'static str) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        loop {
            let (mut connection, _) = listener.accept().await.unwrap();
            tokio::spawn(async move {
                let mut request = [0; 4096];
                let _ = connection.read(&mut request).await;
                let _ = connection.write_all(answer.as_bytes()).await;
            });
        }
    });
    port
}

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello";

async fn bench(origins: Value, networks: Value) -> Bench {
    let bench = Bench::new();
    let grant = json!({"http": {
        "origins": origins,
        "private_networks": networks,
        "max_response_bytes": 1000,
        "max_requests": 3,
        "timeout_ms": 500,
    }});
    bench
        .serve("hostile", component("hostile"), json!({"grant": grant}))
        .await;
    bench
}

async fn fetch(
    bench: &Bench,
    url: &str,
) -> Result<archstone_plugins::Outcome, archstone_plugins::PluginError> {
    bench.commit(json!({"fetch": url})).await
}

#[tokio::test]
async fn a_granted_server_is_reached() {
    let port = server(OK).await;
    let origin = format!("http://127.0.0.1:{port}");
    let bench = bench(json!([origin]), json!(["127.0.0.0/8"])).await;
    let assertion = asserted(fetch(&bench, &format!("{origin}/path")).await);
    assert_eq!(assertion.claims["status"], 200);
    assert_eq!(assertion.claims["body"], "hello");
}

#[tokio::test]
async fn an_inside_address_is_refused_even_if_its_origin_is_granted() {
    let port = server(OK).await;
    for host in [
        "127.0.0.1",
        "[::1]",
        "localhost",
        "169.254.169.254",
        "0.0.0.0",
        "0x7f000001",
        "2130706433",
        "[::ffff:127.0.0.1]",
        "10.0.0.1",
    ] {
        let origin = format!("http://{host}:{port}");
        let bench = bench(json!([origin]), json!([])).await;
        let said = detail(fetch(&bench, &origin).await);
        assert_eq!(said, "the server's address is not allowed", "{host}");
    }
}

#[tokio::test]
async fn a_name_is_resolved_to_allowed_addresses_only() {
    let port = server(OK).await;
    let origin = format!("http://localhost:{port}");
    let bench = bench(json!([origin]), json!(["127.0.0.0/8"])).await;
    asserted(fetch(&bench, &origin).await);
}

#[tokio::test]
async fn an_origin_that_was_not_granted_is_refused() {
    let port = server(OK).await;
    let bench = bench(json!(["https://granted.example"]), json!(["127.0.0.0/8"])).await;
    for url in [
        format!("http://127.0.0.1:{port}/"),
        "http://granted.example/".to_owned(),
        "https://granted.example:8443/".to_owned(),
        "https://granted.example.evil/".to_owned(),
    ] {
        let said = detail(fetch(&bench, &url).await);
        assert_eq!(said, "the operator has not granted this origin", "{url}");
    }
}

#[tokio::test]
async fn urls_that_are_not_what_they_seem_are_refused() {
    let bench = bench(json!(["https://granted.example"]), json!([])).await;
    for url in [
        "file:///etc/passwd",
        "https://granted.example@127.0.0.1/",
        "https://user:password@granted.example/",
        "/relative",
        "gopher://granted.example/",
    ] {
        assert_eq!(refusal(fetch(&bench, url).await), "unavailable", "{url}");
    }
}

#[tokio::test]
async fn a_redirect_is_an_answer() {
    let port = server("HTTP/1.1 302 Found\r\nLocation: http://169.254.169.254/\r\nContent-Length: 0\r\nConnection: close\r\n\r\n").await;
    let origin = format!("http://127.0.0.1:{port}");
    let bench = bench(json!([origin]), json!(["127.0.0.0/8"])).await;
    assert_eq!(asserted(fetch(&bench, &origin).await).claims["status"], 302);
}

#[tokio::test]
async fn an_answer_that_is_too_large_is_refused() {
    let port = server("HTTP/1.1 200 OK\r\nContent-Length: 1001\r\n\r\n").await;
    let origin = format!("http://127.0.0.1:{port}");
    let bench = bench(json!([origin]), json!(["127.0.0.0/8"])).await;
    let said = detail(fetch(&bench, &origin).await);
    assert_eq!(said, "the server's answer is too large");
}

#[tokio::test]
async fn a_server_that_does_not_answer_is_given_up() {
    let port = server("").await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let silent = listener.local_addr().unwrap().port();
    let origins = json!([
        format!("http://127.0.0.1:{port}"),
        format!("http://127.0.0.1:{silent}")
    ]);
    let bench = bench(origins, json!(["127.0.0.0/8"])).await;
    for port in [port, silent] {
        let outcome = fetch(&bench, &format!("http://127.0.0.1:{port}/")).await;
        assert_eq!(refusal(outcome), "unavailable");
    }
}

#[tokio::test]
async fn one_call_makes_only_so_many_requests() {
    let port = server(OK).await;
    let origin = format!("http://127.0.0.1:{port}");
    let bench = bench(json!([origin]), json!(["127.0.0.0/8"])).await;
    let said = detail(bench.commit(json!({"fetch-forever": origin})).await);
    assert_eq!(said, "this call has made all the requests it may");
}

#[tokio::test]
async fn headers_of_the_connection_are_the_hosts() {
    let port = server(OK).await;
    let origin = format!("http://127.0.0.1:{port}");
    let bench = bench(json!([origin]), json!(["127.0.0.0/8"])).await;
    for name in [
        "Host",
        "content-length",
        "Transfer-Encoding",
        "X-Forwarded-For",
        "bad name",
    ] {
        let misdeed = json!({"fetch-with-header": [origin, name]});
        assert_eq!(
            refusal(bench.commit(misdeed).await),
            "unavailable",
            "{name}"
        );
    }
    let misdeed = json!({"fetch-with-header": [origin, "Authorization"]});
    asserted(bench.commit(misdeed).await);
}

/// A peer on loopback that is asked, begins to answer and goes on, a byte at a time, for as long as it is
/// listened to. Counts who came.
async fn slow_peer(beginning: &'static [u8]) -> (u16, Arc<AtomicU32>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let came = Arc::new(AtomicU32::new(0));
    let counted = Arc::clone(&came);
    tokio::spawn(async move {
        loop {
            let (mut connection, _) = listener.accept().await.unwrap();
            counted.fetch_add(1, Ordering::Relaxed);
            tokio::spawn(async move {
                let _ = connection.read(&mut [0; 4096]).await;
                let mut said = connection.write_all(beginning).await;
                while said.is_ok() {
                    tokio::time::sleep(Duration::from_millis(50)).await;
                    said = connection.write_all(b"\0").await;
                }
            });
        }
    });
    (port, came)
}

#[tokio::test]
async fn a_server_that_never_ends_its_answer_is_given_up() {
    let (port, _) = slow_peer(b"HTTP/1.1 200 OK\r\nContent-Length: 999\r\n\r\n").await;
    let origin = format!("http://127.0.0.1:{port}");
    let bench = bench(json!([origin]), json!(["127.0.0.0/8"])).await;
    bench.serve_hello().await;
    let (outcome, ()) = tokio::join!(fetch(&bench, &origin), bench.expect_hello());
    assert_eq!(detail(outcome), "the server took too long");
}

/// A directory at an address, by the plugin that speaks to such over `stream`.
async fn directory(bench: &Bench, networks: Value, host: &str, port: u16) -> Connector {
    let with = json!({
        "grant": {"stream": {"private_networks": networks, "timeout_ms": 300}},
        "limits": {"deadline_ms": 1000},
    });
    bench.serve("ldap", component("ldap"), with).await;
    let config = json!({"url": format!("ldap://{host}:{port}"), "suffix": "dc=x"});
    let setup = ConnectorSetup {
        id: "directory".to_owned(),
        revision: 1,
        config: config.as_object().unwrap().clone(),
    };
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let reach = Reach {
        servers: [StreamServer::new(host, port)].into(),
        ca_file: None,
    };
    let made = bench.registry.directory("ldap", setup, reach).await;
    made.unwrap()
}

async fn ask(directory: &Connector) -> Result<Option<Entry>, PluginError> {
    let ada = EntryKey::Name("ada".to_owned());
    directory.find(EntryKind::User, ada).await
}

#[tokio::test]
async fn no_connection_is_made_to_an_inside_address() {
    let (port, came) = slow_peer(b"").await;
    for host in [
        "127.0.0.1",
        "[::1]",
        "localhost",
        "169.254.169.254",
        "0.0.0.0",
        "[::ffff:127.0.0.1]",
        "[fe80::1]",
        "10.0.0.1",
    ] {
        let bench = Bench::new();
        let directory = directory(&bench, json!([]), host, port).await;
        let told = ask(&directory).await.unwrap_err().to_string();
        assert!(
            told.contains("the server's address is not allowed"),
            "{host}: {told}"
        );
    }
    assert_eq!(came.load(Ordering::Relaxed), 0);
}

#[tokio::test]
async fn a_peer_that_never_ends_its_message_costs_one_call() {
    // The beginning of a message of 64 KiB.
    let (port, came) = slow_peer(&[0x30, 0x83, 1, 0, 0]).await;
    let bench = Bench::new();
    bench.serve_hello().await;
    let directory = directory(&bench, json!(["127.0.0.0/8"]), "127.0.0.1", port).await;
    let asked = async { ask(&directory).await.unwrap_err() };
    let (failed, ()) = tokio::join!(asked, bench.expect_hello());
    assert_eq!(failed.kind(), "deadline-exceeded");
    assert_eq!(came.load(Ordering::Relaxed), 1);
    bench.expect_hello().await;
}

#[tokio::test]
async fn a_peer_that_says_nothing_is_given_up() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let bench = Bench::new();
    let directory = directory(&bench, json!(["127.0.0.0/8"]), "127.0.0.1", port).await;
    let failed = ask(&directory).await.unwrap_err();
    assert_eq!(failed.kind(), "directory-unavailable");
    assert!(failed.to_string().contains("took too long"), "{failed}");
}
