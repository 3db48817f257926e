//! Several rules at one gate, as one rule.

use std::collections::{BTreeMap, BTreeSet};

use crate::approval::{ApprovalRule, Approver, OnReject, OnTimeout, Quorum};

impl ApprovalRule {
    /// One rule that is met only when each of these is: the union of who, the shortest times, the strictest ends.
    /// `None` for no rule.
    ///
    /// Rules that are equal are one. Else it takes a distinct person for each approver, and for a quorum `n` of a list
    /// as many as that list needs at least: each of them once, and in turn again up to `n`. Where all rules are quorums
    /// of the same people, the largest is enough.
    ///
    /// ```
    /// use wflo_manifest::{ApprovalRule, Approver, Quorum};
    /// let one = |group: &str| ApprovalRule::new(vec![Approver::new(group)], Quorum::EachListed);
    /// let both = ApprovalRule::union(&[&one("legal"), &one("finance")]).unwrap();
    /// assert_eq!(both.needed(), 2);
    /// ```
    #[must_use]
    pub fn union(rules: &[&Self]) -> Option<Self> {
        let (first, rest) = rules.split_first()?;
        if rest.iter().all(|rule| rule == first) {
            return Some((*first).clone());
        }
        let (approvers, quorum) = who(rules);
        let all = |ok: fn(&Self) -> bool| rules.iter().all(|rule| ok(rule));
        let notify: BTreeSet<_> = rules.iter().flat_map(|rule| &rule.notify).cloned().collect();
        let escalation: BTreeSet<_> = rules.iter().flat_map(|rule| &rule.escalation).cloned().collect();
        Some(Self {
            allow_requester: all(|rule| rule.allow_requester),
            mandatory: !all(|rule| !rule.mandatory),
            timeout: rules.iter().filter_map(|rule| rule.timeout).min(),
            valid: rules.iter().map(|rule| rule.valid).min().unwrap_or(Self::VALID),
            // Where they differ, what is undecided and what is rejected stops the step.
            on_timeout: agreed(rules.iter().map(|rule| rule.on_timeout)).unwrap_or(OnTimeout::Reject),
            on_reject: agreed(rules.iter().map(|rule| rule.on_reject)).unwrap_or(OnReject::Fail),
            escalation: escalation.into_iter().collect(),
            allow_edit: all(|rule| rule.allow_edit),
            notify: notify.into_iter().collect(),
            ..Self::new(approvers, quorum)
        })
    }
}

fn agreed<T: PartialEq>(mut all: impl Iterator<Item = T>) -> Option<T> {
    let first = all.next()?;
    all.all(|other| other == first).then_some(first)
}

fn who(rules: &[&ApprovalRule]) -> (Vec<Approver>, Quorum) {
    let listed = |rule: &ApprovalRule| rule.approvers.iter().cloned().collect::<BTreeSet<_>>();
    let quorum = |rule: &&ApprovalRule| match rule.quorum {
        Quorum::Any(n) => Some(n),
        Quorum::EachListed => None,
    };
    let quorums: Option<Vec<u32>> = rules.iter().map(quorum).collect();
    if let (Some(quorums), Some(people)) = (quorums, agreed(rules.iter().map(|rule| listed(rule)))) {
        return (people.into_iter().collect(), Quorum::Any(quorums.into_iter().max().unwrap_or(1)));
    }
    // How often each approver has to stand in the list, so that a rule's own part of it is met by distinct persons.
    let mut needed: BTreeMap<Approver, usize> = BTreeMap::new();
    for rule in rules {
        let mut times: BTreeMap<Approver, usize> = BTreeMap::new();
        let at_least = rule.needed().max(rule.approvers.len());
        // Sorted, so that rules that list the same people in another order come to the same.
        let mut people = rule.approvers.clone();
        people.sort();
        for approver in people.iter().cycle().take(if people.is_empty() { 0 } else { at_least }) {
            *times.entry(approver.clone()).or_default() += 1;
        }
        for (approver, times) in times {
            let most = needed.entry(approver).or_default();
            *most = times.max(*most);
        }
    }
    let repeated = needed.into_iter().flat_map(|(approver, times)| std::iter::repeat_n(approver, times));
    (repeated.collect(), Quorum::EachListed)
}
