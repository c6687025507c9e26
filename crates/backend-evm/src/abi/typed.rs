//! The digests of messages that are bound to one contract (EIP-712).
//!
//! What moves money of an account, rather than deciding about a channel, names the contract and the
//! chain it is for. The invariant: no digest of this module is one of a state, so no key can be
//! made to sign a state unawares.

use alloy_primitives::{Address, B256, U256, keccak256};
use alloy_sol_types::{Eip712Domain, SolStruct, SolValue, eip712_domain};

use super::solidity as sol;

/// Permit2 has this address on every chain.
pub const PERMIT2: Address = alloy_primitives::address!("000000000022D473030F116dDEE9F6B43aC78BA3");

/// The domain of a hub's messages.
#[must_use]
pub fn hub_domain(chain: u64, hub: Address) -> Eip712Domain {
    eip712_domain! {
        name: "Perun Hub",
        version: "1",
        chain_id: chain,
        verifying_contract: hub,
    }
}

fn permit2_domain(chain: u64) -> Eip712Domain {
    eip712_domain! { name: "Permit2", chain_id: chain, verifying_contract: PERMIT2, }
}

/// What is signed to withdraw from a concluded channel.
#[must_use]
pub fn withdrawal(hub: &Eip712Domain, message: &sol::WithdrawalV2) -> B256 {
    message.eip712_signing_hash(hub)
}

/// What is signed to take a credit elsewhere.
#[must_use]
pub fn credit_withdrawal(hub: &Eip712Domain, message: &sol::CreditWithdrawal) -> B256 {
    message.eip712_signing_hash(hub)
}

/// What is signed so that a deposit is taken from an account, for this channel and no other.
#[must_use]
pub fn deposit_intent(hub: &Eip712Domain, message: &sol::DepositIntent) -> B256 {
    message.eip712_signing_hash(hub)
}

/// What is signed to be paid elsewhere than at one's own address.
#[must_use]
pub fn payee_binding(hub: &Eip712Domain, message: &sol::PayeeBinding) -> B256 {
    message.eip712_signing_hash(hub)
}

/// What all participants sign to end a channel by consent.
#[must_use]
pub fn consent_spend(hub: &Eip712Domain, message: &sol::ConsentSpend) -> B256 {
    message.eip712_signing_hash(hub)
}

/// What is signed to let Permit2 move tokens into one deposit.
#[must_use]
pub fn permit2(chain: u64, message: &sol::PermitWitnessTransferFrom) -> B256 {
    message.eip712_signing_hash(&permit2_domain(chain))
}

/// What is signed under a domain of which only the separator is known: a token's own.
#[must_use]
pub fn under<T: SolStruct>(separator: B256, message: &T) -> B256 {
    let mut bytes = vec![0x19, 0x01];
    bytes.extend_from_slice(separator.as_slice());
    bytes.extend_from_slice(message.eip712_hash_struct().as_slice());
    keccak256(bytes)
}

/// The number of an EIP-3009 authorisation: it binds the transfer to one deposit. Its last 8 bytes
/// are zero, since some tokens count there.
#[must_use]
pub fn authorization_nonce(id: B256, funding: B256, holder: Address, amount: U256) -> B256 {
    let mut nonce = keccak256((id, funding, holder, amount).abi_encode_params());
    if let Some(counter) = nonce.0.last_chunk_mut::<8>() {
        *counter = [0; 8];
    }
    nonce
}
