//! Documents cut into passages: what stands under one heading together, within bounds.

use super::blocks::Block;

/// Most bytes of a passage. Paragraphs under one heading are put together up to it, and longer ones are cut.
const MOST: usize = 1600;
/// Most bytes of a title with the headings before it.
const LONGEST_TITLE: usize = 300;

/// A passage of a document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Piece {
    /// The title of the document and the headings above, ` > ` between them.
    pub(super) title: String,
    pub(super) text: String,
}

/// Cuts a document into passages; `name` is its title where it gives none.
pub(super) fn passages(name: &str, blocks: Vec<Block>) -> Vec<Piece> {
    let mut cutter = Cutter { name, way: Vec::new(), text: String::new(), pieces: Vec::new() };
    for block in blocks {
        match block {
            Block::Heading(level, title) => {
                cutter.flush();
                cutter.way.retain(|(above, _)| *above < level);
                // The title of a page, and the same as its first heading, is one.
                if cutter.way.last().is_none_or(|(_, last)| *last != title) {
                    cutter.way.push((level, title));
                }
            }
            Block::Text(text) => cutter.take(&text),
        }
    }
    cutter.flush();
    // A heading with nothing below it still says what there is.
    if cutter.pieces.is_empty() && !cutter.way.is_empty() {
        let title = cutter.title();
        cutter.pieces.push(Piece { text: title.clone(), title });
    }
    cutter.pieces
}

struct Cutter<'a> {
    name: &'a str,
    /// The headings above, each with its level.
    way: Vec<(u8, String)>,
    text: String,
    pieces: Vec<Piece>,
}

impl Cutter<'_> {
    fn take(&mut self, text: &str) {
        if !self.text.is_empty() && self.text.len() + 2 + text.len() > MOST {
            self.flush();
        }
        if !self.text.is_empty() {
            self.text.push_str("\n\n");
        }
        self.text.push_str(text);
        while self.text.len() > MOST {
            let at = cut_at(&self.text);
            let rest = self.text.split_off(at);
            self.flush();
            rest.trim_start().clone_into(&mut self.text);
        }
    }

    fn flush(&mut self) {
        let text = std::mem::take(&mut self.text);
        let text = text.trim_end();
        if !text.trim().is_empty() {
            self.pieces.push(Piece { title: self.title(), text: text.to_owned() });
        }
    }

    fn title(&self) -> String {
        let way: Vec<_> = self.way.iter().map(|(_, title)| title.as_str()).collect();
        let title = if way.is_empty() { self.name.to_owned() } else { way.join(" > ") };
        title[..title.floor_char_boundary(LONGEST_TITLE)].to_owned()
    }
}

/// Where a text that is too long is best cut: after a line, else after a sentence, else after a word, in its later half.
fn cut_at(text: &str) -> usize {
    let most = text.floor_char_boundary(MOST);
    let half = text.floor_char_boundary(MOST / 2);
    let later = &text[half..most];
    let ends = ["\n", ". ", "? ", "! ", "; ", " "];
    let found = ends.into_iter().find_map(|end| later.rfind(end).map(|at| half + at + end.len()));
    found.unwrap_or(most)
}

#[cfg(test)]
mod tests {
    use super::super::blocks::Block;
    use super::{MOST, Piece, passages};

    fn heading(level: u8, title: &str) -> Block {
        Block::Heading(level, title.to_owned())
    }

    fn text(text: impl Into<String>) -> Block {
        Block::Text(text.into())
    }

    #[test]
    fn what_stands_under_a_heading_is_a_passage_with_the_headings_above() {
        let cut = passages(
            "returns",
            vec![
                text("before"),
                heading(1, "Returns"),
                text("one"),
                text("two"),
                heading(2, "Shoes"),
                heading(3, "Worn"),
                text("three"),
                heading(2, "Books"),
                text("four"),
            ],
        );
        let piece = |title: &str, text: &str| Piece { title: title.to_owned(), text: text.to_owned() };
        assert_eq!(
            cut,
            [
                piece("returns", "before"),
                piece("Returns", "one\n\ntwo"),
                piece("Returns > Shoes > Worn", "three"),
                piece("Returns > Books", "four"),
            ]
        );
        assert_eq!(passages("x", vec![heading(1, "Only")]), [piece("Only", "Only")]);
        assert_eq!(passages("x", vec![]), []);
    }

    #[test]
    fn passages_are_bounded_and_lose_nothing() {
        let sentence = "Größere Sätze werden nach einem Satz geteilt. ";
        let whole = sentence.repeat(200);
        let cut = passages("x", vec![text(whole.clone()), text("a".repeat(5000)), text("short")]);
        assert!(cut.iter().all(|piece| piece.text.len() <= MOST), "bounded");
        let letters = |text: &str| text.chars().filter(|c| !c.is_whitespace()).count();
        let all: usize = cut.iter().map(|piece| letters(&piece.text)).sum();
        assert_eq!(all, letters(&whole) + 5005);
        assert!(cut[0].text.ends_with("geteilt."), "{}", cut[0].text);
    }
}
