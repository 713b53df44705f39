"""What a learner types at a terminal: `kubectl`, and programs on nodes and in pods."""
