//! A transaction in words: its channels one by one, who is paid, the fee, and the verdict.

use super::site::{self, Site};
use super::{Node, action, lookup, words};
use crate::problem::Problem;
use crate::report::{Datum, Report};
use crate::text::amount::show_ckb;
use crate::text::table::Align;
use crate::text::{hex, time};
use ckb_types::{core::TransactionView, prelude::*};
use perun_backend_ckb::rpc::{TransactionLookup, TransactionStatus};
use perun_channel::State;
use perun_channel::adjudicator::{
    Action, Cell, Decision, Due, Env, Input, View, judge, settlement_dues,
};
use std::collections::HashSet;

/// The most bytes of a transaction that is explained: no block has room for a larger one.
const TRANSACTION_MAX: usize = 600_000;

/// A transaction that was handed in.
pub(super) fn report_given(
    tx: &TransactionView,
    env: &Env,
    node: Option<&Node<'_>>,
) -> Result<Report, Problem> {
    let size = tx.data().serialized_size_in_block();
    if size > TRANSACTION_MAX {
        return Err(Problem::NotUnderstood(format!(
            "the transaction has {size} bytes, and no block has room for more than \
             {TRANSACTION_MAX}; nothing was explained; one that is on a chain all the same, as in \
             its first block, is explained by its hash with --ckb-rpc"
        )));
    }
    report(tx, env, node)
}

fn report(tx: &TransactionView, env: &Env, node: Option<&Node<'_>>) -> Result<Report, Problem> {
    let makes_money = tx.is_cellbase();
    let spent = match node {
        Some(node) if !makes_money => lookup::spent(tx, node.rpc)?,
        _ => None,
    };
    let mut report = Report::new("transaction", title(tx));
    facts(&mut report, tx);
    judged(&mut report, tx, spent.as_deref(), env);
    if makes_money {
        report.note("The first of a block spends nothing, and makes what the block earns.");
    } else if spent.is_none() {
        report.note(match node {
            Some(_) => "The node does not know all spent cells, so there is no fee and no verdict.",
            None => "Without --ckb-rpc the spent cells are not known, so there is no fee and no verdict.",
        });
    }
    Ok(report)
}

/// A transaction that a node knows.
pub(super) fn report_looked_up(
    tx: &TransactionView,
    looked_up: &TransactionLookup,
    env: &Env,
    node: &Node<'_>,
) -> Result<Report, Problem> {
    let mut report = report(tx, env, Some(node))?;
    let (name, text) = match &looked_up.status {
        TransactionStatus::Pending => {
            ("pending", "pending: in the pool, in no block yet".to_owned())
        }
        TransactionStatus::Proposed => {
            ("proposed", "announced: one of the next blocks may commit it".to_owned())
        }
        TransactionStatus::Committed { block, .. } => {
            ("committed", format!("committed in block {}", block.number))
        }
        TransactionStatus::Rejected(reason) => ("rejected", format!("refused: {reason}")),
        TransactionStatus::Unknown => ("unknown", "unknown to the node".to_owned()),
    };
    report.fact_as("status", "status", text, name);
    if let Some(cycles) = looked_up.cycles {
        report.fact_as("cycles", "cycles", cycles.to_string(), cycles);
    }
    Ok(report)
}

fn title(tx: &TransactionView) -> String {
    format!("Transaction {}", hex::full(tx.hash().as_slice()))
}

fn facts(report: &mut Report, tx: &TransactionView) {
    let size = tx.data().serialized_size_in_block();
    report.fact("hash", "hash", hex::full(tx.hash().as_slice()));
    report.fact_as("bytes", "size", format!("{size} bytes"), size);
    let (inputs, outputs) = (tx.inputs().len(), tx.outputs().len());
    let spends = if tx.is_cellbase() { "nothing".to_owned() } else { words::count(inputs, "cell") };
    report.fact_as("inputs", "spends", spends, inputs);
    report.fact_as("outputs", "makes", words::count(outputs, "cell"), outputs);
}

