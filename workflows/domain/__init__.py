"""What a client is, what may happen to it, and what its systems should do. The standard library alone."""
