//! The life cycle as a table: every change of phase that the stories below can bring about. A
//! review of a changed table sees every edge that came or went.

use std::collections::BTreeSet;
use std::fmt::Write;

use perun_protocol::{Command, Config, PhaseName, Standing, TransactionId};

use crate::keys::Keys;
use crate::ledger::JOINT;
use crate::pair::{self, Pair, user_said_no};
use crate::refusing::{KINDS, input, places};
use crate::resizing::{deposit, resize};
use crate::span::COIN;
use crate::vault::VAULT;

const TABLE: &str = include_str!("phases.txt");

fn stories() -> Vec<fn(&mut Pair)> {
    vec![
        |pair| {
            pair.propose(50, 50).settle();
            pair.pay(0, 1).pay(1, 1).settle().user(0, Command::Close).settle();
            pair.show(Standing::Open);
        },
        |pair| {
            pair.slow_backend = Some(0);
            pair.propose(50, 50).settle();
        },
        |pair| {
            pair.users_answer = false;
            pair.propose(50, 50).settle();
            pair.user(1, Command::Decline { reason: user_said_no() }).settle();
        },
        |pair| {
            pair.ledger.cannot_build = true;
            pair.propose(50, 50).settle();
        },
        |pair| {
            pair.ledger.is_deaf = true;
            pair.propose(50, 50).settle();
            pair.pass_time();
            pair.ledger.is_deaf = false;
            pair.wait();
        },
        |pair| {
            pair.propose(50, 50).settle();
            pair.user(0, resize(deposit(1), deposit(2))).settle();
            pair.ledger.is_deaf = true;
            pair.user(0, resize(deposit(1), deposit(2))).settle();
            pair.pass_time();
            pair.ledger.is_deaf = false;
            pair.wait();
        },
        |pair| {
            pair.propose(50, 50).settle().pay(0, 2).settle();
            pair.ledger.unpaid = 1;
            pair.user(0, Command::Dispute).settle();
            while pair.phases() != [PhaseName::Unpaid; 2] {
                pair.pass_time();
            }
            pair.ledger.unpaid = 0;
            pair.wait();
            pair.show(Standing::Open);
        },
        |pair| {
            pair.propose(50, 50).settle();
            pair.users_answer = false;
            pair.user(0, resize(deposit(1), deposit(2))).settle();
            pair.user(1, Command::DeclineResize).settle();
            pair.feed(0, perun_protocol::Input::JournalRolledBack).unwrap();
            pair.user(0, Command::Dispute).settle();
        },
        |pair| {
            pair.propose(50, 50).settle().pay(0, 2);
            pair.user(1, Command::Dispute).settle();
        },
        |pair| {
            pair.propose(50, 50).settle();
            pair.ledger.is_deaf = true;
            pair.user(0, resize(deposit(1), deposit(2))).settle();
            pair.show(Standing::Spent { transaction: TransactionId::new([8; 32]) });
        },
    ]
}

/// The same on two ledgers, or on one where each side deposits for itself.
fn spans() -> Vec<fn(&mut Pair)> {
    vec![
        |pair| {
            pair.propose_span([50, 50], [50, 50]).settle();
            pair.pay_in(0, COIN, 1).settle().user(0, Command::Dispute).settle().wait();
        },
        |pair| {
            pair.ledger.is_deaf = true;
            pair.propose_span([50, 50], [50, 50]).settle();
            pair.pass_time();
            pair.ledger.is_deaf = false;
            pair.wait();
        },
        |pair| {
            pair.vault.pays[1] = 0;
            pair.propose_span([50, 50], [50, 50]).settle().wait();
        },
        |pair| {
            let row = [0, 9].map(perun_channel::Amount::new).to_vec();
            let assets = vec![crate::span::ether()];
            let outcome = perun_channel::Allocation::new(assets, vec![row], vec![]).unwrap();
            let terms = pair.terms_of(outcome);
            let contributions = terms.ledgers.map(|_| pair::money(0));
            pair.user(0, Command::Propose { terms, contributions }).settle();
            pair.user(0, Command::Close).settle();
        },
    ]
}

/// Swaps, and where they stop.
fn swaps() -> Vec<fn(&mut Pair)> {
    vec![
        |pair| {
            *pair = Pair::swapping();
            pair.swap(0, JOINT).settle();
        },
        |pair| {
            *pair = Pair::cut_at(0, JOINT, 1);
            pair.net.left = None;
            pair.user(1, Command::CancelSwap).settle();
        },
        |pair| {
            *pair = Pair::cut_at(1, VAULT, 2);
            pair.leave();
        },
        |pair| {
            *pair = Pair::swapping();
            pair.users_answer = false;
            pair.swap(0, JOINT).settle().user(0, Command::CancelSwap).settle();
        },
        |pair| {
            *pair = Pair::swapping();
            pair.users_answer = false;
            pair.swap(0, JOINT).settle().user(1, Command::DeclineSwap).settle();
        },
    ]
}

fn told() -> impl Iterator<Item = fn(&mut Pair)> {
    stories().into_iter().chain(spans()).chain(swaps())
}

#[test]
fn the_life_cycle_is_the_one_in_the_table() {
    let mut edges = BTreeSet::new();
    for (story, accept_close) in told().flat_map(|one| [(one, true), (one, false)]) {
        let config = Config { accept_close, ..Config::default() };
        let mut pair = Pair::with(Keys::Symbolic, [config; 2]);
        story(&mut pair);
        let changes = pair.edges.into_iter().filter(|(from, _, to)| from != to);
        edges.extend(changes);
    }
    explore(&mut edges);
    let mut table = String::new();
    for (from, record, to) in edges {
        writeln!(table, "{record}({from:?} => {to:?})").unwrap();
    }
    assert_eq!(table, TABLE, "if this is meant, put it into phases.txt:\n{table}");
}

/// From each place, one input of each kind.
fn explore(edges: &mut BTreeSet<(PhaseName, String, PhaseName)>) {
    for (pair, place) in places() {
        let start = &pair.nodes[place].machine;
        for (kind, number, flag) in (0..KINDS)
            .flat_map(|kind| (0..8).flat_map(move |n| [(kind, n, true), (kind, n, false)]))
        {
            let given = input(start, &pair, kind, number, flag);
            let later = pair.now.after(1_000_000);
            let Ok(step) = start.step_with(&Keys::Symbolic, later, given) else { continue };
            let mut machine = start.clone();
            for record in &step.records {
                let from = machine.phase();
                machine.apply(record);
                if from != machine.phase() {
                    edges.insert((from, pair::kind(record), machine.phase()));
                }
            }
        }
    }
}
