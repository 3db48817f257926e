//! What is said of a failed request.

/// An error with all its causes, but without the address, whose query may hold a key.
pub(crate) fn all_causes(error: reqwest::Error) -> String {
    let error = error.without_url();
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(&error);
    while let Some(next) = cause {
        text = format!("{text}: {next}");
        cause = next.source();
    }
    text
}
