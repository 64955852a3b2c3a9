"""What no client should send, and what no server should lose."""
