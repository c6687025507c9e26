// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {Words} from "../src/lib/Words.sol";
import {PerunTest} from "./base/PerunTest.sol";

/// Lists that are neither cleared nor checked hold what was written, and only that.
contract WordsTest is PerunTest {
    using Words for uint256[];

    function testAListIsOneOfSoliditys(uint8 size, uint256 seed) public pure {
        uint256[] memory before = list(seed);
        uint256[] memory made = Words.make(size);
        uint256[] memory next = list(~seed);
        for (uint256 i = 0; i < size; ++i) {
            made.set(i, uint256(keccak256(abi.encode(seed, i))));
        }
        vm.assertEq(made.length, size);
        for (uint256 i = 0; i < size; ++i) {
            vm.assertEq(made[i], uint256(keccak256(abi.encode(seed, i))));
            vm.assertEq(made.get(i), made[i]);
        }
        vm.assertEq(before[0], seed);
        vm.assertEq(next[0], ~seed);
    }

    function copied(uint256[] calldata words, uint256 skip)
        external
        pure
        returns (uint256[] memory made, uint256 beyond)
    {
        uint256 position;
        assembly ("memory-safe") {
            position := words.offset
        }
        made = Words.make(words.length + skip);
        uint256[] memory next = list(7);
        for (uint256 i = 0; i < skip; ++i) {
            made.set(i, i);
        }
        made.copy(skip, position, words.length);
        beyond = next[0];
    }

    function testWordsOfTheCall(uint256[] calldata words, uint8 skip) public view {
        (uint256[] memory made, uint256 beyond) = this.copied(words, skip);
        vm.assertEq(made.length, words.length + skip);
        for (uint256 i = 0; i < made.length; ++i) {
            vm.assertEq(made[i], i < skip ? i : words[i - skip]);
        }
        vm.assertEq(beyond, 7);
    }
}
