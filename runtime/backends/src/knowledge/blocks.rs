//! Documents as headings and paragraphs, whatever they are written in.

/// A piece of a document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Block {
    /// A heading of this level, 1 the highest.
    Heading(u8, String),
    /// Text that belongs together: a paragraph, a list, a table, code.
    Text(String),
}

/// The blocks of plain text: paragraphs, which empty lines separate.
pub(super) fn plain(text: &str) -> Vec<Block> {
    let mut paragraphs = Paragraphs::default();
    text.lines().for_each(|line| paragraphs.line(line));
    paragraphs.end()
}

/// The blocks of Markdown (CommonMark): headings of both kinds, and what empty lines separate, fenced code in one piece.
/// What else it marks up is left as it is written, which people and models read well.
pub(super) fn markdown(text: &str) -> Vec<Block> {
    let mut paragraphs = Paragraphs::default();
    let mut fence: Option<&str> = None;
    // What tools keep at the head of a document between two lines of `---` is not part of its text.
    let body = front_matter(text).unwrap_or(text);
    for line in body.lines() {
        let bare = line.trim();
        if let Some(mark) = fence {
            paragraphs.keep(line);
            if bare.starts_with(mark) && bare.chars().all(|c| mark.starts_with(c)) {
                fence = None;
            }
            continue;
        }
        let opens = ["```", "~~~"].into_iter().find(|mark| bare.starts_with(mark));
        if opens.is_some() {
            fence = opens;
            paragraphs.keep(line);
        } else if let Some((level, title)) = atx(line) {
            paragraphs.heading(level, title);
        } else if let Some(level) = underline(bare).filter(|_| paragraphs.is_one_line()) {
            let title = std::mem::take(&mut paragraphs.lines).join(" ");
            paragraphs.heading(level, &title);
        } else {
            paragraphs.line(line);
        }
    }
    paragraphs.end()
}

fn front_matter(text: &str) -> Option<&str> {
    let rest = text.trim_start_matches('\u{feff}').strip_prefix("---\n")?;
    let end = rest.find("\n---\n")?;
    Some(&rest[end + 5..])
}

/// `## Title`, with or without signs behind it.
fn atx(line: &str) -> Option<(u8, &str)> {
    // Four spaces begin code.
    let indent = line.len() - line.trim_start_matches(' ').len();
    let line = line.trim();
    let level = line.bytes().take_while(|byte| *byte == b'#').count();
    let rest = &line[level..];
    if !(1..=6).contains(&level) || indent > 3 || !(rest.is_empty() || rest.starts_with([' ', '\t'])) {
        return None;
    }
    let title = rest.trim();
    let closed = title.trim_end_matches('#');
    let title = if closed.is_empty() || closed.ends_with([' ', '\t']) { closed.trim() } else { title };
    Some((u8::try_from(level).unwrap_or(6), title))
}

/// A line of `=` or `-` under a heading.
fn underline(line: &str) -> Option<u8> {
    let is_all = |sign: char| line.len() >= 2 && line.chars().all(|c| c == sign);
    match (is_all('='), is_all('-')) {
        (true, _) => Some(1),
        (_, true) => Some(2),
        _ => None,
    }
}

/// Gathers lines into blocks.
#[derive(Default)]
pub(super) struct Paragraphs {
    blocks: Vec<Block>,
    lines: Vec<String>,
}

impl Paragraphs {
    /// Takes a line; an empty one ends the paragraph.
    pub(super) fn line(&mut self, line: &str) {
        if line.trim().is_empty() { self.break_off() } else { self.keep(line) }
    }

    fn keep(&mut self, line: &str) {
        self.lines.push(line.trim_end().to_owned());
    }

    fn is_one_line(&self) -> bool {
        self.lines.len() == 1
    }

    pub(super) fn break_off(&mut self) {
        let text = std::mem::take(&mut self.lines).join("\n");
        if !text.trim().is_empty() {
            self.blocks.push(Block::Text(text.trim_matches('\n').to_owned()));
        }
    }

    pub(super) fn heading(&mut self, level: u8, title: &str) {
        self.break_off();
        let title = title.split_whitespace().collect::<Vec<_>>().join(" ");
        if !title.is_empty() {
            self.blocks.push(Block::Heading(level, title));
        }
    }

    pub(super) fn end(mut self) -> Vec<Block> {
        self.break_off();
        self.blocks
    }
}

#[cfg(test)]
mod tests {
    use super::{Block, markdown, plain};

    fn heading(level: u8, title: &str) -> Block {
        Block::Heading(level, title.to_owned())
    }

    fn text(text: &str) -> Block {
        Block::Text(text.to_owned())
    }

    #[test]
    fn markdown_is_headings_and_what_stands_below_them() {
        let read = markdown(
            "---\ntags: x\n---\n# Returns #\n\nWithin 30 days.\nWith the bill.\n\n## Shoes\n- worn: no\n- new: yes\n\
             \n```\n# no heading\n\nx\n```\nUnder\n-----\n#hashtag\n    # code\n",
        );
        assert_eq!(
            read,
            [
                heading(1, "Returns"),
                text("Within 30 days.\nWith the bill."),
                heading(2, "Shoes"),
                text("- worn: no\n- new: yes"),
                text("```\n# no heading\n\nx\n```\nUnder\n-----\n#hashtag\n    # code"),
            ]
        );
        assert_eq!(
            markdown("Title\n=====\ntext\n\n---\n\nmore"),
            [heading(1, "Title"), text("text"), text("---"), text("more")]
        );
        assert_eq!(markdown("# C# and F#\n"), [heading(1, "C# and F#")]);
        assert_eq!(markdown("``` never closed\n# a\n"), [text("``` never closed\n# a")]);
        assert_eq!(markdown(""), []);
    }

    #[test]
    fn plain_text_is_paragraphs() {
        assert_eq!(plain("# a\nb\r\n\r\n \n c\n"), [text("# a\nb"), text(" c")]);
    }
}
