//! A channel's cell in words: where the channel stands, what its marks mean, and what comes next
//! when.

use super::{Node, lookup, words};
use crate::problem::Problem;
use crate::report::{Datum, Report};
use crate::text::amount::show_ckb;
use crate::text::{hex, time};
use ckb_types::{packed::OutPoint, prelude::*};
use lookup::Clock;
use perun_backend_ckb::rpc::View;
use perun_channel::adjudicator::{ChannelCell, Env, Phase, Setup, Slot};

/// The cell at this out point.
pub(super) fn at(out_point: &OutPoint, env: &Env, node: &Node<'_>) -> Result<Report, Problem> {
    let index: u32 = out_point.index().unpack();
    let name = format!("{}:{index}", hex::full(out_point.tx_hash().as_slice()));
    let unknown =
        || Problem::Unknown { url: node.url.to_owned(), what: format!("the cell {name}") };
    let made = node.rpc.transaction(&out_point.tx_hash())?;
    let tx = made.transaction.ok_or_else(unknown)?;
    let position = usize::try_from(index).unwrap_or(usize::MAX);
    let (output, data) = tx.output_with_data(position).ok_or_else(unknown)?;
    let cell = ChannelCell::from_data(&data).map_err(|code| {
        Problem::NotUnderstood(format!("the cell {name} is no channel cell: {code}"))
    })?;
    let setup = lookup::setup_in(&tx, &cell.id);
    let live = node.rpc.live_cell(out_point, View::Chain)?.is_some();
    // What was spent waits for nothing.
    let clock = lookup::clock(&made.status, node.rpc)?.filter(|_| live);
    let mut report =
        report(&cell, Some(output.capacity().unpack()), setup.as_ref(), clock.as_ref());
    report.fact("out_point", "out point", name.clone());
    let standing =
        if live { "live: this is where the channel stands" } else { "spent, or pending: history" };
    report.fact_as("live", "cell", standing, live);
    let kind = output.type_().to_opt().map(|script| script.calc_script_hash());
    if kind.is_none_or(|kind| kind.as_slice() != env.channel_type) {
        report.note(
            "The cell's type script is not the channel script known here: another version, or not a \
             channel at all. Trust nothing that is said above.",
        );
    }
    if let Some(setup) = &setup {
        report.part("setup", super::value::setup(setup));
    }
    Ok(report)
}

/// A channel cell, with what else is known of it.
pub(super) fn report(
    cell: &ChannelCell,
    capacity: Option<u64>,
    setup: Option<&Setup>,
    clock: Option<&Clock>,
) -> Report {
    let mut report = Report::new("channel_cell", format!("Channel {}", cell.id));
    report.fact("channel", "channel", cell.id.to_string());
    let meaning = match cell.phase {
        Phase::Funding => "deposits are missing; until all are in, they can be returned",
        Phase::Open => "all deposits are in; nobody disputes anything",
        Phase::Disputed => {
            "a state is registered; newer ones can replace it until the challenge ends"
        }
        Phase::Concluded => "the outcome is fixed and partly paid",
    };
    let phase = words::phase(cell.phase);
    report.fact_as("phase", "phase", format!("{phase}: {meaning}"), phase);
    marks(&mut report, cell, setup);
    if cell.claimed {
        let text = "claimed: its legs move in the rows that are not yet paid";
        report.fact_as("swap", "swap", text, "claim");
    }
    report.fact("version", "version", cell.version.to_string());
    report.fact("state_hash", "state hash", hex::full(&cell.state_hash));
    if let Some(capacity) = capacity {
        report.fact_as("capacity", "holds", show_ckb(capacity.into()), capacity.to_string());
    }
    waiting(&mut report, cell.phase, setup, clock);
    report
}

fn marks(report: &mut Report, cell: &ChannelCell, setup: Option<&Setup>) {
    let bits = words::bits(cell.marks);
    let (label, marks): (_, Vec<String>) = match cell.phase {
        Phase::Funding => ("deposits of", bits.map(|bit| format!("participant {bit}")).collect()),
        Phase::Open => {
            ("marks", bits.map(|bit| format!("bit {bit}, which means nothing")).collect())
        }
        Phase::Disputed => {
            ("rights used", bits.map(|bit| words::slot(Slot::from_number(bit))).collect())
        }
        Phase::Concluded => {
            let row = |bit: u8| {
                let row = setup.and_then(|setup| setup.rows().get(usize::from(bit)));
                let asset = row.map(|row| format!(" ({})", words::asset_name(&row.asset)));
                format!("row {bit}{}", asset.unwrap_or_default())
            };
            ("not yet paid", bits.map(row).collect())
        }
    };
    let numbers = words::bits(cell.marks).map(u64::from).collect::<Datum>();
    report.fact_as("marks", label, words::list(&marks), numbers);
}

/// How long until the rules let anybody go on alone.
fn waiting(report: &mut Report, phase: Phase, setup: Option<&Setup>, clock: Option<&Clock>) {
    let what = match phase {
        Phase::Disputed => "concluded",
        Phase::Funding => "given up, and its deposits returned",
        Phase::Open | Phase::Concluded => return,
    };
    let Some(setup) = setup else {
        report.note(format!(
            "When it can be {what} depends on the challenge duration, which the cell does not hold; ask \
             for its out point with --ckb-rpc."
        ));
        return;
    };
    let challenge = setup.params().challenge_secs();
    report.fact_as("challenge_secs", "challenge", time::duration(challenge), challenge);
    let Some(Clock { committed_ms, median_ms }) = clock else {
        report.note(format!("It can be {what} after its challenge, counted from its block."));
        return;
    };
    let ready = committed_ms.saturating_add(challenge.saturating_mul(1_000));
    // The chain compares whole milliseconds; people are told the second after.
    let seconds = ready.saturating_sub(*median_ms).div_ceil(1_000);
    let text = if seconds == 0 {
        format!("now (since {})", time::date(ready))
    } else {
        format!("in {} of chain time (at {})", time::duration(seconds), time::date(ready))
    };
    let label = if phase == Phase::Disputed { "can be concluded" } else { "can be given up" };
    report.fact_as("ready_in_secs", label, text, seconds);
}
