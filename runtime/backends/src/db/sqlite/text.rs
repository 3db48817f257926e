//! What has to be known about a statement's text, beside what SQLite says about its meaning.
//!
//! Everything here errs to one side: it may see a word in a string or a comment, but it never misses one that
//! SQLite would see. A tokenizer of our own would have to agree with SQLite's in every corner (`$x(')` is one
//! variable there) to be as sure.

/// Whether `sql` may hold the plain word `word`, in any case.
pub(super) fn has_word(sql: &str, word: &str) -> bool {
    ends_of(sql, word).next().is_some()
}

/// Whether `sql` may name a table, view or trigger of this name, however it is quoted.
pub(super) fn may_name(sql: &str, name: &str) -> bool {
    if !name.is_empty() && name.bytes().all(|byte| byte.is_ascii() && in_word(byte)) {
        return has_word(sql, name);
    }
    // A quote within a quoted name is doubled, or not, depending on the quotes around it.
    let bare = |text: &str| text.replace(['"', '\'', '`'], "").to_ascii_lowercase();
    bare(sql).contains(&bare(name))
}

/// Whether `sql` may hold a conflict clause `OR REPLACE`, rather than only calls of the function `replace`.
pub(super) fn may_replace_rows(sql: &str) -> bool {
    ends_of(sql, "replace").any(|end| !sql[end..].trim_ascii_start().starts_with('('))
}

/// Whether a statement holds a sign that SQLite's tokenizer takes for an end or a space, and nobody else does.
pub(super) fn has_odd_signs(sql: &str) -> bool {
    sql.contains(['\0', '\u{feff}'])
}

/// Where the occurrences of `word` end that are not part of a longer word.
fn ends_of<'a>(sql: &'a str, word: &'a str) -> impl Iterator<Item = usize> + 'a {
    let bytes = sql.as_bytes();
    bytes.windows(word.len()).enumerate().filter_map(move |(start, window)| {
        let end = start + word.len();
        let whole = !start.checked_sub(1).is_some_and(|before| in_word(bytes[before]))
            && !bytes.get(end).copied().is_some_and(in_word);
        (whole && window.eq_ignore_ascii_case(word.as_bytes())).then_some(end)
    })
}

/// Whether SQLite lets this byte be part of an unquoted name.
fn in_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'$' || !byte.is_ascii()
}

#[cfg(test)]
mod tests {
    use super::{has_word, may_name, may_replace_rows};

    #[test]
    fn words_are_found_whole_and_in_any_case() {
        assert!(has_word("a NaTural JOIN b", "natural"));
        assert!(has_word("a NATURAL", "natural"));
        assert!(has_word("'it is natural'", "natural"));
        assert!(!has_word("naturally, supernatural, natural_1, éa", "natural"));
        assert!(!has_word("", "natural"));
    }

    #[test]
    fn names_are_found_however_they_are_quoted() {
        for sql in
            ["FROM accounts", "FROM\"Accounts\"", "FROM[accounts]", "FROM/**/main.accounts,b", "'accounts'"]
        {
            assert!(may_name(sql, "accounts"), "{sql}");
        }
        assert!(!may_name("FROM accounts_old, my_accounts", "accounts"));
        assert!(may_name("FROM \"my accounts\"", "My Accounts"));
        assert!(may_name("FROM \"od\"\"d\"", "od\"d"));
        assert!(may_name("FROM [od\"d]", "od\"d"));
        assert!(!may_name("FROM odd_one", "o\"dd_two"));
        assert!(may_name("FROM \"\"", ""));
    }

    #[test]
    fn a_conflict_clause_is_not_the_function() {
        assert!(may_replace_rows("UPDATE OR REPLACE t SET a = replace(a, 'b', 'c')"));
        assert!(may_replace_rows("update or/**/replace\nt SET a = 1"));
        assert!(!may_replace_rows("UPDATE t SET a = replace (a, 'b', 'c'), replaced = 1"));
    }
}
