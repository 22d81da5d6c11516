//! Which tokens may read, which may act, and which requests are refused before anything else.
//!
//! On a server: in the soak

use data_encoding::HEXLOWER;
use serde_json::json;
use sha2::{Digest, Sha256};

use super::{Answer, Site, raw, refused, request, token_in};

/// Logs a browser in and returns its cookie.
fn login(site: &Site, token: &str) -> String {
    let body = json!({ "token": token }).to_string();
    let answer = site.ask_with("POST /session", &[("content-type", "application/json")], body.as_bytes());
    assert_eq!(answer.status, 200, "{answer:?}");
    let text = raw_cookie(&answer);
    assert!(
        text.contains("httponly") && text.contains("samesite=strict") && text.contains("path=/"),
        "{text}"
    );
    text.split(';').next().unwrap().to_owned()
}

fn raw_cookie(answer: &Answer) -> String {
    answer.header("set-cookie").unwrap().to_owned()
}

#[test]
fn who_shows_no_token_learns_nothing_and_who_may_look_may_not_act() {
    let site = Site::start("");
    let read = format!("Bearer {}", site.read);
    let operate = format!("Bearer {}", site.operate);
    let almost = &operate[..operate.len() - 1];
    let basic = format!("Basic {}", site.operate);
    let wrong: [&[(&str, &str)]; 9] = [
        &[],
        &[("authorization", "")],
        &[("authorization", "Bearer")],
        &[("authorization", "Bearer ")],
        &[("authorization", "Bearer mooncast_operate_x")],
        &[("authorization", almost)],
        &[("authorization", &basic)],
        // Another server on the way might use the other header.
        &[("authorization", &operate), ("authorization", "Bearer x")],
        &[("cookie", &format!("mooncast={}", site.operate))],
    ];
    for headers in wrong {
        for what in [
            "GET /overview",
            "GET /events",
            "GET /broadcasts/1/export",
            "GET /session",
            "GET /jobs/none",
            "GET /broadcasts/x",
            "GET /log?limit=many",
            "POST /broadcasts/1/pause",
            "POST /jobs/none/trigger",
            "POST /scripts/run",
        ]
        .into_iter()
        .take(if headers.iter().any(|(_, value)| value.starts_with("Bearer mooncast_")) {
            4
        } else {
            10
        }) {
            let answer = site.ask_with(what, headers, b"");
            assert!(answer.refused(401).contains("tokens renew"), "{what} {headers:?}");
            assert_eq!(answer.header("www-authenticate"), Some("bearer"));
        }
    }
    for (token, name, role) in [(&read, "read", "viewer"), (&operate, "operate", "admin")] {
        for scheme in ["Bearer", "bearer", "BEARER"] {
            let shown = token.replacen("Bearer", scheme, 1);
            let answer = site.ask_with("GET /session", &[("authorization", &shown)], b"");
            assert_eq!(answer.json(), json!({ "name": name, "kind": "token", "role": role }));
        }
    }
    for what in
        ["POST /broadcasts/1/pause", "POST /broadcasts/x/y", "POST /jobs/none/trigger", "POST /scripts/run"]
    {
        let said = site.ask_with(what, &[("authorization", &read)], b"").refused(403);
        assert!(said.contains("needs the role operator"), "{what}: {said}");
    }
    let document = request(&site.address, "GET /api/v1/openapi.json", &[], b"").json();
    assert!(!document.to_string().contains(&site.address), "{document}");
    site.serving.stop().exits(0);
}