fn judged(report: &mut Report, tx: &TransactionView, spent: Option<&[Cell]>, env: &Env) {
    let sites = site::sites(tx, spent, env);
    let outputs: Vec<Cell> =
        tx.outputs_with_data_iter().map(|(output, data)| lookup::seen(&output, &data)).collect();
    if let Some(spent) = spent {
        let (puts_in, makes) = (sum(spent), sum(&outputs));
        let (text, datum) = match puts_in.checked_sub(makes) {
            Some(fee) => (show_ckb(fee), Some(fee.to_string())),
            None => {
                (format!("none: it makes {} more than it spends", show_ckb(makes - puts_in)), None)
            }
        };
        report.fact_as("fee", "fee", text, datum);
    }
    let flaws = flaws(tx, spent.map(sum), sum(&outputs));
    if !flaws.is_empty() {
        let text = format!("it {}; no node takes it", words::list(&flaws));
        report.fact_as("impossible", "IMPOSSIBLE", text, flaws.iter().cloned().collect::<Datum>());
    }
    let count = sites.len();
    let actions: Vec<String> = sites.iter().map(|it| site::name(it).to_owned()).collect();
    let channels =
        if count == 0 { "none".to_owned() } else { format!("{count}: {}", words::list(&actions)) };
    report.fact_as("channel_count", "channels", channels, count);
    for output in site::foreign(tx, env) {
        report.note(format!(
            "Output {output} looks like a channel's cell, but its type script is not the one known here; \
             it is left out. PERUN_SCRIPTS_DIR can name other programs."
        ));
    }
    payouts(report, &sites, spent, &outputs);
    if let (Some(spent), false) = (spent, sites.is_empty()) {
        verdict(report, tx, spent, outputs, env);
    }
    let hash = tx.hash().into();
    let parts = sites.iter().map(|it| channel(it, tx, env, &hash));
    report.parts("channels", parts.collect());
}

/// What makes the transaction impossible on every chain, whatever its scripts say.
fn flaws(tx: &TransactionView, puts_in: Option<u128>, makes: u128) -> Vec<String> {
    let mut seen = HashSet::new();
    let twice = tx.input_pts_iter().any(|out_point| !seen.insert(out_point));
    let (inputs, outputs) = (tx.inputs().len(), tx.outputs().len());
    let flaws = [
        (inputs == 0, "spends nothing"),
        (twice, "spends one cell twice"),
        (puts_in.is_some_and(|puts_in| puts_in < makes), "makes more than it spends"),
        (makes > u128::from(u64::MAX), "makes more CKB than there can be"),
        (outputs != tx.outputs_data().len(), "does not have data for each of its cells"),
    ];
    flaws.into_iter().filter(|(is_so, _)| *is_so).map(|(_, flaw)| flaw.to_owned()).collect()
}

fn sum(cells: &[Cell]) -> u128 {
    cells.iter().fold(0, |sum, cell| sum.saturating_add(cell.capacity.into()))
}

fn verdict(
    report: &mut Report,
    tx: &TransactionView,
    spent: &[Cell],
    outputs: Vec<Cell>,
    env: &Env,
) {
    let inputs = tx.inputs().into_iter().zip(spent);
    let view = View {
        hash: tx.hash().into(),
        first_input: tx
            .inputs()
            .get(0)
            .and_then(|input| input.as_slice().try_into().ok())
            .unwrap_or([0; 44]),
        inputs: inputs
            .map(|(input, cell)| Input { since: input.since().unpack(), cell: cell.clone() })
            .collect(),
        outputs,
        witnesses: tx.witnesses().into_iter().map(|it| it.raw_data().to_vec()).collect(),
    };
    let (text, datum) = match judge(&view, env) {
        Ok(()) => (
            "accepted: the channel script lets this happen".to_owned(),
            Datum::Record(vec![("accepted", true.into()), ("code", 0_u64.into())]),
        ),
        Err(code) => (
            format!("REFUSED: {code} (code {}); no money can move like this", code.exit_code()),
            Datum::Record(vec![
                ("accepted", false.into()),
                ("code", u64::try_from(code.exit_code()).unwrap_or_default().into()),
                ("text", code.to_string().into()),
            ]),
        ),
    };
    report.fact_as("verdict", "verdict", text, datum);
}

