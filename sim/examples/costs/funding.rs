//! Funding one after another: the first creates the channel, the other adds to it or it is ended.
//!
//! Measured with coins alone, since only such channels may be funded so.

use perun_backend_ckb::dispute::Step;
use perun_backend_ckb::funding::{FundingTerms, create_funding};
use perun_backend_ckb::money::{is_plain, script_hash};
use perun_backend_ckb::open::default_reserves;
use perun_backend_ckb::rpc::DevControl;
use perun_backend_ckb::tx::Spend;
use perun_channel::Participant;
use perun_channel::adjudicator::CkbParticipant;

use crate::Outcome;
use crate::jobs::{act, free_cells_of, pay};
use crate::joint::{self, CHALLENGE};
use crate::parts;
use crate::table::Table;
use crate::world::World;

const TITLE: &str = "2 parties, CKB, one after another";

/// Measures creation by the first depositor, the second deposit, and giving up without it.
pub(crate) fn measure(table: &mut Table) -> Outcome<()> {
    let world = World::new(2)?;
    let before = world.fork();
    let terms = terms(&world)?;
    let first = free_cells_of(&world, 0)?.into_iter().find(is_plain).ok_or("an empty wallet")?;
    let (draft, opened) = create_funding(&world.deployment, &terms, Spend::now(first), 0b01)?;
    let created = pay(&world, 0, &draft)?;
    world.commit(&created)?;
    parts::add(table, &before, &format!("{TITLE}: create"), &created)?;

    let state = opened.state.clone();
    let late = world.fork();
    let before = world.fork();
    let fund = Step::Fund { state: state.clone(), marks: 0b11 };
    let funded = act(&world, 1, &opened, fund)?;
    parts::add(table, &before, &format!("{TITLE}: fund"), &funded)?;

    late.chain.advance(CHALLENGE)?;
    let before = late.fork();
    let aborted = act(&late, 0, &opened, Step::AbortFunding { state })?;
    parts::add(table, &before, &format!("{TITLE}: abort"), &aborted)
}

fn terms(world: &World) -> Outcome<FundingTerms> {
    let channel = joint::channel(world, &[(0, 0), (1, 1)], false)?;
    let payouts = vec![world.person(0)?.lock(), world.person(1)?.lock()];
    let reserves = default_reserves(&world.deployment, &channel.assets, &payouts)?;
    let participants = channel.parties.iter().zip(&payouts).zip(reserves);
    let participants = participants.map(|((party, payout), reserve)| {
        let identity = CkbParticipant {
            consents_by_presence: false,
            lends_fee: true,
            payout_lock: script_hash(payout),
            owner_lock: script_hash(payout),
            reserve,
        };
        Ok(Participant::new(party.address, identity.to_foreign())?)
    });
    Ok(FundingTerms {
        challenge_secs: CHALLENGE,
        participants: participants.collect::<Outcome<_>>()?,
        assets: channel.assets,
        balances: channel.balances,
        payouts,
    })
}