#[test]
fn a_name_or_an_origin_that_is_another_is_refused() {
    let site = Site::start("");
    let (address, port) = (site.address.as_str(), site.address.split(':').nth(1).unwrap());
    let bearer = format!("authorization: Bearer {}\r\n", site.operate);
    let get = |target: &str, hosts: &[&str]| {
        let hosts = hosts.iter().map(|host| format!("Host: {host}\r\n")).collect::<Vec<_>>().concat();
        raw(address, format!("GET {target} HTTP/1.1\r\nconnection: close\r\n{hosts}{bearer}\r\n").as_bytes())
    };
    let path = "/api/v1/session";
    for host in
        [address, &format!("localhost:{port}"), &format!("LocalHost:{port}"), &format!("[::1]:{port}")]
    {
        assert_eq!(get(path, &[host]).status, 200, "{host}");
        assert_eq!(get(&format!("http://{host}{path}"), &[address]).status, 200, "{host}");
    }
    let others = [
        "evil.example",
        &format!("evil.example:{port}"),
        "127.0.0.1",
        "127.0.0.1:1",
        "localhost",
        "",
        &format!("{address}.evil.example"),
        &format!("user@{address}"),
        &format!("127.0.0.1.:{port}"),
    ];
    for host in others {
        for path in [path, "/", "/api/v1/openapi.json", "/metrics"] {
            let answer = get(path, &[host]);
            // hyper itself refuses a text that cannot be a host name.
            assert!([421, 400].contains(&answer.status), "{host} {path}: {answer:?}");
        }
        if !host.is_empty() {
            let answer = get(&format!("http://{host}{path}"), &[address]);
            assert!([421, 400].contains(&answer.status), "{host}: {answer:?}");
        }
    }
    get(path, &[address, address]).refused(421);
    get(path, &[address, "evil.example"]).refused(421);
    get(path, &[]).refused(421);
    let old = raw(address, format!("GET {path} HTTP/1.0\r\n{bearer}\r\n").as_bytes());
    old.refused(421);
    let old = raw(address, format!("GET {path} HTTP/1.0\r\nhost: {address}\r\n{bearer}\r\n").as_bytes());
    assert_eq!(old.status, 200, "{old:?}");
    let connect = raw(address, format!("CONNECT {address} HTTP/1.1\r\nhost: {address}\r\n\r\n").as_bytes());
    assert!(connect.status >= 400, "{connect:?}");

    // An action from a page of another origin is refused even with the right token.
    let own = format!("http://{address}");
    let secure = format!("https://{address}");
    let near = format!("http://{address}.evil.example");
    let token = format!("Bearer {}", site.operate);
    let act = |more: &[(&str, &str)]| {
        let headers = [&[("authorization", token.as_str())], more].concat();
        site.ask_with("POST /jobs/none/trigger", &headers, b"").status
    };
    let (own, secure, near) = (own.as_str(), secure.as_str(), near.as_str());
    let fine: [&[(&str, &str)]; 4] =
        [&[], &[("origin", own)], &[("origin", secure)], &[("sec-fetch-site", "same-origin")]];
    for fine in fine {
        assert_eq!(act(fine), 404, "{fine:?}");
    }
    for foreign in [
        &[("origin", "http://evil.example")][..],
        &[("origin", "null")],
        &[("origin", "")],
        &[("origin", near)],
        &[("origin", own), ("origin", "http://evil.example")],
        &[("origin", "http://localhost:1")],
        &[("sec-fetch-site", "cross-site")],
        &[("sec-fetch-site", "same-site")],
        &[("sec-fetch-site", "same-origin"), ("sec-fetch-site", "cross-site")],
    ] {
        assert_eq!(act(foreign), 403, "{foreign:?}");
    }
    site.serving.stop().exits(0);
}

