"""What `doctor` knows about AWS: pools, clients and identity pools as they are, judged by pure functions."""
