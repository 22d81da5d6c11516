//! Files with credentials, under any name and spelling.

use std::os::unix::fs::symlink;

use super::{TRY, came, run};
use crate::support::{Project, Ran};

#[test]
fn the_pages_own_key_is_not_read() {
    let project = Project::new().file("certs/key.pem", "CANARY").file("certs/cert.pem", "CANARY").file(
        "mooncast.toml",
        "simulator = true\n[serve]\ntls_key = \"certs/key.pem\"\ntls_certificate = \"certs/cert.pem\"\n",
    );
    std::fs::hard_link(project.path("certs/key.pem"), project.path("twin.pem")).unwrap();
    symlink("certs/key.pem", project.path("link.pem")).unwrap();
    let paths =
        ["certs/key.pem", "./certs//key.pem", "certs/KEY.pem", "certs/cert.pem", "twin.pem", "link.pem"];
    for path in paths {
        let ran = run(
            &project,
            &format!("try('read', fs.read, '{path}') try('upload', im.upload, '{path}') overwrite('{path}')"),
            &["--allow-write=."],
        );
        let spelled = path == "certs/KEY.pem";
        assert_eq!(came(&ran, "read"), "denied", "{path}");
        assert_eq!(came(&ran, "upload"), "denied", "{path}");
        assert!(spelled || came(&ran, &format!("append {path}")) == "denied", "{path}");
    }
    assert_eq!(super::text(&project, "certs/key.pem"), "CANARY");
}

#[test]
fn every_file_that_a_variable_names_is_protected_by_what_it_is() {
    for variable in [
        "MOONCAST_CLIENT_SECRET_FILE",
        "MOONCAST_TOKEN_FILE",
        "MOONCAST_CLIENT_ID_FILE",
        "MOONCAST_ALERTS_URL_FILE",
        "MOONCAST_ALERTS_SECRET_FILE",
        "MOONCAST_CALLBACK_SECRET_FILE",
        "MOONCAST_APP_CERTIFICATE_FILE",
    ] {
        // A certificate is checked when it is read, and belongs to an App ID.
        let is_certificate = variable.contains("CERTIFICATE");
        let hex = "fedcba9876543210fedcba9876543210";
        let secret = if is_certificate { hex } else { "https://CANARY.example.com/" };
        let project = Project::new().file("secret.txt", secret);
        if is_certificate {
            project.write("mooncast.toml", format!("[app]\nbase_url = 'https://x'\napp_id = '{hex}'\n"));
        }
        std::fs::hard_link(project.path("secret.txt"), project.path("twin.txt")).unwrap();
        symlink("secret.txt", project.path("link.txt")).unwrap();
        project.write(
            "scripts/main.lua",
            format!("{TRY} for _, path in ipairs {{ 'secret.txt', 'twin.txt', 'link.txt', 'SECRET.TXT' }} do try(path, fs.read, path) end"),
        );
        let named = |path: &std::path::Path| {
            let mut command = project.within(&["run", "--simulator", "scripts/main.lua"]);
            if !variable.contains("_URL_") {
                command.env("MOONCAST_ALERTS_URL", "https://alerts.example.com/");
            }
            Ran::of(&command.env(variable, path).output().unwrap()).exits(0)
        };
        let ran = named("secret.txt".as_ref());
        for path in ["secret.txt", "twin.txt", "link.txt", "SECRET.TXT"] {
            assert_eq!(came(&ran, path), "denied", "{variable}: {path}");
        }
        // The link that the variable names does not give access either.
        let ran = named(&project.path("link.txt"));
        assert_eq!(came(&ran, "secret.txt"), "denied", "{variable}");
    }
}

#[test]
fn no_spelling_of_a_protected_name_is_reached() {
    let names = [
        ".Env",
        ".ENV.local",
        ".GIT/config",
        ".Mooncast/token",
        ".MOONCAST/token",
        "Mooncast.toml",
        "MOONCAST.TOML",
        ".mooncast./token",
        ".env ",
        ".g\u{200c}it/config",
        ".mooncaſt/token",
        "GIT~1/config",
        "MOONCA~1/token",
        ".git::$INDEX_ALLOCATION/config",
        "sub/.Env",
    ];
    let project = names.iter().fold(Project::new(), |project, name| project.file(name, "CANARY"));
    for name in ["Scripts/x.lua", "SCRIPTS/x.txt", "scripts./x.txt", "ſcripts/x.txt", "Stdlib/x.txt"] {
        project.write(name, "CANARY");
    }
    let tries: String =
        names.map(|name| format!("try('{name}', fs.read, '{name}')\noverwrite('{name}')\n")).concat();
    let ran = run(
        &project,
        &(tries + "for _, p in ipairs { 'Scripts/x.lua', 'SCRIPTS/x.txt', 'scripts./x.txt', 'ſcripts/x.txt', 'Stdlib/x.txt' } do overwrite(p) end
           for _, name in ipairs(fs.list('.')) do print('listed', name) end"),
        &["--allow-write=."],
    )
    .exits(0);
    for name in names {
        assert_eq!(came(&ran, name), "denied", "{name}");
        assert_eq!(came(&ran, &format!("write {name}")), "denied", "{name}");
    }
    for name in ["Scripts/x.lua", "SCRIPTS/x.txt", "scripts./x.txt", "ſcripts/x.txt", "Stdlib/x.txt"] {
        assert_eq!(came(&ran, &format!("write {name}")), "denied", "{name}");
        assert_eq!(came(&ran, &format!("append {name}")), "denied", "{name}");
    }
    assert!(
        !ran.stdout.contains("listed\t.") && !ran.stdout.to_lowercase().contains("listed\tmooncast"),
        "{ran:#?}"
    );
}

#[test]
fn a_module_is_never_what_scripts_may_not_read() {
    let project = Project::new()
        .file(".mooncast/token", "tok CANARY-TOKEN")
        .file("secret.txt", "tok CANARY-SECRET")
        .file("mooncast.toml", "simulator = true\n");
    symlink(".mooncast/token", project.path("token.lua")).unwrap();
    symlink("mooncast.toml", project.path("settings.lua")).unwrap();
    symlink("secret.txt", project.path("secret.lua")).unwrap();
    std::fs::hard_link(project.path(".mooncast/token"), project.path("twin.lua")).unwrap();
    project.write(
        "main.lua",
        "for _, name in ipairs { 'token', 'settings', 'secret', 'twin' } do print(name, select(2, pcall(require, name))) end",
    );
    let mut command = project.within(&["run", "--simulator", "main.lua"]);
    let ran = Ran::of(&command.env("MOONCAST_TOKEN_FILE", "secret.txt").output().unwrap()).exits(0);
    assert!(!ran.stdout.contains("CANARY") && !ran.stdout.contains("simulator"), "{ran:#?}");
    assert_eq!(ran.stdout.matches("no permission lets scripts use").count(), 4, "{ran:#?}");
}
