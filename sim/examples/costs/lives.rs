//! Every step in the life of one channel, each from the same opening.
//!
//! The first participant submits, unless a step is another's by its nature.

use perun_backend_ckb::dispute::Step;
use perun_backend_ckb::money::CKB;
use perun_backend_ckb::open::{ChannelTerms, OpenedChannel, Terms};
use perun_backend_ckb::rpc::DevControl;
use perun_channel::adjudicator::Decision;
use perun_channel::swap::{Leg, SwapStep};
use perun_channel::{Amount, SignedState, State, Swap};

use crate::Outcome;
use crate::jobs::{act, next, registration};
use crate::joint::{self, CHALLENGE, COINS_EACH, RATE, RATE_FOR_ALL};
use crate::parts;
use crate::table::{Table, Unit};
use crate::world::{Measured, World};

/// One channel, and the chain right after it was opened.
struct Life {
    world: World,
    opened: OpenedChannel,
    people: Vec<usize>,
    with_token: bool,
    title: String,
}

/// Measures a channel of this many people.
pub(crate) fn measure(table: &mut Table, parties: usize, with_token: bool) -> Outcome<()> {
    // One more than take part: see `leave`.
    let world = World::new(parties + 1)?;
    let before = world.fork();
    let people: Vec<usize> = (0..parties).collect();
    let (opened, measured) = joint::open(&world, &people, with_token)?;
    let title = format!("{parties} parties, CKB{}", if with_token { " and a token" } else { "" });
    let life = Life { world, opened, people, with_token, title };
    life.note(table, &before, "open", &measured)?;
    life.locked(table)?;
    life.disputes(table)?;
    life.swaps(table)?;
    life.close(table)?;
    if parties == 2 { life.together(table) } else { Ok(()) }
}

impl Life {
    /// Adds a step's rows. `before` is the world in which it was accepted.
    fn note(
        &self,
        table: &mut Table,
        before: &World,
        step: &str,
        measured: &Measured,
    ) -> Outcome<()> {
        parts::add(table, before, &format!("{}: {step}", self.title), measured)
    }

    /// Takes a step; the person submits it.
    fn step(
        &self,
        table: &mut Table,
        world: &World,
        (person, name): (usize, &str),
        step: Step,
    ) -> Outcome<()> {
        let before = world.fork();
        let measured = act(world, person, &self.opened, step)
            .map_err(|reason| format!("{}: {name}: {reason}", self.title))?;
        self.note(table, &before, name, &measured)
    }

    fn locked(&self, table: &mut Table) -> Outcome<()> {
        let live = self.world.live(&self.opened.contract)?;
        let mut add = |what: &str, value| {
            table.add(&format!("{}: {what}", self.title), Unit::Shannons, value);
        };
        let identities = self.opened.contract.setup().identities();
        let reserves = identities.iter().map(|identity| identity.reserve);
        add("reserve of each party", reserves.clone().max().ok_or("no participants")?);
        add("reserves together", reserves.sum());
        let capacity: u64 = live.cell().output.capacity().into();
        let coins = u64::try_from(COINS_EACH)? * u64::try_from(self.people.len())?;
        add("channel cell beside the balances", capacity - coins);
        for (_, vault) in live.vaults() {
            add("vault", vault.output.capacity().into());
        }
        Ok(())
    }

    /// The newest state, signed by everybody.
    fn newest(&self) -> Outcome<(State, SignedState)> {
        let state = next(&next(&self.opened.state)?)?;
        let signed = self.world.signed(&self.opened.contract, state.clone(), &self.people)?;
        Ok((state, signed))
    }

    fn disputes(&self, table: &mut Table) -> Outcome<()> {
        let (newest, signed) = self.newest()?;
        let direct = self.world.fork();
        let step = registration(&direct, &self.opened, (0, 0), &newest, Some(&signed))?;
        self.step(table, &direct, (0, "register from open"), step)?;

        let world = self.world.fork();
        let first = registration(&world, &self.opened, (0, 0), &self.opened.state, None)?;
        self.step(table, &world, (0, "register version 0"), first)?;
        let refute = registration(&world, &self.opened, (1, 1), &newest, Some(&signed))?;
        self.step(table, &world, (1, "refute"), refute)?;
        world.chain.advance(CHALLENGE)?;
        let later = world.fork();
        let conclude = Step::Conclude { state: newest.clone(), unpaid: 0, decision: None };
        self.step(table, &world, (0, "conclude"), conclude)?;
        if self.with_token { self.leave(table, &later, newest) } else { Ok(()) }
    }

