// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {Handler} from "./Handler.sol";

/// I1 to I12 of the specification, over any order of what anybody may do.
/// forge-config: default.invariant.runs = 2
/// forge-config: default.invariant.depth = 160
/// forge-config: default.invariant.fail-on-revert = true
/// forge-config: default.invariant.shrink-run-limit = 0
/// forge-config: long.invariant.runs = 256
/// forge-config: long.invariant.depth = 256
/// forge-config: long.invariant.fail-on-revert = true
contract InvariantsTest {
    struct FuzzSelector {
        address addr;
        bytes4[] selectors;
    }

    uint256 private constant NOTHING = type(uint256).max;

    Handler private handler;

    function setUp() public {
        handler = new Handler();
        handler.setUp();
    }

    function targetSelectors() public view returns (FuzzSelector[] memory targets) {
        targets = new FuzzSelector[](1);
        bytes4[] memory selectors = new bytes4[](1);
        selectors[0] = Handler.act.selector;
        targets[0] = FuzzSelector(address(handler), selectors);
    }

    function targetContracts() public view returns (address[] memory targets) {
        targets = new address[](1);
        targets[0] = address(handler);
    }

    /// No run may be empty: it goes on until every action succeeded, and fails if one never does.
    /// (A run that found a fault ends early, and says so.)
    function afterInvariant() public {
        for (uint256 more = 0; missing() != NOTHING && more < 1000; ++more) {
            handler.act(more);
        }
        for (uint256 k = 1; k <= 12; ++k) {
            whole(k);
        }
        require(missing() == NOTHING, string.concat("no success: ", digits(missing())));
    }

    /// An action, or an outcome, that was not seen yet.
    function missing() private view returns (uint256) {
        for (uint256 k = 0; k < handler.ACTIONS(); ++k) {
            if (handler.count(k) == 0) return k;
        }
        for (uint256 k = 100; k < 108; ++k) {
            if (handler.count(k) == 0) return k;
        }
        return NOTHING;
    }

    function digits(uint256 k) private pure returns (string memory) {
        bytes memory out = new bytes(3);
        for (uint256 i = 3; i > 0; --i) {
            out[i - 1] = bytes1(uint8(48 + k % 10));
            k /= 10;
        }
        return string(out);
    }

    function whole(uint256 invariant) private view {
        string memory what = handler.broken(invariant);
        require(bytes(what).length == 0, what);
    }

    /// No asset's balance is less than what the hub owes of it, and every call books what it moves.
    function invariant_I1_solvent() public view {
        whole(1);
        require(handler.solvent(), "the hub owes more than it has");
    }

    /// A channel never pays more of an asset than was deposited to it.
    function invariant_I2_paysOnlyDeposits() public view {
        whole(2);
        require(handler.withinDeposits(), "more was paid than deposited");
    }

    /// A registered version only rises, in a window that is never prolonged.
    function invariant_I3_versionsRise() public view {
        whole(3);
    }

    /// No channel ends before its own windows, unless by a final state or consent of all.
    function invariant_I4_windowsAreKept() public view {
        whole(4);
    }

    /// Who answers in time gets what the newest states say, whatever everybody else does.
    function invariant_I5_honestyPays() public view {
        whole(5);
    }

    /// A channel settles once; an authorisation pays once.
    function invariant_I6_once() public view {
        whole(6);
    }

    /// What can be registered can be concluded, within one transaction's gas.
    function invariant_I7_conclusionsSucceed() public view {
        whole(7);
        require(handler.largestGas() < 1 << 24, "too much gas");
    }

    /// What is registered has the right shape; and every right shape can be registered.
    function invariant_I8_shapes() public view {
        whole(8);
    }

    /// What is recorded are the hashes of plain ABI encoding.
    function invariant_I9_hashes() public view {
        whole(9);
    }

    /// A signature is written in one way.
    function invariant_I10_oneSpelling() public view {
        whole(10);
    }

    /// A channel that was never fully funded gives back each deposit.
    function invariant_I11_depositsReturn() public view {
        whole(11);
    }

    /// No token and no payee gets in while the hub works. (That none breaks I1 to I6 for other
    /// assets: they are tested with such tokens in the same channels.)
    function invariant_I12_badTokens() public view {
        whole(12);
        require(!handler.somebodyGotIn(), "somebody got in");
    }
}
