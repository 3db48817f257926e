//! Signs that change how the text around them is shown.

/// Whether a sign changes how the text around it is shown, or is seen by nobody: what a guest or a database wrote is not
/// shown to a person with such signs in it, so that what they read, and decide on, is what is there.
///
/// These are control characters, which steer terminals; the embeddings, overrides and isolates that turn the direction of
/// text (Boucher and Anderson, "Trojan Source", 2021); the separators of lines and paragraphs; and tags, which models read
/// and people do not see. Line feeds and tabs are among them: whoever shows those leaves them out.
///
/// ```
/// use wflo_model::steers;
/// assert!(['\u{1b}', '\u{9b}', '\u{202e}', '\u{2066}', '\u{2028}', '\u{e0041}'].into_iter().all(steers));
/// assert!(!"Ottoline, ältere Dame, שלום".chars().any(steers));
/// ```
#[must_use]
pub fn steers(sign: char) -> bool {
    sign.is_control()
        || matches!(
            sign,
            '\u{2028}' | '\u{2029}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}'
                | '\u{e0000}'..='\u{e007f}'
        )
}
