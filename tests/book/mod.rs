//! Tests of the book and the project's first page: every example runs, every link leads somewhere, both languages
//! have the same content, and the reference matches the stubs and the commands.
//!
//! Store: file

pub mod page;
mod play;
pub mod reference;
pub mod stub;

pub(crate) use play::workbook;
mod twins;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use page::Page;
use play::Play;

use crate::support::Project;

/// With this variable set, the test writes the reference instead of comparing it.
const BLESS: &str = "MOONCAST_BLESS";

/// Pages that are run at once.
const AT_ONCE: usize = 4;

/// The most blocks of a book that cannot be run here.
const MOST_LOOKED_AT: usize = 7;

const LANGUAGES: [&str; 2] = ["en", "zh"];

const FIRST_PAGES: [&str; 2] = ["README.md", "README.zh-CN.md"];

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn source(language: &str) -> PathBuf {
    root().join("docs").join(language).join("src")
}

/// Returns the paths of a book's chapters, in the order of its summary.
fn chapters(language: &str) -> Vec<String> {
    let summary = Page::read(&source(language).join("SUMMARY.md"));
    summary.links.into_iter().map(|(_, target)| target).collect()
}

fn chapter(language: &str, path: &str) -> Page {
    Page::read(&source(language).join(path))
}

/// Finds the Markdown files below a folder, relative to it.
fn markdown(folder: &Path, below: &str, found: &mut BTreeSet<String>) {
    for entry in std::fs::read_dir(folder.join(below)).unwrap() {
        let entry = entry.unwrap();
        let name = format!("{below}{}", entry.file_name().to_str().unwrap());
        if entry.file_type().unwrap().is_dir() {
            markdown(folder, &format!("{name}/"), found);
        } else if Path::new(&name).extension().is_some_and(|end| end == "md") && name != "SUMMARY.md" {
            found.insert(name);
        }
    }
}

fn is_written(path: &str) -> bool {
    !path.starts_with("reference/")
}

/// Makes a project with `mooncast new` and adds the files that the chapters use.
fn of_the_book(language: &str) -> Project {
    let project = Project::new();
    project.mooncast(&["new", "spring"]).exits(0);
    let start = chapter(language, "quick-start.md");
    let list = start.blocks.iter().find(|block| block.language == "csv").expect("the list of groups");
    project.write("spring/scripts/groups.csv", &list.text);
    copy(&root().join("scripts/assets"), &project.path("spring/assets"));
    // Each chapter brings its own tests.
    std::fs::remove_file(project.path("spring/scripts/tests/hello.lua")).unwrap();
    project
}

/// Makes this project in the state that the first page assumes.
fn of_the_source() -> Project {
    let project = Project::new().file("mooncast.toml", "simulator = true\n");
    copy(&root().join("scripts"), &project.path("scripts"));
    project
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}

fn play(language: &str, path: &str, page: &Page) -> Vec<String> {
    if language.is_empty() {
        return Play::new(page, of_the_source(), "").play();
    }
    let beginner = path == "quick-start.md";
    let project = if beginner { Project::new() } else { of_the_book(language) };
    Play::new(page, project, if beginner { "" } else { "spring" }).play()
}

/// Returns the hand-written pages, each with its book's language (None for the project's own) and its path there.
pub fn written() -> Vec<(&'static str, String, Page)> {
    let first = FIRST_PAGES.iter().map(|path| ("", (*path).to_owned(), Page::read(&root().join(path))));
    let chapters = LANGUAGES.iter().flat_map(|language| {
        let paths = chapters(language).into_iter().filter(|path| is_written(path));
        paths.map(|path| (*language, path.clone(), chapter(language, &path)))
    });
    first.chain(chapters).collect()
}

