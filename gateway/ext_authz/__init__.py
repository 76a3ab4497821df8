"""Envoy's gRPC `ext_authz`: the extra `cognito-gateway[grpc]`, imported only when its address is set."""
