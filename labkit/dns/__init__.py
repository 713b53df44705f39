"""Names: what CoreDNS answers, and what the resolver in a pod asks it."""
