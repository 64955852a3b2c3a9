"""What the load tests beside this package share: clients, nodes, what clients know, and reports."""
