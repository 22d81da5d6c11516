//! Test results as XML for CI systems.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;
use std::time::Duration;

use quick_xml::Writer;
use quick_xml::events::{BytesDecl, BytesText, Event};

use super::TestOutcome;

/// Writes the report: one suite per file, one case per test.
pub(super) fn write(path: &Path, outcomes: &[TestOutcome], took: Duration) -> io::Result<()> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)?;
    }
    let mut file = BufWriter::new(File::create(path)?);
    report(&mut file, outcomes, took)?;
    file.write_all(b"\n")?;
    file.flush()
}

fn report(out: &mut impl Write, outcomes: &[TestOutcome], took: Duration) -> io::Result<()> {
    let mut writer = Writer::new_with_indent(out, b' ', 2);
    writer.write_event(Event::Decl(BytesDecl::new("1.0", Some("UTF-8"), None)))?;
    let suites = writer.create_element("testsuites").with_attribute(("name", "mooncast test"));
    counted(suites, outcomes, took).write_inner_content(|writer| {
        for suite in outcomes.chunk_by(|left, right| left.file == right.file) {
            let took = suite.iter().map(|outcome| outcome.took).sum();
            let name = suite.first().map_or("", |outcome| &outcome.file);
            let element = writer.create_element("testsuite").with_attribute(("name", name));
            counted(element, suite, took)
                .write_inner_content(|writer| suite.iter().try_for_each(|outcome| case(writer, outcome)))?;
        }
        Ok(())
    })?;
    Ok(())
}

fn counted<'a, W: Write>(
    element: quick_xml::writer::ElementWriter<'a, W>,
    outcomes: &[TestOutcome],
    took: Duration,
) -> quick_xml::writer::ElementWriter<'a, W> {
    let failures = outcomes.iter().filter(|outcome| outcome.failure.is_some()).count().to_string();
    element
        .with_attribute(("tests", outcomes.len().to_string().as_str()))
        .with_attribute(("failures", failures.as_str()))
        .with_attribute(("errors", "0"))
        .with_attribute(("time", seconds(took).as_str()))
}

fn case<W: Write>(writer: &mut Writer<W>, outcome: &TestOutcome) -> io::Result<()> {
    let name = outcome.test.as_ref().map_or("the file is loaded", |test| &test.name);
    let line = outcome.test.as_ref().and_then(|test| test.place.rsplit(':').next()).unwrap_or("1");
    let element = writer
        .create_element("testcase")
        .with_attribute(("name", clean(name).as_str()))
        .with_attribute(("classname", outcome.file.as_str()))
        .with_attribute(("file", outcome.file.as_str()))
        .with_attribute(("line", line))
        .with_attribute(("time", seconds(outcome.took).as_str()));
    let Some(failure) = &outcome.failure else {
        element.write_empty()?;
        return Ok(());
    };
    element.write_inner_content(|writer| {
        let message = failure.error.message.lines().next().unwrap_or_default();
        let text = [failure.error.message.as_str()]
            .into_iter()
            .chain(failure.error.traceback.iter().map(String::as_str))
            .collect::<Vec<_>>()
            .join("\n");
        writer
            .create_element("failure")
            .with_attribute(("message", clean(message).as_str()))
            .write_text_content(BytesText::new(&clean(&text)))?;
        if !failure.said.is_empty() {
            writer.create_element("system-out").write_text_content(BytesText::new(&clean(&failure.said)))?;
        }
        Ok(())
    })?;
    Ok(())
}

fn seconds(time: Duration) -> String {
    format!("{:.3}", time.as_secs_f64())
}

/// Removes the characters that XML cannot contain.
fn clean(text: &str) -> String {
    let fits = |letter: char| {
        matches!(letter, '\t' | '\n' | '\r') || (letter >= ' ' && !matches!(letter, '\u{fffe}' | '\u{ffff}'))
    };
    text.chars().map(|letter| if fits(letter) { letter } else { '\u{fffd}' }).collect()
}
