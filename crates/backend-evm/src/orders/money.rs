//! What is owed after a channel's end, and what is prepared before its beginning.

use alloy_primitives::{Address, Bytes, U256};
use perun_channel::{ChannelId, Params, Signature, State};

use super::{Desk, SIGNED_SECS, Signer};
use crate::Error;
use crate::abi::{convert, eth, funding_id, solidity as sol, typed, word};
use crate::follow::{self, CONCLUDED, Standing};
use crate::rpc::At;
use crate::sender::Progress;
use crate::sender::book::Key;

impl Desk<'_> {
    /// Withdraws what a concluded channel still holds for participant `index`, in these rows, to
    /// `receiver`. The participant's session key signs for it. Each asset goes by itself: one that
    /// does not move keeps no other here.
    pub fn withdraw(
        &mut self,
        params: &Params,
        state: &State,
        index: usize,
        rows: u32,
        receiver: Address,
        sign: Signer<'_>,
    ) -> Result<Progress, Error> {
        let id = params.id();
        let ours = self.rows(params, state)?;
        let owner = params.participants().get(index).ok_or(perun_channel::Invalid::Index)?;
        let (name, participant) = (funding_id(&id, owner.address()), eth(owner.address()));
        let head = self.node.head()?;
        let is_asked = |row: &usize| {
            u32::try_from(*row).is_ok_and(|row| rows.checked_shr(row).is_some_and(|it| it & 1 == 1))
        };
        let assets = ours.iter().filter(|row| is_asked(row));
        let assets = assets.filter_map(|row| state.outcome().assets().get(*row));
        let holders: Vec<Address> = assets.map(|asset| eth(asset.holder())).collect();
        let hub = self.hub();
        let held =
            |holder: &Address| (hub, sol::Hub::heldCall { holder: *holder, fundingID: name });
        let questions: Vec<_> = holders.iter().map(held).collect();
        let held = self.node.read_all(&questions, At::Hash(head.hash))?;
        let domain = typed::hub_domain(self.orders.deployment.chain(), hub);
        let (mut progress, mut failed) = (Progress::Done, None);
        for (holder, held) in holders.into_iter().zip(held) {
            if held.is_zero() {
                continue;
            }
            let message = sol::WithdrawalV2 {
                channelID: word(&id),
                holder,
                participant,
                receiver,
                amount: U256::MAX,
                fee: U256::ZERO,
                nonce: U256::from(head.number),
                deadline: U256::from(head.timestamp.saturating_add(SIGNED_SECS)),
            };
            let sig = signature(&sign(&typed::withdrawal(&domain, &message).0));
            let parts = [receiver.as_slice(), participant.as_slice(), holder.as_slice()].concat();
            let key = Key::new("withdraw", &id, &parts);
            // Of a list the hub skips what a copy of it has done already.
            let (authorizations, sigs) = (vec![message], vec![sig]);
            let call = sol::Hub::withdrawManyCall { authorizations, sigs };
            let task = self.task(U256::ZERO, &call);
            match self.ask_token(key, task, 1) {
                Ok(one) => progress = one,
                Err(error) => failed = Some(error),
            }
        }
        failed.map_or(Ok(progress), Err)
    }

    /// Takes what could not be paid to the wallet when it was due.
    pub fn withdraw_credit(
        &mut self,
        holder: Address,
        receiver: Address,
    ) -> Result<Progress, Error> {
        let account = self.wallet();
        let question = sol::Hub::creditCall { account, holder };
        let amount = self.node.read(self.hub(), &question, At::Latest)?;
        if amount.is_zero() {
            return Ok(Progress::Done);
        }
        let key = Key::of_account("withdraw credit", holder);
        let call = sol::Hub::withdrawCreditCall { holder, receiver, amount };
        let task = self.task(U256::ZERO, &call);
        self.ask_token(key, task, 1)
    }

    /// Binds the wallet as the payee of participant `index`, once and for all.
    pub fn bind_payee(
        &mut self,
        params: &Params,
        index: usize,
        sign: Signer<'_>,
    ) -> Result<Progress, Error> {
        let id = params.id();
        let Some(binding) = self.binding(params, index, sign)? else { return Ok(Progress::Done) };
        let key = Key::new("bind", &id, binding.participant.as_slice());
        self.call(key, U256::ZERO, &sol::Hub::bindPayeeCall { id: word(&id), binding })
    }

    /// The binding of the wallet as a participant's payee, unless it is bound to it. Bound to
    /// another, the channel would pay that one: an error.
    pub(super) fn binding(
        &self,
        params: &Params,
        index: usize,
        sign: Signer<'_>,
    ) -> Result<Option<sol::Binding>, Error> {
        let (id, payee) = (params.id(), self.wallet());
        let owner = params.participants().get(index).ok_or(perun_channel::Invalid::Index)?;
        let participant = eth(owner.address());
        let question = sol::Hub::payeeOfCall { fundingID: funding_id(&id, owner.address()) };
        let bound = self.node.read(self.hub(), &question, At::Latest)?;
        let is_own = bound == payee || (bound.is_zero() && participant == payee);
        if is_own {
            return Ok(None);
        }
        if !bound.is_zero() {
            let what = "another payee is bound, to whom the channel pays; do not deposit into it";
            return Err(Error::Unfit { channel: id, what });
        }
        let domain = typed::hub_domain(self.orders.deployment.chain(), self.hub());
        // It only says where this channel pays its participant: no need to end.
        let deadline = U256::MAX;
        let message = sol::PayeeBinding { channelID: word(&id), participant, payee, deadline };
        let sig = signature(&sign(&typed::payee_binding(&domain, &message).0));
        Ok(Some(sol::Binding { participant, payee, deadline, sig }))
    }

    /// Ends a channel by the consent of all: `sigs` over [`typed::consent_spend`], in order.
    pub fn spend_by_consent(
        &mut self,
        params: &Params,
        moves: Vec<sol::Move>,
        deadline: u64,
        sigs: &[Signature],
    ) -> Result<Progress, Error> {
        let id = params.id();
        let domain = typed::hub_domain(self.orders.deployment.chain(), self.hub());
        let channel_id = word(&id);
        let deadline = U256::from(deadline);
        let consent = sol::ConsentSpend { channelID: channel_id, moves: moves.clone(), deadline };
        let digest = typed::consent_spend(&domain, &consent);
        let (head, record) = self.record(&id)?;
        if let Some(record) = record.filter(|record| record.phase == CONCLUDED) {
            let deployment = &self.orders.deployment;
            return match follow::ended(self.node, deployment, params, head, record)? {
                Standing::Spent { digest: shown, .. } if shown == digest.0 => Ok(Progress::Done),
                _ => Err(Error::Concluded(id)),
            };
        }
        let key = Key::new("spend", &id, digest.as_slice());
        let call = sol::Hub::spendByConsentCall {
            params: convert::params(params),
            moves,
            deadline,
            sigs: convert::signatures(sigs),
        };
        self.call(key, U256::ZERO, &call)
    }

    /// Lets the hub name a token, so that channels can hold it.
    pub fn create_facade(&mut self, token: Address) -> Result<Progress, Error> {
        let (hub, node) = (self.hub(), self.node);
        let facade = node.read(hub, &sol::Hub::facadeOfCall { token }, At::Latest)?;
        let known = node.read(hub, &sol::Hub::tokenOfCall { facade }, At::Latest)?;
        if known == token {
            return Ok(Progress::Done);
        }
        let key = Key::of_account("facade", token);
        self.call(key, U256::ZERO, &sol::Hub::createFacadeCall { token })
    }

    /// What is held of an asset for a participant, at the newest block.
    pub fn held(
        &self,
        id: &ChannelId,
        holder: Address,
        owner: &perun_channel::Address,
    ) -> Result<U256, Error> {
        let question = sol::Hub::heldCall { holder, fundingID: funding_id(id, owner) };
        self.node.read(self.hub(), &question, At::Latest)
    }
}

pub(super) fn signature(signature: &Signature) -> Bytes {
    Bytes::copy_from_slice(signature.as_bytes())
}
