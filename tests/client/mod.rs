//! The REST client against a server that shares no code with it.
//!
//! Store: file
#![cfg(test)]

mod errors;
mod lists;
mod proxy;
mod send;
mod server;
mod token;
mod upload;

use std::time::Duration;

use bytes::Bytes;
use mooncast::{App, AppLimits, Call, CallError, Client, Clock, Credentials, SendReceipts, Timeouts};
use secrecy::SecretString;

/// A text that must never appear in output.
const TOKEN: &str = "CANARY-TOKEN-93b1";
const SECRET: &str = "CANARY-SECRET-51d7";

fn app(base_url: &str, credentials: Credentials) -> App {
    App {
        name: "default".into(),
        prefix: format!("{base_url}/org/app"),
        credentials,
        limits: AppLimits::default(),
        records: mooncast::RecordSettings::default(),
        timeouts: Timeouts {
            connect: Duration::from_secs(5),
            read: Duration::from_secs(5),
            overall: Duration::from_secs(5),
        },
    }
}

fn fixed_token() -> Credentials {
    Credentials::Token(SecretString::from(TOKEN))
}

fn client_secret() -> Credentials {
    Credentials::Client { id: "client-id".into(), secret: SecretString::from(SECRET) }
}

/// A client with a fixed token.
fn client(base_url: &str) -> Client {
    Client::new(&app(base_url, fixed_token()), Clock::real(), None).unwrap()
}

fn run<F: Future>(future: F) -> F::Output {
    Clock::real().block_on(future).unwrap()
}

async fn send(client: &Client) -> Result<SendReceipts, CallError> {
    client.send(Call::Group, Bytes::from_static(br#"{"to":["1"]}"#), || ()).await
}

fn assert_no_secret(text: &str) {
    assert!(!text.contains("CANARY"), "a secret shows: {text}");
}
