//! Random damage: what the rules do not foresee is looked for by chance, from a seed.

use perun_channel::State;
use perun_channel::adjudicator::{Action, Decision, Phase, WitnessArgs, WitnessField};

use crate::story::{Stands, Story, delegate, own, stranger};
use crate::{
    At, CKB, CellSketch, Channel, ConsentKind, Draw, Evidence, LegTerms, Party, Sketch, Terms,
    absolute_seconds, lapse, relative_seconds, scripts, token_named,
};
/// The latest expiry that a leg may have.
const LATEST: u64 = (1 << 38) - 1;
const TOKENS: [&str; 3] = ["a", "b", "c"];

/// A random healthy transaction: one to three channels, any action on each.
#[must_use]
pub fn healthy(draw: &mut Draw) -> Story {
    let mut story = Story::default();
    let count = if draw.one_in(3) { 1 + draw.below(3) } else { 1 };
    // Creation beside settlement brings the depositors' tokens, which are no channel's.
    let mut settles = false;
    for index in 0..count {
        let terms = terms(draw, index);
        if draw.one_in(8) && (!settles || terms.tokens.is_empty()) {
            let first = terms.tokens.is_empty() && draw.one_in(2);
            story.create(&terms, first.then_some(1));
            if !terms.tokens.is_empty() {
                return finish(story, draw);
            }
            continue;
        }
        let channel = terms.living(&format!("{}", draw.bits()));
        settles |= one_action(&mut story, &channel, count == 1, draw);
    }
    finish(story, draw)
}

fn finish(mut story: Story, draw: &mut Draw) -> Story {
    let lender = story.oracle.channels.iter().find(|channel| channel.parties[0].lends_fee);
    if lender.is_some() && draw.one_in(2) {
        // The lender pays the fee only if each of its channels lets it, so a stranger adds some.
        story.add_input(100 * CKB, &stranger());
    }
    story.submitted()
}

fn terms(draw: &mut Draw, index: usize) -> Terms {
    let parties = if draw.one_in(12) { 16 } else { 2 + draw.below(3) };
    let mut terms = Terms::of(["x", "y", "z"][index], parties);
    if index != 0 && draw.one_in(2) {
        // A payee of two channels.
        terms.parties[0] = Party::named("x0");
    }
    let tokens = if draw.one_in(2) { 0 } else { draw.below(4) };
    terms = terms.with_tokens(&TOKENS[..tokens]);
    terms.coin = tokens == 0 || !draw.one_in(4);
    terms.foreign = if draw.one_in(4) { 1 } else { 0 };
    let total = u128::from(draw.between(0, 5_000)) * u128::from(CKB);
    terms.opening = draw.split(total, parties);
    let vaults = 170 * u64::try_from(tokens).expect("few");
    for party in &mut terms.parties {
        party.reserve = (draw.between(300, 900) + vaults) * CKB;
        party.lends_fee = draw.one_in(3);
        party.by_presence = draw.one_in(4);
    }
    terms.challenge_secs = draw.between(1_800, 100_000);
    terms
}

/// A random state of a channel: the same sums, other shares.
fn some_state(channel: &Channel, version: u64, draw: &mut Draw) -> State {
    let total = channel.opening.iter().sum();
    let rows = channel.setup.rows().iter();
    let rows: Vec<Vec<u128>> = rows.map(|_| draw.split(total, channel.parties())).collect();
    channel.state_of(version, &rows)
}

/// The state, half of the time with a swap in some of its rows, and what opens the swap.
fn with_swap(channel: &Channel, state: State, draw: &mut Draw) -> (State, Option<[u8; 32]>) {
    let secret = draw.hash();
    let mut legs: Vec<LegTerms> = Vec::new();
    for (row, balances) in state.outcome().balances().iter().enumerate() {
        let from = draw.below(channel.parties());
        let to = (from + 1 + draw.below(channel.parties() - 1)) % channel.parties();
        let has = balances[from].get();
        if has == 0 || draw.one_in(2) {
            continue;
        }
        let amount = if draw.one_in(3) { has } else { 1 + u128::from(draw.bits()) % has };
        let within = 1 << draw.between(1, 38);
        legs.push((row, from, to, draw.between(1, within).min(LATEST), amount));
    }
    if legs.is_empty() || draw.one_in(2) {
        return (state, None);
    }
    (channel.swapping(&state, &secret, &legs), Some(secret))
}

