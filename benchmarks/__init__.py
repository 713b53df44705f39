"""Speed and memory, printed and never asserted: machines are noisy."""
