//! The tokens of people and machines: what each role may do, how tokens end, and how wrong ones are limited.
//!
//! On a server: in the soak

use std::collections::{BTreeSet, VecDeque};

use serde_json::{Value, json};

use super::{Answer, Site, request};
use crate::support::Project;

/// The roles, each with what those before it may do.
const ROLES: [&str; 4] = ["viewer", "operator", "approver", "admin"];

const SCRIPT: &str = "local schedule = require('schedule')
schedule.every('24h', { name = 'news' }, function()
  im.broadcast { name = 'news', to = { '1', '2', '3' }, message = { from = 'a', type = 'txt', body = { msg = 'hi' } } }
end)
function main(args) print(#args) end";

/// Creates a token and returns it.
pub fn add(project: &Project, name: &str, more: &[&str]) -> String {
    let args = [&["tokens", "--simulator", "add", name, "--json"], more].concat();
    let shown: Value = serde_json::from_str(&project.mooncast(&args).exits(0).stdout).unwrap();
    shown["token"].as_str().unwrap().to_owned()
}

fn bearer(token: &str) -> String {
    format!("Bearer {token}")
}

fn session(site: &Site, token: &str) -> Answer {
    site.ask_with("GET /session", &[("authorization", &bearer(token))], b"")
}

/// A daemon with a token of each role, in their order.
fn site_with_roles() -> (Site, Vec<String>) {
    let project = Project::with_script(SCRIPT);
    let tokens = ROLES.map(|role| add(&project, &format!("{role}@example.com"), &["--role", role]));
    let site = Site::of(project);
    site.ask("POST /jobs/news/trigger");
    site.until("/broadcasts", |page| page["broadcasts"][0]["over"] == true);
    (site, tokens.to_vec())
}

/// Asks with the token of each role. Those below `needed` are told which role is needed; the others are let through.
#[track_caller]
fn walk(site: &Site, tokens: &[String], place: &str, needed: &str) {
    let least = ROLES.iter().position(|role| *role == needed).unwrap();
    for (at, (role, token)) in ROLES.iter().zip(tokens).enumerate() {
        // The stream of events never ends.
        if at >= least && place.ends_with("/events") {
            continue;
        }
        let token = bearer(token);
        let headers = [
            ("authorization", token.as_str()),
            ("content-type", "application/x-www-form-urlencoded"),
            ("accept-language", "en"),
        ];
        let answer = request(&site.address, place, &headers, b"");
        if at < least {
            assert_eq!(answer.status, 403, "{place} as {role}: {answer:?}");
            assert!(answer.body.contains(role) && answer.body.contains(needed), "{place}: {answer:?}");
        } else {
            assert!(![401, 403].contains(&answer.status), "{place} as {role}: {answer:?}");
        }
    }
    let bare = request(&site.address, place, &[], b"").status;
    assert_eq!(
        bare,
        if place.contains("/api/") || place.ends_with("/metrics") { 401 } else { 303 },
        "{place}"
    );
}

#[test]
fn each_operation_of_the_api_refuses_every_role_below_its_own() {
    let (site, tokens) = site_with_roles();
    let document = request(&site.address, "GET /api/v1/openapi.json", &[], b"").json();
    let mut walked = BTreeSet::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            if operation["security"].is_array() {
                assert_eq!(path, "/session", "only a login asks for no caller");
                continue;
            }
            let method = method.to_uppercase();
            let needed = match (method.as_str(), path.as_str()) {
                (_, "/audit") | ("POST", "/broadcasts/{id}/approve" | "/broadcasts/{id}/reject") => {
                    "approver"
                }
                ("GET", _) => "viewer",
                _ => "operator",
            };
            let told = operation["responses"]["403"]["description"].as_str().unwrap();
            assert!(told.contains(&format!("the role {needed}")), "{method} {path}: {told}");
            let mut acts = vec![String::new()];
            for parameter in operation["parameters"].as_array().into_iter().flatten() {
                if parameter["name"] == "act" {
                    let words = parameter["schema"]["enum"].as_array().cloned().unwrap_or_default();
                    let each = parameter["schema"]["oneOf"].as_array().cloned().unwrap_or_default();
                    let each = each.iter().flat_map(|one| {
                        one["enum"].as_array().into_iter().flatten().chain(one.get("const")).cloned()
                    });
                    acts =
                        words.into_iter().chain(each).map(|word| word.as_str().unwrap().to_owned()).collect();
                }
            }
            assert!(!acts.is_empty(), "{path}");
            for act in acts {
                let path = path
                    .replace("{id}", "1")
                    .replace("{name}", "none")
                    .replace("{seq}", "1")
                    .replace("{act}", &act);
                let place = format!("{method} /api/v1{path}");
                walk(&site, &tokens, &place, needed);
                walked.insert(place);
            }
        }
    }
    assert!(walked.len() > 30, "{walked:#?}");
    walk(&site, &tokens, "GET /metrics", "viewer");
    site.serving.stop().exits(0).never_says("panicked");
}

