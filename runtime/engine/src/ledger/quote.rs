//! What a call can cost at most.

use wflo_manifest::Price;
use wflo_model::PicoUsd;

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

#[cfg(test)]
mod tests {
    use wflo_manifest::Price;
    use wflo_model::PicoUsd;

    use super::{Quote, Tokens};

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
}