/// One channel of the transaction.
fn channel(site: &Site, tx: &TransactionView, env: &Env, hash: &[u8; 32]) -> Report {
    let id = site.id().map_or_else(|| "that cannot be told".to_owned(), |id| id.to_string());
    let mut report = Report::new("channel_action", format!("Channel {id}"));
    let input = site.input;
    let place = match input {
        Some(input) => format!("input {input}"),
        None => "new".to_owned(),
    };
    report.fact_as("input", "its cell", place, input);
    let before = site.before.as_ref().map(|cell| words::phase(cell.phase));
    let after = site.after.as_ref().map(|(cell, _)| words::phase(cell.phase));
    let from = before.unwrap_or(if input.is_none() { "nothing" } else { "an earlier cell" });
    let moves = format!("{from} → {}", after.unwrap_or("no cell: the channel ends here"));
    let datum = Datum::Record(vec![("before", before.into()), ("after", after.into())]);
    report.fact_as("phase", "phase", moves, datum);
    if let Some((_, capacity)) = &site.after {
        report.fact_as(
            "capacity",
            "then holds",
            show_ckb((*capacity).into()),
            capacity.to_string(),
        );
    }
    let action = match &site.action {
        Ok(action) => action,
        Err(code) => {
            report.note(format!("The witness is no action on this channel: {code}."));
            return report;
        }
    };
    let state = action::facts(&mut report, action);
    if let Some(since) =
        input.and_then(|input| tx.inputs().get(input)).map(|it| it.since().unpack())
        && since != 0
    {
        report.fact_as("since", "waits", since_words(since), since.to_string());
    }
    action::signers(&mut report, action, state.as_ref(), env, hash);
    owed(&mut report, site, action, state.as_ref());
    report
}

/// What a time lock asks for.
fn since_words(since: u64) -> String {
    let value = since & 0x00ff_ffff_ffff_ffff;
    match since >> 56 {
        0xc0 => format!("{} since its cell was made", time::duration(value)),
        0x40 => format!("until {}", time::date(value.saturating_mul(1_000))),
        _ => format!("by the time lock {since:#x}, which is none of a channel's"),
    }
}

/// What the rules owe each participant, for the actions that settle.
fn owed(report: &mut Report, site: &Site, action: &Action, state: Option<&State>) {
    let unpaid = site.after.as_ref().map_or(0, |(cell, _)| cell.marks);
    let unpaid_before = match (action, &site.before) {
        (Action::Conclude { .. } | Action::CloseFinal { .. }, _) => None,
        (Action::Withdraw { .. }, Some(before)) => Some(before.marks),
        _ => return,
    };
    let Some(state) = state else { return };
    let claimed = match (action, &site.before) {
        (Action::Conclude { decision, .. }, _) => matches!(decision, Some(Decision::Claim(_))),
        (_, Some(before)) => before.claimed,
        _ => false,
    };
    let setup = action.setup();
    let outcome = setup.outcome(state, claimed);
    let dues = outcome.and_then(|it| settlement_dues(setup, &it, unpaid_before, unpaid));
    let dues = match dues {
        Ok(dues) => dues,
        Err(code) => return report.note(format!("What is owed cannot be computed: {code}.")),
    };
    let (mut rows, mut data) = (Vec::new(), Vec::new());
    for ((index, address), Due { capacity, tokens }) in
        action.setup().addresses().enumerate().zip(dues)
    {
        let whose = words::participant(index, Some(address));
        rows.push(vec![whose.clone(), show_ckb(capacity.into())]);
        for due in &tokens {
            rows.push(vec![
                whose.clone(),
                format!("{} units of token {}", due.amount, hex::short(&due.token)),
            ]);
        }
        let tokens = tokens.iter().map(|due| {
            Datum::Record(vec![
                ("token", hex::full(&due.token).into()),
                ("amount", due.amount.to_string().into()),
            ])
        });
        data.push(Datum::Record(vec![
            ("participant", index.into()),
            ("capacity", capacity.to_string().into()),
            ("tokens", Datum::List(tokens.collect())),
        ]));
    }
    let columns = [Align::Left, Align::Right];
    report.table(
        "owed",
        "owed by the rules, reserves included",
        &columns,
        &rows,
        Datum::List(data),
    );
}

