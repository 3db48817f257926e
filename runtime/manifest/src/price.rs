//! What a model costs.

use serde::{Deserialize, Serialize};
use wflo_model::PicoUsd;

/// What one model costs, exactly, and where that was read.
///
/// ```
/// use wflo_manifest::Price;
/// let price = Price::flat("0.00003".parse().unwrap(), "0.00006".parse().unwrap(), "an invoice");
/// assert_eq!(price.charge(1_000, 100).to_string(), "0.036");
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Price {
    /// USD a token of the request.
    pub input: PicoUsd,
    /// USD a token of the answer.
    pub output: PicoUsd,
    /// USD a request, on top.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub per_request: PicoUsd,
    /// Other prices for longer requests, shortest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tiers: Vec<Tier>,
    /// The most tokens a request can have, where the source says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_input_tokens: Option<u64>,
    /// The most tokens an answer can have, where the source says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_output_tokens: Option<u32>,
    /// Where it was read, and of what date it is.
    pub source: String,
}

/// The price of requests over a certain length. All their tokens are charged at it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tier {
    /// It applies to requests of more tokens than this.
    pub above: u64,
    /// USD a token of the request.
    pub input: PicoUsd,
    /// USD a token of the answer.
    pub output: PicoUsd,
}

/// What happens to a call of a model that has no price.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum UnknownPrice {
    /// The workflow is refused.
    #[default]
    Deny,
    /// This is charged instead.
    Assume {
        /// USD a token of the request.
        input: PicoUsd,
        /// USD a token of the answer.
        output: PicoUsd,
    },
}

impl Price {
    /// Makes a price without tiers, fees or known maxima.
    pub fn flat(input: PicoUsd, output: PicoUsd, source: impl Into<String>) -> Self {
        let (tiers, source) = (Vec::new(), source.into());
        Self {
            input,
            output,
            per_request: PicoUsd::ZERO,
            tiers,
            max_input_tokens: None,
            max_output_tokens: None,
            source,
        }
    }

    /// What a request that used so many tokens costs.
    #[must_use]
    pub fn charge(&self, input: u64, output: u64) -> PicoUsd {
        let tier = self.tiers.iter().rev().find(|tier| input > tier.above);
        let (per_input, per_output) =
            tier.map_or((self.input, self.output), |tier| (tier.input, tier.output));
        per_input * input + per_output * output + self.per_request
    }

    /// The price of a token of the answer in the dearest tier that a request of at most `input` tokens can
    /// fall into.
    #[must_use]
    pub fn output_at_most(&self, input: u64) -> PicoUsd {
        self.tiers
            .iter()
            .filter(|tier| input > tier.above)
            .map(|tier| tier.output)
            .fold(self.output, Ord::max)
    }

    /// The price of a token of the request in the dearest tier that a request of at most `input` tokens can
    /// fall into.
    #[must_use]
    pub fn input_at_most(&self, input: u64) -> PicoUsd {
        self.tiers.iter().filter(|tier| input > tier.above).map(|tier| tier.input).fold(self.input, Ord::max)
    }

    /// The most that a request of at most `input` tokens with an answer of at most `output` tokens can cost.
    #[must_use]
    pub fn quote(&self, input: u64, output: u64) -> PicoUsd {
        self.input_at_most(input) * input + self.output_at_most(input) * output + self.per_request
    }

    /// How many tokens of answer `money` buys after a request of at most `input` tokens is paid for; none if
    /// it does not even pay for that. Without a price a token it is as many as can be counted.
    #[must_use]
    pub fn output_affordable(&self, money: PicoUsd, input: u64) -> Option<u64> {
        let left = money - self.quote(input, 0);
        (!left.is_negative()).then(|| left.buys(self.output_at_most(input)).unwrap_or(u64::MAX))
    }
}

fn is_zero(amount: &PicoUsd) -> bool {
    *amount == PicoUsd::ZERO
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use wflo_model::PicoUsd;

    use super::{Price, Tier};

    prop_compose! {
        fn prices()(
            base in (0..1000_i128, 0..1000_i128, 0..1000_i128),
            tiers in prop::collection::vec((1..2000_u64, 0..1000_i128, 0..1000_i128), 0..4),
        ) -> Price {
            let usd = PicoUsd::from_pico;
            let mut tiers: Vec<Tier> = tiers
                .into_iter()
                .map(|(above, input, output)| Tier { above, input: usd(input), output: usd(output) })
                .collect();
            tiers.sort_by_key(|tier| tier.above);
            tiers.dedup_by_key(|tier| tier.above);
            let flat = Price::flat(usd(base.0), usd(base.1), "this test");
            Price { per_request: usd(base.2), tiers, ..flat }
        }
    }

    proptest! {
        /// Tiers may make a longer request cheaper: whichever it falls into, it costs no more than was held for it.
        #[test]
        fn a_quote_bounds_what_is_charged_in_every_tier(
            price in prices(),
            most in (0..4000_u64, 0..4000_u64),
            used in (0.0..=1.0_f64, 0.0..=1.0_f64),
        ) {
            let part = |most: u64, part: f64| ((most as f64) * part) as u64;
            let (input, output) = (part(most.0, used.0), part(most.1, used.1));
            prop_assert!(price.charge(input, output) <= price.quote(most.0, most.1));
        }

        #[test]
        fn what_money_buys_is_within_it(price in prices(), input in 0..4000_u64, money in 0..10_000_000_i128) {
            let money = PicoUsd::from_pico(money);
            if let Some(output) = price.output_affordable(money, input).filter(|output| *output < u64::MAX) {
                prop_assert!(price.quote(input, output) <= money);
            }
        }
    }
}
