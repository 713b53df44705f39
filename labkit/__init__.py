"""A Kubernetes network in memory: real manifests in, every packet's way out."""
