// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {IHubErrors} from "../src/interfaces/IHubErrors.sol";
import {Asset, State, SubAlloc} from "../src/interfaces/Types.sol";
import {PerunTest} from "./base/PerunTest.sol";
import {SwapHarness} from "./base/SwapHarness.sol";

/// The rows about pending swaps that every implementation must reproduce.
contract SwapVectorsTest is PerunTest {
    uint256 private constant ASSETS = 4;
    uint256 private constant PARTIES = 2;

    string private json;
    SwapHarness private harness;

    function setUp() public override {
        super.setUp();
        json = vm.readFile("../../vectors/swap.json");
        harness = new SwapHarness();
    }

    function at(string memory list_, uint256 row) private pure returns (string memory) {
        return string.concat(".", list_, "[", vm.toString(row), "].");
    }

    function part(string memory path, uint256 index) private pure returns (string memory) {
        return string.concat(path, "[", vm.toString(index), "]");
    }

    function number(string memory path) private view returns (uint256) {
        return vm.parseJsonUint(json, path);
    }

    function stateAt(string memory base) private view returns (State memory s) {
        s.channelID = vm.parseJsonBytes32(json, string.concat(base, "id"));
        s.version = uint64(number(string.concat(base, "version")));
        s.appData = vm.parseJsonBytes(json, string.concat(base, "data"));
        s.isFinal = same(vm.parseJsonString(json, string.concat(base, "is_final")), "true");
        s.outcome.assets = new Asset[](ASSETS);
        s.outcome.backends = new uint256[](ASSETS);
        for (uint256 i = 0; i < ASSETS; ++i) {
            string memory one = part(string.concat(base, "outcome.assets"), i);
            s.outcome.assets[i] = Asset(
                number(string.concat(one, ".chain")),
                vm.parseJsonAddress(json, string.concat(one, ".holder")),
                vm.parseJsonBytes(json, string.concat(one, ".foreign"))
            );
            s.outcome.backends[i] = number(string.concat(one, ".backend"));
        }
        s.outcome.balances = matrix(string.concat(base, "outcome.balances"));
        string memory locked = part(string.concat(base, "outcome.locked"), 0);
        if (!vm.keyExistsJson(json, string.concat(locked, ".id"))) return s;
        uint256[] memory amounts = new uint256[](ASSETS);
        for (uint256 i = 0; i < ASSETS; ++i) {
            amounts[i] = number(part(string.concat(locked, ".balances"), i));
        }
        uint16[] memory map = new uint16[](PARTIES);
        for (uint256 i = 0; i < PARTIES; ++i) {
            map[i] = uint16(number(part(string.concat(locked, ".index_map"), i)));
        }
        s.outcome.locked = new SubAlloc[](1);
        s.outcome.locked[0] =
            SubAlloc(vm.parseJsonBytes32(json, string.concat(locked, ".id")), amounts, map);
    }

    function matrix(string memory path) private view returns (uint256[][] memory rows) {
        rows = new uint256[][](ASSETS);
        for (uint256 i = 0; i < ASSETS; ++i) {
            rows[i] = new uint256[](PARTIES);
            for (uint256 k = 0; k < PARTIES; ++k) {
                rows[i][k] = number(part(part(path, i), k));
            }
        }
    }

    function same(string memory a, string memory b) private pure returns (bool) {
        return keccak256(bytes(a)) == keccak256(bytes(b));
    }

    function testSwapsAreReadAndDecided() public {
        uint256 row = 0;
        uint256 decided = 0;
        for (; vm.keyExistsJson(json, string.concat(at("states", row), "hash")); ++row) {
            string memory base = at("states", row);
            State memory s = stateAt(base);
            bytes32 hash = vm.parseJsonBytes32(json, string.concat(base, "hash"));
            vm.assertEq(harness.hashOf(s), hash);
            bytes32 digest = vm.parseJsonBytes32(json, string.concat(base, "digest"));
            vm.assertEq(eip191(hash), digest);
            harness.check(s);
            for (uint256 i = 0; i < 2; ++i) {
                decided += decidedBy(s, base, part(string.concat(base, "ledgers"), i));
            }
        }
        vm.assertEq(row, 6, "rows");
        vm.assertEq(decided, 6, "decided on a chain of this kind");
    }

    /// How one ledger decides; only those that run these contracts are asked.
    function decidedBy(State memory s, string memory base, string memory ledger)
        private
        returns (uint256)
    {
        if (number(string.concat(ledger, ".backend")) != 1) return 0;
        vm.chainId(number(string.concat(ledger, ".chain")));
        uint256 expiry = harness.expiryOf(s);
        try vm.parseJsonUint(json, string.concat(ledger, ".expiry")) returns (uint256 expected) {
            vm.assertEq(expiry, expected);
        } catch {
            // It is null: no leg is of this ledger.
            vm.assertEq(expiry, 0);
        }
        bytes32 preimage = vm.parseJsonBytes32(json, string.concat(base, "swap.preimage"));
        uint256[] memory rows = harness.claimed(s, preimage);
        uint256[][] memory expect = matrix(string.concat(ledger, ".balances_if_claimed"));
        for (uint256 i = 0; i < ASSETS; ++i) {
            for (uint256 k = 0; k < PARTIES; ++k) {
                vm.assertEq(rows[i * PARTIES + k], expect[i][k]);
            }
        }
        return 1;
    }

    function testSwapsThatBreakARuleAreRefused() public {
        uint256 row = 0;
        for (; vm.keyExistsJson(json, string.concat(at("refusals", row), "reason")); ++row) {
            State memory s = stateAt(at("refusals", row));
            vm.expectRevert(IHubErrors.Data.selector);
            harness.check(s);
        }
        vm.assertEq(row, 31, "rows");
    }

    function testStatesWithoutASwap() public view {
        uint256 row = 0;
        for (; vm.keyExistsJson(json, string.concat(at("plain", row), "hash")); ++row) {
            State memory s = stateAt(at("plain", row));
            bytes32 hash = vm.parseJsonBytes32(json, string.concat(at("plain", row), "hash"));
            vm.assertEq(harness.hashOf(s), hash);
            vm.assertEq(harness.expiryOf(s), 0);
        }
        vm.assertEq(row, 3, "rows");
    }

    function testOnlyItsPreimageOpensALock() public {
        State memory s = stateAt(at("states", 0));
        uint256 row = 0;
        for (; vm.keyExistsJson(json, string.concat(at("preimages", row), "lock")); ++row) {
            string memory base = at("preimages", row);
            bytes32 lock_ = vm.parseJsonBytes32(json, string.concat(base, "lock"));
            bytes32 preimage = vm.parseJsonBytes32(json, string.concat(base, "preimage"));
            for (uint256 i = 0; i < 32; ++i) {
                s.appData[1 + i] = lock_[i];
            }
            if (same(vm.parseJsonString(json, string.concat(base, "opens")), "false")) {
                vm.expectRevert(IHubErrors.WrongPreimage.selector);
            }
            harness.claimed(s, preimage);
        }
        vm.assertEq(row, 7, "rows");
    }
}
