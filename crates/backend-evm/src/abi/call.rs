//! What a call to the hub asks for, for those who read transactions and do not make them.

use alloy_sol_types::SolInterface;
use perun_channel::ChannelId;

use super::solidity::Hub::HubCalls as Calls;

/// A call of the hub.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    /// The function's name.
    pub name: &'static str,
    /// The channel, where the call is about one.
    pub channel: Option<ChannelId>,
    /// The version of the state that is handed in, if one is.
    pub version: Option<u64>,
}

impl Call {
    /// Reads a transaction's input; nothing if the hub knows no such call.
    #[must_use]
    pub fn read(input: &[u8]) -> Option<Self> {
        let call = Calls::abi_decode(input).ok()?;
        let name = Calls::name_by_selector(call.selector())?;
        let state = match &call {
            Calls::register(it) => Some(&it.channel.state),
            Calls::registerSub(it) => Some(&it.channel.state),
            Calls::progress(it) => Some(&it.state),
            Calls::conclude(it) => Some(&it.state),
            Calls::concludeAndPay(it) => Some(&it.state),
            Calls::concludeWithPreimage(it) => Some(&it.state),
            Calls::concludeAndPayWithPreimage(it) => Some(&it.state),
            Calls::concludeFinal(it) => Some(&it.state),
            Calls::closeAndPay(it) => Some(&it.state),
            _ => None,
        };
        let id = match &call {
            Calls::open(it) => Some(it.id),
            Calls::bindPayee(it) => Some(it.id),
            _ => state.map(|state| state.channelID),
        };
        let channel = id.map(|id| ChannelId::new(id.0));
        Some(Self { name, channel, version: state.map(|state| state.version) })
    }
}

#[cfg(test)]
mod tests {
    use super::super::solidity as sol;
    use super::*;
    use alloy_primitives::{Address, B256};
    use alloy_sol_types::SolCall;

    #[test]
    fn calls_are_named_with_their_channel_and_version() {
        let id = B256::repeat_byte(7);
        let state = sol::State { channelID: id, version: 5, ..Default::default() };
        let channel = sol::SignedState { state, ..Default::default() };
        let register = sol::Hub::registerCall { channel, subChannels: Vec::new() }.abi_encode();
        let expected = |name, version| {
            let channel = Some(ChannelId::new([7; 32]));
            Some(Call { name, channel, version })
        };
        assert_eq!(Call::read(&register), expected("register", Some(5)));
        let open = sol::Hub::openCall { id, deposits: Vec::new(), payees: Vec::new() };
        assert_eq!(Call::read(&open.abi_encode()), expected("open", None));
        let other = sol::Hub::createFacadeCall { token: Address::ZERO }.abi_encode();
        assert_eq!(Call::read(&other).map(|call| call.name), Some("createFacade"));
        assert_eq!(Call::read(&register[..register.len() - 1]), None);
        assert_eq!(Call::read(&[]), None);
    }
}
