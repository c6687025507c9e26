//! The channel that both benches measure: two parties, one asset, nothing locked, some payments
//! old.

use perun_channel::{Address, Allocation, Amount, Asset, Invalid, Params, Participant, State};
use secp256k1::{PublicKey, SecretKey};

/// Two parties with their keys, and a state between them.
pub(crate) struct Scene {
    pub(crate) keys: [SecretKey; 2],
    pub(crate) addresses: [Address; 2],
    pub(crate) params: Params,
    pub(crate) state: State,
}

/// The scene. Its values are fixed, so that two runs measure the same work.
pub(crate) fn scene() -> Result<Scene, Invalid> {
    let keys = [[0x11; 32], [0x22; 32]].map(|bytes| {
        SecretKey::from_secret_bytes(bytes).unwrap_or_else(|_| unreachable!("a fixed, valid key"))
    });
    let addresses = keys.map(|key| Address::of_key(&PublicKey::from_secret_key(&key)));
    let [one, other] = addresses;
    let participants =
        vec![Participant::new(one, vec![0; 32])?, Participant::new(other, vec![0; 32])?];
    let params = Params::new(86_400, [7; 32], participants)?;
    let balances = vec![vec![Amount::new(1 << 60), Amount::new(1 << 60)]];
    let outcome = Allocation::new(vec![Asset::ckb(1)], balances, vec![])?;
    let state = State::initial(params.id(), outcome);
    Ok(Scene { keys, addresses, params, state })
}
