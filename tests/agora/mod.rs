//! The login of Agora apps: the tokens that the program makes, judged by the vendor's own package.
//!
//! Store: file

mod simulator;
mod vendor;

use std::io::Read;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use flate2::read::ZlibDecoder;
use mooncast::{AgoraLogin, App, AppLimits, Call, Client, Clock, Credentials, RecordSettings, Timeouts};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use secrecy::ExposeSecret;
use serde_json::json;

use crate::support::service::{Request, Service, accept, json as answer};
use crate::support::{Project, Ran};
use vendor::Vendor;

const ID: &str = "0123456789abcdef0123456789abcdef";
const CERTIFICATE: &str = "fedcba9876543210fedcba9876543210";
const WRONG_CERTIFICATE: &str = "00000000000000000000000000000000";

const SEND: &str = r#"
    im.group_send { to = "1", type = "txt", body = { msg = "one" } }
    im.group_send { to = "2", type = "txt", body = { msg = "two" } }"#;

/// What is compressed in a token.
fn inflated(token: &str) -> Vec<u8> {
    let compressed = STANDARD.decode(token.strip_prefix("007").unwrap()).unwrap();
    let mut content = Vec::new();
    ZlibDecoder::new(&*compressed).read_to_end(&mut content).unwrap();
    content
}

fn token(id: &str, certificate: &str, issued_at: u32, expire: u32, salt: u32) -> String {
    let token = mooncast::agora_token(id, &certificate.into(), issued_at, expire, salt).unwrap();
    token.expose_secret().to_owned()
}

#[test]
fn a_token_is_the_one_that_the_vendors_package_makes() {
    let made = token(ID, CERTIFICATE, 1_700_000_000, 3600, 12_345_678);
    let known = "007eJxTYPjTVJHjOc9xn3nE/mk6b69xbjfYMfFOdKPYmZ1Xl/6/xRCrwGBgaGRsYmpmbmGZmJSckpqGzmf4GJwqwMfA4Je4h4GRgZWBkYGJAcRnYAAA6ModtQ==";
    assert_eq!(inflated(&made), inflated(known));

    let vendor = Vendor::start();
    let mut random = StdRng::seed_from_u64(7);
    let mut digits = move || format!("{:032x}", random.random::<u128>());
    let mut random = StdRng::seed_from_u64(8);
    for case in 0..1000 {
        let (id, certificate) = (digits(), digits());
        // The vendor's package reads 0 as "now".
        let issued_at = random.random_range(1..=u32::MAX);
        let (expire, salt) = (random.random_range(0..=86_400), random.random());
        let made = token(&id, &certificate, issued_at, expire, salt);
        let theirs = vendor.ask(&json!({
            "app_id": id, "certificate": certificate, "issued_at": issued_at, "expire": expire, "salt": salt,
        }));
        assert_eq!(inflated(&made), inflated(theirs["token"].as_str().unwrap()), "case {case}");
    }
}