/// What the cells of the transaction give to each lock that a participant of its channels is paid
/// to.
fn payouts(report: &mut Report, sites: &[Site], spent: Option<&[Cell]>, outputs: &[Cell]) {
    let mut locks: Vec<[u8; 32]> = Vec::new();
    for action in sites.iter().filter_map(|site| site.action.as_ref().ok()) {
        for identity in action.setup().identities() {
            if !locks.contains(&identity.payout_lock) {
                locks.push(identity.payout_lock);
            }
        }
    }
    let (mut rows, mut data) = (Vec::new(), Vec::new());
    for lock in locks {
        let under = |cells: &[Cell]| -> u128 {
            let cells = cells.iter().filter(|cell| cell.lock == lock);
            cells.fold(0, |sum, cell| sum.saturating_add(cell.capacity.into()))
        };
        let (gets, gives) = (under(outputs), spent.map(under));
        let tokens = token_cells(outputs, &lock);
        if gets == 0 && gives.unwrap_or(0) == 0 {
            continue;
        }
        let mut row =
            vec![format!("lock {}", hex::short(&lock)), format!("gets {}", show_ckb(gets))];
        row.push(gives.map(|gives| format!("puts in {}", show_ckb(gives))).unwrap_or_default());
        row.push(words_of_tokens(&tokens));
        rows.push(row);
        let tokens = tokens.iter().map(|(token, amount)| {
            Datum::Record(vec![
                ("token", hex::full(token).into()),
                ("amount", amount.to_string().into()),
            ])
        });
        data.push(Datum::Record(vec![
            ("lock", hex::full(&lock).into()),
            ("capacity_out", gets.to_string().into()),
            ("capacity_in", gives.map(|gives| gives.to_string()).into()),
            ("tokens_out", Datum::List(tokens.collect())),
        ]));
    }
    let columns = [Align::Left, Align::Right, Align::Right, Align::Left];
    report.table("payouts", "participants' locks", &columns, &rows, Datum::List(data));
}

fn token_cells(cells: &[Cell], lock: &[u8; 32]) -> Vec<([u8; 32], u128)> {
    let mut tokens: Vec<([u8; 32], u128)> = Vec::new();
    for cell in cells.iter().filter(|cell| cell.lock == *lock) {
        let (Some(kind), Some(amount)) = (cell.kind, cell.token_amount()) else { continue };
        match tokens.iter_mut().find(|(token, _)| *token == kind) {
            Some((_, sum)) => *sum = sum.saturating_add(amount),
            None => tokens.push((kind, amount)),
        }
    }
    tokens
}

fn words_of_tokens(tokens: &[([u8; 32], u128)]) -> String {
    let tokens = tokens
        .iter()
        .map(|(token, amount)| format!("{amount} units of token {}", hex::short(token)));
    let tokens: Vec<String> = tokens.collect();
    if tokens.is_empty() { String::new() } else { words::list(&tokens) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_locks_are_told_by_what_they_wait_for() {
        assert_eq!(since_words(0xc0 << 56 | 5_400), "1 h 30 min since its cell was made");
        assert_eq!(since_words(0x40 << 56 | 1_767_225_600), "until 2026-01-01 00:00:00 UTC");
        assert!(since_words(12).contains("none of a channel's"));
    }
}
