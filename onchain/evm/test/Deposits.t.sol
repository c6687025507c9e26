// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {IAssetFacade} from "../src/interfaces/IAssetHolder.sol";
import {IHubErrors} from "../src/interfaces/IHubErrors.sol";
import {IPermit2} from "../src/interfaces/ITokenExtensions.sol";
import {
    Binding,
    CreditWithdrawal,
    Deposit,
    Params,
    Source,
    State
} from "../src/interfaces/Types.sol";
import {PerunTest} from "./base/PerunTest.sol";

/// Stands where Permit2 stands, checks what the hub tells it, and signs like it.
contract Permit2Double {
    bytes32 public witness;
    string public rest;

    function permitWitnessTransferFrom(
        IPermit2.PermitTransferFrom memory permit,
        IPermit2.SignatureTransferDetails calldata details,
        address owner,
        bytes32 witness_,
        string calldata rest_,
        bytes calldata
    ) external {
        (witness, rest) = (witness_, rest_);
        require(details.requestedAmount == permit.permitted.amount, "amount");
        (bool ok,) = permit.permitted.token
            .call(
                abi.encodeWithSignature(
                    "transferFrom(address,address,uint256)",
                    owner,
                    details.to,
                    details.requestedAmount
                )
            );
        require(ok, "transfer");
    }
}