#[test]
fn each_form_of_the_page_refuses_every_role_below_its_own() {
    let (site, tokens) = site_with_roles();
    let admin = bearer(&tokens[3]);
    let decoded = |value: &str| value.replace("&amp;", "&").replace("&#x2f;", "/");
    let mut pages = VecDeque::from(["/".to_owned()]);
    let (mut seen, mut forms) = (BTreeSet::new(), BTreeSet::new());
    while let Some(page) = pages.pop_front() {
        if !seen.insert(page.clone()) {
            continue;
        }
        let body = request(&site.address, &format!("GET {page}"), &[("authorization", &admin)], b"").body;
        let values = |name: &str| {
            let start = format!("{name}=\"");
            let parts = body.split(&start).skip(1).map(|part| part.split('"').next().unwrap());
            parts.map(decoded).collect::<Vec<_>>()
        };
        let posts = body
            .split("<form")
            .skip(1)
            .filter(|form| form.split('>').next().unwrap().contains("method=\"post\""));
        let action =
            |form: &str| form.split("action=\"").nth(1).map(|rest| decoded(rest.split('"').next().unwrap()));
        forms.extend(posts.filter_map(action).filter(|action| action != "/logout"));
        let own = |link: &String| {
            link.starts_with('/') && !link.starts_with("/assets") && !link.starts_with("/api")
        };
        let links = values("href").into_iter().filter(own).filter(|link| !link.starts_with("/language"));
        pages.extend(links);
    }
    for form in &forms {
        walk(&site, &tokens, &format!("POST {form}"), "operator");
    }
    for form in [
        "/script/run",
        "/suppressions",
        "/job/trigger?name=news",
        "/job/pause?name=news",
        "/broadcasts/1/recall",
    ] {
        assert!(forms.contains(form), "{form} in {forms:#?}");
    }
    let path = |address: &str| address.split('?').next().unwrap().to_owned();
    // The question before an act is at the address of its form. A list with a form of its own is for all to read.
    let acts: BTreeSet<String> =
        forms.iter().map(|form| path(form)).filter(|form| form != "/suppressions").collect();
    for page in &seen {
        let needed = match path(page).as_str() {
            "/audit" => "approver",
            question if acts.contains(question) => "operator",
            _ => "viewer",
        };
        walk(&site, &tokens, &format!("GET {page}"), needed);
    }
    site.serving.stop().exits(0).never_says("panicked");
}

