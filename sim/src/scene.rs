//! A two-party channel on a cell ledger, as transactions that the real verdict judges.
//!
//! Models and simulations talk about registrations and conclusions in their own small words; this
//! module spells them out, with real encodings and real signatures, and asks
//! [`perun_channel::adjudicator::judge`]. It decides nothing itself. Whoever calls it must have
//! established that the signatures it asks for were really made: keys are at hand here for
//! everybody.

use perun_channel::adjudicator::{
    Action, Cell, ChannelCell, CkbParticipant, Code, Env, Input, MIN_CHANNEL_CAPACITY, Phase, Row,
    Setup, Slot, StateBody, View, WitnessArgs, judge, registration_digest, settlement_dues,
    vault_lock_hash,
};
use perun_channel::codec::Encode;
use perun_channel::sig::sign;
use perun_channel::{
    Address, Allocation, Amount, Asset, BackendId, LedgerId, Params, Participant, Signature, State,
    Version,
};
use secp256k1::{PublicKey, SecretKey};

/// How many seconds one tick of a model is on the ledger; any number that keeps challenges legal.
pub const TICK_SECS: u64 = 1_800;
/// The number of the ledger.
const CHAIN: u64 = 1;
/// The ledger.
pub const LEDGER: LedgerId = LedgerId::new(BackendId::CKB, CHAIN);
/// What each participant adds for the channel cell.
const RESERVE: u64 = MIN_CHANNEL_CAPACITY / 2;
/// Relative time in a `since` field.
const RELATIVE_SECS: u64 = 0xc0 << 56;

/// One channel, its participants' keys, and the ledger's constants.
#[derive(Clone, Debug)]
pub struct Scene {
    env: Env,
    setup: Setup,
    keys: [SecretKey; 2],
}

impl Scene {
    /// A channel over `total` units of the ledger's coin, with a challenge of `challenge_ticks`.
    ///
    /// # Panics
    /// If the ledger's rules forbid such a channel.
    #[must_use]
    pub fn new(total: u64, challenge_ticks: u64) -> Self {
        let keys = [key(1), key(2)];
        let participants = [0, 1].map(|index: usize| {
            let address = Address::of_key(&PublicKey::from_secret_key(&keys[index]));
            Participant::new(address, identity(index).to_foreign()).expect("75 bytes are allowed")
        });
        let coins =
            Row { asset: Asset::ckb(CHAIN), total: Amount::new(total.into()), vault_capacity: 0 };
        let challenge = challenge_ticks * TICK_SECS;
        let setup = Setup::new([9; 32], CHAIN, challenge, participants.to_vec(), vec![coins])
            .expect("the setup keeps every rule");
        Self { env: Env { channel_type: [7; 32], vault_code: [8; 32] }, setup, keys }
    }

    /// The channel's parameters.
    #[must_use]
    pub const fn params(&self) -> &Params {
        self.setup.params()
    }

    /// The channel's setup on the ledger.
    #[must_use]
    pub const fn setup(&self) -> &Setup {
        &self.setup
    }

    /// A state of this channel.
    ///
    /// # Panics
    /// If the amounts overflow.
    #[must_use]
    pub fn state(&self, version: u64, balances: [u64; 2], is_final: bool) -> State {
        let row = balances.map(|amount| Amount::new(amount.into())).to_vec();
        let outcome = Allocation::new(vec![Asset::ckb(CHAIN)], vec![row], vec![]);
        let outcome = outcome.expect("two balances of one asset");
        State::new(self.setup.id(), Version::new(version), outcome, vec![], is_final)
            .expect("no data")
    }

    /// A participant's signature over a state.
    #[must_use]
    pub fn sign_state(&self, who: usize, state: &State) -> Signature {
        sign(&state.digest(), &self.keys[who])
    }

    /// A signature with a participant's key over 32 bytes.
    #[must_use]
    pub fn sign_digest(&self, who: usize, digest: &[u8; 32]) -> Signature {
        sign(digest, &self.keys[who])
    }

    /// The cell of the channel in this phase, holding this state.
    #[must_use]
    pub fn cell(&self, phase: Phase, marks: u32, state: &State) -> ChannelCell {
        ChannelCell {
            phase,
            marks,
            id: self.setup.id(),
            state_hash: state.hash(),
            version: state.version(),
            claimed: false,
        }
    }

