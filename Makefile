# Short names for lab.py, which does the work and also runs without make: python lab.py test
PYTHON ?= $(or $(shell command -v python3),$(shell command -v python),python3)

.PHONY: lab setup test bench notebooks lock

lab setup test bench notebooks lock:
	@$(PYTHON) lab.py $@ $(ARGS)
