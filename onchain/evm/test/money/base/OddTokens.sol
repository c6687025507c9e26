// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {IERC1271} from "@openzeppelin/contracts/interfaces/IERC1271.sol";
import {IPerunHub} from "../../../src/interfaces/IPerunHub.sol";
import {ZooToken} from "./ZooToken.sol";

/// Asks the hub as facades do.
contract FakeFacade {
    IPerunHub private immutable HUB;

    constructor(IPerunHub hub) {
        HUB = hub;
    }

    function steal(address victim) external {
        HUB.depositVia(victim, bytes32(0), 1);
    }

    function pull(address, uint256) external pure {}
}

/// Calls it does not know succeed and do nothing.
contract YesToken is ZooToken {
    fallback() external {}
}

/// EIP-3009 in the spelling with signatures of any length.
contract LongSigToken is ZooToken {
    mapping(address => mapping(bytes32 => bool)) public used;

    function receiveWithAuthorization(
        address from,
        address to,
        uint256 value,
        uint256 validAfter,
        uint256 validBefore,
        bytes32 nonce,
        bytes memory signature
    ) external {
        require(to == msg.sender, "to");
        require(block.timestamp > validAfter && block.timestamp < validBefore, "time");
        require(!used[from][nonce], "used");
        used[from][nonce] = true;
        bytes32 hash = keccak256(abi.encode(from, to, value, validAfter, validBefore, nonce));
        require(IERC1271(from).isValidSignature(hash, signature) == 0x1626ba7e, "signature");
        allowance[from][address(this)] = value;
        this.transferFrom(from, to, value);
    }
}
