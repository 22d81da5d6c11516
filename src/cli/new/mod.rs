//! `mooncast new`: creates a project's folder with everything that a first script needs.

mod template;

use std::fmt::Write as _;
use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use clap::Args;

use super::{Exit, stubs};
use crate::config::EnvName;
use crate::lint::stubs as embedded;
use template::Template;

/// The names and contents of every new project's files.
const FILES: [(&str, &str); 5] = [
    ("mooncast.toml", include_str!("mooncast.toml")),
    ("scripts/lib/.gitkeep", ""),
    stubs::EDITOR_SETTINGS,
    (".gitignore", include_str!("gitignore")),
    (".github/workflows/mooncast.yml", include_str!("mooncast.yml")),
];

/// The settings file of an environment.
const ENVIRONMENT: &str = include_str!("mooncast.env.toml");

/// Create a project: a folder with settings, a script and its test, a CI file, and the files with which an editor
/// completes `im.`.
#[derive(Debug, Clone, Args)]
pub(super) struct NewArgs {
    /// The folder to create; if it exists, it must be empty
    #[arg(value_name = "NAME")]
    folder: PathBuf,
    /// What the project is for
    #[arg(long, value_enum, default_value_t)]
    template: Template,
}

/// Creates the project and prints the next steps. `env` is the environment of the flag `--env`, for which the project gets a
/// file. The variable counts for the projects that exist.
pub(super) fn run(args: &NewArgs, env: Option<&str>) -> anyhow::Result<Exit> {
    let folder = &args.folder;
    let env: Option<EnvName> = env.map(str::parse).transpose()?;
    make(folder, args.template)?;
    let shown = folder.display();
    let mut next = args.template.next().join("\n  ");
    if let Some(env) = &env {
        let file = env.file_name();
        stubs::write(&folder.join(&file), &ENVIRONMENT.replace("NAME", env.as_str()))?;
        let _ = write!(
            next,
            "\n\n{file} is laid over mooncast.toml by --env {env}, or by MOONCAST_ENV={env} for all commands of a shell."
        );
    }
    // The project is created even if the message cannot be printed.
    let _ = writeln!(io::stdout(), "Created a project in {shown}; next:\n\n  cd {shown}\n  {next}");
    Ok(Exit::Delivered)
}

fn make(folder: &Path, template: Template) -> anyhow::Result<()> {
    refuse_taken(folder)?;
    for (path, content) in FILES {
        let changes = template.changes().iter();
        let content = changes.fold(content.to_owned(), |content, (from, to)| content.replacen(from, to, 1));
        stubs::write(&folder.join(path), &content)?;
    }
    for (path, content) in template.files() {
        stubs::write(&folder.join(path), content)?;
    }
    for stub in embedded::all() {
        stubs::write(&folder.join(stubs::FOLDER).join(stub.file), &stub.text)?;
    }
    Ok(())
}

