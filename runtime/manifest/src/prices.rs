//! The table of prices: what ships with wflo, and what the deployment says over it.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use wflo_model::{Digest, ModelName, PicoUsd};

use crate::price::{Price, Tier};

/// Prices of models, exact, each with its source.
///
/// ```
/// use wflo_manifest::Prices;
/// let prices = Prices::built_in();
/// let gpt_4 = prices.lookup(&"gpt-4".parse().unwrap()).unwrap();
/// assert_eq!(gpt_4.input.to_string(), "0.00003");
/// assert!(gpt_4.source.starts_with("litellm"));
/// assert!(prices.lookup(&"no-such-model".parse().unwrap()).is_none());
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Prices(BTreeMap<ModelName, Price>);

impl Prices {
    /// The table that ships with this crate. No row of it is guessed: `data/prices.py` made it from a
    /// published table, which every row names.
    #[must_use]
    pub fn built_in() -> Self {
        static TABLE: LazyLock<Prices> = LazyLock::new(|| {
            Prices::from_csv(include_str!("../data/prices.csv")).expect("a test reads every row")
        });
        TABLE.clone()
    }

    /// A table without rows.
    #[must_use]
    pub fn empty() -> Self {
        Self::default()
    }

    /// The price of a model, if it is known.
    #[must_use]
    pub fn lookup(&self, model: &ModelName) -> Option<&Price> {
        self.0.get(model)
    }

    /// Sets the price of a model, over what was there.
    pub fn set(&mut self, model: ModelName, price: Price) {
        self.0.insert(model, price);
    }

    /// The models with a price.
    pub fn models(&self) -> impl Iterator<Item = &ModelName> + Clone {
        self.0.keys()
    }

    /// SHA-256 of all rows, sources included.
    #[must_use]
    pub fn digest(&self) -> Digest {
        Digest::of(&wflo_model::canonical(&self.0).expect("a table of prices has text keys and no floats"))
    }

    fn from_csv(text: &str) -> Result<Self, String> {
        let source = text.lines().find_map(|line| line.strip_prefix("#! source = ")).ok_or("no source")?;
        let mut rows = BTreeMap::new();
        for line in text.lines().filter(|line| !line.starts_with('#')).skip(1) {
            let (model, price) = row(line, source).ok_or_else(|| format!("bad row `{line}`"))?;
            if rows.insert(model, price).is_some() {
                return Err(format!("second row `{line}`"));
            }
        }
        Ok(Self(rows))
    }
}

/// `model,input,output,tiers,max_input_tokens,max_output_tokens`
fn row(line: &str, source: &str) -> Option<(ModelName, Price)> {
    let fields: Vec<_> = line.split(',').collect();
    let [model, input, output, tiers, max_input, max_output] = fields[..] else { return None };
    let tiers = tiers.split(';').filter(|tier| !tier.is_empty()).map(tier).collect::<Option<Vec<_>>>()?;
    let count = |text: &str| if text.is_empty() { Some(None) } else { text.parse().ok().map(Some) };
    let price = Price {
        input: input.parse().ok()?,
        output: output.parse().ok()?,
        per_request: PicoUsd::ZERO,
        tiers,
        max_input_tokens: count(max_input)?,
        max_output_tokens: count(max_output)?.map(u32::try_from).transpose().ok()?,
        source: source.to_owned(),
    };
    Some((model.parse().ok()?, price))
}

/// `above:input:output`
fn tier(text: &str) -> Option<Tier> {
    let fields: Vec<_> = text.split(':').collect();
    let [above, input, output] = fields[..] else { return None };
    Some(Tier { above: above.parse().ok()?, input: input.parse().ok()?, output: output.parse().ok()? })
}

#[cfg(test)]
mod tests {
    use wflo_model::PicoUsd;

    use super::Prices;

    #[test]
    fn every_row_of_the_table_is_exact() {
        let table = include_str!("../data/prices.csv");
        let prices = Prices::from_csv(table).unwrap();
        let rows: Vec<_> = table.lines().filter(|line| !line.starts_with('#')).skip(1).collect();
        assert!(rows.len() > 60);
        assert_eq!(rows.len(), prices.models().count());
        for row in rows {
            let fields: Vec<_> = row.split(',').collect();
            let price = prices.lookup(&fields[0].parse().unwrap()).unwrap();
            for (text, amount) in [(fields[1], price.input), (fields[2], price.output)] {
                assert!(amount > PicoUsd::ZERO, "{row}");
                assert_eq!(text.parse::<PicoUsd>(), Ok(amount), "{row}");
            }
            for tiers in price.tiers.windows(2) {
                assert!(tiers[0].above < tiers[1].above, "{row}");
            }
            assert!(price.max_input_tokens.is_some() && price.max_output_tokens.is_some(), "{row}");
        }
    }

    #[test]
    fn a_row_that_is_not_exact_is_refused() {
        let table = |row: &str| Prices::from_csv(&format!("#! source = test\nheader\n{row}\n"));
        assert!(table("a,1e-06,2e-06,,,").is_ok());
        for bad in
            ["a,1e-13,2e-06,,,", "a,x,2e-06,,,", "a,1e-06,2e-06", "a,1e-06,2e-06,1:2,,", "a,1e-06,2e-06,,x,"]
        {
            assert!(table(bad).is_err(), "{bad}");
        }
        assert!(table("a,1e-06,2e-06,,,\na,1e-06,2e-06,,,").is_err());
    }

    #[test]
    fn long_requests_cost_what_their_tier_says() {
        let prices = Prices::built_in();
        let gemini = prices.lookup(&"gemini-2.5-pro".parse().unwrap()).unwrap();
        assert_eq!(gemini.charge(200_000, 10).to_string(), "0.2501");
        assert_eq!(gemini.charge(200_001, 10).to_string(), "0.5001525");
        assert_eq!(gemini.quote(200_000, 10), gemini.charge(200_000, 10));
        assert!(gemini.quote(1_000_000, 10) >= gemini.charge(150_000, 10));
        assert_eq!(gemini.output_affordable("0.2502".parse().unwrap(), 200_000), Some(20));
        assert_eq!(gemini.output_affordable("0.2".parse().unwrap(), 200_000), None);
    }
}
