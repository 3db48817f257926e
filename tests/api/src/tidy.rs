//! Tokens as people write them.

use quote::ToTokens;

/// The text of some syntax, in one line and without the spaces that a list of tokens has.
pub(crate) fn tidy(syntax: &impl ToTokens) -> String {
    text(&syntax.to_token_stream().to_string())
}

/// The same of tokens that are a text already.
pub(crate) fn text(tokens: &str) -> String {
    // What looks like a bracket and is none.
    let mut text = tokens.split_whitespace().collect::<Vec<_>>().join(" ").replace("->", "\u{1}");
    for (from, to) in [
        (" :: ", "::"),
        (":: ", "::"),
        (" ::", "::"),
        (" : ", ": "),
        ("& ", "&"),
        (" < ", "<"),
        ("< ", "<"),
        (" <", "<"),
        (" >", ">"),
        ("( ", "("),
        (" )", ")"),
        ("[ ", "["),
        (" ]", "]"),
        (" ,", ","),
        (" ;", ";"),
        ("? ", "?"),
        ("! ", "!"),
        (" !", "!"),
        ("$ ", "$"),
        ("# ", "#"),
        (",)", ")"),
        (",>", ">"),
        (" .", "."),
        (". ", "."),
    ] {
        text = text.replace(from, to);
    }
    // A call or a type's arguments are behind a name at once; after a keyword or a sign there is a space.
    for before in ["fn", "Fn", "FnOnce", "FnMut", "in", "super", "crate"] {
        text = text.replace(&format!("{before} ("), &format!("{before}("));
    }
    let mut out = String::with_capacity(text.len());
    for (number, piece) in text.split(" (").enumerate() {
        if number > 0 {
            let is_name = out.ends_with(|sign: char| sign.is_alphanumeric() || sign == '_' || sign == '>');
            let is_word = ["for", "as", "where", "dyn", "impl", "mut", "const"]
                .iter()
                .any(|word| out.ends_with(&format!(" {word}")));
            out.push_str(if is_name && !is_word { "(" } else { " (" });
        }
        out.push_str(piece);
    }
    out.replace('\u{1}', "->").replace("(, ", "(").trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::tidy;

    #[test]
    fn a_signature_reads_as_it_was_written() {
        for text in [
            "async fn start(&self, start: Start) -> Result<RunId, RuntimeError>",
            "fn of<'a, T: Into<String> + Send + ?Sized>(it: &'a mut [T; 4]) -> (u8, Option<&'a str>)",
            "fn call(f: impl Fn(&str) -> bool, g: &(dyn Send + Sync), h: Box<dyn FnOnce(u8)>)",
            "fn all(self: Arc<Self>) -> impl Iterator<Item = (UnitId, &Unit)>",
        ] {
            let signature: syn::Signature = syn::parse_str(text).unwrap();
            assert_eq!(tidy(&signature), text);
        }
    }
}
