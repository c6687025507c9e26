//! Orders that one side carries out alone: close, register, conclude, withdraw.

use perun_backend_ckb::Error;
use perun_backend_ckb::cells::Ticket;
use perun_backend_ckb::channel::LiveChannel;
use perun_backend_ckb::dispute::{Job, Step, draft, registration_signatures};
use perun_backend_ckb::purse::{Paid, Purse};
use perun_backend_ckb::rpc::{RpcError, TransactionStatus};
use perun_channel::adjudicator::{
    Decision as Verdict, Slot as VerdictSlot, SlotKind, registration_digest,
};
use perun_channel::{ChannelId, SignedState, State, Version};
use perun_protocol::{Agreed, Decision, Slot, Target};

use super::anchor::Anchor;
use super::{CkbLedger, refused};
use crate::{LedgerError, Signer};

#[cfg(test)]
mod tests;

/// Which order a transaction carries out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Order {
    Close,
    Register,
    /// Concludes as written, or with legs that lapse.
    Conclude,
    /// Concludes with legs that move. It takes the place of a conclusion without.
    Claim,
    Withdraw,
}

/// A transaction that was sent and whose fate is not known yet.
pub(super) struct Outstanding {
    id: ChannelId,
    order: Order,
    paid: Paid,
}

impl CkbLedger {
    pub(super) fn order_close(
        &mut self,
        target: &Target,
        agreed: &Agreed,
        attempt: u32,
        sign: Signer<'_>,
    ) -> Result<(), LedgerError> {
        let signed = signed(target, agreed, sign).ok_or(LedgerError::Malformed("final state"))?;
        let unpaid = |rows| Step::CloseFinal { signed: signed.clone(), unpaid: rows };
        self.carry_out(target, Order::Close, attempt, &unpaid)
    }

    pub(super) fn order_registration(
        &mut self,
        target: &Target,
        agreed: &Agreed,
        slot: Slot,
        attempt: u32,
        sign: Signer<'_>,
    ) -> Result<(), LedgerError> {
        let kind = if slot.delegate { SlotKind::Delegate } else { SlotKind::Own };
        let slot = VerdictSlot { participant: slot.participant.number(), kind };
        let state = &agreed.state;
        let channel_type = self.deployment.env().channel_type;
        let digest = registration_digest(&channel_type, &target.id, &state.hash(), slot);
        let signed = signed(target, agreed, sign);
        let signatures = registration_signatures(signed.as_ref(), slot, sign(&digest));
        let step = Step::Register { state: state.clone(), slot, signatures };
        self.carry_out(target, Order::Register, attempt, &|_| step.clone())
    }

    pub(super) fn order_conclusion(
        &mut self,
        target: &Target,
        state: &State,
        decision: Option<Decision>,
        attempt: u32,
    ) -> Result<(), LedgerError> {
        let (order, decision) = match decision {
            Some(Decision::Claim { preimage }) => {
                (Order::Claim, Some(Verdict::Claim(*preimage.as_bytes())))
            }
            Some(Decision::Refund {}) => (Order::Conclude, Some(Verdict::Refund)),
            None => (Order::Conclude, None),
        };
        let step = |unpaid| Step::Conclude { state: state.clone(), unpaid, decision };
        self.carry_out(target, order, attempt, &step)
    }

    pub(super) fn order_withdrawal(
        &mut self,
        target: &Target,
        state: &State,
        rows: u32,
        attempt: u32,
    ) -> Result<(), LedgerError> {
        // One row after the other: what still cannot move must not hold up what can.
        let row = row_to_try(rows, attempt);
        let step = |_| Step::Withdraw { state: state.clone(), unpaid: rows & !row };
        self.carry_out(target, Order::Withdraw, attempt, &step)
    }

    /// Sends one step of one channel; again with a higher fee if it was sent before. If a token
    /// does not move, its rows are left for later and everything else is paid.
    fn carry_out(
        &mut self,
        target: &Target,
        order: Order,
        attempt: u32,
        step: &dyn Fn(u32) -> Step,
    ) -> Result<(), LedgerError> {
        let known =
            self.outstanding.iter().position(|one| one.id == target.id && one.order == order);
        if let Some(position) = known {
            return if attempt == 0 { Ok(()) } else { self.bump(position) };
        }
        let contract = Anchor::of(target)?.contract;
        let live = LiveChannel::find(self.rpc.as_ref(), &self.deployment, &contract);
        let live = live.map_err(refused)?;
        // A withdrawal names its rows itself, and a registration pays nothing.
        let pays_tokens = matches!(order, Order::Close | Order::Conclude | Order::Claim);
        let mask = if pays_tokens { contract.setup().token_mask() } else { 0 };
        let refund = self.outstanding.iter().position(|one| {
            order == Order::Claim && one.id == target.id && one.order == Order::Conclude
        });
        let replaced = refund.and_then(|at| self.outstanding.get(at)).map(|one| one.paid.clone());
        let pay = |unpaid: u32| -> Result<Paid, Error> {
            let (contract, live) = (contract.clone(), live.clone());
            let jobs = [Job { contract, live, step: step(unpaid) }];
            let (purse, draft) = (self.purse(), draft(&jobs, &self.deployment)?);
            let Some(before) = &replaced else {
                let paid = purse.pay(&draft)?;
                send(&purse, &paid, &[])?;
                return Ok(paid);
            };
            // Both spend the channel: the pool takes the claim only for a higher fee.
            let paid = Paid { draft, ..before.clone() };
            let paid = purse.bump(&paid, self.options.fee_cap)?;
            send(&purse, &paid, &before.tickets)?;
            Ok(paid)
        };
        let paid = leaving_tokens(mask, pay).map_err(refused)?;
        if let Some(refund) = refund {
            self.outstanding.remove(refund);
        }
        self.outstanding.push(Outstanding { id: target.id, order, paid });
        Ok(())
    }

