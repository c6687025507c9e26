// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {IPerunHub} from "../../../src/interfaces/IPerunHub.sol";

/// @title An account that does with coins what it was told to do.
contract Payee {
    enum Mood {
        Takes,
        Refuses,
        BurnsGas,
        RevertBomb,
        Works,
        CallsBack,
        WantsGas
    }

    Mood public mood;
    uint256 public rounds;
    address public target;
    bytes public data;
    uint256 public calls;
    bool public succeeded;
    bytes4 public answer;
    uint256 private _sink;

    function set(Mood value, uint256 work) external {
        (mood, rounds) = (value, work);
    }

    function setCall(address to, bytes calldata what) external {
        (mood, target, data, calls, succeeded) = (Mood.CallsBack, to, what, 0, false);
    }

    function run(address to, uint256 value, bytes calldata what) external returns (bytes memory) {
        (bool ok, bytes memory back) = to.call{value: value}(what);
        if (!ok) {
            assembly {
                revert(add(back, 0x20), mload(back))
            }
        }
        return back;
    }

    receive() external payable {
        Mood m = mood;
        require(m != Mood.Refuses, "refused");
        if (m == Mood.CallsBack) {
            bytes memory back;
            (succeeded, back) = target.call(data);
            answer = bytes4(back);
            ++calls;
        }
        // Gives up at once, so that much is left to whoever called.
        require(m != Mood.WantsGas || gasleft() >= rounds, "more gas");
        // Each round costs about what one warm write does.
        if (m == Mood.Works) {
            for (uint256 i = 0; i < rounds; ++i) {
                _sink = i;
            }
        }
        assembly {
            if eq(m, 2) { for {} 1 {} {} }
            if eq(m, 3) { revert(0, 100000) }
        }
    }
}

/// @title A contract account: whether a signature is good is what it was told to say.
contract Wallet {
    enum Says {
        Yes,
        No,
        Reverts,
        Garbage,
        Short,
        Long,
        BurnsGas
    }

    Says public says;

    function set(Says value) external {
        says = value;
    }

    function approve(address token, address spender, uint256 amount) external {
        IERC20(token).approve(spender, amount);
    }

    function withdrawCredit(IPerunHub hub, address holder, address to, uint256 amount) external {
        hub.withdrawCredit(holder, to, amount);
    }

    function isValidSignature(bytes32, bytes calldata) external view {
        Says s = says;
        assembly {
            mstore(0, 0x1626ba7e00000000000000000000000000000000000000000000000000000000)
            switch s
            case 0 { return(0, 32) }
            case 1 {
                mstore(0, 0xffffffff00000000000000000000000000000000000000000000000000000000)
                return(0, 32)
            }
            case 2 { revert(0, 0) }
            case 3 {
                // the right four bytes, but not the rest of the word
                mstore(0, 0x1626ba7e00000000000000000000000000000000000000000000000000000001)
                return(0, 32)
            }
            case 4 { return(0, 4) }
            case 5 { return(0, 320) }
            default { for {} 1 {} {} }
        }
    }

    receive() external payable {}
}
