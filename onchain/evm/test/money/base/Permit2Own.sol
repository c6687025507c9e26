// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {IERC1271} from "@openzeppelin/contracts/interfaces/IERC1271.sol";
import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {ECDSA} from "@openzeppelin/contracts/utils/cryptography/ECDSA.sol";
import {IPermit2} from "../../../src/interfaces/ITokenExtensions.sol";

/// @title The signature transfers of Permit2, written anew after its public description.
/// @notice Same domain, types, unordered nonces and errors. The suite that uses it was also run
/// once with the deployed bytecode in its place.
contract Permit2Own is IPermit2 {
    error SignatureExpired(uint256 deadline);
    error InvalidAmount(uint256 largest);
    error InvalidNonce();
    error InvalidSigner();
    error InvalidContractSignature();

    mapping(address owner => mapping(uint256 word => uint256)) public nonceBitmap;

    function DOMAIN_SEPARATOR() public view returns (bytes32) {
        bytes32 kind =
            keccak256("EIP712Domain(string name,uint256 chainId,address verifyingContract)");
        return keccak256(abi.encode(kind, keccak256("Permit2"), block.chainid, address(this)));
    }

    function permitWitnessTransferFrom(
        PermitTransferFrom memory permit,
        SignatureTransferDetails calldata details,
        address owner,
        bytes32 witness,
        string calldata rest,
        bytes calldata signature
    ) external {
        if (block.timestamp > permit.deadline) {
            revert SignatureExpired(permit.deadline);
        }
        if (details.requestedAmount > permit.permitted.amount) {
            revert InvalidAmount(permit.permitted.amount);
        }
        uint256 bit = 1 << (permit.nonce & 255);
        if (nonceBitmap[owner][permit.nonce >> 8] & bit != 0) revert InvalidNonce();
        nonceBitmap[owner][permit.nonce >> 8] |= bit;
        _check(_digest(permit, witness, rest), owner, signature);
        SafeERC20.safeTransferFrom(
            IERC20(permit.permitted.token), owner, details.to, details.requestedAmount
        );
    }

    function _digest(PermitTransferFrom memory permit, bytes32 witness, string calldata rest)
        private
        view
        returns (bytes32)
    {
        bytes32 kind = keccak256(
            abi.encodePacked(
                "PermitWitnessTransferFrom(TokenPermissions permitted,address spender,"
                "uint256 nonce,uint256 deadline,",
                rest
            )
        );
        bytes32 permissions = keccak256(
            abi.encode(
                keccak256("TokenPermissions(address token,uint256 amount)"), permit.permitted
            )
        );
        bytes32 hash = keccak256(
            abi.encode(kind, permissions, msg.sender, permit.nonce, permit.deadline, witness)
        );
        return keccak256(abi.encodePacked(hex"1901", DOMAIN_SEPARATOR(), hash));
    }

    function _check(bytes32 digest, address owner, bytes calldata signature) private view {
        if (owner.code.length == 0) {
            if (ECDSA.recoverCalldata(digest, signature) != owner) revert InvalidSigner();
        } else if (
            IERC1271(owner).isValidSignature(digest, signature)
                != IERC1271.isValidSignature.selector
        ) {
            revert InvalidContractSignature();
        }
    }
}
