// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {IERC1271} from "@openzeppelin/contracts/interfaces/IERC1271.sol";
import {IHubErrors} from "../interfaces/IHubErrors.sol";

/// @title The one way a signature is written: 65 bytes r, s, v; low s; v 27 or 28.
library Sig {
    /// Half of the order of secp256k1.
    uint256 private constant HALF = 0x7fffffffffffffffffffffffffffffff5d576e7357a4501ddfe92f46681b20a0;

    /// @notice What participants sign for a state: the EIP-191 form of its hash.
    function eip191(bytes32 hash) internal pure returns (bytes32 digest) {
        assembly ("memory-safe") {
            mstore(0x00, "\x19Ethereum Signed Message:\n32")
            mstore(0x1c, hash)
            digest := keccak256(0x00, 0x3c)
        }
    }

    /// @notice The signer, or zero.
    function recover(bytes32 digest, bytes calldata sig) internal pure returns (address) {
        if (sig.length != 65) return address(0);
        bytes32 r = bytes32(sig[0:32]);
        bytes32 s = bytes32(sig[32:64]);
        uint8 v = uint8(sig[64]);
        if (uint256(s) > HALF || (v != 27 && v != 28)) return address(0);
        return ecrecover(digest, v, r, s);
    }

    /// @notice A key's signature. `signer` is never zero.
    function checkKey(bytes32 digest, bytes calldata sig, address signer) internal pure {
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