/// A decision that fits the state: none where this ledger pays none of the legs.
fn some_decision(
    channel: &Channel,
    state: &State,
    secret: Option<[u8; 32]>,
    draw: &mut Draw,
) -> Option<Decision> {
    lapse(channel, state)?;
    if draw.one_in(2) { secret.map(Decision::Claim) } else { Some(Decision::Refund) }
}

/// Adds one action on a channel; tells whether the channel is paid by rule.
fn one_action(story: &mut Story, channel: &Channel, alone: bool, draw: &mut Draw) -> bool {
    let state = some_state(channel, 2 + draw.bits() % 5, draw);
    let (state, secret) = with_swap(channel, state, draw);
    let last = some_state(channel, 8 + draw.bits() % 5, draw);
    let (newer, _) = with_swap(channel, last.clone(), draw);
    let decision = some_decision(channel, &state, secret, draw);
    let spare = some_state(channel, 20, draw);
    let party = u8::try_from(draw.below(channel.parties())).expect("few");
    story.keep(channel, &state, own(party));
    story.keep(channel, &newer, delegate(party));
    story.keep(channel, &spare, own(0));
    let rows = channel.token_rows();
    let some: u32 = rows.iter().filter(|_| draw.one_in(3)).map(|row| 1 << row).sum();
    let all: u32 = rows.iter().map(|row| 1 << row).sum();
    let dispute = Stands::disputed(&state, &[own(1)]);
    let open = Stands::open(channel);
    match draw.below(if rows.is_empty() { 8 } else { 7 }) {
        0 => story.register(channel, &open, &channel.initial(), own(party)),
        1 => story.register(channel, &open, &newer, own(party)),
        2 => story.register(channel, &dispute, &newer, delegate(party)),
        3 => story.decide(channel, &dispute, some, decision),
        4 => {
            let from = if draw.one_in(2) { &open } else { &dispute };
            story.close(channel, from, &last.finalized(), some);
        }
        5 if alone || rows.is_empty() => {
            let kinds = vec![ConsentKind::Signature; channel.parties()];
            // A cooperative spend brings all vaults, which are no contract's that is paid by rule.
            let from = if rows.is_empty() { open } else { dispute };
            story.agree(channel, &from, &kinds);
            story.pay_out(channel, &state);
        }
        6 if all != 0 => {
            let claimed = matches!(decision, Some(Decision::Claim(_)));
            let concluded = Stands { claimed, ..Stands::concluded(&state, all) };
            story.withdraw(channel, &concluded, some & !all);
        }
        5 | 6 => story.decide(channel, &dispute, 0, decision),
        _ => {
            if draw.one_in(2) && channel.parties() > 2 {
                story.fund(channel, 1, 3);
                return false;
            }
            story.abort(channel, 2);
        }
    }
    true
}

