"""A Kubernetes of one node for the tests: built from the Go module proxy, in namespaces of its own."""
