"""NetworkPolicy: what it means, how it is enforced, and who reaches whom."""
