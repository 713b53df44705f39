"""The teaching part: scenarios, guesses, checks, and what a learner has done so far."""
