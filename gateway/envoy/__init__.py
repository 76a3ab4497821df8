"""Envoy's gRPC ext_authz: the extra `grpc`, imported only when its address is set."""
