//! Money of a run: what is spent, what is held, what may still be admitted.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use wflo_manifest::Price;
use wflo_model::{ModelName, PicoUsd, StepName};

use crate::Place;

/// The account of one run, a fold over its events.
///
/// After every event of every history `settled - overrun + held <= limit`, and no call is admitted that would
/// break `settled + held <= limit`. What is held is the sum of the open intents, so nothing can leak.
///
/// ```
/// use wflo_engine::Ledger;
/// let ledger = Ledger::new(Some("1.00".parse().unwrap()));
/// assert!(ledger.admit("0.60".parse().unwrap()).is_ok());
/// assert!(ledger.admit("1.01".parse().unwrap()).is_err());
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Ledger {
    limit: Option<PicoUsd>,
    settled: PicoUsd,
    overrun: PicoUsd,
    held: BTreeMap<u64, PicoUsd>,
    by_step: BTreeMap<StepName, PicoUsd>,
    by_model: BTreeMap<ModelName, Totals>,
}

/// What one model was used for and cost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Totals {
    /// Calls that returned.
    pub calls: u64,
    /// Tokens of requests.
    pub input_tokens: u64,
    /// Tokens of answers.
    pub output_tokens: u64,
    /// What they cost.
    pub cost_usd: PicoUsd,
}

/// What a call used and cost.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Spend {
    /// The model.
    pub model: ModelName,
    /// Tokens of the request.
    pub input_tokens: u64,
    /// Tokens of the answer.
    pub output_tokens: u64,
    /// What it cost.
    pub cost_usd: PicoUsd,
    /// True when no usage was reported and the quote was charged.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub estimated: bool,
}

/// The most a call can cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quote {
    /// Money to hold until it returns.
    pub hold: PicoUsd,
    /// The most tokens it may answer with; none where nothing bounds them and nothing is charged.
    pub max_tokens: Option<u32>,
}

/// Why a call is not admitted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("needs up to {needed_usd} USD, {left_usd} USD are left")]
pub struct Refusal {
    /// What it would hold.
    pub needed_usd: PicoUsd,
    /// What is left.
    pub left_usd: PicoUsd,
}

impl Ledger {
    /// Opens an account; none: without a limit.
    #[must_use]
    pub fn new(limit: Option<PicoUsd>) -> Self {
        Self { limit, ..Self::default() }
    }

    /// The same account after so much was spent elsewhere: what a fork takes over.
    pub(crate) fn after(mut self, spent: PicoUsd) -> Self {
        self.settled = spent;
        self
    }

    /// The limit.
    #[must_use]
    pub const fn limit(&self) -> Option<PicoUsd> {
        self.limit
    }

    /// What was charged.
    #[must_use]
    pub const fn settled(&self) -> PicoUsd {
        self.settled
    }

    /// How far single calls cost more than was held for them.
    #[must_use]
    pub const fn overrun(&self) -> PicoUsd {
        self.overrun
    }

    /// What open calls hold.
    #[must_use]
    pub fn held(&self) -> PicoUsd {
        self.held.values().copied().sum()
    }

    /// What one open call holds.
    #[must_use]
    pub fn held_by(&self, intent: u64) -> PicoUsd {
        self.held.get(&intent).copied().unwrap_or_default()
    }

    /// What may still be held; [`PicoUsd::MAX`] without a limit, never negative.
    #[must_use]
    pub fn left(&self) -> PicoUsd {
        self.limit.map_or(PicoUsd::MAX, |limit| (limit - self.settled - self.held()).max(PicoUsd::ZERO))
    }

    /// What each step cost.
    #[must_use]
    pub const fn by_step(&self) -> &BTreeMap<StepName, PicoUsd> {
        &self.by_step
    }

    /// What each model was used for and cost.
    #[must_use]
    pub const fn by_model(&self) -> &BTreeMap<ModelName, Totals> {
        &self.by_model
    }

    /// Whether a call that holds `hold` may be made.
    ///
    /// # Errors
    /// When it would take `settled + held` over the limit.
    pub fn admit(&self, hold: PicoUsd) -> Result<(), Refusal> {
        let left_usd = self.left();
        if hold > left_usd { Err(Refusal { needed_usd: hold, left_usd }) } else { Ok(()) }
    }

    /// Raises the limit, for a run that has one.
    pub(crate) fn top_up(&mut self, amount: PicoUsd) {
        if let Some(limit) = &mut self.limit {
            *limit += amount;
        }
    }

    pub(crate) fn hold(&mut self, intent: u64, amount: PicoUsd) {
        self.held.insert(intent, amount);
    }

