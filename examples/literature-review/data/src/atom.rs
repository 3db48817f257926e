//! Papers as an Atom feed, in the form of the arXiv's API: <https://info.arxiv.org/help/api/user-manual.html>.

use std::fmt::Write as _;

use crate::papers::Paper;

/// A feed with some of `total` papers that were found.
pub(crate) fn feed(papers: &[&Paper], total: usize, start: usize) -> String {
    let mut out = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
         <feed xmlns=\"http://www.w3.org/2005/Atom\" xmlns:opensearch=\"http://a9.com/-/spec/opensearch/1.1/\">\n\
         <title type=\"html\">Made-up papers</title>\n\
         <opensearch:totalResults>{total}</opensearch:totalResults>\n\
         <opensearch:startIndex>{start}</opensearch:startIndex>\n"
    );
    for Paper { id, title, summary, author, published } in papers {
        let _ = write!(
            out,
            "<entry>\n<id>http://arxiv.org/abs/{id}</id>\n<published>{published}</published>\n<title>{}</title>\n\
             <summary>  {}\n</summary>\n<author><name>{author}</name></author>\n\
             <category term=\"q-bio.PE\" scheme=\"http://arxiv.org/schemas/atom\"/>\n</entry>\n",
            escape(title),
            escape(&wrapped(summary)),
        );
    }
    out.push_str("</feed>\n");
    out
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

/// Lines are broken when they are full, as the arXiv's are.
fn wrapped(text: &str) -> String {
    let (mut out, mut length) = (String::new(), 0);
    for word in text.split_whitespace() {
        if length > 0 {
            let is_full = length + word.len() > 80;
            out.push(if is_full { '\n' } else { ' ' });
            length = if is_full { 0 } else { length + 1 };
        }
        out.push_str(word);
        length += word.len();
    }
    out
}

#[cfg(test)]
mod tests {
    use super::{feed, wrapped};
    use crate::papers::generate;

    #[test]
    fn what_is_special_in_xml_is_escaped() {
        let mut paper = generate(7, 1).remove(0);
        paper.title = "A < B & C".to_owned();
        let feed = feed(&[&paper], 1, 0);
        assert!(feed.contains("<title>A &lt; B &amp; C</title>"), "{feed}");
        assert!(wrapped(&"word ".repeat(40)).lines().all(|line| line.len() <= 81));
    }
}
