// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {IHubErrors} from "../src/interfaces/IHubErrors.sol";
import {Asset, State, SubAlloc} from "../src/interfaces/Types.sol";
import {Encoding, StateView} from "../src/lib/Encoding.sol";
import {Swap} from "../src/lib/Swap.sol";
import {PerunTest} from "./base/PerunTest.sol";

/// The library of swaps, on its own.
contract SwapHarness {
    using Encoding for State;
    using Encoding for StateView;
    using Swap for StateView;

    function hashOf(State calldata state) external view returns (bytes32) {
        return state.read().hash;
    }

    function check(State calldata state) external view {
        state.read().check();
    }

    function expiry(State calldata state) external view returns (uint256) {
        return state.read().expiry();
    }

    function claimed(State calldata state, bytes32 preimage)
        external
        view
        returns (uint256[] memory rows)
    {
        StateView memory v = state.read();
        rows = v.balances();
        v.claim(rows, preimage);
    }
}

/// Every row of `vectors/swap.json` that has to do with Ethereum.
contract SwapVectorsTest is PerunTest {
    string private json;
    SwapHarness private harness;

    function setUp() public override {
        super.setUp();
        json = vm.readFile("../../vectors/swap.json");
        harness = new SwapHarness();
        vm.chainId(1337);
    }

    function at(string memory path, uint256 index) private pure returns (string memory) {
        return string.concat(path, "[", vm.toString(index), "]");
    }

    function has(string memory path) private view returns (bool) {
        return vm.keyExistsJson(json, path);
    }

    function number(string memory path) private view returns (uint256) {
        return vm.parseJsonUint(json, path);
    }

    function b32(string memory path) private view returns (bytes32) {
        return vm.parseJsonBytes32(json, path);
    }

    function length(string memory path) private view returns (uint256 n) {
        while (has(at(path, n))) ++n;
    }

    function numbers(string memory path) private view returns (uint256[] memory list_) {
        list_ = new uint256[](length(path));
        for (uint256 i = 0; i < list_.length; ++i) {
            list_[i] = number(at(path, i));
        }
    }

    function stateAt(string memory row) private view returns (State memory s) {
        s.channelID = b32(string.concat(row, ".id"));
        s.version = uint64(number(string.concat(row, ".version")));
        s.appData = vm.parseJsonBytes(json, string.concat(row, ".data"));
        s.isFinal = same(vm.parseJsonString(json, string.concat(row, ".is_final")), "true");
        string memory assets = string.concat(row, ".outcome.assets");
        uint256 count = length(assets);
        s.outcome.assets = new Asset[](count);
        s.outcome.backends = new uint256[](count);
        s.outcome.balances = new uint256[][](count);
        for (uint256 i = 0; i < count; ++i) {
            string memory one = at(assets, i);
            s.outcome.backends[i] = number(string.concat(one, ".backend"));
            s.outcome.assets[i] = Asset({
                chainID: number(string.concat(one, ".chain")),
                ethHolder: vm.parseJsonAddress(json, string.concat(one, ".holder")),
                ccHolder: vm.parseJsonBytes(json, string.concat(one, ".foreign"))
            });
            s.outcome.balances[i] = numbers(at(string.concat(row, ".outcome.balances"), i));
        }
        string memory locked = string.concat(row, ".outcome.locked");
        s.outcome.locked = new SubAlloc[](length(locked));
        for (uint256 i = 0; i < s.outcome.locked.length; ++i) {
            s.outcome.locked[i] = lockedAt(at(locked, i));
        }
    }

    function lockedAt(string memory path) private view returns (SubAlloc memory entry) {
        entry.ID = b32(string.concat(path, ".id"));
        entry.balances = numbers(string.concat(path, ".balances"));
        uint256[] memory map = numbers(string.concat(path, ".index_map"));
        entry.indexMap = new uint16[](map.length);
        for (uint256 i = 0; i < map.length; ++i) {
            entry.indexMap[i] = uint16(map[i]);
        }
    }

    function same(string memory a, string memory b) private pure returns (bool) {
        return keccak256(bytes(a)) == keccak256(bytes(b));
    }

    function testStatesAreTakenAndDecided() public {
        uint256 row = 0;
        for (; has(at(".states", row)); ++row) {
            string memory path = at(".states", row);
            State memory s = stateAt(path);
            vm.assertEq(harness.hashOf(s), b32(string.concat(path, ".hash")));
            harness.check(s);
            bytes32 preimage = b32(string.concat(path, ".swap.preimage"));
            decided(s, string.concat(path, ".ledgers[0]"), harness.claimed(s, preimage));
            vm.expectRevert(IHubErrors.WrongPreimage.selector);
            harness.claimed(s, ~preimage);
        }
        vm.assertEq(row, 6, "rows");
    }

    /// The first ledger of each row is Ethereum.
    function decided(State memory s, string memory path, uint256[] memory rows) private view {
        vm.assertEq(number(string.concat(path, ".backend")), 1);
        string memory end = string.concat(path, ".expiry");
        bool none = same(vm.parseJsonString(json, end), "null");
        vm.assertEq(harness.expiry(s), none ? 0 : number(end), end);
        string memory balances = string.concat(path, ".balances_if_claimed");
        uint256 k = 0;
        for (uint256 i = 0; i < length(balances); ++i) {
            uint256[] memory expected = numbers(at(balances, i));
            for (uint256 j = 0; j < expected.length; ++j) {
                vm.assertEq(rows[k++], expected[j], balances);
            }
        }
        vm.assertEq(k, rows.length);
    }

    function testStatesWithoutASwapHashAlike() public view {
        for (uint256 row = 0; row < 3; ++row) {
            string memory path = at(".plain", row);
            State memory s = stateAt(path);
            vm.assertEq(harness.hashOf(s), b32(string.concat(path, ".hash")));
            vm.assertEq(harness.expiry(s), 0);
        }
    }

    function testRefusalsAreRefused() public {
        uint256 row = 0;
        for (; has(at(".refusals", row)); ++row) {
            State memory s = stateAt(at(".refusals", row));
            vm.expectRevert(IHubErrors.Data.selector);
            harness.check(s);
        }
        vm.assertEq(row, 31, "rows");
    }

    function testLocksOpenToTheirPreimagesOnly() public {
        State memory s = stateAt(".states[0]");
        uint256 row = 0;
        for (; has(at(".preimages", row)); ++row) {
            string memory path = at(".preimages", row);
            bytes32 lock = b32(string.concat(path, ".lock"));
            for (uint256 i = 0; i < 32; ++i) {
                s.appData[1 + i] = lock[i];
            }
            bytes32 preimage = b32(string.concat(path, ".preimage"));
            bool opens = same(vm.parseJsonString(json, string.concat(path, ".opens")), "true");
            if (!opens) vm.expectRevert(IHubErrors.WrongPreimage.selector);
            harness.claimed(s, preimage);
        }
        vm.assertEq(row, 7, "rows");
    }
}
