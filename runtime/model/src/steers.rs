//! Signs that change how the text around them is shown.

/// Whether a sign changes how the text around it is shown, or is seen by nobody: what a guest or a database wrote is not
/// shown to a person with such signs in it, so that what they read, and decide on, is what is there.
///
/// These are control characters, which steer terminals; the embeddings, overrides and isolates that turn the direction of
/// text, and the marks that do so for a sign (Boucher and Anderson, "Trojan Source", 2021); the separators of lines and
/// paragraphs; tags, which models read and people do not see; and what else takes no room, or has no ink: by such a sign two
/// values differ that look the same. Line feeds and tabs are among them: whoever shows those leaves them out. Joiners
/// (U+200C, U+200D) are not: whole languages are written with them.
///
/// ```
/// use wflo_model::steers;
/// assert!(['\u{1b}', '\u{9b}', '\u{202e}', '\u{2066}', '\u{2028}', '\u{e0041}'].into_iter().all(steers));
/// assert!(['\u{ad}', '\u{61c}', '\u{200b}', '\u{200e}', '\u{2060}', '\u{3164}'].into_iter().all(steers));
/// assert!(!"Ottoline, ältere Dame, שלום, می\u{200c}خواهم, 👩\u{200d}🚀".chars().any(steers));
/// ```
#[must_use]
pub fn steers(sign: char) -> bool {
    sign.is_control()
        || matches!(
            sign,
            '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{180e}' | '\u{200b}'
                | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{feff}'
                | '\u{ffa0}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}'
        )
}
