//! Ledgers that stand in front of another one and do some things otherwise: a cheater's, or one
//! that falls silent.

/// Methods of [`Ledger`](crate::Ledger) that a ledger hands on, by their names, to the one in its
/// field `inner`. Those with a default are handed on too only if they are named.
///
/// ```
/// use perun_node::{CkbLedger, Ledger, LedgerError};
/// use perun_protocol::Sighting;
///
/// /// A ledger of which nothing is seen.
/// struct Blind {
///     inner: CkbLedger,
/// }
///
/// impl Ledger for Blind {
///     fn sync(&mut self) -> Result<Vec<Sighting>, LedgerError> {
///         Ok(Vec::new())
///     }
///     perun_node::forward_ledger! {
///         id release_funds watch unwatch unread close register conclude withdraw clock
///     }
/// }
/// ```
#[macro_export]
macro_rules! forward_ledger {
    ($($method:ident)*) => { $($crate::forward_ledger! { @ $method })* };
    (@ id) => {
        fn id(&self) -> ::perun_channel::LedgerId {
            self.inner.id()
        }
    };
    (@ release_funds) => {
        $crate::forward_ledger! { # release_funds(contribution: &::perun_protocol::LedgerBytes) }
    };
    (@ watch) => {
        $crate::forward_ledger! { # watch(target: &::perun_protocol::Target) }
    };
    (@ unwatch) => {
        fn unwatch(&mut self, id: &::perun_channel::ChannelId) {
            self.inner.unwatch(id);
        }
    };
    (@ unread) => {
        fn unread(&mut self) -> Vec<(::perun_channel::ChannelId, $crate::LedgerError)> {
            self.inner.unread()
        }
    };
    (@ close) => {
        $crate::forward_ledger! {
            # close(
                target: &::perun_protocol::Target,
                agreed: &::perun_protocol::Agreed,
                attempt: u32,
                sign: $crate::Signer<'_>
            )
        }
    };
    (@ register) => {
        $crate::forward_ledger! {
            # register(
                target: &::perun_protocol::Target,
                agreed: &::perun_protocol::Agreed,
                slot: ::perun_protocol::Slot,
                attempt: u32,
                sign: $crate::Signer<'_>
            )
        }
    };
    (@ conclude) => {
        $crate::forward_ledger! {
            # conclude(
                target: &::perun_protocol::Target,
                state: &::perun_channel::State,
                decision: Option<::perun_protocol::Decision>,
                attempt: u32
            )
        }
    };
    (@ withdraw) => {
        $crate::forward_ledger! {
            # withdraw(
                target: &::perun_protocol::Target,
                state: &::perun_channel::State,
                rows: u32,
                attempt: u32,
                sign: $crate::Signer<'_>
            )
        }
    };
    (@ sync) => {
        fn sync(&mut self) -> Result<Vec<::perun_protocol::Sighting>, $crate::LedgerError> {
            self.inner.sync()
        }
    };
    (@ clock) => {
        fn clock(&mut self) -> Result<::perun_protocol::LedgerTime, $crate::LedgerError> {
            self.inner.clock()
        }
    };
    (# $name:ident($($argument:ident: $kind:ty),*)) => {
        fn $name(&mut self $(, $argument: $kind)*) -> Result<(), $crate::LedgerError> {
            self.inner.$name($($argument),*)
        }
    };
}
