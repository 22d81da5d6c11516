//! How this program was installed, and how it is upgraded then.

use std::env;
use std::path::{Path, PathBuf};

use super::release::{Version, github_name};

/// The way in which the program came to this machine.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Installation {
    /// By the Debian package.
    Package,
    /// By the container's image.
    Image,
    /// By `cargo install` or `cargo binstall`.
    Cargo,
    /// Built in a folder of the source, and run there.
    Source,
    /// By hand: the file at this path. Empty if the system does not name it.
    File(PathBuf),
}

impl Installation {
    /// Finds out how this program was installed. `root` is the root of the file system.
    pub(super) fn of_this_program(root: &Path) -> Self {
        Self::of(&env::current_exe().unwrap_or_default(), root)
    }

    fn of(program: &Path, root: &Path) -> Self {
        let exists = |path: &str| root.join(path).exists();
        if program == Path::new("/usr/bin/mooncast") {
            if exists("var/lib/dpkg/info/mooncast.list") {
                return Self::Package;
            }
            // The files of Docker and of Podman, and the folder of Kubernetes.
            if [".dockerenv", "run/.containerenv", "var/run/secrets/kubernetes.io"].into_iter().any(exists) {
                return Self::Image;
            }
        }
        let folder = program.parent().unwrap_or(Path::new(""));
        let above = folder.parent().unwrap_or(Path::new(""));
        let listed = std::fs::read_to_string(above.join(".crates.toml"));
        if listed.is_ok_and(|list| list.lines().any(|line| line.starts_with("\"mooncast "))) {
            return Self::Cargo;
        }
        // `target/release/mooncast`, or with the name of a platform between.
        let is_source = |folder: &Path| folder.join("src/cli/upgrade").is_dir();
        if above.ancestors().skip(1).take(2).any(is_source) {
            return Self::Source;
        }
        Self::File(program.to_owned())
    }

    /// The word for it in JSON.
    pub(super) const fn name(&self) -> &'static str {
        match self {
            Self::Package => "deb",
            Self::Image => "container",
            Self::Cargo => "cargo",
            Self::Source => "source",
            Self::File(_) => "archive",
        }
    }

    /// Says how to install `version`. `repository` is empty if it is not known.
    pub(super) fn instructions(&self, version: &Version, repository: &str) -> String {
        let version = &version.text;
        match self {
            Self::Package => {
                let machine = match env::consts::ARCH {
                    "x86_64" => "amd64",
                    "aarch64" => "arm64",
                    other => other,
                };
                format!(
                    "install the release's package: sudo apt install ./mooncast_{version}-1_{machine}.deb (a running daemon is restarted)"
                )
            }
            Self::Image => {
                let image = github_name(repository).map_or_else(
                    || "build the image of the new version".to_owned(),
                    |name| format!("docker pull ghcr.io/{}:{version}", name.to_ascii_lowercase()),
                );
                format!("{image}, and start the container again with it")
            }
            Self::Cargo if repository.is_empty() => format!(
                "get the source of v{version} and run in it: cargo install --locked --features otlp --path ."
            ),
            Self::Cargo => {
                format!("cargo install --locked --features otlp --git {repository} --tag v{version} mooncast")
            }
            Self::Source => {
                format!("git fetch --tags && git checkout v{version} && cargo build --release --locked")
            }
            Self::File(path) => format!(
                "stop the daemon and replace {} with the file from the release's archive",
                path.display()
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in files {
            let path = folder.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        folder
    }

    #[test]
    fn what_the_package_manager_lists_is_the_package() {
        let of = |program: &str, files: &[(&str, &str)]| {
            Installation::of(Path::new(program), folder(files).path())
        };
        let list = ("var/lib/dpkg/info/mooncast.list", "/usr/bin/mooncast\n");
        let docker = (".dockerenv", "");
        assert_eq!(of("/usr/bin/mooncast", &[list]), Installation::Package);
        assert_eq!(of("/usr/bin/mooncast", &[list, docker]), Installation::Package);
        assert_eq!(of("/usr/bin/mooncast", &[docker]), Installation::Image);
        assert_eq!(of("/usr/bin/mooncast", &[("run/.containerenv", "")]), Installation::Image);
        assert_eq!(of("/usr/bin/mooncast", &[]), Installation::File("/usr/bin/mooncast".into()));
        assert_eq!(of("/opt/mooncast", &[list, docker]), Installation::File("/opt/mooncast".into()));
    }

    #[test]
    fn cargo_lists_what_it_installed() {
        let list = "[v1]\n\"mooncast 0.1.0 (path+file:///source)\" = [\"mooncast\"]\n";
        let home = folder(&[(".crates.toml", list), ("bin/mooncast", "")]);
        let other = folder(&[(".crates.toml", "[v1]\n\"just 1.0.0\" = [\"just\"]\n"), ("bin/mooncast", "")]);
        let of = |home: &Path| Installation::of(&home.join("bin/mooncast"), Path::new("/nowhere"));
        assert_eq!(of(home.path()), Installation::Cargo);
        assert_eq!(of(other.path()).name(), "archive");
    }

    #[test]
    fn a_program_in_the_target_folder_was_built_from_source() {
        let source = folder(&[("src/cli/upgrade/mod.rs", "")]);
        for program in ["target/release/mooncast", "target/x86_64-unknown-linux-musl/dist/mooncast"] {
            let found = Installation::of(&source.path().join(program), Path::new("/nowhere"));
            assert_eq!(found, Installation::Source, "{program}");
        }
    }
}