    /// The token's row is left behind and withdrawn later.
    fn leave(&self, table: &mut Table, world: &World, state: State) -> Outcome<()> {
        let unpaid = self.opened.contract.setup().token_mask();
        let conclude = Step::Conclude { state: state.clone(), unpaid, decision: None };
        self.step(table, world, (0, "conclude, token row left"), conclude)?;
        let left: u64 = world.live(&self.opened.contract)?.cell().output.capacity().into();
        let name = format!("{}: channel cell of a token row left", self.title);
        table.add(&name, Unit::Shannons, left);
        let step = Step::Withdraw { state, unpaid: 0 };
        if self.people.len() == 2 {
            return self.step(table, world, (0, "withdraw"), step);
        }
        // What the channel still holds makes token cells for two payees, not for many: whoever
        // withdraws must give the rest of their capacity, and a payee's lock may not lack it.
        let outsider = self.people.len();
        self.step(table, world, (outsider, "withdraw, by an outsider who adds capacity"), step)
    }

    /// A state with a swap in every asset, concluded with its secret and without.
    fn swaps(&self, table: &mut Table) -> Outcome<()> {
        /// From now to the expiry, in seconds: after the challenge.
        const LASTS: u64 = 2 * CHALLENGE;
        let secret = [0x51; 32];
        let expiry = self.world.chain.median_time()? / 1_000 + LASTS;
        let leg = |asset| Leg { asset, from: 0, to: 1, expiry, amount: Amount::new(1) };
        let rows = u8::try_from(self.opened.state.outcome().assets().len())?;
        let swap = Swap::new(Swap::lock_of(&secret), (0..rows).map(leg).collect())?;
        let plain = next(&self.opened.state)?;
        let state = SwapStep::Start(&swap).after(&plain, plain.version())?;
        let signed = self.world.signed(&self.opened.contract, state.clone(), &self.people)?;
        let world = self.world.fork();
        let register = registration(&world, &self.opened, (0, 0), &state, Some(&signed))?;
        self.step(table, &world, (0, "register a swap"), register)?;
        world.chain.advance(CHALLENGE)?;
        let later = world.fork();
        let conclude = |decision| {
            let (state, decision) = (state.clone(), Some(decision));
            Step::Conclude { state, unpaid: 0, decision }
        };
        let claim = conclude(Decision::Claim(secret));
        self.step(table, &world, (0, "conclude, swap claimed"), claim)?;
        later.chain.advance(LASTS)?;
        self.step(table, &later, (0, "conclude, swap lapsed"), conclude(Decision::Refund))
    }

    fn close(&self, table: &mut Table) -> Outcome<()> {
        let last = next(&self.opened.state)?.finalized();
        let signed = self.world.signed(&self.opened.contract, last, &self.people)?;
        let step = Step::CloseFinal { signed, unpaid: 0 };
        self.step(table, &self.world.fork(), (0, "close final"), step)?;
        // Everybody consents; the fee comes from the balances, so no wallet takes part.
        let payers: Vec<_> = self.people.iter().map(|number| (*number, RATE)).collect();
        self.consent(table, "close by consent", Vec::new(), &payers)
    }

    /// Changes of a channel that both agree to: the old channel ends, its successor opens.
    fn together(&self, table: &mut Table) -> Outcome<()> {
        let more = i128::from(100 * CKB);
        let less = i128::from(80 * CKB);
        let one_pays = [(0, RATE_FOR_ALL), (1, 0)];
        let both_pay = [(0, RATE), (1, RATE)];
        let mut change = |name, changes: [i128; 2], payers: &[(usize, u64)]| {
            let successor = self.successor(&changes)?;
            self.consent(table, name, vec![successor], payers)
        };
        change("roll over, one pays the fee", [0, 0], &one_pays)?;
        change("top up by one, who pays the fee", [more, 0], &one_pays)?;
        change("withdraw in part by both", [-less, -less], &both_pay)
    }

    /// A channel like this one, with so much more in the coin balances.
    fn successor(&self, changes: &[i128]) -> Outcome<ChannelTerms> {
        let seats: Vec<_> = self.people.iter().copied().enumerate().collect();
        let mut successor = joint::channel(&self.world, &seats, self.with_token)?;
        let rows = successor.balances.iter_mut().zip(&successor.assets);
        for (row, _) in rows.filter(|(_, asset)| asset.is_ckb_coin()) {
            for (balance, change) in row.iter_mut().zip(changes) {
                let amount = i128::try_from(balance.get())? + change;
                *balance = Amount::new(u128::try_from(amount)?);
            }
        }
        Ok(successor)
    }

    /// Ends the channel by consent and opens its successor, if there is one.
    fn consent(
        &self,
        table: &mut Table,
        name: &str,
        channels: Vec<ChannelTerms>,
        payers: &[(usize, u64)],
    ) -> Outcome<()> {
        let parties = (0..self.people.len()).collect();
        let state = next(&self.opened.state)?;
        let ends = vec![joint::ending(&self.world, &self.opened, &state, parties)?];
        let world = self.world.fork();
        let assembly = joint::propose(&world, &Terms { channels, ends }, payers)?;
        let measured = joint::complete(&world, &assembly, payers)?;
        world.commit(&measured)?;
        self.note(table, &self.world, name, &measured)
    }
}