/// A service that accepts what the vendor's package accepts: the tokens that an app signed with its certificate, and
/// those that it got in exchange. It knows one prefix.
fn service() -> Service {
    let vendor = Arc::new(Vendor::start());
    Service::answering(move |number, request| {
        let Some(path) = request.path.strip_prefix(&format!("/app-id/{ID}/")) else {
            return answer(
                404,
                r#"{"error":"organization_application_not_found","error_description":"none"}"#,
            );
        };
        let token = bearer(request);
        let is_valid = token.starts_with("007") && signed(&vendor, &token, CERTIFICATE);
        let refused =
            format!(r#"{{"error":"unauthorized","error_description":"no {token} of {CERTIFICATE}"}}"#);
        if path == "token" {
            assert_eq!(request.json(), json!({ "grant_type": "agora" }));
            if !is_valid {
                return answer(401, &refused);
            }
            // In milliseconds, both.
            let end = Clock::real().unix_time() + Duration::from_hours(24);
            let (end, life) = (end.as_millis(), 86_400_000);
            return answer(
                200,
                &format!(
                    r#"{{"access_token":"CANARY-{number}","expire_timestamp":{end},"expires_in":{life}}}"#
                ),
            );
        }
        match (is_valid || token.starts_with("CANARY-"), request.method.as_str()) {
            (false, _) => answer(401, &refused),
            (true, "GET") => answer(200, r#"{"data":[],"count":0}"#),
            (true, _) => accept(number, request),
        }
    })
}

fn bearer(request: &Request) -> String {
    let header = request.header("authorization").unwrap_or_default();
    header.strip_prefix("Bearer ").unwrap_or_default().to_owned()
}

/// Whether a token is signed for the app, for 24 hours from now at the most.
fn signed(vendor: &Vendor, token: &str, certificate: &str) -> bool {
    let read = vendor.ask(&json!({ "token": token, "certificate": certificate }));
    let now = Clock::real().unix_time().as_secs();
    read["valid"] == true
        && read["app_id"] == ID
        && read["privileges"] == json!({ "2": 86_400 })
        && read["expire"] == 86_400
        && read["issued_at"].as_u64().unwrap().abs_diff(now) < 3600
        && (1..=99_999_999).contains(&read["salt"].as_u64().unwrap())
}

fn project(service: &Service, more: &str) -> Project {
    let url = service.url();
    Project::with_script(SEND)
        .file("mooncast.toml", format!("[app]\nbase_url = \"{url}\"\napp_id = \"{ID}\"\n{more}"))
}

fn with_certificate(project: &Project, certificate: &str, args: &[&str]) -> Ran {
    let mut command = project.command(args);
    Ran::of(&command.env("MOONCAST_APP_CERTIFICATE", certificate).output().unwrap())
        .never_says(certificate)
        .never_says("CANARY")
        .never_says("007e")
}

fn run(project: &Project, certificate: &str) -> Ran {
    with_certificate(project, certificate, &["run", "scripts/main.lua"])
}

#[test]
fn a_made_token_is_exchanged_and_the_exchanged_one_sends_in_all_processes() {
    let service = service();
    let project = project(&service, "");
    run(&project, CERTIFICATE).exits(0);
    run(&project, CERTIFICATE).exits(0);
    let requests = service.requests();
    let tokens: Vec<_> = requests.iter().filter(|request| request.path.ends_with("/token")).collect();
    assert_eq!((tokens.len(), requests.len()), (1, 5), "{requests:?}");
    assert!(requests.iter().skip(1).all(|request| bearer(request) == "CANARY-0"), "{requests:?}");
    assert!(!project.keeps(CERTIFICATE));
}

#[test]
fn a_made_token_is_used_as_it_is_if_the_settings_say_so() {
    let service = service();
    let project = project(&service, "login = \"direct\"\n");
    run(&project, CERTIFICATE).exits(0);
    run(&project, CERTIFICATE).exits(0);
    let requests = service.requests();
    assert_eq!(requests.len(), 4, "{requests:?}");
    let first = bearer(&requests[0]);
    assert!(requests.iter().all(|request| bearer(request) == first), "{requests:?}");
    assert!(!project.keeps(CERTIFICATE));
}

#[test]
fn the_certificate_is_read_from_a_file_or_from_the_settings_of_each_app() {
    let service = service();
    let file = project(&service, "").file("certificate", format!("{CERTIFICATE}\n"));
    let mut command = file.command(&["run", "scripts/main.lua"]);
    command.env("MOONCAST_APP_CERTIFICATE_FILE", file.path("certificate"));
    Ran::of(&command.output().unwrap()).exits(0);

    let url = service.url();
    let second = Project::with_script(
        r#"im.app("second").group_send { to = "1", type = "txt", body = { msg = "one" } }"#,
    )
    .file(
        "mooncast.toml",
        format!("[app]\nbase_url = \"{url}\"\norg = \"o\"\nname = \"a\"\ntoken = \"t\"\n[apps.second]\nbase_url = \"{url}\"\napp_id = \"{ID}\"\napp_certificate = \"{CERTIFICATE}\"\n"),
    );
    second.mooncast(&["run", "scripts/main.lua"]).exits(0).never_says(CERTIFICATE);
    assert_eq!(service.messages().len(), 3);
}

#[test]
fn scripts_do_not_see_the_certificate() {
    let service = service();
    let project =
        project(&service, "[permissions]\nenv = [\"*\", \"MOONCAST_APP_CERTIFICATE\"]\nread = [\"/\"]\n")
            .file(
                "scripts/main.lua",
                r#"local env = require("env")
        print(pcall(env.get, "MOONCAST_APP_CERTIFICATE"))
        print(pcall(env.secret, "MOONCAST_APP_CERTIFICATE"))"#,
            );
    let ran = with_certificate(&project, CERTIFICATE, &["run", "scripts/main.lua"]).exits(0);
    assert_eq!(ran.stdout.matches("denied: MOONCAST_APP_CERTIFICATE").count(), 2, "{ran:?}");
}

#[test]
fn doctor_tells_a_wrong_certificate_from_a_wrong_prefix() {
    let service = service();
    for login in ["exchange", "direct"] {
        let right = project(&service, &format!("login = \"{login}\"\n"));
        with_certificate(&right, CERTIFICATE, &["doctor"])
            .exits(0)
            .prints("the service answers and accepts the token");

        let wrong = project(&service, &format!("login = \"{login}\"\n"));
        with_certificate(&wrong, WRONG_CERTIFICATE, &["doctor"])
            .exits(1)
            .prints("The address is right, and the service does not accept the credentials: compare app_id and MOONCAST_APP_CERTIFICATE with Agora's console");

        let elsewhere = project(&service, &format!("login = \"{login}\"\norg = \"41\"\nname = \"7\"\n"));
        with_certificate(&elsewhere, CERTIFICATE, &["doctor"])
            .exits(1)
            .prints(&format!("The service has no app at {}/41/7: compare base_url", service.url()));
    }
    assert!(service.messages().is_empty());
    for login in ["exchange", "direct"] {
        let wrong = project(&service, &format!("login = \"{login}\"\n"));
        run(&wrong, WRONG_CERTIFICATE).exits(1).says("not authorised");
    }
}

#[test]
fn a_made_token_is_replaced_before_its_24_hours_end_and_after_a_refusal() {
    let service = Service::answering(|number, request| {
        if number == 2 { answer(401, r#"{"error":"unauthorized"}"#) } else { accept(number, request) }
    });
    let app = App {
        name: "default".into(),
        prefix: format!("{}/app-id/{ID}", service.url()),
        credentials: Credentials::Agora {
            app_id: ID.into(),
            certificate: CERTIFICATE.into(),
            login: AgoraLogin::Direct,
        },
        limits: AppLimits::default(),
        records: RecordSettings::default(),
        timeouts: Timeouts::default(),
    };
    let clock = Clock::simulated(Duration::from_secs(1_700_000_000));
    let client = Client::new(&app, clock.clone(), None::<&Path>).unwrap();
    let send = || async {
        client.send(Call::Group, Bytes::from_static(br#"{"to":["1"]}"#), || ()).await.unwrap();
    };
    clock
        .block_on(async {
            send().await;
            clock.sleep(Duration::from_mins(23 * 60 + 54)).await;
            send().await;
            // This one is refused, and repeated with a new token.
            send().await;
            clock.sleep(Duration::from_mins(23 * 60 + 56)).await;
            send().await;
        })
        .unwrap();
    let tokens: Vec<String> = service.requests().iter().map(bearer).collect();
    assert_eq!(tokens.len(), 5);
    assert!(tokens[0] == tokens[1] && tokens[1] == tokens[2], "{tokens:?}");
    assert!(tokens[2] != tokens[3] && tokens[3] != tokens[4], "{tokens:?}");
    let vendor = Vendor::start();
    let read = vendor.ask(&json!({ "token": tokens[4], "certificate": CERTIFICATE }));
    assert_eq!(read["issued_at"], 1_700_000_000 + (23 * 60 + 54 + 23 * 60 + 56) * 60);
}
