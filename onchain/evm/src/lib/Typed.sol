// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {CreditWithdrawal, Deposit, Move, WithdrawalV2} from "../interfaces/Types.sol";

/// @title The digests of the hub's own messages (EIP-712).
/// @notice The domain is computed at each use: the code that does it does not stand at the hub's
/// address, so nothing about it can be prepared.
library Typed {
    bytes32 private constant DOMAIN = keccak256(
        "EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)"
    );
    bytes32 private constant WITHDRAWAL = keccak256(
        "WithdrawalV2(bytes32 channelID,address holder,address participant,address receiver,"
        "uint256 amount,uint256 fee,uint256 nonce,uint256 deadline)"
    );
    bytes32 private constant CREDIT = keccak256(
        "CreditWithdrawal(address account,address holder,address receiver,uint256 amount,"
        "uint256 nonce,uint256 deadline)"
    );
    bytes32 private constant INTENT = keccak256(
        "DepositIntent(bytes32 channelID,bytes32 fundingID,address holder,uint256 amount,"
        "uint8 source,address owner,uint256 nonce,uint256 deadline)"
    );
    bytes32 private constant BINDING = keccak256(
        "PayeeBinding(bytes32 channelID,address participant,address payee,uint256 deadline)"
    );
    bytes32 private constant MOVE =
        keccak256("Move(address holder,address to,bytes32 fundingID,uint256 amount)");
    bytes32 private constant SPEND = keccak256(
        "ConsentSpend(bytes32 channelID,Move[] moves,uint256 deadline)"
        "Move(address holder,address to,bytes32 fundingID,uint256 amount)"
    );

    function domain() internal view returns (bytes32) {
        return keccak256(
            abi.encode(
                DOMAIN, keccak256("Perun Hub"), keccak256("1"), block.chainid, address(this)
            )
        );
    }

    function withdrawal(WithdrawalV2 calldata w) internal view returns (bytes32) {
        return _digest(keccak256(abi.encode(WITHDRAWAL, w)));
    }

    function creditWithdrawal(CreditWithdrawal calldata c) internal view returns (bytes32) {
        return _digest(keccak256(abi.encode(CREDIT, c)));
    }

    function intent(
        bytes32 id,
        bytes32 fundingID,
        Deposit calldata d,
        address owner,
        uint256 nonce,
        uint256 deadline
    ) internal view returns (bytes32) {
        return _digest(
            keccak256(
                abi.encode(
                    INTENT, id, fundingID, d.holder, d.amount, d.source, owner, nonce, deadline
                )
            )
        );
    }

    function binding(bytes32 id, address participant, address payee, uint256 deadline)
        internal
        view
        returns (bytes32)
    {
        return _digest(keccak256(abi.encode(BINDING, id, participant, payee, deadline)));
    }

    function spend(bytes32 id, Move[] calldata moves, uint256 deadline)
        internal
        view
        returns (bytes32)
    {
        bytes32[] memory hashes = new bytes32[](moves.length);
        for (uint256 i = 0; i < moves.length; ++i) {
            hashes[i] = keccak256(abi.encode(MOVE, moves[i]));
        }
        bytes32 list = keccak256(abi.encodePacked(hashes));
        return _digest(keccak256(abi.encode(SPEND, id, list, deadline)));
    }

    function _digest(bytes32 structHash) private view returns (bytes32) {
        return keccak256(abi.encodePacked(hex"1901", domain(), structHash));
    }
}
