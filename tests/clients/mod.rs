//! Clients that others wrote run against the simulator, with only the address changed.
//!
//! Store: file

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use serde_json::{Value, json};

use crate::support::{Project, Ran};

/// The folders in the target folder into which `tests/run` installs the clients.
const EASEMOB_SDK: &str = "easemob-sdk-0.1.1/node_modules";
const EASE_RESTAPI: &str = "ease-restapi-1.3/bin/python";
const AGORA_TOKEN: &str = "agora-token-2.0.6/node_modules";

const GROUP: &str = "184524748161025";
const APP_ID: &str = "0123456789abcdef0123456789abcdef";
const APP_CERTIFICATE: &str = "fedcba9876543210fedcba9876543210";

/// A running `mooncast sim`, and a folder for the files of a client.
struct Sim {
    home: Project,
    process: Child,
    /// The variables for a client.
    variables: Vec<(&'static str, String)>,
}

impl Sim {
    fn start(args: &[&str]) -> Self {
        let home = Project::new().file("image.png", image()).file("out/empty", "");
        let record = home.path("record");
        let always = ["sim", "--listen", "127.0.0.1:0", "--record", record.to_str().unwrap()];
        let mut command = home.within(&[&always, args].concat());
        let mut process = command.stdout(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(process.stdout.take().unwrap()).lines().map(Result::unwrap);
        let base = lines.find_map(|line| line.strip_prefix("export MOONCAST_BASE_URL=").map(str::to_owned));
        // Its last lines find a reader.
        std::thread::spawn(move || lines.count());
        let path = |name: &str| home.path(name).to_str().unwrap().to_owned();
        let variables = vec![
            ("BASE", base.unwrap()),
            ("ORG", "simulator".to_owned()),
            ("APP", "demo".to_owned()),
            ("CLIENT_ID", "simulator-client".to_owned()),
            ("CLIENT_SECRET", "simulator-secret".to_owned()),
            ("APP_ID", APP_ID.to_owned()),
            ("APP_CERTIFICATE", APP_CERTIFICATE.to_owned()),
            ("GROUP", GROUP.to_owned()),
            ("IMAGE", path("image.png")),
            ("OUT", path("out")),
        ];
        Self { home, process, variables }
    }

    /// Runs a client to its end. Returns the lines that it prints.
    fn serve(&self, command: &mut Command) -> Vec<String> {
        let output = command.envs(self.variables.clone()).stdin(Stdio::null()).output().unwrap();
        Ran::of(&output).exits(0).stdout.lines().map(str::to_owned).collect()
    }

    /// Returns the messages that it received, in the order of arrival.
    fn received(&self) -> Vec<Received> {
        let record = std::fs::read_to_string(self.home.path("record")).unwrap();
        record.lines().map(|line| Received(serde_json::from_str(line).unwrap())).collect()
    }
}

impl Drop for Sim {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// A message that the simulator received.
struct Received(Value);

impl Received {
    /// Returns the recipient, the type and the body.
    fn content(&self) -> (&str, &str, &Value) {
        let raw = &self.0["raw"];
        (self.0["group"].as_str().unwrap(), raw["type"].as_str().unwrap(), &raw["body"])
    }
}

/// A PNG image of 400 by 200 pixels and of more than 10 KB.
fn image() -> Vec<u8> {
    let pixels = image::RgbImage::from_fn(400, 200, |x, y| {
        let [red, green, blue, _] =
            (x.wrapping_mul(2_654_435_761) ^ y.wrapping_mul(40_503_000)).to_be_bytes();
        image::Rgb([red, green, blue])
    });
    let mut bytes = Vec::new();
    pixels.write_to(&mut std::io::Cursor::new(&mut bytes), image::ImageFormat::Png).unwrap();
    bytes
}

fn program(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/clients").join(name)
}

fn installed(name: &str) -> PathBuf {
    let target = Path::new(env!("CARGO_BIN_EXE_mooncast")).ancestors().nth(2).unwrap();
    let path = target.join(name);
    assert!(path.exists(), "there is no {}: `tests/run` installs it", path.display());
    path
}

fn node(program_name: &str, package: &str) -> Command {
    let mut node = Command::new("node");
    node.arg(program(program_name)).env("NODE_PATH", installed(package));
    node
}

/// The bodies of messages have the file's address, which differs from run to run.
fn without_addresses(mut body: Value) -> Value {
    for name in ["url", "thumb", "secret", "thumb_secret"] {
        if let Some(value) = body.get_mut(name) {
            assert!(value.as_str().unwrap().len() > 20, "{name}: {value}");
            *value = name.into();
        }
    }
    body
}

#[test]
fn the_npm_package_easemob_sdk() {
    let sim = Sim::start(&["--groups", "4", "--members", "3"]);
    let lines = sim.serve(&mut node("easemob_sdk.js", EASEMOB_SDK));
    let sent = format!("{{\"{GROUP}\":\"success\"}}");
    let expected = [
        "token granted",
        "groups 200",
        "groups: 184524748161025 184524748161026",
        "groups 200",
        "groups: 184524748161027 184524748161028",
        "all groups 200",
        "members 200",
        "members: owner user1, admin user2, member user3",
        "details 200",
        "details: 184524748161025 Group 1, 184524748161026 Group 2",
        "upload 200",
        "download saved",
        "thumbnail saved",
        "send_txt 200",
        &format!("send_txt: {sent}"),
        "send_img 200",
        &format!("send_img: {sent}"),
        "send_audio 200",
        &format!("send_audio: {sent}"),
        "send_video 200",
        &format!("send_video: {sent}"),
        "send_through 200",
        &format!("send_through: {sent}"),
        "to users 200",
        r#"to users: {"user2":"success","user3":"success"}"#,
    ];
    assert_eq!(lines, expected);
    assert_eq!(std::fs::read(sim.home.path("out/image")).unwrap(), image());
    let thumbnail = image::load_from_memory(&std::fs::read(sim.home.path("out/thumbnail")).unwrap()).unwrap();
    assert_eq!((thumbnail.width(), thumbnail.height()), (170, 85));

    let received = sim.received();
    let bodies: Vec<_> = received
        .iter()
        .map(|message| {
            let (to, kind, body) = message.content();
            (to.to_owned(), kind.to_owned(), without_addresses(body.clone()))
        })
        .collect();
    let to = |to: &str, kind: &str, body: Value| (to.to_owned(), kind.to_owned(), body);
    let secret = "secret";
    assert_eq!(
        bodies,
        [
            to(GROUP, "txt", json!({"msg": "hello"})),
            to(
                GROUP,
                "img",
                json!({"url": "url", "filename": "a.png", "secret": secret, "size": {"width": 400, "height": 200}})
            ),
            to(GROUP, "audio", json!({"url": "url", "filename": "a.amr", "length": 10, "secret": secret})),
            to(
                GROUP,
                "video",
                json!({"url": "url", "filename": "a.mp4", "length": 10, "secret": secret, "file_length": 58103,
                "thumb": "thumb", "thumb_secret": "thumb_secret"})
            ),
            to(GROUP, "cmd", json!({"action": "reload"})),
            to("user2", "txt", json!({"msg": "hello"})),
            to("user3", "txt", json!({"msg": "hello"})),
        ]
    );
    assert!(received[..5].iter().all(|message| message.0["from"] == "user1"));
    assert!(received[..5].iter().all(|message| message.0["raw"]["ext"] == json!({"by": "easemob-sdk"})));
}

#[test]
fn the_pypi_package_ease_restapi() {
    let sim = Sim::start(&["--groups", "4", "--members", "3"]);
    let lines = sim.serve(Command::new(installed(EASE_RESTAPI)).arg(program("restapi.py")));
    // The package prints the token and its lifetime.
    let lines: Vec<_> = lines
        .into_iter()
        .filter(|line| !["|", "token:", "expires:"].iter().any(|noise| line.starts_with(noise)))
        .collect();
    let sent = format!("{{'{GROUP}': 'success'}}");
    let mut expected = vec![
        "token granted".to_owned(),
        "groups ok".to_owned(),
        format!("groups: 4 {GROUP}"),
        "members ok".to_owned(),
        "members: owner user1 admin user2 member user3".to_owned(),
        "details ok".to_owned(),
        "details: Group 1".to_owned(),
        "upload 200".to_owned(),
        // The package returns 0 for a file that it saved.
        "download 0".to_owned(),
        "downloaded whole".to_owned(),
    ];
    for kind in ["txt", "img", "audio", "video", "cmd"] {
        expected.extend([format!("{kind} ok"), format!("{kind}: {sent}")]);
    }
    expected.extend(["users ok".to_owned(), "users: {'user2': 'success', 'user3': 'success'}".to_owned()]);
    assert_eq!(lines, expected);

    let received = sim.received();
    let to: Vec<_> = received.iter().map(|message| (message.content().0, message.content().1)).collect();
    let kinds = ["txt", "img", "audio", "video", "cmd"].map(|kind| (GROUP, kind));
    assert_eq!(to, [&kinds[..], &[("user2", "txt"), ("user3", "txt")]].concat());
    assert_eq!(received[0].0["raw"]["ext"], json!({"by": "ease-restapi"}));
    // It names no sender.
    assert_eq!(received[5].0["from"], "admin");
}

#[test]
fn the_ruby_gem_rest_client() {
    let sim = Sim::start(&["--groups", "4", "--members", "3"]);
    let lines = sim.serve(Command::new("ruby").arg(program("rest_client.rb")));
    let expected = [
        "token 200",
        "groups 200",
        "groups: 184524748161025 184524748161026",
        "next groups 200",
        "next groups: 184524748161027 184524748161028",
        "upload 200",
        "download 200",
        "downloaded whole",
        "download without its secret 403",
        "txt 200",
        "img 200",
        "audio 200",
        "video 200",
        "file 200",
        "loc 200",
        "cmd 200",
        "custom 200",
        "targeted 200",
        "users 200",
        "recall 200",
        "wrong token 401",
    ];
    assert_eq!(lines, expected);
    let received = sim.received();
    let to: Vec<_> = received.iter().map(|message| (message.content().0, message.content().1)).collect();
    let kinds =
        ["txt", "img", "audio", "video", "file", "loc", "cmd", "custom", "txt"].map(|kind| (GROUP, kind));
    assert_eq!(to, [&kinds[..], &[("user2", "txt")]].concat());
    assert_eq!(received[0].0["raw"]["ext"], json!({"by": "rest-client"}));
    assert_eq!(received[8].0["users"], json!(["user2", "user3"]));
}

#[test]
fn the_vendors_package_agora_token() {
    let sim = Sim::start(&["--app-id", APP_ID, "--app-certificate", APP_CERTIFICATE]);
    let lines = sim.serve(&mut node("agora_token.js", AGORA_TOKEN));
    let expected = [
        "app used 200",
        "app exchanged 200",
        "app granted 200",
        "several used 200",
        "several exchanged 200",
        "several granted 200",
        "user used 401",
        "user exchanged 401",
        "forged used 401",
        "forged exchanged 401",
    ];
    assert_eq!(lines, expected);
}

/// What a call of `curl.sh` is answered: by the simulator, and by a strict one.
const CURL: [(&str, u16, u16); 29] = [
    ("token", 200, 200),
    ("token-untyped", 200, 415),
    ("token-of-default-type", 200, 415),
    ("token-of-form", 200, 415),
    ("token-without-end", 200, 200),
    ("upload", 200, 400),
    ("upload-of-one-boundary", 200, 200),
    ("download", 200, 200),
    ("download-by-query", 200, 200),
    ("thumbnail", 200, 200),
    ("txt", 200, 200),
    ("img", 200, 200),
    ("audio", 200, 200),
    ("video", 200, 200),
    ("video-without-comma", 200, 400),
    ("file", 200, 200),
    ("loc", 200, 200),
    ("cmd", 200, 200),
    ("custom", 200, 200),
    ("targeted", 200, 200),
    ("users", 200, 200),
    ("rooms", 200, 200),
    ("old-call", 200, 404),
    ("groups", 200, 200),
    ("next-groups", 200, 200),
    ("members", 200, 200),
    ("members-by-cursor", 200, 200),
    ("recall", 200, 200),
    ("recall-of-one", 200, 404),
];

#[test]
fn the_vendors_examples_with_curl() {
    for strict in [false, true] {
        let sim = Sim::start(if strict { &["--strict"] } else { &[] });
        let lines = sim.serve(&mut Command::new(program("curl.sh")));
        let expected: Vec<_> = CURL
            .iter()
            .map(|(name, usual, by_strict)| format!("{name} {}", if strict { by_strict } else { usual }))
            .collect();
        assert_eq!(lines, expected);

        let answer = |name: &str| std::fs::read(sim.home.path(format!("out/{name}"))).unwrap();
        let json = |name: &str| serde_json::from_slice::<Value>(&answer(name)).unwrap();
        assert_eq!(json("token")["expires_in"], 3600);
        assert_eq!((answer("download"), answer("download-by-query")), (image(), image()));
        let thumbnail = image::load_from_memory(&answer("thumbnail")).unwrap();
        // The upload that a strict simulator takes names a width.
        let size = if strict { (100, 50) } else { (170, 85) };
        assert_eq!((thumbnail.width(), thumbnail.height()), size);
        assert_eq!(json("groups")["params"], json!({"limit": ["2"]}));
        assert_eq!(json("next-groups")["data"][0]["groupid"], "184524748161027");
        assert_eq!(json("members")["data"], json!([{"owner": "user1"}, {"admin": "user2"}]));
        assert_eq!(json("members-by-cursor")["data"], json!(["user2", "user3"]));
        assert_eq!(json("recall")["data"][0]["recalled"], "yes");

        let received = sim.received();
        let sent: Vec<_> =
            received.iter().map(|message| (message.content().0, message.content().1)).collect();
        let mut kinds = vec!["txt", "img", "audio", "video", "video", "file", "loc", "cmd", "custom", "txt"];
        let mut others = vec![("user2", "txt"), ("185145305923585", "txt"), ("user3", "txt")];
        if strict {
            kinds.remove(4);
            others.pop();
        }
        let to_group: Vec<_> = kinds.into_iter().map(|kind| (GROUP, kind)).collect();
        assert_eq!(sent, [to_group, others].concat());
        let targeted = received.iter().find(|message| message.0.get("users").is_some()).unwrap();
        assert_eq!(targeted.0["users"], json!(["user2", "user3"]));
    }
}
