//! The simulator as the service of an Agora app.

use std::io::{BufRead, BufReader};
use std::process::Stdio;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use flate2::Compression;
use flate2::write::ZlibEncoder;
use std::io::Write;

use mooncast::{AgoraApp, Clock, SimulatedResponse, Simulator, SimulatorSettings};

use super::{CERTIFICATE, ID, SEND, WRONG_CERTIFICATE, inflated, token};
use crate::support::{Project, Ran};

#[test]
fn a_project_with_an_app_id_runs_on_the_simulator_in_the_program() {
    for login in ["exchange", "direct"] {
        let project = Project::with_script(SEND).file(
            "mooncast.toml",
            format!("[app]\nbase_url = \"https://x\"\napp_id = \"{ID}\"\nlogin = \"{login}\"\n"),
        );
        let mut command = project.within(&["run", "--simulator", "scripts/main.lua"]);
        command.env("MOONCAST_APP_CERTIFICATE", WRONG_CERTIFICATE);
        Ran::of(&command.output().unwrap()).exits(0);
        // The certificate is not needed.
        project
            .within(&["run", "--simulator", "scripts/main.lua"])
            .output()
            .map(|output| Ran::of(&output).exits(0))
            .unwrap();
    }
}

#[test]
fn the_simulator_prints_the_variables_of_an_agora_app_and_checks_the_signature() {
    let home = Project::new();
    let mut command = home.within(&[
        "sim",
        "--strict",
        "--listen",
        "127.0.0.1:0",
        "--app-id",
        ID,
        "--app-certificate",
        CERTIFICATE,
    ]);
    let mut sim = command.stdout(Stdio::piped()).spawn().unwrap();
    let lines = BufReader::new(sim.stdout.take().unwrap()).lines().map(Result::unwrap);
    let variables: Vec<(String, String)> = lines
        .take_while(|line| !line.starts_with("# Open"))
        .filter_map(|line| {
            let (name, value) = line.strip_prefix("export ")?.split_once('=')?;
            Some((name.to_owned(), value.to_owned()))
        })
        .collect();
    let names: Vec<&str> = variables.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["MOONCAST_BASE_URL", "MOONCAST_APP_ID", "MOONCAST_APP_CERTIFICATE"]);
    for login in ["exchange", "direct"] {
        for (certificate, status) in [(CERTIFICATE, 0), (WRONG_CERTIFICATE, 1)] {
            let project =
                Project::with_script(SEND).file("mooncast.toml", format!("[app]\nlogin = \"{login}\"\n"));
            let mut command = project.command(&["run", "scripts/main.lua"]);
            command.envs(variables.clone()).env("MOONCAST_APP_CERTIFICATE", certificate);
            Ran::of(&command.output().unwrap()).exits(status);
        }
    }
    sim.kill().unwrap();
    sim.wait().unwrap();
}

/// The status with which the simulator answers a list with this token, and an exchange of it.
fn statuses(simulator: &Simulator, token: &str) -> [u16; 2] {
    let authorised = || http::Request::builder().header("authorization", format!("Bearer {token}"));
    let list = authorised().uri(format!("/app-id/{ID}/chatgroups")).body(bytes::Bytes::new()).unwrap();
    let body = bytes::Bytes::from_static(br#"{"grant_type":"agora"}"#);
    let exchange = authorised()
        .method("POST")
        .header("content-type", "application/json")
        .uri(format!("/app-id/{ID}/token"))
        .body(body)
        .unwrap();
    [list, exchange].map(|request| match simulator.handle(&request) {
        SimulatedResponse::Whole(answer) => answer.status().as_u16(),
        other => panic!("{other:?}"),
    })
}

#[test]
fn the_simulator_refuses_every_token_that_the_app_did_not_sign_so() {
    let now = Duration::from_secs(1_700_000_000);
    let clock = Clock::simulated(now);
    let settings = SimulatorSettings {
        agora: Some(AgoraApp { app_id: ID.to_owned(), certificate: CERTIFICATE.into() }),
        ..SimulatorSettings::default()
    };
    let simulator = Simulator::new(settings, clock.clone());
    let issued = 1_700_000_000;
    let good = token(ID, CERTIFICATE, issued, 86_400, 7);
    assert_eq!(statuses(&simulator, &good), [200, 200]);
    for bad in [
        token(ID, WRONG_CERTIFICATE, issued, 86_400, 7),
        token(WRONG_CERTIFICATE, CERTIFICATE, issued, 86_400, 7),
        token(ID, CERTIFICATE, issued, 86_401, 7),
        token(ID, CERTIFICATE, issued - 3600, 3600, 7),
        "007".to_owned(),
        "007not base64".to_owned(),
    ] {
        assert_eq!(statuses(&simulator, &bad), [401, 401], "{bad}");
    }
    let content = inflated(&good);
    for at in 0..content.len() {
        let mut changed = content.clone();
        changed[at] ^= 1;
        let mut compressed = ZlibEncoder::new(Vec::new(), Compression::default());
        compressed.write_all(&changed).unwrap();
        let changed = format!("007{}", STANDARD.encode(compressed.finish().unwrap()));
        assert_eq!(statuses(&simulator, &changed), [401, 401], "byte {at}");
    }
    clock.set_unix_time(now + Duration::from_hours(24));
    assert_eq!(statuses(&simulator, &good), [401, 401]);
}