/// Refuses a folder that is not empty: existing files are never overwritten.
fn refuse_taken(folder: &Path) -> anyhow::Result<()> {
    let shown = folder.display();
    match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::NotADirectory => {
            bail!("{shown} exists and is not a folder; give the project another name")
        }
        Err(error) => Err(error).with_context(|| format!("cannot read the folder {shown}")),
        Ok(mut entries) => match entries.next() {
            None => Ok(()),
            Some(_) => bail!("the folder {shown} exists and is not empty; give the project another name"),
        },
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::fs;

    use super::{FILES, Template, make};
    use crate::config::{AppFlags, AppLimits, Environment, Project, Settings};

    fn settings(text: &str) -> Settings {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("mooncast.toml"), text).unwrap();
        let project = Project::at(folder.path()).unwrap();
        let secret = ("MOONCAST_CLIENT_SECRET".to_owned(), "secret".to_owned());
        let environment = Environment::of(if text.contains("\nclient_id") { vec![secret] } else { vec![] });
        Settings::load(&project, &environment, &AppFlags::default()).unwrap()
    }

    #[test]
    fn a_new_project_has_its_script_its_settings_and_the_stubs() {
        let folder = tempfile::tempdir().unwrap();
        let project = folder.path().join("deep/spring");
        make(&project, Template::Hello).unwrap();
        let own = Template::Hello.files().iter().map(|(path, _)| *path);
        let all = FILES.map(|(path, _)| path).into_iter().chain(own);
        for file in all.chain([".luals/im.lua", ".luals/message.lua"]) {
            assert!(project.join(file).is_file(), "{file}");
        }
        let luarc: serde_json::Value =
            serde_json::from_str(&fs::read_to_string(project.join(".luarc.json")).unwrap()).unwrap();
        assert_eq!(luarc["workspace.library"][0], ".luals");
    }

    #[test]
    fn each_change_of_a_template_finds_its_line() {
        use clap::ValueEnum as _;
        for template in Template::value_variants() {
            for (from, _) in template.changes() {
                let found: usize = FILES.iter().map(|(_, content)| content.matches(from).count()).sum();
                assert_eq!(found, 1, "{template:?}: {from}");
            }
        }
    }

    #[test]
    fn what_is_there_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let (taken, empty, file) =
            (folder.path().join("taken"), folder.path().join("empty"), folder.path().join("file"));
        fs::create_dir(&taken).unwrap();
        fs::write(taken.join("mine"), "mine").unwrap();
        fs::create_dir(&empty).unwrap();
        fs::write(&file, "mine").unwrap();
        let make = |folder| make(folder, Template::Hello);
        assert!(make(&taken).unwrap_err().to_string().contains("not empty"));
        assert!(make(&file).unwrap_err().to_string().contains("is not a folder"));
        assert_eq!(fs::read_dir(&taken).unwrap().count(), 1);
        make(&empty).unwrap();
        assert!(make(&empty).is_err());
    }

    #[test]
    fn the_settings_are_right_as_they_stand_and_with_everything_set() {
        let template = FILES[0].1;
        let plain = settings(template);
        assert!(plain.simulator);
        assert_eq!(plain.apps[0].limits, AppLimits::default());

        // An app has the one login or the other.
        let of_agora = |line: &str| line.starts_with("# app_id = ") || line.starts_with("# login = ");
        let of_easemob = |line: &str| {
            ["# org = ", "# name = ", "# client_id = "].iter().any(|name| line.starts_with(name))
        };
        let set_except = |is_left: &dyn Fn(&str) -> bool| {
            let is_set = |line: &str| line.starts_with("# ") && line.contains(" = ") && !is_left(line);
            let set: Vec<&str> =
                template.lines().map(|line| if is_set(line) { &line[2..] } else { line }).collect();
            settings(&set.join("\n"))
        };
        let agora = set_except(&of_easemob);
        assert!(agora.apps[0].prefix.contains("/app-id/0123456789"), "{agora:?}");
        let full = set_except(&of_agora);
        let app = &full.apps[0];
        assert_eq!(app.prefix, "https://a1.easemob.com/your-org/your-app");
        let extra = vec!["new_field".to_owned()];
        let limits = AppLimits { extra_fields: extra.clone(), body_fields: extra, ..AppLimits::default() };
        assert_eq!(app.limits, limits);
        assert_eq!(full.permissions.net, ["api.example.com"]);
        assert!(full.scripts.timeout.is_some());
    }

    #[test]
    fn the_file_has_every_setting_that_the_program_knows() {
        // Addresses in another form, credentials, and what the environment is better for.
        const ELSEWHERE: [&str; 7] =
            ["prefix", "app_certificate", "callback_secret", "client_secret", "token", "secret", "apps"];
        for section in ["", "app", "app.limits", "app.timeouts", "scripts", "serve", "permissions", "alerts"]
        {
            let (header, begin) = match section {
                "" => (String::new(), 0),
                section => {
                    let header = format!("[{section}]\n");
                    let begin = FILES[0].1.find(&header).unwrap_or_else(|| panic!("no [{section}]"));
                    (header.clone(), begin + header.len())
                }
            };
            let written = FILES[0].1[begin..].lines().take_while(|line| !line.starts_with('['));
            let written: BTreeSet<&str> = written
                .filter_map(|line| line.trim_start_matches("# ").split_once(" = "))
                .map(|(name, _)| name)
                .filter(|name| !name.contains(' '))
                .collect();
            // The refusal of an unknown setting lists the known ones.
            let folder = tempfile::tempdir().unwrap();
            fs::write(folder.path().join("mooncast.toml"), format!("{header}zzzzzzzz = 1\n")).unwrap();
            let project = Project::at(folder.path()).unwrap();
            let refusal = Settings::load(&project, &Environment::of(vec![]), &AppFlags::default());
            let refusal = refusal.unwrap_err().to_string();
            let (_, known) = refusal.split_once(", expected ").unwrap();
            let is_section = |name: &&str| FILES[0].1.contains(&format!("[{name}]\n"));
            let is_nested = |name: &&str| FILES[0].1.contains(&format!("[{section}.{name}]\n"));
            let known: BTreeSet<&str> = known
                .split('`')
                .skip(1)
                .step_by(2)
                .filter(|name| !ELSEWHERE.contains(name) && !is_nested(name))
                .filter(|name| !section.is_empty() || !is_section(name))
                .collect();
            assert_eq!(written, known, "[{section}]");
        }
    }
}
