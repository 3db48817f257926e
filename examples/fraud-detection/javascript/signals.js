// What a bank's rules notice. They ask too much rather than too little: out of thousands of transactions they make some
// dozens of lines, and a model judges which of them are fraud.

import { db } from "@wflo/sdk";

export const PROMPT =
  "Identify suspicious transaction patterns. The data has four lists of signals; amounts are in US " +
  "cents, times in UTC.\n" +
  "- small_charge_bursts: many charges under 3 USD on one account in a day. Card testing tries stolen " +
  "card data at many merchants within minutes, often before one large purchase; fares or parking stay " +
  "with one merchant all day.\n" +
  "- fast_travel: a card was present in two countries within three hours. Between neighbours that is a " +
  "drive; between continents it is impossible, and the card was cloned.\n" +
  "- large_cash_deposits: two or more deposits of cash of 8,500 USD and more. Structuring stays just " +
  "under the 10,000 USD that must be reported, always, within days; a shop deposits weekly and goes " +
  "over it now and then.\n" +
  "- woken_accounts: no transaction for 60 days or more, then new ones. A takeover spends much in a " +
  "country where the account was never used (known_country = 0); people come back with small amounts.\n" +
  "Report an account once, only if fraud is the likely explanation.";

// Charges under 3 USD by account and day, where there are many.
const SMALL_CHARGE_BURSTS = `
  SELECT account_id AS account, date(at) AS day,
         count(*) FILTER (WHERE amount_cents < 300) AS small_charges,
         count(DISTINCT merchant) FILTER (WHERE amount_cents < 300) AS merchants,
         (unixepoch(max(at) FILTER (WHERE amount_cents < 300))
          - unixepoch(min(at) FILTER (WHERE amount_cents < 300))) / 60 AS minutes,
         max(amount_cents) AS largest_cents
  FROM transactions
  WHERE processed = 0 AND at >= ?1 AND channel = 'online'
  GROUP BY account_id, day
  HAVING small_charges >= 6
  ORDER BY account, day`;

// The same card present in two countries within three hours.
const FAST_TRAVEL = `
  WITH stops AS (
      SELECT id, account_id, at, country, amount_cents,
             lag(country) OVER stop AS before, lag(at) OVER stop AS before_at
      FROM transactions
      WHERE processed = 0 AND at >= ?1 AND card_present = 1
      WINDOW stop AS (PARTITION BY account_id ORDER BY at, id)
  )
  SELECT account_id AS account, before AS from_country, country AS to_country,
         (unixepoch(at) - unixepoch(before_at)) / 60 AS minutes, amount_cents, at
  FROM stops
  WHERE country <> before AND unixepoch(at) - unixepoch(before_at) < 10800
  ORDER BY account, at, id`;

// Cash that is close to what must be reported, or above.
const LARGE_CASH_DEPOSITS = `
  SELECT account_id AS account, count(*) AS deposits,
         count(*) FILTER (WHERE amount_cents >= 1000000) AS reported,
         min(amount_cents) AS least_cents, max(amount_cents) AS most_cents,
         date(min(at)) AS first_day, date(max(at)) AS last_day
  FROM transactions
  WHERE processed = 0 AND at >= ?1 AND channel = 'cash_deposit' AND amount_cents >= 850000
  GROUP BY account_id
  HAVING deposits >= 2
  ORDER BY account`;

// What accounts do that were silent for 60 days or more, country by country. What has been processed already is still
// their history.
const WOKEN_ACCOUNTS = `
  WITH gaps AS (
      SELECT account_id, at AS woke, lag(at) OVER (PARTITION BY account_id ORDER BY at, id) AS slept
      FROM transactions
  ),
  woken AS (
      SELECT account_id, woke, slept, unixepoch(woke) / 86400 - unixepoch(slept) / 86400 AS silent_days
      FROM gaps
      WHERE woke >= ?1 AND silent_days >= 60
  )
  SELECT woken.account_id AS account, silent_days, new.country,
         EXISTS (SELECT 1 FROM transactions old
                 WHERE old.account_id = woken.account_id AND old.at <= slept AND old.country = new.country)
             AS known_country,
         count(*) AS charges, sum(new.amount_cents) AS total_cents, max(new.amount_cents) AS largest_cents
  FROM woken JOIN transactions new ON new.account_id = woken.account_id AND new.at >= woke
  WHERE new.processed = 0
  GROUP BY woken.account_id, woke, new.country
  ORDER BY account, woke, new.country`;

/** The signals of all unprocessed transactions, as a model reads them. */
export async function collect(since) {
  const bank = db("bank");
  return {
    small_charge_bursts: await bank.query(SMALL_CHARGE_BURSTS, [since]),
    fast_travel: await bank.query(FAST_TRAVEL, [since]),
    large_cash_deposits: await bank.query(LARGE_CASH_DEPOSITS, [since]),
    woken_accounts: await bank.query(WOKEN_ACCOUNTS, [since]),
  };
}
