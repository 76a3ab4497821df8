"""Envoy's gRPC ext_authz listener: the extra `grpc`, imported only if its address is configured."""
