//! A call of a model: priced, held for, asked, and settled.

use serde_json::json;
use wflo_engine::{CallClass, Event, Quote, Returned, Spend, Tokens};
use wflo_host_api::Stop;
use wflo_manifest::{OnExceeded, UnknownPrice};
use wflo_model::{CallError, CallResult, PicoUsd};
use wflo_ports::{ChatRequest, Completion, IdempotencyKey, ModelError};

use crate::accounts::{Room, out_of_money};
use crate::gate::{AttemptGate, host, returned};
use crate::player::Asked;

impl AttemptGate {
    /// Asks a model: quote, hold and intent in one append, then the request, then what it really cost.
    pub(crate) async fn complete(&mut self, call: Asked, request: ChatRequest) -> Result<CallResult, Stop> {
        let Some(model) = self.outside.model(&request.model).cloned() else {
            return Err(Stop::Host(format!("no binding answers for model `{}`", request.model)));
        };
        let Some(price) = self.price(&request) else {
            let message = format!("model `{}` has no price, and the deployment assumes none", request.model);
            return self.deny(call, CallError::AccessDenied { message });
        };
        let bound = model.bound(&request);
        let tokens = Tokens { input: bound.input, output: bound.output, asked: request.max_tokens };
        let min_output = self.plan.min_output_tokens;
        let place = self.call_place();
        let Asked { call: asked, args, key } = call.clone();
        let (asked, transcript) = self.transcripts.shorten(&self.log.keys(), asked);
        let of_intent = transcript.clone();
        let (consumes, performed) = (self.permit.take(), self.performed.take());
        let (plan, step, limits) = (&self.plan, &self.step, self.outside.spending());
        let admitted = self.log.transact_money(|state, books, today| {
            let Room { left, account } = books.room_for(state, &place, plan, step, limits, today);
            let quote =
                Quote::model_call(&price, &tokens, left, min_output).map_err(|refusal| (refusal, account))?;
            let Quote { hold, max_tokens } = quote;
            let event = Event::Intent {
                asked,
                transcript: of_intent,
                class: CallClass::Repeatable,
                args,
                key,
                hold,
                max_tokens,
                good_until: None,
                consumes,
                performed,
            };
            Ok((vec![(place.clone(), event)], quote))
        });
        let (written, quote) = match admitted.map_err(host)? {
            Ok(admitted) => admitted,
            Err((refusal, account)) => return self.over_budget(call, refusal, account).await,
        };
        let intent = written.seq;
        if let Some(transcript) = &transcript {
            self.transcripts.remember(transcript, intent);
        }
        self.in_flight = Some((intent, quote.hold));
        self.durable(written).await?;
        let asked = ChatRequest { max_tokens: quote.max_tokens, ..request };
        let answer = model.complete(&asked, &IdempotencyKey(call.key)).await;
        let (result, spend) = settle(&asked, &price, answer, quote.hold);
        let returned = Returned { spend, ..returned(Some(intent), call, &result) };
        self.append(Event::Returned(returned))?;
        self.in_flight = None;
        self.log.alert(&self.plan).map_err(host)?;
        Ok(result)
    }

    fn price(&self, request: &ChatRequest) -> Option<wflo_manifest::Price> {
        self.plan.prices.get(&request.model).cloned().or_else(|| match &self.plan.on_unknown_price {
            UnknownPrice::Assume { input, output } => {
                Some(wflo_manifest::Price::flat(*input, *output, "assumed by the deployment"))
            }
            UnknownPrice::Deny => None,
        })
    }

    pub(crate) async fn over_budget(
        &mut self,
        call: Asked,
        refusal: wflo_engine::Refusal,
        account: String,
    ) -> Result<CallResult, Stop> {
        match self.plan.on_exceeded {
            OnExceeded::Fail => self.deny(call, CallError::BudgetExceeded { left_usd: refusal.left_usd }),
            OnExceeded::Park => Err(self.park(out_of_money(refusal, account, false)).await),
        }
    }
}

/// What the guest is told, and what is charged.
fn settle(
    request: &ChatRequest,
    price: &wflo_manifest::Price,
    answer: Result<Completion, ModelError>,
    hold: PicoUsd,
) -> (CallResult, Option<Spend>) {
    let spend = |input_tokens, output_tokens, cost_usd, estimated| {
        Some(Spend { model: request.model.clone(), input_tokens, output_tokens, cost_usd, estimated })
    };
    match answer {
        Ok(Completion { text, model, finish_reason, usage }) => {
            let spend = match usage {
                Some(used) => spend(used.input, used.output, price.charge(used.input, used.output), false),
                None => spend(0, 0, hold, true),
            };
            let used = spend.as_ref().expect("an answer has a spend, by the line above");
            let value = json!({
                "text": text,
                "model": model,
                "finish_reason": finish_reason,
                "usage": { "input": used.input_tokens, "output": used.output_tokens },
                "cost_usd": used.cost_usd,
                "estimated": used.estimated,
            });
            (Ok(value), spend)
        }
        Err(error) => {
            // A provider that broke off may have done the work: the quote is charged, marked estimated.
            let charged = matches!(error, ModelError::Upstream { .. }) && hold > PicoUsd::ZERO;
            (Err(model_error(error)), if charged { spend(0, 0, hold, true) } else { None })
        }
    }
}

fn model_error(error: ModelError) -> CallError {
    match error {
        ModelError::RateLimited { retry_after } => CallError::RateLimited {
            retry_after: retry_after.map(|wait| u32::try_from(wait.as_secs()).unwrap_or(u32::MAX)),
        },
        ModelError::ContextTooLong { message } => CallError::ContextTooLong { message },
        other => CallError::Upstream { message: other.to_string() },
    }
}
