//! Rows as comma-separated values: RFC 4180, with a header.

use wflo_model::SqlValue;

use super::rows::Record;

/// The end of a record: a line end outside of quotes.
pub(super) fn end(text: &[u8]) -> Option<usize> {
    let mut quoted = false;
    for (at, byte) in text.iter().enumerate() {
        match byte {
            // Two quotes within a quoted field leave it and come back.
            b'"' => quoted = !quoted,
            b'\n' if !quoted => return Some(at + 1),
            _ => {}
        }
    }
    None
}

/// Reads the names of the columns.
pub(super) fn header(record: &[u8]) -> Result<Vec<String>, String> {
    let record = record.strip_prefix(b"\xef\xbb\xbf").unwrap_or(record);
    let names = fields(record)?.into_iter().map(Option::unwrap_or_default).collect::<Vec<_>>();
    match names.iter().enumerate().find(|(at, name)| name.is_empty() || names[..*at].contains(name)) {
        Some((_, name)) => Err(format!("`{name}` is no name of a column, or is there twice")),
        None => Ok(names),
    }
}

/// Reads a record; nothing where it is an empty line.
pub(super) fn read(record: &[u8], header: &[String]) -> Result<Option<Record>, String> {
    if record.trim_ascii().is_empty() && header.len() != 1 {
        return Ok(None);
    }
    let fields = fields(record)?;
    if fields.len() != header.len() {
        return Err(format!("{} fields for {} columns", fields.len(), header.len()));
    }
    let values = header.iter().zip(fields);
    let value = |(name, field): (&String, Option<String>)| {
        (name.clone(), field.map_or(SqlValue::Null, SqlValue::Text))
    };
    Ok(Some(Record::Named(values.map(value).collect())))
}

/// The fields of a record; none for one that is empty and not in quotes.
fn fields(record: &[u8]) -> Result<Vec<Option<String>>, String> {
    let record = record.strip_suffix(b"\n").unwrap_or(record);
    let record = record.strip_suffix(b"\r").unwrap_or(record);
    let text = std::str::from_utf8(record).map_err(|_| "it is not UTF-8".to_owned())?;
    let mut fields = Vec::new();
    let mut rest = text;
    loop {
        let after = match rest.strip_prefix('"') {
            None => {
                let (field, after) = rest.split_at(rest.find(',').unwrap_or(rest.len()));
                if field.contains('"') {
                    return Err("a quote stands within a field that is not in quotes".to_owned());
                }
                fields.push((!field.is_empty()).then(|| field.to_owned()));
                after
            }
            Some(quoted) => {
                let (field, after) = unquoted(quoted)?;
                fields.push(Some(field));
                after
            }
        };
        match after.strip_prefix(',') {
            Some(next) => rest = next,
            None if after.is_empty() => return Ok(fields),
            None => return Err("something stands behind the quotes of a field".to_owned()),
        }
    }
}

/// Reads a field up to its closing quote; gives what stands behind that.
fn unquoted(text: &str) -> Result<(String, &str), String> {
    let mut field = String::new();
    let mut rest = text;
    loop {
        let at = rest.find('"').ok_or_else(|| "a quote is not closed".to_owned())?;
        field.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        match rest.strip_prefix('"') {
            Some(after) => {
                field.push('"');
                rest = after;
            }
            None => return Ok((field, rest)),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{end, fields, header};

    #[test]
    fn fields_are_those_of_the_rfc() {
        let check = |record: &str, expect: &[Option<&str>]| {
            let fields = fields(record.as_bytes()).unwrap();
            assert_eq!(fields.iter().map(Option::as_deref).collect::<Vec<_>>(), expect, "{record}");
        };
        check("a,b,c\r\n", &[Some("a"), Some("b"), Some("c")]);
        check("a,,\"\"\n", &[Some("a"), None, Some("")]);
        check("\"a,\"\"b\"\"\n\",c", &[Some("a,\"b\"\n"), Some("c")]);
        check("", &[None]);
        for bad in ["a\"b", "\"a", "\"a\"b", "\"a\" ,b"] {
            assert!(fields(bad.as_bytes()).is_err(), "{bad}");
        }
        assert_eq!(end(b"\"a\nb\"\nc"), Some(6));
        assert_eq!(end(b"\"a\nb"), None);
        assert_eq!(header(b"\xef\xbb\xbfid,name\n").unwrap(), ["id", "name"]);
        assert!(header(b"id,id").is_err() && header(b"id,").is_err());
    }

    proptest! {
        #[test]
        fn whatever_is_quoted_comes_back(values: Vec<String>) {
            prop_assume!(!values.is_empty());
            let quoted: Vec<_> = values.iter().map(|value| format!("\"{}\"", value.replace('"', "\"\""))).collect();
            let record = format!("{}\n", quoted.join(","));
            prop_assert_eq!(end(record.as_bytes()), Some(record.len()));
            let read = fields(record.as_bytes()).unwrap();
            prop_assert_eq!(read.into_iter().map(Option::unwrap).collect::<Vec<_>>(), values);
        }
    }
}
