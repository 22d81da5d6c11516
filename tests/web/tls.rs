//! TLS with the test's own certificate.
//!
//! Store: file

use std::io::Write as _;
use std::net::TcpStream;
use std::sync::Arc;

use rcgen::{CertifiedKey, generate_simple_self_signed};
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use serde_json::json;

use super::{Answer, GUARD, rest, tokens};
use crate::support::Project;

const SETTINGS: &str = "[serve]\ntls_certificate = 'tls/cert.pem'\ntls_key = 'tls/key.pem'\n";

struct Secure {
    project: Project,
    client: Arc<ClientConfig>,
}

fn secure() -> Secure {
    let CertifiedKey { cert, signing_key } = generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let project = Project::with_script("")
        .file("mooncast.toml", SETTINGS)
        .file("tls/cert.pem", cert.pem())
        .file("tls/key.pem", signing_key.serialize_pem());
    let mut roots = RootCertStore::empty();
    roots.add(cert.der().clone()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let client = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    Secure { project, client: Arc::new(client.with_root_certificates(roots).with_no_client_auth()) }
}

impl Secure {
    fn ask(&self, port: &str, text: &str) -> Answer {
        let name = ServerName::try_from("localhost").unwrap();
        let stream = TcpStream::connect(format!("127.0.0.1:{port}")).unwrap();
        stream.set_read_timeout(Some(GUARD)).unwrap();
        let client = ClientConnection::new(Arc::clone(&self.client), name).unwrap();
        let mut stream = StreamOwned::new(client, stream);
        stream.write_all(text.as_bytes()).unwrap();
        Answer::of(&rest(&mut stream))
    }
}

#[test]
fn the_page_of_other_machines_is_encrypted() {
    let site = secure();
    let (operate, _) = tokens(&site.project);
    let command = site.project.command(&["serve", "--simulator", "--listen", "0.0.0.0:0"]);
    let (serving, address) = super::listening(command);
    serving.says("the page is at https://", 1);
    let port = address.split(':').nth(1).unwrap();
    // Handshakes that are never completed do not delay others.
    let halves: Vec<TcpStream> = (0..50)
        .map(|_| {
            let mut stream = TcpStream::connect(format!("127.0.0.1:{port}")).unwrap();
            stream.write_all(b"\x16\x03\x01").unwrap();
            stream
        })
        .collect();
    let get = format!(
        "GET /api/v1/session HTTP/1.1\r\nhost: localhost:{port}\r\nauthorization: Bearer {operate}\r\nconnection: close\r\n\r\n"
    );
    assert_eq!(site.ask(port, &get).json(), json!({ "name": "operate", "kind": "token", "role": "admin" }));
    let body = json!({ "token": operate }).to_string();
    let login = |origin: &str| {
        let length = body.len();
        site.ask(
            port,
            &format!(
                "POST /api/v1/session HTTP/1.1\r\nhost: localhost:{port}\r\norigin: {origin}\r\ncontent-type: application/json\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}"
            ),
        )
    };
    let cookie = login(&format!("https://localhost:{port}"));
    assert!(cookie.header("set-cookie").unwrap().ends_with("; secure"), "{cookie:?}");
    login(&format!("http://localhost:{port}")).refused(403);
    // Without TLS there is no answer.
    let mut plain = TcpStream::connect(format!("127.0.0.1:{port}")).unwrap();
    plain.set_read_timeout(Some(GUARD)).unwrap();
    plain.write_all(get.as_bytes()).unwrap();
    assert!(!rest(&mut plain).starts_with(b"HTTP"));
    drop(halves);
    serving.stop().exits(0).never_says(&operate);
}

#[test]
fn a_certificate_that_is_of_no_use_is_refused_at_the_start() {
    let (site, other) = (secure(), secure());
    let refused = || site.project.mooncast(&["serve", "--simulator", "--listen", "127.0.0.1:0"]).exits(2);
    site.project.write("tls/key.pem", std::fs::read(other.project.path("tls/key.pem")).unwrap());
    refused().says("does not belong to the certificate in").never_says("BEGIN");
    site.project.write("tls/key.pem", "no key");
    refused().says("tls/key.pem contains no PEM private key");
    std::fs::remove_file(site.project.path("tls/cert.pem")).unwrap();
    refused().says("tls/cert.pem");
}
