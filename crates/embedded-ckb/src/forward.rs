//! Nodes of tests that stand in front of another node and change some of its answers.

/// Methods of [`perun_backend_ckb::rpc::Rpc`] that a node of a test hands on, by their names. The
/// type has a method `node` that gives the node behind it.
///
/// ```
/// use perun_backend_ckb::rpc::{Rpc, RpcError};
///
/// /// A node whose fees are always the same.
/// struct Cheap<T>(T);
///
/// impl<T: Rpc> Cheap<T> {
///     fn node(&self) -> &dyn Rpc {
///         &self.0
///     }
/// }
///
/// impl<T: Rpc> Rpc for Cheap<T> {
///     fn fee_rate(&self) -> Result<u64, RpcError> {
///         Ok(1_000)
///     }
///     perun_embedded_ckb::forward_rpc! {
///         chain tip_header header_by_number header_by_hash block_by_number block_by_hash
///         send_transaction transaction live_cell cells transactions index_tip pool estimate_cycles
///     }
/// }
/// ```
#[macro_export]
macro_rules! forward_rpc {
    ($($method:ident)*) => { $($crate::forward_rpc! { @ $method })* };
    (@ chain) => { $crate::forward_rpc! { # chain() -> ::perun_backend_ckb::rpc::ChainIdentity } };
    (@ tip_header) => { $crate::forward_rpc! { # tip_header() -> ::ckb_types::core::HeaderView } };
    (@ header_by_number) => {
        $crate::forward_rpc! {
            # header_by_number(number: u64) -> Option<::ckb_types::core::HeaderView>
        }
    };
    (@ header_by_hash) => {
        $crate::forward_rpc! {
            # header_by_hash(hash: &::ckb_types::packed::Byte32)
                -> Option<::ckb_types::core::HeaderView>
        }
    };
    (@ block_by_number) => {
        $crate::forward_rpc! {
            # block_by_number(number: u64) -> Option<::ckb_types::core::BlockView>
        }
    };
    (@ block_by_hash) => {
        $crate::forward_rpc! {
            # block_by_hash(hash: &::ckb_types::packed::Byte32)
                -> Option<::ckb_types::core::BlockView>
        }
    };
    (@ send_transaction) => {
        $crate::forward_rpc! {
            # send_transaction(tx: &::ckb_types::core::TransactionView)
                -> ::ckb_types::packed::Byte32
        }
    };
    (@ transaction) => {
        $crate::forward_rpc! {
            # transaction(hash: &::ckb_types::packed::Byte32)
                -> ::perun_backend_ckb::rpc::TransactionLookup
        }
    };
    (@ live_cell) => {
        $crate::forward_rpc! {
            # live_cell(
                out_point: &::ckb_types::packed::OutPoint,
                view: ::perun_backend_ckb::rpc::View
            ) -> Option<::perun_backend_ckb::rpc::Cell>
        }
    };
    (@ cells) => {
        $crate::forward_rpc! {
            # cells(
                key: &::perun_backend_ckb::rpc::SearchKey,
                after: Option<&::perun_backend_ckb::rpc::Cursor>,
                limit: u32
            ) -> ::perun_backend_ckb::rpc::Page<::perun_backend_ckb::rpc::IndexedCell>
        }
    };
    (@ transactions) => {
        $crate::forward_rpc! {
            # transactions(
                key: &::perun_backend_ckb::rpc::SearchKey,
                after: Option<&::perun_backend_ckb::rpc::Cursor>,
                limit: u32
            ) -> ::perun_backend_ckb::rpc::Page<::perun_backend_ckb::rpc::Touch>
        }
    };
    (@ index_tip) => {
        $crate::forward_rpc! { # index_tip() -> ::perun_backend_ckb::rpc::BlockId }
    };
    (@ pool) => { $crate::forward_rpc! { # pool() -> Vec<::ckb_types::packed::Byte32> } };
    (@ fee_rate) => { $crate::forward_rpc! { # fee_rate() -> u64 } };
    (@ estimate_cycles) => {
        $crate::forward_rpc! { # estimate_cycles(tx: &::ckb_types::core::TransactionView) -> u64 }
    };
    (# $name:ident($($argument:ident: $kind:ty),*) -> $answer:ty) => {
        fn $name(
            &self $(, $argument: $kind)*
        ) -> Result<$answer, ::perun_backend_ckb::rpc::RpcError> {
            self.node().$name($($argument),*)
        }
    };
}