#[test]
fn a_session_is_a_browsers_and_ends_with_its_token() {
    let site = Site::start("");
    let cookie = login(&site, &site.operate);
    let own = format!("http://{}", site.address);
    let get = |site: &Site, more: &[(&str, &str)]| {
        site.ask_with("GET /session", &[&[("cookie", cookie.as_str())], more].concat(), b"").status
    };
    let post = |more: &[(&str, &str)]| {
        let headers = [&[("cookie", cookie.as_str())], more].concat();
        site.ask_with("POST /jobs/none/trigger", &headers, b"").status
    };
    assert_eq!(get(&site, &[]), 200);
    // Another port of this machine is the same site to a browser, which then sends the cookie.
    assert_eq!(get(&site, &[("sec-fetch-site", "same-site"), ("sec-fetch-mode", "no-cors")]), 403);
    assert_eq!(get(&site, &[("sec-fetch-site", "same-site"), ("sec-fetch-mode", "navigate")]), 200);
    assert_eq!(get(&site, &[("sec-fetch-site", "same-origin"), ("sec-fetch-mode", "cors")]), 200);
    assert_eq!(post(&[("origin", &own)]), 404);
    assert_eq!(post(&[("sec-fetch-site", "same-origin")]), 404);
    assert_eq!(post(&[]), 403, "no page says that it asks");
    assert_eq!(post(&[("sec-fetch-site", "none")]), 403);
    assert_eq!(post(&[("origin", "http://evil.example")]), 403);
    // A cookie does not replace a wrong token.
    assert_eq!(get(&site, &[("authorization", "Bearer x")]), 401);
    // A signed cookie cannot be changed.
    let (role, rest) = cookie.strip_prefix("mooncast=").unwrap().split_once('.').unwrap();
    let (until, tag) = rest.split_once('.').unwrap();
    assert_eq!(role, "operate");
    let reader = login(&site, &site.read);
    let (_, signed) = reader.split_once('.').unwrap();
    let later: u64 = until.parse::<u64>().unwrap() + 1;
    for forged in [
        format!("mooncast=operate.{later}.{tag}"),
        format!("mooncast=read.{until}.{tag}"),
        format!("mooncast=operate.{signed}"),
        format!("mooncast=operate.{until}."),
        format!("mooncast=operate.{until}"),
        "mooncast=".to_owned(),
    ] {
        assert_eq!(site.ask_with("GET /session", &[("cookie", &forged)], b"").status, 401, "{forged}");
    }
    let reads = site.ask_with("GET /session", &[("cookie", &reader)], b"");
    assert_eq!(reads.json()["role"], "viewer");

    let site = site.restart();
    assert_eq!(get(&site, &[]), 200, "it outlives a restart");
    let farewell = site.ask_with(
        "DELETE /session",
        &[("cookie", &cookie), ("origin", &format!("http://{}", site.address))],
        b"",
    );
    assert_eq!(farewell.status, 204);
    assert!(raw_cookie(&farewell).contains("max-age=0"), "{farewell:?}");

    // An open stream, a session and the token itself end. Those of the other role stay.
    let stream = std::net::TcpStream::connect(&site.address).unwrap();
    stream.set_read_timeout(Some(super::GUARD)).unwrap();
    let head = format!("GET /api/v1/events HTTP/1.1\r\nhost: {}\r\ncookie: {cookie}\r\n\r\n", site.address);
    let mut stream = stream;
    std::io::Write::write_all(&mut stream, head.as_bytes()).unwrap();
    let shown = site.project.mooncast(&["tokens", "--simulator", "renew", "operate"]).exits(0).stdout;
    let renewed = token_in(&shown, "operate");
    assert!(super::rest(&mut stream).ends_with(b"0\r\n\r\n"), "the stream ends");
    assert_eq!(get(&site, &[]), 401);
    assert_eq!(site.ask("GET /session").status, 401);
    for token in [&renewed, &site.read] {
        let bearer = format!("Bearer {token}");
        assert_eq!(site.ask_with("GET /session", &[("authorization", &bearer)], b"").status, 200);
    }
    site.serving.stop().exits(0);
}

#[test]
fn tokens_are_shown_once_and_kept_as_hashes() {
    let site = Site::start("");
    let cookie = login(&site, &site.operate);
    let (operate, read) = (site.operate.clone(), site.read.clone());
    site.ask("GET /overview");
    let wrong = "Bearer mooncast_operate_wrong-one-0815";
    site.ask_with("GET /overview", &[("authorization", wrong)], b"").refused(401);
    let ran = site.serving.stop().exits(0);
    let tag = cookie.rsplit('.').next().unwrap();
    for secret in [operate.as_str(), &read, tag, "wrong-one-0815"] {
        // The random part may contain any letter, also `_`.
        let bare = secret.splitn(3, '_').nth(2).filter(|_| secret.starts_with("mooncast_")).unwrap_or(secret);
        assert!(bare.len() >= 14, "{bare}");
        assert!(!ran.stderr.contains(bare) && !ran.stdout.contains(bare), "{ran:#?}");
        assert!(!site.project.keeps(bare), "{bare} is kept");
    }
    assert!(site.project.keeps(&HEXLOWER.encode(&Sha256::digest(&read))), "this finds what is kept");
    let again = site.project.mooncast(&["tokens", "--simulator", "renew", "read"]).exits(0).stdout;
    assert_ne!(token_in(&again, "read"), read);
    // A daemon whose log is kept does not show the tokens.
    let fresh = crate::support::Project::with_script("");
    let (serving, address) = super::serve(&fresh);
    serving.says("the page has no tokens yet: `mooncast tokens renew`", 1);
    request(&address, "GET /api/v1/overview", &[], b"").refused(401);
    serving.stop().exits(0).never_says("mooncast_operate_");
}

