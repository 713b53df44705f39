"""What a packet meets: the cluster's objects as a network, and connections through it."""
