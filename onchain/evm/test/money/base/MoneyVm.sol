// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

/// @title More of forge's cheatcodes: those that only the stories of money use.
interface MoneyVm {
    struct SignedDelegation {
        uint8 v;
        bytes32 r;
        bytes32 s;
        uint64 nonce;
        address implementation;
    }

    function signAndAttachDelegation(address implementation, uint256 key)
        external
        returns (SignedDelegation memory);
    function store(address target, bytes32 slot, bytes32 value) external;
    function mockCall(address callee, bytes calldata data, bytes calldata answer) external;
    function clearMockedCalls() external;
    function snapshotState() external returns (uint256);
    function revertToState(uint256 id) external returns (bool);
}
