// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

/// @title A token that answers nothing and takes no allowance over another, as a large one does.
contract StrictToken {
    mapping(address => uint256) public balanceOf;
    mapping(address => mapping(address => uint256)) public allowance;

    function mint(address to, uint256 amount) external {
        balanceOf[to] += amount;
    }

    function approve(address spender, uint256 amount) external {
        require(amount == 0 || allowance[msg.sender][spender] == 0, "approve nothing first");
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

/// @title A token that lies in the way that is chosen.
contract LyingToken {
    mapping(address => uint256) public balanceOf;
    mapping(address => mapping(address => uint256)) public allowance;
    uint256 public lie;

    function mint(address to, uint256 amount) external {
        balanceOf[to] += amount;
    }

    /// It looks as if it took permits, and has none: some have another kind.
    function DOMAIN_SEPARATOR() external pure returns (bytes32) {
        return keccak256("a domain");
    }

    function nonces(address) external pure returns (uint256) {
        return 0;
    }

    /// 1: approves nothing and says so. 2: keeps a unit of each transfer. 3: moves nothing and says
    /// that it did. 4: refuses transfers from the hub. 5: refuses them in a block, not when they are
    /// tried. 6: burns all gas in a block. 7: burns much gas to approve.
    /// 8: lets nobody take anything in a block.
    function setLie(uint256 kind) external {
        lie = kind;
    }

    function approve(address spender, uint256 amount) external returns (bool) {
        if (lie == 1) return false;
        if (lie == 7) _burn(9_000_000);
        allowance[msg.sender][spender] = amount;
        return true;
    }

    function transfer(address to, uint256 amount) external returns (bool) {
        require(lie != 4, "refused");
        if (tx.gasprice != 0) {
            require(lie != 5, "refused in earnest");
            if (lie == 6) _burn(gasleft());
        }
        _move(msg.sender, to, amount);
        return true;
    }

    function transferFrom(address from, address to, uint256 amount) external returns (bool) {
        require(lie != 8 || tx.gasprice == 0, "refused in earnest");
        allowance[from][msg.sender] -= amount;
        _move(from, to, amount);
        return true;
    }

    function _burn(uint256 amount) private view {
        uint256 before = gasleft();
        while (before - gasleft() < amount) {}
    }

    function _move(address from, address to, uint256 amount) private {
        if (lie == 3) return;
        balanceOf[from] -= amount;
        balanceOf[to] += lie == 2 ? amount - 1 : amount;
    }
}