    /// Whether the verdict lets `from` become `to` by registering `state` through `slot`.
    pub fn register(
        &self,
        from: &ChannelCell,
        to: &ChannelCell,
        state: &State,
        slot: Slot,
    ) -> Result<(), Code> {
        let hash = state.hash();
        let registration = registration_digest(&self.env.channel_type, state.id(), &hash, slot);
        let registrant = usize::from(slot.participant);
        let signatures = if from.phase == Phase::Open && from.state_hash == hash {
            vec![sign(&registration, &self.keys[registrant])]
        } else {
            let digest = state.digest();
            let of = |who| if who == registrant { &registration } else { &digest };
            [0, 1].map(|who| sign(of(who), &self.keys[who])).to_vec()
        };
        let body = StateBody::of(state);
        let action = Action::Register { setup: self.setup.clone(), body, slot, signatures };
        self.judge(from, 0, &action, vec![self.ledger_cell(to)])
    }

    /// Whether the verdict pays `state` from `from` after `waited_secs`.
    pub fn conclude(
        &self,
        from: &ChannelCell,
        state: &State,
        waited_secs: u64,
    ) -> Result<(), Code> {
        let body = StateBody::of(state);
        let action = Action::Conclude { setup: self.setup.clone(), body, decision: None };
        self.judge(from, RELATIVE_SECS | waited_secs, &action, self.payouts(state)?)
    }

    /// Whether the verdict pays the final `state` at once.
    pub fn close(&self, from: &ChannelCell, state: &State) -> Result<(), Code> {
        let body = StateBody::of(state);
        let signatures = [0, 1].map(|who| self.sign_state(who, state)).to_vec();
        let action = Action::CloseFinal { setup: self.setup.clone(), body, signatures };
        self.judge(from, 0, &action, self.payouts(state)?)
    }

    fn judge(
        &self,
        from: &ChannelCell,
        since: u64,
        action: &Action,
        outputs: Vec<Cell>,
    ) -> Result<(), Code> {
        let input_type = Some(action.to_bytes());
        let witness = WitnessArgs { input_type, ..WitnessArgs::default() };
        let view = View {
            hash: [0; 32],
            first_input: [0; 44],
            inputs: vec![Input { since, cell: self.ledger_cell(from) }],
            outputs,
            witnesses: vec![witness.serialize()],
        };
        judge(&view, &self.env)
    }

    /// One plain cell for each participant with exactly what the ledger says it is due.
    fn payouts(&self, state: &State) -> Result<Vec<Cell>, Code> {
        let dues = settlement_dues(&self.setup, state.outcome(), None, 0)?;
        let identities = self.setup.identities();
        let pay = |(due, payee): (perun_channel::adjudicator::Due, &CkbParticipant)| {
            Cell::new(due.capacity, payee.payout_lock, None, &[])
        };
        Ok(dues.into_iter().zip(identities).map(pay).collect())
    }

    fn ledger_cell(&self, channel: &ChannelCell) -> Cell {
        let total: u64 = self.setup.rows().iter().map(|row| small(row.total)).sum();
        let lock = vault_lock_hash(&self.env, &channel.id);
        let kind = Some(self.env.channel_type);
        Cell::new(total + 2 * RESERVE, lock, kind, &channel.to_data())
    }
}

fn small(amount: Amount) -> u64 {
    u64::try_from(amount.get()).expect("models use small amounts")
}

fn key(number: u8) -> SecretKey {
    SecretKey::from_secret_bytes([number; 32]).expect("a small number is a key")
}

fn identity(index: usize) -> CkbParticipant {
    let lock = [0x10 + u8::try_from(index).expect("two participants"); 32];
    CkbParticipant {
        consents_by_presence: false,
        lends_fee: false,
        payout_lock: lock,
        owner_lock: lock,
        reserve: RESERVE,
    }
}

#[cfg(test)]
mod tests {
    use perun_channel::adjudicator::SlotKind;

    use super::*;

    #[test]
    fn the_verdict_accepts_a_dispute_from_registration_to_payout() {
        let scene = Scene::new(3, 2);
        let (first, second) = (scene.state(0, [1, 2], false), scene.state(1, [2, 1], false));
        let slot = Slot { participant: 0, kind: SlotKind::Own };
        let open = scene.cell(Phase::Open, 0, &first);
        let disputed = scene.cell(Phase::Disputed, 1, &second);
        assert_eq!(scene.register(&open, &disputed, &second, slot), Ok(()));
        assert_eq!(scene.register(&disputed, &disputed, &second, slot), Err(Code::NotNewer));
        assert_eq!(scene.conclude(&disputed, &second, 2 * TICK_SECS - 1), Err(Code::Since));
        assert_eq!(scene.conclude(&disputed, &second, 2 * TICK_SECS), Ok(()));
        assert_eq!(scene.close(&open, &scene.state(1, [0, 3], true)), Ok(()));
    }
}
