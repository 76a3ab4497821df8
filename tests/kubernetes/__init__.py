"""The chart in a real Kubernetes: first its API server alone, then a node with real pods."""