    /// Releases the hold of `intent` and charges `cost`.
    pub(crate) fn settle(
        &mut self,
        place: &Place,
        intent: Option<u64>,
        cost: PicoUsd,
        spend: Option<&Spend>,
    ) {
        let held = intent.and_then(|intent| self.held.remove(&intent)).unwrap_or_default();
        self.settled += cost;
        self.overrun += (cost - held).max(PicoUsd::ZERO);
        if let Some(step) = &place.step {
            *self.by_step.entry(step.clone()).or_default() += cost;
        }
        if let Some(spend) = spend {
            let totals = self.by_model.entry(spend.model.clone()).or_default();
            totals.calls += 1;
            totals.input_tokens += spend.input_tokens;
            totals.output_tokens += spend.output_tokens;
            totals.cost_usd += cost;
        }
    }
}

impl Quote {
    /// The most a model call can cost: every token of the request and of the answer at the dearest price that
    /// can apply.
    ///
    /// Without `asked` tokens the answer is capped at what `left` buys, and at what the model can give.
    ///
    /// # Errors
    /// When `left` does not buy the request and the answer asked for, or `min_output` tokens of one.
    pub fn model_call(price: &Price, call: &Tokens, left: PicoUsd, min_output: u32) -> Result<Self, Refusal> {
        let can = match (call.output, price.max_output_tokens) {
            (Some(one), Some(other)) => Some(one.min(other)),
            (one, other) => one.or(other),
        };
        let quote = |output: u32| price.quote(call.input, u64::from(output));
        let refuse = |least: u32| Refusal { needed_usd: quote(least), left_usd: left };
        let max_tokens = match call.asked {
            // What was asked for is not cut down behind the guest's back: it is admitted or refused.
            Some(asked) => Some(can.map_or(asked, |can| can.min(asked))),
            None if left == PicoUsd::MAX => can,
            None => {
                let least = can.map_or(min_output, |can| can.min(min_output));
                let buys = price.output_affordable(left, call.input).ok_or_else(|| refuse(least))?;
                let most = u32::try_from(buys).unwrap_or(u32::MAX).min(can.unwrap_or(u32::MAX));
                if most < least {
                    return Err(refuse(least));
                }
                (most < u32::MAX).then_some(most)
            }
        };
        let hold = quote(max_tokens.unwrap_or(0));
        if hold > left { Err(refuse(max_tokens.unwrap_or(0))) } else { Ok(Self { hold, max_tokens }) }
    }
}

/// How many tokens a model call can take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tokens {
    /// Of the request, at most.
    pub input: u64,
    /// Of the answer, at most, where the binding knows it.
    pub output: Option<u32>,
    /// Of the answer, as the guest asked.
    pub asked: Option<u32>,
}

#[cfg(test)]
mod tests {
    use wflo_manifest::Price;
    use wflo_model::PicoUsd;

    use super::{Ledger, Quote, Tokens};

    fn usd(text: &str) -> PicoUsd {
        text.parse().unwrap()
    }

    fn price() -> Price {
        Price { max_output_tokens: Some(1000), ..Price::flat(usd("0.001"), usd("0.01"), "this test") }
    }

    fn quote(asked: Option<u32>, left: &str) -> Option<(String, Option<u32>)> {
        let call = Tokens { input: 100, output: None, asked };
        let quote = Quote::model_call(&price(), &call, usd(left), 64).ok()?;
        Some((quote.hold.to_string(), quote.max_tokens))
    }

    #[test]
    fn an_answer_is_capped_at_what_the_budget_buys_and_the_model_can() {
        assert_eq!(quote(None, "1.00"), Some(("1".into(), Some(90))));
        assert_eq!(quote(None, "100"), Some(("10.1".into(), Some(1000))));
    }

    #[test]
    fn too_little_for_an_answer_is_refused() {
        assert_eq!(quote(None, "0.50"), None);
        assert_eq!(quote(None, "0.000001"), None);
        assert_eq!(quote(Some(91), "1.00"), None);
        assert_eq!(quote(Some(90), "1.00"), Some(("1".into(), Some(90))));
    }

    #[test]
    fn nothing_bounds_a_free_answer() {
        let free = Price::flat(usd("0"), usd("0"), "this test");
        let call = Tokens { input: 100, output: None, asked: None };
        let quote = Quote::model_call(&free, &call, usd("0"), 64).unwrap();
        assert_eq!(quote, Quote { hold: usd("0"), max_tokens: None });
    }

    #[test]
    fn holds_are_released_and_overruns_kept_apart() {
        let mut ledger = Ledger::new(Some(usd("1")));
        ledger.hold(5, usd("0.8"));
        assert_eq!(ledger.left(), usd("0.2"));
        assert!(ledger.admit(usd("0.3")).is_err());
        ledger.settle(&crate::Place::RUN, Some(5), usd("1.1"), None);
        assert_eq!((ledger.held(), ledger.settled(), ledger.overrun()), (usd("0"), usd("1.1"), usd("0.3")));
        assert_eq!(ledger.left(), PicoUsd::ZERO);
    }
}
