/* People: those who decide, and those who are written to. */
#include "internal.h"

static const wflo_decision *decision(const wflo_approval_gate_outcome_t *outcome) {
  wflo_decision *made = wflo_made(sizeof *made);
  wflo_vote *votes = wflo_made(outcome->votes.len * sizeof *votes);
  for (size_t at = 0; at < outcome->votes.len; at++) {
    const wflo_approval_gate_vote_t *vote = &outcome->votes.ptr[at];
    votes[at].by = wflo_from_host(vote->by);
    votes[at].approved = vote->approved;
    votes[at].comment = vote->comment.is_some ? wflo_from_host(vote->comment.val) : NULL;
  }
  *made = (wflo_decision){(wflo_status)outcome->status, votes, outcome->votes.len};
  return made;
}

const wflo_decision *wflo_ask(const wflo_question *question, wflo_error *error) {
  static const wflo_code codes[] = {WFLO_ACCESS_DENIED, WFLO_INVALID, WFLO_OTHER};
  wflo_approval_gate_ask_t asked = {
      .summary = wflo_to_host(question->summary),
      .details = wflo_maybe(question->details == NULL ? NULL : wflo_json_write(question->details)),
      .approvers = wflo_texts(question->approvers),
      .quorum = {.is_some = question->quorum != 0, .val = question->quorum},
      .timeout_seconds = {.is_some = question->timeout_seconds != 0, .val = question->timeout_seconds},
  };
  wflo_approval_gate_outcome_t outcome;
  wflo_approval_gate_error_t why;
  if (wflo_approval_gate_request(&asked, &outcome, &why)) return decision(&outcome);
  return wflo_refused(error, codes[why.tag], why.val.other);
}

const wflo_decision *wflo_last_decision(void) {
  wflo_approval_gate_outcome_t outcome;
  return wflo_approval_gate_decision(&outcome) ? decision(&outcome) : NULL;
}

bool wflo_fact(const char *name, const wflo_json *value, wflo_verdict *verdict, wflo_error *error) {
  static const wflo_code codes[] = {WFLO_ACCESS_DENIED, WFLO_INVALID, WFLO_REFUSED_BY_POLICY, WFLO_OTHER};
  guest_string_t of = wflo_to_host(name), text = wflo_to_host(wflo_json_write(value));
  wflo_approval_policy_verdict_t said;
  wflo_approval_policy_error_t why;
  if (!wflo_approval_policy_fact(&of, &text, &said, &why)) {
    return wflo_refused(error, codes[why.tag], why.val.other) != NULL;
  }
  if (verdict != NULL) *verdict = (wflo_verdict)said;
  return true;
}

/* Of mail and of channels, which have the same. */
static const wflo_code CODES[] = {WFLO_ACCESS_DENIED, WFLO_UNKNOWN, WFLO_REFUSED_BY_POLICY,
                                  WFLO_REJECTED,      WFLO_INVALID, WFLO_OTHER};

const char *wflo_send_mail(const wflo_mail *mail, wflo_error *error) {
  wflo_notify_mail_message_t message = {
      .to = wflo_texts(mail->to),
      .subject = wflo_to_host(mail->subject),
      .text = wflo_to_host(mail->text),
      .answers = wflo_maybe(mail->answers),
  };
  guest_string_t id;
  wflo_notify_mail_error_t why;
  if (wflo_notify_mail_send(&message, &id, &why)) return wflo_from_host(id);
  return wflo_refused(error, CODES[why.tag], why.val.other);
}

bool wflo_notify(const char *address, const char *title, const char *text, wflo_error *error) {
  wflo_notify_channel_message_t message = {.title = wflo_to_host(title), .text = wflo_to_host(text)};
  guest_string_t to = wflo_to_host(address);
  wflo_notify_channel_error_t why;
  return wflo_notify_channel_send(&to, &message, &why) || wflo_refused(error, CODES[why.tag], why.val.other);
}
