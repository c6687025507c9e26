//! Encoded values in words: states, signed states, parameters, setups.

use super::words;
use crate::report::{Datum, Report};
use crate::text::amount::show_ckb;
use crate::text::table::Align;
use crate::text::{hex, time};
use perun_channel::adjudicator::{CkbParticipant, Row, Setup};
use perun_channel::sig::UncheckedState;
use perun_channel::{Address, Params, State};

/// A state.
pub(super) fn state(state: &State) -> Report {
    let title =
        format!("State {} of channel {}", state.version(), hex::short(state.id().as_bytes()));
    let mut report = Report::new("state", title);
    state_facts(&mut report, state, &[]);
    report
}

/// A state with its signatures: the addresses whose keys made them.
pub(super) fn signed_state(signed: &UncheckedState) -> Report {
    let UncheckedState { state, signatures } = signed;
    let title = format!(
        "Signed state {} of channel {}",
        state.version(),
        hex::short(state.id().as_bytes())
    );
    let mut report = Report::new("signed_state", title);
    state_facts(&mut report, state, &[]);
    let digest = state.digest();
    let signers: Vec<_> = signatures.iter().map(|signature| signature.signer(&digest)).collect();
    let rows = signers.iter().enumerate().map(|(index, signer)| {
        let signer = signer.as_ref().map_or_else(ToString::to_string, ToString::to_string);
        vec![words::participant(index, None), signer]
    });
    let rows: Vec<_> = rows.collect();
    let datum = signers.iter().map(|it| it.as_ref().ok().map(ToString::to_string)).collect();
    report.table("signers", "signed by", &[Align::Left, Align::Left], &rows, datum);
    let parties = state.outcome().columns();
    if signatures.len() != parties {
        report.note(format!(
            "{} of {parties} signatures: no adjudicator accepts this state as it is.",
            signatures.len()
        ));
    }
    report.note("Whether these are the channel's participants stands in its parameters, not here.");
    report
}

/// What all reports say of a state.
pub(super) fn state_facts(report: &mut Report, state: &State, addresses: &[Address]) {
    report.fact("channel", "channel", state.id().to_string());
    let last = if state.is_final() {
        "yes: once all have signed, it can be paid out at once"
    } else {
        "no"
    };
    // As a text: versions use all 64 bits.
    report.fact("version", "version", state.version().to_string());
    report.fact_as("final", "final", last, state.is_final());
    balances(report, state, addresses);
    let locked = state.outcome().locked().iter().map(|entry| entry.id().to_string());
    let locked: Vec<String> = locked.collect();
    let datum = locked.iter().map(String::as_str).collect::<Datum>();
    report.fact_as("locked", "locked in channels", words::list(&locked), datum);
    let data = state.data();
    let shown = if data.is_empty() { "none".to_owned() } else { hex::full(data) };
    report.fact_as("data", "app data", shown, hex::full(data));
    report.fact("state_hash", "state hash", hex::full(&state.hash()));
    report.fact("digest", "signed digest", hex::full(&state.digest()));
}

fn balances(report: &mut Report, state: &State, addresses: &[Address]) {
    let outcome = state.outcome();
    let (mut rows, mut data) = (Vec::new(), Vec::new());
    for (asset, amounts) in outcome.assets().iter().zip(outcome.balances()) {
        for (index, amount) in amounts.iter().enumerate() {
            let address = addresses.get(index);
            rows.push(vec![words::participant(index, address), words::amount(asset, *amount)]);
            data.push(Datum::Record(vec![
                ("participant", index.into()),
                ("address", address.map(ToString::to_string).into()),
                ("asset", words::asset_datum(asset)),
                ("amount", amount.to_string().into()),
            ]));
        }
    }
    report.table("balances", "balances", &[Align::Left, Align::Right], &rows, Datum::List(data));
}

/// Parameters.
pub(super) fn params(params: &Params) -> Report {
    let mut report = Report::new("params", format!("Parameters of channel {}", params.id()));
    params_facts(&mut report, params);
    report
}

fn params_facts(report: &mut Report, params: &Params) {
    report.fact("channel", "channel", params.id().to_string());
    let seconds = params.challenge_secs();
    report.fact_as("challenge_secs", "challenge", time::duration(seconds), seconds);
    report.fact("nonce", "nonce", hex::full(params.nonce()));
    let app = params.app();
    let shown = if *app == Address::ZERO { "none".to_owned() } else { app.to_string() };
    report.fact_as("app", "app", shown, app.to_string());
    let kind = match (params.is_ledger(), params.is_virtual()) {
        (true, false) => "ledger channel",
        (false, true) => "virtual channel",
        (false, false) => "sub-channel",
        (true, true) => "ledger and virtual at once, which no channel is",
    };
    report.fact("channel_kind", "kind", kind);
    let parts = params.participants().iter().enumerate().map(|(index, participant)| {
        let mut part = Report::new("participant", format!("Participant {index}"));
        part.fact("address", "address", participant.address().to_string());
        match CkbParticipant::from_foreign(participant.foreign()) {
            Ok(identity) => identity_facts(&mut part, &identity),
            Err(_) => part.fact("identity", "ledger identity", hex::full(participant.foreign())),
        }
        part
    });
    report.parts("participants", parts.collect());
}

fn identity_facts(report: &mut Report, identity: &CkbParticipant) {
    report.fact("payout_lock", "is paid to lock", hex::full(&identity.payout_lock));
    report.fact("owner_lock", "owned by lock", hex::full(&identity.owner_lock));
    let reserve = show_ckb(identity.reserve.into());
    report.fact_as("reserve", "reserve", reserve, identity.reserve.to_string());
    let yes_or_no = |flag| if flag { "yes" } else { "no" };
    let (presence, lends) = (identity.consents_by_presence, identity.lends_fee);
    report.fact_as("consents_by_presence", "consents by presence", yes_or_no(presence), presence);
    report.fact_as("lends_fee", "may pay the network fee", yes_or_no(lends), lends);
}

/// A setup: parameters, and what they bind on a cell ledger.
pub(super) fn setup(setup: &Setup) -> Report {
    let mut report = Report::new("setup", format!("Setup of channel {}", setup.id()));
    report.fact("origin", "origin", hex::full(setup.origin()));
    report.fact("chain", "chain number", setup.chain().to_string());
    let (mut rows, mut data) = (Vec::new(), Vec::new());
    for Row { asset, total, vault_capacity } in setup.rows() {
        let vault = match vault_capacity {
            0 => String::new(),
            capacity => format!("in a vault of {}", show_ckb((*capacity).into())),
        };
        rows.push(vec![words::amount(asset, *total), vault]);
        data.push(Datum::Record(vec![
            ("asset", words::asset_datum(asset)),
            ("total", total.to_string().into()),
            ("vault_capacity", vault_capacity.to_string().into()),
        ]));
    }
    let columns = [Align::Right, Align::Left];
    report.table("assets", "holds in all", &columns, &rows, Datum::List(data));
    params_facts(&mut report, setup.params());
    report
}