#[test]
fn what_a_browser_is_told_is_told_with_every_answer() {
    let site = Site::start("");
    for (head, headers) in [
        ("GET /api/v1/overview", &[][..]),
        ("GET /api/v1/openapi.json", &[]),
        ("GET /nothing", &[]),
        ("PUT /api/v1/jobs", &[]),
        ("GET /api/v1/overview", &[("host", "evil.example")]),
        ("POST /api/v1/scripts/run", &[("content-length", "99999999")]),
    ] {
        let answer = request(&site.address, head, headers, b"");
        let told =
            |name: &str| answer.header(name).unwrap_or_else(|| panic!("{name}: {answer:?}")).to_owned();
        assert!(told("content-security-policy").contains("default-src 'none'"));
        assert!(told("content-security-policy").contains("frame-ancestors 'none'"));
        assert_eq!(told("x-content-type-options"), "nosniff");
        assert_eq!(told("x-frame-options"), "deny");
        assert_eq!(told("referrer-policy"), "no-referrer");
        assert_eq!(told("cache-control"), "no-store");
        assert_eq!(told("cross-origin-resource-policy"), "same-origin");
        assert_eq!(answer.header("access-control-allow-origin"), None);
    }
    site.serving.stop().exits(0);
}

#[test]
fn what_others_could_hear_is_refused_at_the_start() {
    for address in ["0.0.0.0:7311", "[::]:80", "192.0.2.1:7311"] {
        let ran = refused(&format!("listen = '{address}'")).exits(2);
        let ran =
            ran.says("can be reached from other machines").says("tls_certificate").says("trusted_proxies");
        ran.says(address);
    }
    refused("listen = 'everywhere'").exits(2).says("`everywhere` is not an address with a port");
    refused("tls_certificate = 'a.pem'").exits(2).says("tls_key");
    refused("tls_certificate = 'a.pem'\ntls_key = 'b.pem'").exits(2).says("a.pem");
}

#[test]
fn a_trusted_proxy_is_believed_and_nobody_else_gets_through() {
    let settings = "[serve]\nhosts = ['mooncast.example']\ntrusted_proxies = ['127.0.0.1']\n";
    let project = crate::support::Project::with_script("").file("mooncast.toml", settings);
    let site = Site::of(project);
    let host = ("host", "mooncast.example");
    let login = |more: &[(&str, &str)]| {
        let headers = [&[host, ("content-type", "application/json")], more].concat();
        let body = json!({ "token": site.operate }).to_string();
        site.ask_with("POST /session", &headers, body.as_bytes())
    };
    assert!(raw_cookie(&login(&[])).contains("; secure"));
    assert!(raw_cookie(&login(&[("x-forwarded-proto", "https")])).contains("; secure"));
    assert!(!raw_cookie(&login(&[("x-forwarded-proto", "http")])).contains("; secure"));
    // A request over TLS does not come from a page without TLS.
    assert_eq!(login(&[("origin", "https://mooncast.example")]).status, 200);
    assert_eq!(login(&[("origin", "http://mooncast.example")]).status, 403);
    site.serving.stop().exits(0);

    let settings = settings.replace("127.0.0.1", "192.0.2.7");
    let project = crate::support::Project::with_script("").file("mooncast.toml", settings);
    let (serving, address) = super::serve(&project);
    let mut stream = std::net::TcpStream::connect(&address).unwrap();
    let _ = std::io::Write::write_all(&mut stream, b"GET / HTTP/1.1\r\nhost: mooncast.example\r\n\r\n");
    assert_eq!(super::rest(&mut stream), b"");
    serving.stop().exits(0);

    // Without a trusted proxy, the header has no effect.
    let site = Site::start("");
    let body = json!({ "token": site.operate }).to_string();
    let headers = [("content-type", "application/json"), ("x-forwarded-proto", "https")];
    let answer = site.ask_with("POST /session", &headers, body.as_bytes());
    assert!(!raw_cookie(&answer).contains("; secure"));
    site.serving.stop().exits(0);
}
