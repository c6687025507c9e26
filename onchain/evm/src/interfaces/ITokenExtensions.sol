// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

/// @title EIP-3009, in both spellings of the signature.
interface IERC3009 {
    /// @notice Moves tokens to the caller, who is `to`.
    function receiveWithAuthorization(
        address from,
        address to,
        uint256 value,
        uint256 validAfter,
        uint256 validBefore,
        bytes32 nonce,
        uint8 v,
        bytes32 r,
        bytes32 s
    ) external;

    /// @notice The same for accounts whose signature is not 65 bytes.
    function receiveWithAuthorization(
        address from,
        address to,
        uint256 value,
        uint256 validAfter,
        uint256 validBefore,
        bytes32 nonce,
        bytes memory signature
    ) external;
}

/// @title What the hub uses of Permit2.
interface IPermit2 {
    /// @notice A token and the largest amount.
    struct TokenPermissions {
        address token;
        uint256 amount;
    }

    /// @notice What the owner signs, together with the spender and a witness.
    struct PermitTransferFrom {
        TokenPermissions permitted;
        uint256 nonce;
        uint256 deadline;
    }

    /// @notice What is taken.
    struct SignatureTransferDetails {
        address to;
        uint256 requestedAmount;
    }

    /// @notice Moves tokens of `owner`, who signed for this spender and witness.
    function permitWitnessTransferFrom(
        PermitTransferFrom memory permit,
        SignatureTransferDetails calldata transferDetails,
        address owner,
        bytes32 witness,
        string calldata witnessTypeString,
        bytes calldata signature
    ) external;
}
