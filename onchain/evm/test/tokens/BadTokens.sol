// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {TestToken} from "./TestToken.sol";

/// @title A token that can keep a fee, and can be made to refuse or to call back.
contract BadToken is TestToken {
    uint256 public fee;
    bool public refuses;
    address public victim;
    bytes public call;

    function setFee(uint256 value) external {
        fee = value;
    }

    function setRefuses(bool value) external {
        refuses = value;
    }

    function setCall(address target, bytes calldata data) external {
        (victim, call) = (target, data);
    }

    function _update(address from, address to, uint256 amount) internal override {
        require(!refuses || from == address(0), "refused");
        if (victim != address(0)) {
            (bool ok, bytes memory answer) = victim.call(call);
            if (!ok) {
                assembly {
                    revert(add(answer, 0x20), mload(answer))
                }
            }
        }
        super._update(from, to, amount);
        if (fee != 0 && from != address(0) && to != address(0)) {
            super._update(to, address(1), fee);
        }
    }
}

/// @title A token whose transfers answer nothing, as the oldest do.
contract SilentToken {
    mapping(address => uint256) public balanceOf;
    mapping(address => mapping(address => uint256)) public allowance;

    function mint(address to, uint256 amount) external {
        balanceOf[to] += amount;
    }

    function approve(address spender, uint256 amount) external {
        allowance[msg.sender][spender] = amount;
    }

    function transfer(address to, uint256 amount) external {
        balanceOf[msg.sender] -= amount;
        balanceOf[to] += amount;
    }

    function transferFrom(address from, address to, uint256 amount) external {
        allowance[from][msg.sender] -= amount;
        balanceOf[from] -= amount;
        balanceOf[to] += amount;
    }
}
