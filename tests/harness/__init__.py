"""What the tests stand on: servers to talk to, and ways to talk to them."""
