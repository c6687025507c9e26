// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {IERC1271} from "@openzeppelin/contracts/interfaces/IERC1271.sol";
import {IHubErrors} from "../interfaces/IHubErrors.sol";

/// @title The one way a signature is written: 65 bytes r, s, v; low s; v 27 or 28.
library Sig {
    /// Half of the order of secp256k1.
    uint256 private constant HALF =
        0x7fffffffffffffffffffffffffffffff5d576e7357a4501ddfe92f46681b20a0;

    /// @notice What participants sign for a state: the EIP-191 form of its hash.
    function eip191(bytes32 hash) internal pure returns (bytes32 digest) {
        assembly ("memory-safe") {
            mstore(0x00, "\x19Ethereum Signed Message:\n32")
            mstore(0x1c, hash)
            digest := keccak256(0x00, 0x3c)
        }
    }

    /// @notice The signer, or zero.
    function recover(bytes32 digest, bytes calldata sig) internal view returns (address signer) {
        if (sig.length != 65) return address(0);
        assembly ("memory-safe") {
            let s := calldataload(add(sig.offset, 0x20))
            let v := byte(0, calldataload(add(sig.offset, 0x40)))
            // v is 27 or 28, s in the lower half
            if and(eq(shr(1, add(v, 1)), 14), iszero(gt(s, HALF))) {
                let free := mload(0x40)
                mstore(free, digest)
                mstore(add(free, 0x20), v)
                mstore(add(free, 0x40), calldataload(sig.offset))
                mstore(add(free, 0x60), s)
                mstore(0x00, 0)
                // No answer, and so zero, if there is no such point.
                pop(staticcall(gas(), 1, free, 0x80, 0x00, 0x20))
                signer := mload(0x00)
            }
        }
    }

    /// @notice A key's signature. `signer` is never zero.
    function checkKey(bytes32 digest, bytes calldata sig, address signer) internal view {
        if (recover(digest, sig) != signer) revert IHubErrors.BadSignature();
    }

    /// @notice An account's signature: its key's, or what its code accepts (EIP-1271). The key
    /// first, so that an account with both (EIP-7702) can use its key.
    function checkAccount(bytes32 digest, bytes calldata sig, address account) internal view {
        if (account == address(0)) revert IHubErrors.ZeroAddress();
        if (recover(digest, sig) == account) return;
        if (account.code.length == 0) revert IHubErrors.BadSignature();
        (bool ok, bytes memory answer) =
            account.staticcall(abi.encodeCall(IERC1271.isValidSignature, (digest, sig)));
        if (
            !ok || answer.length < 32
                || bytes32(answer) != bytes32(IERC1271.isValidSignature.selector)
        ) revert IHubErrors.BadSignature();
    }
}
