"""The data path: a client's connection, one exchange with the upstream, the headers between them."""
