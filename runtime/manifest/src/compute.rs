//! `[compute]` of the deployment: what fuel and time cost.

use serde::{Deserialize, Serialize};
use wflo_model::{Limits, PicoUsd};

use crate::reader::{Reader, Section};

/// What it costs that a step computes. Both are nothing unless the deployment says otherwise.
///
/// ```
/// use wflo_manifest::Deployment;
/// let text = "[compute]\nusd_per_hour = \"0.36\"\nusd_per_billion_fuel = \"0.002\"\n";
/// let price = Deployment::parse("wflo.toml", text).unwrap().compute;
/// // A minute, and two and a half billion units.
/// assert_eq!(price.charge(2_500_000_000, 60_000), "0.011".parse().unwrap());
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ComputePrice {
    /// A billion units of fuel, in USD.
    #[serde(default)]
    pub billion_fuel: PicoUsd,
    /// An hour of wall-clock time in which a step runs, in USD. What it waits while parked does not count.
    #[serde(default)]
    pub hour: PicoUsd,
}

const FUEL: i128 = 1_000_000_000;
const HOUR_MS: i128 = 3_600_000;

impl ComputePrice {
    /// Whether nothing costs anything.
    #[must_use]
    pub fn is_free(&self) -> bool {
        *self == Self::default()
    }

    /// What so much fuel and so many milliseconds cost, each rounded up to a pico-dollar.
    #[must_use]
    pub fn charge(&self, fuel: u64, ms: u64) -> PicoUsd {
        let part = |price: PicoUsd, used: u64, of: i128| {
            // Both are far below the root of what an i128 holds: nobody prices an hour at 10^20 USD.
            let all = price.pico().saturating_mul(i128::from(used));
            PicoUsd::from_pico(all / of + i128::from(all % of > 0))
        };
        part(self.billion_fuel, fuel, FUEL) + part(self.hour, ms, HOUR_MS)
    }

    /// The most that an attempt within these limits costs, from one place where it waits to the next.
    ///
    /// ```
    /// use wflo_manifest::ComputePrice;
    /// use wflo_model::Limits;
    /// let price = ComputePrice { hour: "12".parse().unwrap(), ..ComputePrice::default() };
    /// // Five minutes, unless the step says otherwise.
    /// assert_eq!(price.quote(&Limits::default()), "1".parse().unwrap());
    /// ```
    #[must_use]
    pub fn quote(&self, limits: &Limits) -> PicoUsd {
        self.charge(limits.fuel, u64::try_from(limits.timeout.as_millis()).unwrap_or(u64::MAX))
    }
}

pub(crate) fn read(reader: &mut Reader, mut section: Section<'_>) -> ComputePrice {
    let mut money = |key: &'static str| {
        let money = section.take(key).and_then(|node| node.money(reader));
        money.map(|money| money.value).unwrap_or_default()
    };
    let price = ComputePrice { billion_fuel: money("usd_per_billion_fuel"), hour: money("usd_per_hour") };
    section.finish(reader);
    price
}

#[cfg(test)]
mod tests {
    use super::ComputePrice;

    #[test]
    fn what_is_no_whole_pico_dollar_is_rounded_up() {
        let price = ComputePrice { billion_fuel: "0.001".parse().unwrap(), hour: "1".parse().unwrap() };
        let cost = |fuel, ms| price.charge(fuel, ms).to_string();
        assert_eq!(cost(0, 0), "0");
        assert_eq!(cost(1, 0), "0.000000000001", "a unit is one pico-dollar");
        assert_eq!(cost(0, 1), "0.000000277778");
        assert_eq!(cost(10_000_000_000, 3_600_000), "1.01");
        assert!(ComputePrice::default().is_free() && !price.is_free());
    }
}
