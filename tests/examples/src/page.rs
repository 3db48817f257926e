//! A README as a script.

use anyhow::{Context as _, Result};

/// What a README has to say and to show.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Page {
    /// The folder.
    pub(crate) name: String,
    /// The use case, for the table.
    pub(crate) use_case: String,
    /// What it shows, for the table.
    pub(crate) shows: String,
    /// Ports on loopback that its files name; others take their place when it is played.
    pub(crate) ports: Vec<u16>,
    /// Programs that it needs and that are not of this workspace.
    pub(crate) needs: Vec<String>,
    /// What is played.
    pub(crate) blocks: Vec<Block>,
}

/// A block of a console.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Block {
    pub(crate) name: String,
    /// Whether it takes long: `<!-- output: NAME, long -->`.
    pub(crate) long: bool,
    pub(crate) commands: Vec<Command>,
}

/// A command, and what the README shows of its output.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Command {
    pub(crate) line: String,
    pub(crate) shown: String,
}

impl Page {
    /// Reads a README.
    pub(crate) fn read(name: &str, text: &str) -> Result<Self> {
        let title = text.lines().find_map(|line| line.strip_prefix("# ")).unwrap_or(name).to_owned();
        let (use_case, shows) = match comment(text, "example").and_then(|said| said.split_once('|')) {
            Some((use_case, shows)) => (use_case.trim().to_owned(), shows.trim().to_owned()),
            None => (title, first_sentence(text)),
        };
        let ports = comment(text, "ports").unwrap_or_default().split_whitespace();
        let ports = ports.map(str::parse).collect::<Result<_, _>>().context("`<!-- ports: ... -->`")?;
        let needs = comment(text, "needs").unwrap_or_default().split_whitespace();
        let needs = needs.map(str::to_owned).collect();
        let mut blocks = Vec::new();
        for (n, after) in text.split("<!-- output: ").skip(1).enumerate() {
            let bad = || format!("block {} under `<!-- output: ... -->`", n + 1);
            let (said, after) = after.split_once(" -->\n```console\n").with_context(bad)?;
            let (lines, _) = after.split_once("\n```").with_context(bad)?;
            let (name, long) = said.strip_suffix(", long").map_or((said, false), |name| (name, true));
            blocks.push(Block { name: name.to_owned(), long, commands: commands(lines) });
        }
        Ok(Self { name: name.to_owned(), use_case, shows, ports, needs, blocks })
    }
}

/// The first paragraph's first sentence.
fn first_sentence(text: &str) -> String {
    let paragraphs = text.split("\n\n").map(str::trim);
    let first = paragraphs.filter(|it| !it.starts_with(['#', '<', '|', '`'])).find(|it| !it.is_empty());
    let line = first.unwrap_or_default().replace('\n', " ");
    line.split_inclusive(". ").next().unwrap_or_default().trim().trim_end_matches('.').to_owned()
}

/// What `<!-- NAME: ... -->` says.
fn comment<'t>(text: &'t str, name: &str) -> Option<&'t str> {
    let (_, after) = text.split_once(&format!("<!-- {name}: "))?;
    Some(after.split_once(" -->")?.0)
}

fn commands(lines: &str) -> Vec<Command> {
    let mut commands: Vec<Command> = Vec::new();
    let mut goes_on = false;
    for line in lines.lines() {
        match (line.strip_prefix("$ "), commands.last_mut()) {
            (Some(line), _) => commands.push(Command { line: line.to_owned(), shown: String::new() }),
            (None, Some(command)) if goes_on => {
                command.line.push('\n');
                command.line.push_str(line);
            }
            (None, Some(command)) => {
                command.shown.push_str(line);
                command.shown.push('\n');
                continue;
            }
            (None, None) => continue,
        }
        goes_on = line.ends_with('\\');
    }
    commands
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_readme_is_read_block_by_block() {
        let text = "# A thing\n\n<!-- example: Finance | that it works -->\n<!-- ports: 8093 8094 -->\n<!-- needs: terraform -->\n\nIt is.\n\n\
                    <!-- output: run -->\n```console\n$ wflo build\n$ wflo run \\\n    --json\none\n\ntwo\n```\n\
                    <!-- output: many, long -->\n```console\n$ ./server.sh &\nhttp://x\n```\n";
        let page = Page::read("thing", text).unwrap();
        assert_eq!((page.use_case.as_str(), page.shows.as_str()), ("Finance", "that it works"));
        assert_eq!((&page.ports[..], &page.needs[..]), (&[8093, 8094][..], &["terraform".to_owned()][..]));
        let command = |line: &str, shown: &str| Command { line: line.into(), shown: shown.into() };
        assert_eq!(
            page.blocks[0].commands,
            [command("wflo build", ""), command("wflo run \\\n    --json", "one\n\ntwo\n")]
        );
        assert_eq!((page.blocks[1].name.as_str(), page.blocks[1].long), ("many", true));
        let plain = Page::read("thing", "# A thing\n\nIt does\nit. And more.\n").unwrap();
        assert_eq!((plain.use_case.as_str(), plain.shows.as_str()), ("A thing", "It does it"));
    }
}
