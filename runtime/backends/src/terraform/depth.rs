//! How deep a text is nested, told before a parser that recurses is let at it.

/// Most brackets within brackets.
const BRACKETS: usize = 64;
/// Most signs before one value.
const SIGNS: usize = 16;
/// Most choices and directives in one text.
const CHOICES: usize = 512;

/// Whether a text is nested deeper than any configuration that people write. It looks at characters and not at what they
/// mean, so that nothing in the text can hide from it.
pub(super) fn is_too_deep(text: &str) -> bool {
    let (mut open, mut signs, mut choices) = (0_usize, 0_usize, 0_usize);
    for line in text.lines() {
        let drawn = is_drawn(line);
        for c in line.chars() {
            match c {
                '(' | '[' | '{' => open += 1,
                ')' | ']' | '}' => open = open.saturating_sub(1),
                '?' | '%' => choices += 1,
                _ => {}
            }
            signs = match c {
                '!' | '-' if !drawn => signs + 1,
                c if c.is_whitespace() => signs,
                _ => 0,
            };
            if open > BRACKETS || choices > CHOICES || signs > SIGNS {
                return true;
            }
        }
    }
    false
}

/// Whether a line is a comment, in which people draw with dashes. One with a brace may be text that is evaluated.
fn is_drawn(line: &str) -> bool {
    let line = line.trim_start();
    (line.starts_with('#') || line.starts_with("//")) && !line.contains('{')
}

#[cfg(test)]
mod tests {
    use super::is_too_deep;

    #[test]
    fn what_people_write_is_not_too_deep() {
        let rule = format!("# {}\n", "-".repeat(70));
        let drawn = format!("{rule}output \"a\" {{ value = [[[1]]] }}\n{rule}");
        for text in ["", "a = !b", "a = [for x in y : x ? 1 : 2]", &drawn] {
            assert!(!is_too_deep(text), "{text}");
        }
    }

    #[test]
    fn what_would_exhaust_a_parser_is() {
        let deep = |open: &str| format!("a = {}1", open.repeat(5000));
        for open in ["(", "[", "{a=", "!", "- ", "!\n", "\"${", "a ? ", "\"%{ if a }", "# ${!"] {
            assert!(is_too_deep(&deep(open)), "{open}");
        }
    }
}
