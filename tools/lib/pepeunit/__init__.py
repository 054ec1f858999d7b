"""What tools/up, the functional tests and tools/bench share: an instance of Pepeunit with its own PostgreSQL and NATS."""