    fn bump(&mut self, position: usize) -> Result<(), LedgerError> {
        let Some(one) = self.outstanding.get(position) else { return Ok(()) };
        let purse = self.purse();
        let paid = purse.bump(&one.paid, self.options.fee_cap).map_err(refused)?;
        send(&purse, &paid, &one.paid.tickets).map_err(refused)?;
        if let Some(one) = self.outstanding.get_mut(position) {
            one.paid = paid;
        }
        Ok(())
    }

    /// Frees the cells of transactions whose fate is known.
    pub(super) fn settle_outstanding(&mut self) -> Result<(), LedgerError> {
        let mut position = 0;
        // One leaves the list only with its answer: a node that is away for a moment must not make
        // us forget what is promised, or no cell would be left to pay for a dispute.
        while let Some(one) = self.outstanding.get(position) {
            let lookup = self.rpc.transaction(&one.paid.hash());
            let status = lookup.map_err(|error| refused(error.into()))?.status;
            if matches!(status, TransactionStatus::Pending | TransactionStatus::Proposed) {
                position = position.saturating_add(1);
            } else {
                let one = self.outstanding.remove(position);
                self.purse().release(&one.paid).map_err(refused)?;
            }
        }
        Ok(())
    }
}

/// Pays all rows; if that fails in a way that a token can bring about, all but one token row, each
/// in its turn, and then none of the token rows. A token's script may refuse, crash, burn cycles or
/// be gone from the chain: whatever it does, it must not hold up the coin, nor a token the others.
fn leaving_tokens<T>(mask: u32, pay: impl Fn(u32) -> Result<T, Error>) -> Result<T, Error> {
    let error = match pay(0) {
        Err(error) if may_come_from_a_token(&error) => error,
        done => return done,
    };
    let rows = (0..u32::BITS).map(|row| mask & (1 << row)).filter(|row| *row != 0 && *row != mask);
    for left in rows.chain((mask != 0).then_some(mask)) {
        match pay(left) {
            Err(error) if may_come_from_a_token(&error) => {}
            done => return done,
        }
    }
    Err(error)
}

/// Whether a token, by its script or by the cells that hold its code, can be the reason.
const fn may_come_from_a_token(error: &Error) -> bool {
    match error {
        Error::Rpc(error) => matches!(
            error,
            RpcError::Script { .. }
                | RpcError::ScriptFault { .. }
                | RpcError::Dead { .. }
                | RpcError::Unknown { .. }
                | RpcError::HeaderUnknown { .. }
                | RpcError::Immature { .. }
                | RpcError::Malformed { .. }
                | RpcError::Rejected { .. }
        ),
        Error::TooLarge { .. } | Error::TokenUnknown(_) | Error::FeeCap { .. } => true,
        _ => false,
    }
}

/// The one of these rows that an attempt is for: each in its turn, as the lowest may be a token
/// that never moves again.
fn row_to_try(rows: u32, attempt: u32) -> u32 {
    let before = attempt.checked_rem(rows.count_ones()).unwrap_or(0);
    let rest = (0..before).fold(rows, |rest, _| rest & rest.wrapping_sub(1));
    rest & rest.wrapping_neg()
}

/// Sends a payment. One that the node refuses gives its cells back, but for those `kept` by the
/// payment that it was to replace: a peer whose transaction stands in the way could make us promise
/// one cell after the other, until none is left to pay for a dispute.
fn send(purse: &Purse<'_>, paid: &Paid, kept: &[Ticket]) -> Result<(), Error> {
    let error = match purse.send(paid) {
        // It may have arrived all the same; the next look at its fate tells.
        Ok(_) | Err(Error::Rpc(RpcError::Transport(_))) => return Ok(()),
        Err(error) => error,
    };
    let mut book = purse.book();
    for ticket in paid.tickets.iter().filter(|ticket| !kept.contains(ticket)) {
        book.release(*ticket)?;
    }
    Err(error)
}

/// The state with both signatures in order; none for version 0, for which the transaction vouches
/// that made the channel, and which may be signed for other ledgers.
fn signed(target: &Target, agreed: &Agreed, sign: Signer<'_>) -> Option<SignedState> {
    let is_first = agreed.state.version() == Version::ZERO;
    let proof = agreed.proof.as_ref().filter(|_| !is_first)?;
    let ours = sign(proof.digest.as_bytes());
    let mut signatures = vec![ours, proof.signature];
    if target.index.column() == 1 {
        signatures.reverse();
    }
    Some(SignedState::from_checked(agreed.state.clone(), signatures))
}
