"""The Kubernetes objects that `kubectl` shows: types, manifests, state, admission.

Nothing here knows how a packet travels.
"""