/// Damages a draft: cells, order, evidence. What is signed afterwards is signed for the damaged
/// transaction.
pub fn damage(story: &mut Story, draw: &mut Draw) {
    let draft = &mut story.draft;
    let (inputs, outputs) = (draft.inputs.len(), draft.outputs.len());
    match draw.below(16) {
        0 if outputs > 0 => nudge(&mut draft.outputs[draw.below(outputs)].capacity, draw),
        1 if outputs > 0 => drop(draft.outputs.remove(draw.below(outputs))),
        2 if outputs > 0 => {
            let twin = draft.outputs[draw.below(outputs)].clone();
            draft.outputs.insert(draw.below(outputs + 1), twin);
        }
        3 if outputs > 1 => draft.outputs.swap(draw.below(outputs), draw.below(outputs)),
        4 if outputs > 1 => {
            // Part of one output moves to another.
            let (from, to) = (draw.below(outputs), draw.below(outputs));
            let part = match draw.below(3) {
                0 => 1,
                1 => draft.outputs[from].capacity / 2,
                _ => draw.between(1, 100) * CKB,
            };
            let part = part.min(draft.outputs[from].capacity);
            draft.outputs[from].capacity -= part;
            draft.outputs[to].capacity = draft.outputs[to].capacity.saturating_add(part);
        }
        5 if outputs > 1 => {
            let (from, to) = (draw.below(outputs), draw.below(outputs));
            match draw.below(3) {
                0 => draft.outputs[to].lock = draft.outputs[from].lock.clone(),
                1 => draft.outputs[to].kind = draft.outputs[from].kind.clone(),
                _ => draft.outputs[to].data = draft.outputs[from].data.clone(),
            }
        }
        6 if outputs > 0 => {
            let cell = &mut draft.outputs[draw.below(outputs)];
            flip(&mut cell.data, draw);
        }
        7 if inputs > 1 => drop(draft.inputs.remove(draw.below(inputs))),
        8 if inputs > 1 => draft.inputs.swap(draw.below(inputs), draw.below(inputs)),
        9 => {
            let input = &mut draft.inputs[draw.below(inputs)];
            input.since = match draw.below(7) {
                0 => 0,
                1 => input.since.wrapping_sub(1),
                2 => input.since.wrapping_add(1),
                3 => draw.bits(),
                4 => absolute_seconds(draw.bits() >> draw.between(8, 60)),
                5 => input.since ^ 1 << draw.between(32, 63),
                _ => relative_seconds(draw.between(0, 120_000)),
            };
        }
        10 => add_cell(story, draw),
        11 => replace_evidence(story, draw),
        12 | 13 => decide_otherwise(story, draw),
        14 if outputs > 0 => {
            let cell = &mut draft.outputs[draw.below(outputs)];
            if let Some(claimed) = cell.data.get_mut(3) {
                *claimed ^= 1;
            }
        }
        _ => swap_evidence(story, draw),
    }
}

/// A conclusion decides something else, with the time lock of somebody's input now and then.
fn decide_otherwise(story: &mut Story, draw: &mut Draw) {
    let secret = draw.hash();
    for act in &mut story.draft.acts {
        let Evidence::Ready(action) = &mut act.evidence else { continue };
        if let Action::Conclude { decision, .. } = &mut **action {
            *decision = match draw.below(3) {
                0 => None,
                1 => Some(Decision::Refund),
                _ => Some(Decision::Claim(secret)),
            };
        }
    }
    if draw.one_in(2) {
        let input = draw.below(story.draft.inputs.len());
        story.draft.inputs[input].since = absolute_seconds(draw.between(0, 1 << 39));
    }
}

/// A cell that anybody could add: of a payee, of a stranger, of a poison, of a vault.
fn add_cell(story: &mut Story, draw: &mut Draw) {
    let channel = story.oracle.channels[draw.below(story.oracle.channels.len())].clone();
    let party = draw.pick(&channel.parties).clone();
    let lock = match draw.below(4) {
        0 => stranger(),
        1 => channel.lock(),
        2 => party.owner,
        _ => party.payout,
    };
    let capacity = draw.between(61, 900) * CKB;
    let token = match draw.below(3) {
        0 => None,
        1 => Some(token_named("poison")),
        _ => Some(token_named(TOKENS[draw.below(3)])),
    };
    let mut cell = CellSketch::plain(capacity, lock);
    if let Some(token) = token {
        cell = CellSketch::token(capacity, cell.lock, token, u128::from(draw.between(0, 50)));
    }
    if draw.one_in(2) {
        story.draft.spend(cell, 0);
    } else {
        story.draft.make(cell);
    }
}