/// Every source of a deposit, and that nobody can steer it.
contract DepositsTest is PerunTest {
    address private constant PERMIT2 = 0x000000000022D473030F116dDEE9F6B43aC78BA3;
    Binding[] private noPayees;

    function one(Params memory p, uint256 index, address holder, uint256 amount, Source source)
        private
        pure
        returns (Deposit[] memory d)
    {
        d = new Deposit[](1);
        d[0] = Deposit(holder, p.participants[index].ethAddress, amount, source, "");
    }

    function tokenDigest(bytes32 structHash) private view returns (bytes32) {
        return keccak256(abi.encodePacked(hex"1901", token.DOMAIN_SEPARATOR(), structHash));
    }

    function authorisation(Params memory p, uint256 index, uint256 amount)
        private
        view
        returns (bytes memory)
    {
        bytes32 nonce =
            keccak256(abi.encode(idOf(p), fid(p, index), facade, amount)) >> 64 << 64;
        bytes32 kind = keccak256(
            "ReceiveWithAuthorization(address from,address to,uint256 value,uint256 validAfter,uint256 validBefore,bytes32 nonce)"
        );
        uint256 until = block.timestamp + 1;
        bytes32 hash =
            keccak256(abi.encode(kind, who(index), address(hub), amount, 0, until, nonce));
        return abi.encode(who(index), uint256(0), until, sign(index, tokenDigest(hash)));
    }

    function intent(
        Params memory p,
        uint256 owner,
        Deposit memory d,
        uint256 nonce,
        uint256 deadline
    ) private view returns (bytes memory) {
        bytes32 kind = keccak256(
            "DepositIntent(bytes32 channelID,bytes32 fundingID,address holder,uint256 amount,uint8 source,address owner,uint256 nonce,uint256 deadline)"
        );
        bytes32 hash = keccak256(
            abi.encode(
                kind,
                idOf(p),
                keccak256(abi.encode(idOf(p), d.participant)),
                d.holder,
                d.amount,
                d.source,
                who(owner),
                nonce,
                deadline
            )
        );
        return sign(owner, typed(hash));
    }

    function testCoinsMustBeExactlyWhatTheDepositsSay() public {
        Params memory p = newParams(2);
        bytes32 id = idOf(p);
        refuses(IHubErrors.CoinAmount.selector);
        hub.deposit{value: 9}(id, 10);
        Deposit[] memory d = one(p, 0, coin, 10, Source.Sender);
        refuses(IHubErrors.CoinAmount.selector);
        hub.open{value: 9}(id, d, noPayees);
        refuses(IHubErrors.CoinAmount.selector);
        hub.open{value: 11}(id, d, noPayees);
        hub.open{value: 10}(id, d, noPayees);
        vm.assertEq(hub.holdings(fid(p, 0)), 10);
        (bool ok,) = address(hub).call{value: 1}("");
        vm.assertTrue(!ok, "coins that nobody could claim");
    }

    function testAuthorisedTransfersForOneDepositOnly() public {
        Params memory p = newParams(2);
        bytes32 id = idOf(p);
        token.mint(who(0), 10);
        Deposit[] memory d = one(p, 0, facade, 10, Source.Eip3009);
        d[0].data = authorisation(p, 0, 10);
        // Neither for another participant, nor another channel, nor another amount.
        d[0].participant = who(1);
        vm.expectRevert();
        hub.open(id, d, noPayees);
        d[0].participant = who(0);
        vm.expectRevert();
        hub.open(bytes32(uint256(1)), d, noPayees);
        d[0].amount = 9;
        vm.expectRevert();
        hub.open(id, d, noPayees);
        d[0].amount = 10;
        vm.prank(RELAYER);
        hub.open(id, d, noPayees);
        vm.assertEq(hub.held(facade, fid(p, 0)), 10);
        token.mint(who(0), 10);
        vm.expectRevert();
        hub.open(id, d, noPayees);
    }

    function testPermit2WithAWitness() public {
        vm.etch(PERMIT2, address(new Permit2Double()).code);
        Params memory p = newParams(2);
        token.mint(who(0), 10);
        vm.prank(who(0));
        token.approve(PERMIT2, 10);
        Deposit[] memory d = one(p, 0, facade, 10, Source.Permit2);
        d[0].data = abi.encode(who(0), uint256(0), block.timestamp, bytes("signature"));
        hub.open(idOf(p), d, noPayees);
        vm.assertEq(hub.held(facade, fid(p, 0)), 10);
        bytes32 kind = keccak256("ChannelDeposit(bytes32 channelID,bytes32 fundingID)");
        vm.assertEq(
            Permit2Double(PERMIT2).witness(), keccak256(abi.encode(kind, idOf(p), fid(p, 0)))
        );
    }

    function permitted(Params memory p) private returns (Deposit[] memory d) {
        token.mint(who(0), 10);
        d = one(p, 0, facade, 10, Source.Eip2612);
        bytes32 kind = keccak256(
            "Permit(address owner,address spender,uint256 value,uint256 nonce,uint256 deadline)"
        );
        bytes32 hash =
            keccak256(abi.encode(kind, who(0), hub, 10, token.nonces(who(0)), block.timestamp));
        bytes memory permit = sign(0, tokenDigest(hash));
        d[0].data = abi.encode(
            who(0),
            uint256(1),
            block.timestamp,
            intent(p, 0, d[0], 1, block.timestamp),
            block.timestamp,
            permit
        );
    }

    function testAPermitWithAnIntent() public {
        Params memory p = newParams(2);
        Deposit[] memory d = permitted(p);
        hub.open(idOf(p), d, noPayees);
        vm.assertEq(hub.held(facade, fid(p, 0)), 10);
        vm.prank(who(0));
        token.approve(address(hub), 10);
        refuses(IHubErrors.AlreadyUsed.selector);
        hub.open(idOf(p), d, noPayees);
    }

    function testAPermitThatSomebodySentBeforeSpoilsNothing() public {
        Params memory p = newParams(2);
        Deposit[] memory d = permitted(p);
        vm.prank(who(0));
        token.approve(address(hub), 10);
        d[0].data = abi.encode(
            who(0),
            uint256(1),
            block.timestamp,
            intent(p, 0, d[0], 1, block.timestamp),
            block.timestamp,
            new bytes(65)
        );
        hub.open(idOf(p), d, noPayees);
        vm.assertEq(hub.held(facade, fid(p, 0)), 10);
    }

    function testAnIntentIsForOneDepositInTime() public {
        Params memory p = newParams(2);
        Deposit[] memory d = permitted(p);
        d[0].participant = who(1);
        refuses(IHubErrors.BadSignature.selector);
        hub.open(idOf(p), d, noPayees);
        d[0].participant = who(0);
        // An intent for tokens is none for credit.
        d[0].source = Source.IntentCredit;
        refuses(IHubErrors.BadSignature.selector);
        hub.open(idOf(p), d, noPayees);
        d[0].source = Source.Eip2612;
        vm.warp(block.timestamp + 1);
        refuses(IHubErrors.DeadlineOver.selector);
        hub.open(idOf(p), d, noPayees);
    }

    /// An open allowance of somebody else is nobody's to use.
    function testPlainPullsTakeFromTheCallerOnly() public {
        Params memory p = newParams(2);
        Deposit[] memory d = one(p, 0, facade, 10, Source.Sender);
        token.mint(who(0), 10);
        vm.prank(who(0));
        token.approve(address(hub), 10);
        vm.prank(RELAYER);
        vm.expectRevert();
        hub.open(idOf(p), d, noPayees);
        vm.prank(who(0));
        hub.open(idOf(p), d, noPayees);
        vm.assertEq(hub.held(facade, fid(p, 0)), 10);
    }

    function testOnlyKnownAssetsAndFittingSources() public {
        Params memory p = newParams(2);
        refuses(IHubErrors.UnknownHolder.selector);
        hub.open(idOf(p), one(p, 0, address(token), 10, Source.Sender), noPayees);
        refuses(IHubErrors.WrongSource.selector);
        hub.open(idOf(p), one(p, 0, coin, 10, Source.Eip3009), noPayees);
        refuses(IHubErrors.UnknownHolder.selector);
        hub.depositVia(address(this), fid(p, 0), 10);
        refuses(IHubErrors.UnknownHolder.selector);
        hub.createFacade(address(0xDEAD));
        refuses(IAssetFacade.NotHub.selector);
        IAssetFacade(facade).pull(address(this), 1);
        refuses(IAssetFacade.CoinsSent.selector);
        IAssetFacade(facade).deposit{value: 1}(fid(p, 0), 1);
    }

    function testFacadesAreTheSameForEverybody() public {
        vm.assertEq(hub.facadeOf(address(token)), facade);
        vm.assertEq(hub.tokenOf(facade), address(token));
        vm.prank(RELAYER);
        vm.assertEq(hub.createFacade(address(token)), facade);
        vm.assertEq(hub.tokenOf(address(token)), address(0));
    }

    function testNoDepositsIntoWhatIsConcluded() public {
        Params memory p = newParams(2);
        State memory s = newState(p, 1, coin, list(0, 0));
        s.isFinal = true;
        hub.concludeFinal(p, s, signAll(p, s));
        refuses(IHubErrors.AlreadyConcluded.selector);
        hub.open{value: 1}(idOf(p), one(p, 0, coin, 1, Source.Sender), noPayees);
    }

    function testAmountsStayIn128Bits() public {
        Params memory p = newParams(2);
        token.mint(address(this), 2 ** 129);
        refuses(IHubErrors.Amount.selector);
        hub.open(idOf(p), one(p, 0, facade, 2 ** 128, Source.Sender), noPayees);
    }

    // Payees.

    function binding(Params memory p, uint256 signer, address payee)
        private
        view
        returns (Binding memory b)
    {
        bytes32 kind = keccak256(
            "PayeeBinding(bytes32 channelID,address participant,address payee,uint256 deadline)"
        );
        bytes32 digest =
            typed(keccak256(abi.encode(kind, idOf(p), who(0), payee, block.timestamp)));
        return Binding(who(0), payee, block.timestamp, sign(signer, digest));
    }

    function testOnlyTheParticipantBindsItsPayeeAndOnce() public {
        Params memory p = newParams(2);
        Binding memory b = binding(p, 1, address(0xB0B));
        refuses(IHubErrors.BadSignature.selector);
        hub.bindPayee(idOf(p), b);
        Binding[] memory all = new Binding[](1);
        all[0] = binding(p, 0, address(0xB0B));
        hub.open{value: 5}(idOf(p), one(p, 0, coin, 5, Source.Sender), all);
        vm.assertEq(hub.payeeOf(fid(p, 0)), address(0xB0B));
        b = binding(p, 0, address(0xCAFE));
        refuses(IHubErrors.PayeeBound.selector);
        hub.bindPayee(idOf(p), b);
        vm.prank(who(1));
        hub.bindPayee(idOf(p), Binding(who(1), address(0xCAFE), 0, ""));
        State memory s = newState(p, 1, coin, list(3, 2));
        s.isFinal = true;
        hub.closeAndPay(p, s, signAll(p, s));
        vm.assertEq(address(0xB0B).balance, 3);
        vm.assertEq(address(0xCAFE).balance, 2);
    }

    /// Bound at any time before, and it outlives every change of the record.
    function testAPayeeOutlivesADispute() public {
        Params memory p = newParams(2);
        fund(p, coin, 10, 20);
        hub.bindPayee(idOf(p), binding(p, 0, address(0xB0B)));
        (uint64 timeout,,,,,) = hub.disputes(idOf(p));
        vm.assertEq(timeout, 0, "a payee is no dispute");
        State memory s = newState(p, 1, coin, list(30, 0));
        refuses(IHubErrors.NotRegistered.selector);
        hub.conclude(p, s, none());
        register(p, s);
        (timeout,,,,,) = hub.disputes(idOf(p));
        vm.assertEq(timeout, block.timestamp + DURATION);
        s = newState(p, 2, coin, list(12, 18));
        register(p, s);
        vm.prank(who(1));
        hub.bindPayee(idOf(p), Binding(who(1), address(0xCAFE), 0, ""));
        vm.warp(timeout);
        hub.concludeAndPay(p, s, none());
        vm.assertEq(address(0xB0B).balance, 12);
        vm.assertEq(address(0xCAFE).balance, 18);
    }

    // Credits.

    function credited() private returns (Params memory p) {
        p = newParams(2);
        vm.etch(who(0), hex"fe");
        put(p, 0, coin, 30);
        State memory s = newState(p, 1, coin, list(20, 10));
        s.isFinal = true;
        hub.closeAndPay(p, s, signAll(p, s));
        vm.assertEq(hub.credit(who(0), coin), 20);
        vm.assertEq(who(1).balance, 10);
    }

    function testAFailedPaymentWaitsForItsOwner() public {
        credited();
        vm.startPrank(who(0));
        refuses(IHubErrors.Insufficient.selector);
        hub.withdrawCredit(coin, address(0xB0B), 21);
        refuses(IHubErrors.PaymentFailed.selector);
        hub.withdrawCredit(coin, who(0), 20);
        hub.withdrawCredit(coin, address(0xB0B), 15);
        vm.stopPrank();
        vm.assertEq(address(0xB0B).balance, 15);
        vm.assertEq(hub.credit(who(0), coin), 5);
    }

    function testACreditMovesByItsOwnersSignature() public {
        credited();
        CreditWithdrawal memory c =
            CreditWithdrawal(who(0), coin, address(0xB0B), 20, 1, block.timestamp);
        bytes32 kind = keccak256(
            "CreditWithdrawal(address account,address holder,address receiver,uint256 amount,uint256 nonce,uint256 deadline)"
        );
        bytes memory sig = sign(0, typed(keccak256(abi.encode(kind, c))));
        c.receiver = RELAYER;
        refuses(IHubErrors.BadSignature.selector);
        hub.withdrawCreditFor(c, sig);
        c.receiver = address(0xB0B);
        hub.withdrawCreditFor(c, sig);
        vm.assertEq(address(0xB0B).balance, 20);
        refuses(IHubErrors.AlreadyUsed.selector);
        hub.withdrawCreditFor(c, sig);
    }

    function testACreditOpensTheNextChannel() public {
        credited();
        Params memory p = newParams(2);
        Deposit[] memory d = one(p, 1, coin, 12, Source.SenderCredit);
        vm.prank(who(0));
        hub.open(idOf(p), d, noPayees);
        vm.assertEq(hub.holdings(fid(p, 1)), 12);
        d = one(p, 0, coin, 8, Source.IntentCredit);
        d[0].data = abi.encode(
            who(0), uint256(7), block.timestamp, intent(p, 0, d[0], 7, block.timestamp)
        );
        hub.open(idOf(p), d, noPayees);
        vm.assertEq(hub.holdings(fid(p, 0)), 8);
        vm.assertEq(hub.credit(who(0), coin), 0);
        refuses(IHubErrors.AlreadyUsed.selector);
        hub.open(idOf(p), d, noPayees);
    }
}
