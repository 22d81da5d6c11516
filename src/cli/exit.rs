//! The exit status of the program.

use std::io;
use std::process::ExitCode;

use super::logging::LogFormat;

/// The result of a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// 0: all delivered.
    Delivered,
    /// 1: the script failed, or a check found something.
    Failed,
    /// 2: usage or configuration.
    Usage,
    /// 3: finished, and some messages were not delivered.
    Undelivered,
    /// 130: interrupted.
    Interrupted,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(match exit {
            Exit::Delivered => 0_u8,
            Exit::Failed => 1,
            Exit::Usage => 2,
            Exit::Undelivered => 3,
            Exit::Interrupted => 130,
        })
    }
}

/// Reports an error that kept a command from starting. Such an error is always one of usage or configuration,
/// because a command reports later errors itself. A closed output (`mooncast … | head`) is not reported,
/// because it is no error.
#[expect(clippy::print_stderr, reason = "this is where errors are told to people")]
pub(super) fn report(error: &anyhow::Error, format: LogFormat) -> ExitCode {
    if error.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe) {
        return Exit::Failed.into();
    }
    match format {
        LogFormat::Text => eprintln!("mooncast: {error:#}"),
        LogFormat::Json => tracing::error!("{error:#}"),
    }
    Exit::Usage.into()
}