/// Other evidence that exists takes the place of an action's, and its cell follows now and then.
fn replace_evidence(story: &mut Story, draw: &mut Draw) {
    if story.drawer.is_empty() || story.draft.acts.is_empty() {
        return;
    }
    let action = draw.pick(&story.drawer).clone();
    let position = draw.below(story.draft.acts.len());
    if draw.one_in(2) {
        // The cell it would make, if it were allowed here.
        if let Action::Register { setup, body, slot, .. } = &action {
            let channels = &story.oracle.channels;
            let channel = channels.iter().find(|channel| channel.id() == setup.id());
            let state = setup.state(body.clone());
            if let (Some(channel), Ok(state)) = (channel, state) {
                let marks = 1 << slot.number() | if draw.one_in(2) { 0b100 } else { 0 };
                let cell = channel.cell(Phase::Disputed, marks, &state);
                let kind = Some(scripts().kind.clone());
                match story.draft.outputs.iter_mut().find(|output| output.kind == kind) {
                    Some(output) => *output = cell,
                    None => drop(story.draft.make(cell)),
                }
            }
        }
    }
    story.draft.acts[position].evidence = Evidence::Ready(Box::new(action));
}

fn swap_evidence(story: &mut Story, draw: &mut Draw) {
    let acts = &mut story.draft.acts;
    if acts.len() > 1 {
        let (one, two) = (draw.below(acts.len()), draw.below(acts.len()));
        let held = acts[one].at;
        acts[one].at = acts[two].at;
        acts[two].at = held;
    } else if let Some(act) = acts.first_mut() {
        act.at = match act.at {
            At::Spent(index) => At::Made(index),
            At::Made(index) => At::Spent(index),
        };
    }
}

/// Damages a sealed transaction: nothing is signed again.
pub fn tear(sketch: &mut Sketch, draw: &mut Draw) {
    let witnesses = sketch.witnesses.len();
    if witnesses == 0 {
        sketch.witnesses.push(draw.bytes(40));
        return;
    }
    let at = draw.below(witnesses);
    match draw.below(9) {
        0 => flip(&mut sketch.witnesses[at], draw),
        1 => {
            let length = sketch.witnesses[at].len();
            sketch.witnesses[at].truncate(draw.below(length + 1));
        }
        2 => {
            let length = draw.below(300);
            sketch.witnesses[at] = draw.bytes(length);
        }
        3 => sketch.witnesses.swap(at, draw.below(witnesses)),
        4 => drop(sketch.witnesses.remove(at)),
        5 | 6 => {
            // A sound envelope around damaged bytes.
            let field =
                |field| WitnessArgs::field(&sketch.witnesses[at], field).map(<[u8]>::to_vec);
            let mut envelope = WitnessArgs {
                lock: field(WitnessField::Lock),
                input_type: field(WitnessField::InputType),
                output_type: field(WitnessField::OutputType),
            };
            let bytes = envelope.input_type.as_mut().or(envelope.output_type.as_mut());
            let Some(bytes) = bytes else { return };
            match draw.below(4) {
                0 => {
                    let length = bytes.len();
                    bytes.truncate(draw.below(length + 1));
                }
                1 => bytes.push(0),
                2 => {
                    let length = draw.below(400);
                    *bytes = draw.bytes(length);
                }
                _ => flip(bytes, draw),
            }
            sketch.witnesses[at] = envelope.serialize();
        }
        7 => {
            let length = draw.below(130);
            let bytes = draw.bytes(length);
            let outputs = sketch.outputs.len().max(1);
            if let Some(cell) = sketch.outputs.get_mut(draw.below(outputs)) {
                cell.data = bytes;
            }
        }
        _ => {
            let inputs = sketch.inputs.len();
            sketch.inputs[draw.below(inputs)].from[0] ^= 1;
        }
    }
}

fn nudge(capacity: &mut u64, draw: &mut Draw) {
    *capacity = match draw.below(5) {
        0 => capacity.wrapping_add(1),
        1 => capacity.wrapping_sub(1),
        2 => *capacity / 2,
        3 => draw.bits(),
        _ => capacity.saturating_sub(draw.between(0, 2_000_000)),
    };
}

fn flip(bytes: &mut [u8], draw: &mut Draw) {
    if !bytes.is_empty() {
        let position = draw.below(bytes.len());
        bytes[position] ^= 1 << draw.below(8);
    }
}
