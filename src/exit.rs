//! How both programs end: 0 done, 1 refused or failed, 2 a mistake in what the user asked for, 3 nothing changed
//! because nothing shows that it would be for the better.

use std::process::ExitCode;

/// A mistake in the command line, the configuration or the files it names; mending it is the
/// user's to do.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct UsageError(pub String);

/// What was there stays: what was made is not shown to be as good.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Kept(pub String);

/// Prints the error, if there is one, and picks the exit code.
pub fn code(result: anyhow::Result<()>) -> ExitCode {
    let Err(error) = result else { return ExitCode::SUCCESS };
    let broken_pipe = |error: &std::io::Error| error.kind() == std::io::ErrorKind::BrokenPipe;
    if error.downcast_ref().is_some_and(broken_pipe) {
        // Whoever read the output, such as `head`, has seen enough.
        return ExitCode::SUCCESS;
    }
    eprintln!("error: {error:#}");
    let code = match () {
        () if error.is::<UsageError>() => 2,
        () if error.is::<Kept>() => 3,
        () => 1,
    };
    ExitCode::from(code)
}