#[test]
fn every_example_runs() {
    let pages = written();
    for language in ["", "en", "zh"] {
        let of = |wanted: &str| {
            let own = pages.iter().filter(|(page, ..)| *page == language);
            own.flat_map(|(.., page)| &page.blocks).filter(|block| block.language == wanted).count()
        };
        let (lua, shell, toml) = (of("lua"), of("sh"), of("toml"));
        assert!(lua >= 4 && shell >= 2 && toml >= 3, "{language}: {lua} Lua, {shell} shell, {toml} settings");
        let own = pages.iter().filter(|(page, ..)| *page == language).flat_map(|(.., page)| &page.blocks);
        let looked_at = own.filter(|block| block.value("needs").is_some()).count();
        assert!(looked_at <= MOST_LOOKED_AT, "{language}: {looked_at} blocks are not run");
    }
    let waiting = Mutex::new(pages.iter());
    let failures = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                loop {
                    let Some((language, path, page)) = waiting.lock().unwrap().next() else { break };
                    let failed = play(language, path, page);
                    failures.lock().unwrap().extend(failed);
                }
            });
        }
    });
    let failures = failures.into_inner().unwrap();
    assert!(failures.is_empty(), "{} examples:\n{}", failures.len(), failures.join("\n\n"));
}

#[test]
fn each_chapter_is_there_in_both_languages_and_in_both_summaries() {
    for language in LANGUAGES {
        let mut found = BTreeSet::new();
        markdown(&source(language), "", &mut found);
        assert!(found.len() > 10, "{found:?}");
        assert_eq!(found, chapters(language).into_iter().collect(), "the summary of {language}");
    }
    assert_eq!(chapters("en"), chapters("zh"));
}

#[test]
fn both_languages_have_the_same_code() {
    let mut differences = twins::differences(
        &Page::read(&root().join(FIRST_PAGES[0])),
        &Page::read(&root().join(FIRST_PAGES[1])),
    );
    for path in chapters("en") {
        differences.extend(twins::differences(&chapter("en", &path), &chapter("zh", &path)));
    }
    assert!(differences.is_empty(), "{}", differences.join("\n\n"));
}

#[test]
fn no_link_is_broken() {
    let mut pages: Vec<Page> = FIRST_PAGES.iter().map(|path| Page::read(&root().join(path))).collect();
    for language in LANGUAGES {
        pages.push(chapter(language, "SUMMARY.md"));
        pages.extend(chapters(language).iter().map(|path| chapter(language, path)));
    }
    let mut broken = Vec::new();
    let mut followed = 0;
    for page in &pages {
        for (line, target) in page.links.iter().filter(|(_, target)| !target.contains("://")) {
            followed += 1;
            let (file, anchor) = target.split_once('#').unwrap_or((target, ""));
            let path = page.path.parent().unwrap().join(file);
            let path = if file.is_empty() { page.path.clone() } else { path };
            let is_page = path.extension().is_some_and(|end| end == "md");
            if !path.is_file()
                || (is_page && !anchor.is_empty() && !Page::read(&path).anchors.contains(anchor))
            {
                broken.push(format!("{}:{line}: {target}", page.shown()));
            }
        }
    }
    assert!(followed > 40, "{followed} links");
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

#[test]
fn the_reference_is_what_the_program_says() {
    let mut differ = Vec::new();
    for (name, page) in [("lua.md", reference::lua()), ("commands.md", reference::commands())] {
        let path = root().join("docs/reference").join(name);
        if std::fs::read_to_string(&path).is_ok_and(|old| old == page) {
            continue;
        }
        if std::env::var_os(BLESS).is_some() {
            std::fs::write(&path, page).unwrap();
        } else {
            differ.push(path.display().to_string());
        }
    }
    // Both books include the same pages, from their first section on.
    for (language, name) in LANGUAGES.iter().flat_map(|language| [(language, "lua"), (language, "commands")])
    {
        let page = std::fs::read_to_string(source(language).join(format!("reference/{name}.md"))).unwrap();
        let includes = format!("\n{{{{#include ../../../reference/{name}.md:5:}}}}\n");
        assert!(page.ends_with(&includes), "{language}: {page}");
    }
    assert!(
        differ.is_empty(),
        "not what would be generated: {}; write them with\n  {BLESS}=1 cargo test --test it book::",
        differ.join(", ")
    );
}
