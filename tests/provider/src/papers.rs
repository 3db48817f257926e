//! The reading of the papers of the literature-review example, by sentence where a model would understand.

use serde_json::{Value, json};

const THEMES: [&str; 6] = [
    "heat tolerance",
    "symbiont shuffling",
    "larval settlement",
    "microfragmentation",
    "nutrient load",
    "depth refuge",
];

/// How papers speak of a theme, and how a synthesis does.
const EFFECTS: [(&str, &str); 3] =
    [(" lowers ", "lower it"), (" raises ", "raise it"), (" does not change ", "see no change")];

/// What is said to a request; none if it asks for something else.
pub(crate) fn reading(message: &str) -> Option<Value> {
    if message.starts_with("Analyze this research paper:") {
        return analysis(&material(message, "\n\nData:\n")?);
    }
    let inputs = material(message, "\n\nInputs:\n")?;
    let inputs = inputs.as_array().filter(|_| message.contains("Synthesize key themes and conclusions"))?;
    let counts = Counts::of(inputs);
    Some(match message.starts_with("Instruction:\n") {
        true => json!({ "notes": counts.notes() }),
        false => counts.synthesis(),
    })
}

fn material(message: &str, mark: &str) -> Option<Value> {
    let (_, data) = message.split_once(mark)?;
    serde_json::from_str(data).ok()
}

fn analysis(data: &Value) -> Option<Value> {
    let (query, paper) = (data["query"].as_str()?, &data["paper"]);
    let (title, text) = (paper["title"].as_str()?, paper["abstract"].as_str()?);
    let sentences: Vec<&str> = text.split_inclusive(". ").map(str::trim).collect();
    let findings: Vec<&str> = sentences
        .iter()
        .filter_map(|sentence| sentence.split_once(" we find that ").map(|(_, found)| found))
        .collect();
    let methodology = sentences.iter().find_map(|sentence| sentence.strip_prefix("Using ")?.split_once(','));
    let whole = format!("{title} {text}").to_lowercase();
    let words: Vec<&str> = query.split_whitespace().collect();
    let hits = words.iter().filter(|word| whole.contains(&word.to_lowercase())).count();
    let relevance = f64::from(u32::try_from(100 * hits / words.len().max(1)).unwrap_or(100)) / 100.0;
    let cited = text.split("arXiv:").skip(1).filter_map(|rest| rest.split([',', ' ']).next());
    Some(json!({
        "key_findings": findings,
        "methodology": methodology.map_or("not said", |(method, _)| method),
        "relevance": relevance,
        "follow_up": cited.collect::<Vec<_>>(),
    }))
}

/// How many papers say what of each theme.
#[derive(Default)]
struct Counts([[u32; 3]; THEMES.len()]);

impl Counts {
    /// Counts analyses, and adds up what notes have counted before.
    fn of(inputs: &[Value]) -> Self {
        let mut counts = Self::default();
        for input in inputs {
            if let Some(notes) = input["notes"].as_str() {
                for (theme, line) in counts.0.iter_mut().zip(notes.lines()) {
                    let numbers = line.split_whitespace().filter_map(|word| word.parse::<u32>().ok());
                    theme.iter_mut().zip(numbers).for_each(|(sum, number)| *sum += number);
                }
            }
            let findings = input["analysis"]["key_findings"].as_array().into_iter().flatten();
            for finding in findings.filter_map(Value::as_str) {
                for (counted, theme) in counts.0.iter_mut().zip(THEMES) {
                    let effect = EFFECTS.iter().position(|(says, _)| finding.contains(says));
                    if let Some(effect) = effect.filter(|_| finding.starts_with(theme)) {
                        counted[effect] += 1;
                    }
                }
            }
        }
        counts
    }

    fn notes(&self) -> String {
        let line = |(theme, [lower, raise, same]): (&&str, &[u32; 3])| {
            format!("{theme}: {lower} lower, {raise} raise, {same} same")
        };
        THEMES.iter().zip(&self.0).map(line).collect::<Vec<_>>().join("\n")
    }

    fn synthesis(&self) -> Value {
        let of = |counted: &[u32; 3]| counted.iter().sum::<u32>();
        let themes =
            THEMES.iter().zip(&self.0).filter(|(_, counted)| of(counted) > 0).map(|(theme, counted)| {
                let says = counted.iter().zip(EFFECTS).filter(|(count, _)| **count > 0);
                let says: Vec<_> = says.map(|(count, (_, says))| format!("{count} {says}")).collect();
                json!({ "theme": theme, "papers": of(counted), "conclusion": says.join(", ") })
            });
        let all: u32 = self.0.iter().map(of).sum();
        let lower: u32 = self.0.iter().map(|counted| counted[0]).sum();
        json!({
            "themes": themes.collect::<Vec<_>>(),
            "conclusion": format!("{lower} of {all} papers find that what they look at lowers bleaching."),
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::reading;

    const ABSTRACT: &str = "Bleaching threatens reefs. Using tanks over 7 months at Moorea, we find that heat tolerance \
        lowers the bleaching of Porites lobata by 9 percent. This extends arXiv:2601.00003v1, whose sites were few.";

    #[test]
    fn papers_are_read_and_drawn_together() {
        let data = json!({ "query": "coral bleaching", "paper": { "title": "Reefs", "abstract": ABSTRACT } });
        let read =
            reading(&format!("Analyze this research paper:\n1. Key findings\n\nData:\n{data}")).unwrap();
        let expect = json!({
            "key_findings": ["heat tolerance lowers the bleaching of Porites lobata by 9 percent."],
            "methodology": "tanks over 7 months at Moorea",
            "relevance": 0.5,
            "follow_up": ["2601.00003v1"],
        });
        assert_eq!(read, expect);

        let prompt = "Synthesize key themes and conclusions across all papers";
        let ask = |before: &str, inputs: &Value| {
            reading(&format!("{before}{prompt}\n\nInputs:\n{inputs}")).unwrap()
        };
        let analyses = json!([{ "analysis": read }, { "analysis": read }]);
        let whole = ask("", &analyses);
        assert_eq!(whole["themes"][0]["papers"], 2);
        let notes = ask("Instruction:\n", &analyses);
        assert_eq!(ask("", &json!([notes])), whole, "condensed or not, it comes to the same");
        assert_eq!(reading("hello"), None);
    }
}