#[test]
fn a_token_is_its_holders_until_it_expires_or_is_revoked() {
    let project = Project::with_script("");
    let site = Site::of(project);
    let ann = add(&site.project, "ann@example.com", &["--role", "operator", "--expires", "90d"]);
    let who = session(&site, &ann).json();
    assert_eq!(who, json!({ "name": "ann@example.com", "kind": "token", "role": "operator" }));
    let again = ["tokens", "--simulator", "add", "ann@example.com", "--role", "admin"];
    site.project.mooncast(&again).exits(2).says("`ann@example.com` has a token already");
    let late = add(&site.project, "late", &["--role", "viewer", "--expires", "1ms"]);
    let told = session(&site, &late).refused(401);
    assert!(told.contains("the token of `late` expired at 20"), "{told}");

    let listed = site.project.mooncast(&["tokens", "--simulator", "list", "--json"]).exits(0).stdout;
    let listed: Value = serde_json::from_str(&listed).unwrap();
    let names: Vec<&str> =
        listed.as_array().unwrap().iter().map(|one| one["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["ann@example.com", "late", "operate", "read"]);
    let of_ann = &listed[0];
    assert!(ann.starts_with(of_ann["prefix"].as_str().unwrap()), "{of_ann}");
    assert!(of_ann["last_used"].is_string() && of_ann["expires"].is_string() && of_ann["active"] == true);
    assert!(listed[1]["active"] == false && listed[2]["last_used"].is_null(), "{listed:#}");

    // A browser's session ends with its token, from the next request on.
    let body = json!({ "token": ann }).to_string();
    let login = site.ask_with("POST /session", &[("content-type", "application/json")], body.as_bytes());
    let cookie = login.header("set-cookie").unwrap().split(';').next().unwrap().to_owned();
    assert_eq!(site.ask_with("GET /session", &[("cookie", &cookie)], b"").status, 200);
    let revoke = ["tokens", "--simulator", "revoke", "ann@example.com"];
    assert!(site.project.mooncast(&revoke).exits(0).stdout.contains("is revoked"));
    let told = session(&site, &ann).refused(401);
    assert!(told.contains("the token of `ann@example.com` was revoked at 20"), "{told}");
    let told = site.ask_with("GET /session", &[("cookie", &cookie)], b"").refused(401);
    assert!(told.contains("was revoked at 20"), "{told}");
    // Its page leads to the login, which says why.
    let login = request(&site.address, "GET /login", &[("cookie", &cookie)], b"");
    assert!(login.body.contains("This token was revoked, or its time is over."), "{}", login.body);
    let form = [("content-type", "application/x-www-form-urlencoded")];
    let login = request(&site.address, "POST /login", &form, format!("token={ann}").as_bytes());
    assert_eq!(login.status, 401);
    assert!(login.body.contains("This token was revoked, or its time is over."), "{}", login.body);
    site.project.mooncast(&revoke).exits(2).says("no token that could be revoked");

    // The name can get a new token, and the old one stays what it is.
    let new = add(&site.project, "ann@example.com", &["--role", "viewer"]);
    assert_eq!(session(&site, &new).json()["role"], "viewer");
    assert!(session(&site, &ann).refused(401).contains("was revoked"));
    let renewed =
        site.project.mooncast(&["tokens", "--simulator", "renew", "ann@example.com"]).exits(0).stdout;
    let renewed = super::token_in(&renewed, "ann@example.com");
    assert_eq!(session(&site, &renewed).json()["role"], "viewer");
    assert!(session(&site, &new).refused(401).contains("was revoked"));
    for (name, why) in
        [("a b", "cannot be the name"), ("", "cannot be the name"), ("a/b", "cannot be the name")]
    {
        site.project.mooncast(&["tokens", "--simulator", "add", name, "--role", "viewer"]).exits(2).says(why);
    }
    let odd = ["tokens", "--simulator", "add", "x", "--role", "boss"];
    site.project.mooncast(&odd).exits(2).says("must be one of viewer, operator, approver, admin");
    // A copy of a ledger on a server needs the daemon's end.
    let project = site.project;
    site.serving.stop().exits(0);
    for secret in [&ann, &late, &new, &renewed] {
        assert!(!project.keeps(&secret[secret.len() - 16..]), "a token is kept");
    }
}

#[test]
fn ten_wrong_tokens_in_a_minute_make_an_address_wait_and_a_valid_one_passes() {
    let site = Site::start("");
    let json = ("content-type", "application/json");
    let login = |token: &str| {
        site.ask_with("POST /session", &[json], json!({ "token": token }).to_string().as_bytes())
    };
    let form = |token: &str| {
        let headers = [("content-type", "application/x-www-form-urlencoded"), ("accept-language", "zh")];
        request(&site.address, "POST /login", &headers, format!("token={token}&next=%2F").as_bytes())
    };
    let cookie = login(&site.operate).header("set-cookie").unwrap().split(';').next().unwrap().to_owned();
    // A program with a wrong token keeps out neither the others of its address nor their logins.
    for number in 0..10 {
        session(&site, &format!("mooncast_admin_{number}")).refused(401);
    }
    let refused = session(&site, "mooncast_admin_x");
    assert!(refused.refused(429).contains("10 wrong tokens within a minute"), "{refused:?}");
    let wait: u64 = refused.header("retry-after").unwrap().parse().unwrap();
    assert!((1..=61).contains(&wait), "{wait}");
    assert_eq!(session(&site, &site.operate).status, 200);
    let scraped = request(&site.address, "GET /metrics", &[("authorization", &bearer(&site.read))], b"");
    assert_eq!(scraped.status, 200, "{scraped:?}");
    assert_eq!(form(&site.operate).status, 303);
    // Logins are limited on both doors together. The right token is not told from a wrong one there.
    for number in 0..5 {
        login(&format!("mooncast_admin_{number}")).refused(401);
        assert_eq!(form(&format!("mooncast_admin_{number}")).status, 401);
    }
    login(&site.operate).refused(429);
    let answer = form(&site.operate);
    assert_eq!(answer.status, 429, "{answer:?}");
    assert!(answer.header("retry-after").is_some() && answer.body.contains("错误令牌过多"), "{answer:?}");
    // A session goes on, and so does a valid token.
    assert_eq!(site.ask_with("GET /session", &[("cookie", &cookie)], b"").status, 200);
    assert_eq!(session(&site, &site.read).status, 200);
    site.serving.stop().exits(0);
}

/// A daemon behind a trusted proxy that names users.
fn behind_a_proxy() -> Site {
    let settings = "[serve]\nhosts = ['mooncast.example']\ntrusted_proxies = ['127.0.0.1']\nuser_header = 'X-Forwarded-User'\n\
        [serve.users]\n'ann@example.com' = 'operator'\n'李雷' = 'viewer'\n";
    Site::of(Project::with_script("").file("mooncast.toml", settings))
}

#[test]
fn a_proxys_user_has_the_role_of_the_settings_and_no_other_header_counts() {
    let site = behind_a_proxy();
    let ask = |what: &str, headers: &[(&str, &str)]| {
        site.ask_with(what, &[&[("host", "mooncast.example")], headers].concat(), b"")
    };
    let user = "x-forwarded-user";
    let who = ask("GET /session", &[(user, "ann@example.com")]).json();
    assert_eq!(who, json!({ "name": "ann@example.com", "kind": "proxy", "role": "operator" }));
    assert_eq!(ask("GET /session", &[(user, "李雷")]).json()["role"], "viewer");
    let act = "POST /jobs/none/trigger";
    let own = ("origin", "https://mooncast.example");
    assert_eq!(ask(act, &[(user, "ann@example.com"), own]).status, 404);
    assert!(
        ask(act, &[(user, "李雷"), own]).refused(403).contains("needs the role operator, approver or admin")
    );
    // The login at the proxy is a cookie of the browser, which another site's page could use.
    assert!(ask(act, &[(user, "ann@example.com")]).refused(403).contains("confirm"));
    ask(act, &[(user, "ann@example.com"), ("origin", "https://evil.example")]).refused(403);
    let token = bearer(&site.operate);
    for (headers, why) in [
        (&[][..], "the header X-Forwarded-User is missing"),
        (&[(user, "bob@example.com")], "the user `bob@example.com` has no role"),
        (&[(user, "*")], "is not the name of one user"),
        (&[(user, "")], "is not the name of one user"),
        (&[(user, "ann@example.com,bob")], "is not the name of one user"),
        (&[(user, "ann@example.com"), (user, "ann@example.com")], "more than once"),
        (&[(user, "ann@example.com"), ("authorization", &token)], "send one of them"),
    ] {
        let told = ask("GET /session", headers).refused(403);
        assert!(told.contains(why), "{headers:?}: {told}");
    }
    // The proxy may send a token of its own login, which is none of this host; a machine sends one of this host.
    let foreign = [(user, "ann@example.com"), ("authorization", "Bearer eyJhbGciOi")];
    assert_eq!(ask("GET /session", &foreign).json()["kind"], "proxy");
    assert_eq!(ask("GET /session", &[("authorization", &token)]).json()["kind"], "token");
    let page = |headers: &[(&str, &str)]| {
        let headers = [&[("host", "mooncast.example")], headers].concat();
        request(&site.address, "GET /", &headers, b"")
    };
    let shown = page(&[(user, "ann@example.com")]);
    assert!(shown.status == 200 && shown.body.contains("ann@example.com"), "{shown:?}");
    assert!(!shown.body.contains("/logout"), "the proxy logs out");
    assert_eq!(page(&[]).status, 403, "no way round to the login page");
    // Behind the proxy, the forwarded address is counted.
    for number in 0..12 {
        let from = ("x-forwarded-for", "203.0.113.7, 127.0.0.1");
        let token = format!("Bearer mooncast_admin_{number}");
        let answer = ask("GET /session", &[("authorization", &token), from]);
        assert_eq!(answer.status, if number < 10 { 401 } else { 429 }, "{answer:?}");
    }
    assert_eq!(
        ask("GET /session", &[("authorization", &token), ("x-forwarded-for", "203.0.113.8")]).status,
        200
    );
    // The roles change without a restart.
    let settings = std::fs::read_to_string(site.project.path("mooncast.toml")).unwrap();
    std::fs::write(site.project.path("mooncast.toml"), settings.replace("'operator'", "'viewer'")).unwrap();
    site.serving.says("[serve] user_header, users", 1);
    assert_eq!(ask("GET /session", &[(user, "ann@example.com")]).json()["role"], "viewer");
    site.serving.stop().exits(0);

    // Without a trusted proxy the header is ignored, and the log says so once.
    let settings = "[serve]\nuser_header = 'X-Forwarded-User'\n[serve.users]\n'*' = 'admin'\n";
    let site = Site::of(Project::with_script("").file("mooncast.toml", settings));
    for _ in 0..3 {
        site.ask_with("GET /session", &[(user, "ann@example.com")], b"").refused(401);
    }
    let logged = site.serving.stop().exits(0);
    assert_eq!(logged.stderr.matches("it did not come from an address of").count(), 1, "{}", logged.stderr);
    super::refused("user_header = 'Cookie'").exits(2).says("cannot name users");
    super::refused("[serve.users]\n'a' = 'boss'").exits(2).says("viewer");
}
