# make demo   sets everything up and runs site.yml on the local cloud
#             (MIRROR=vendor or MIRROR=offline says where it downloads from; by itself it takes the vendors' own
#             servers where all of them answer)
# make test   sets everything up and passes every test
# All it makes lies in .venv and .cache (ignored by git); `make clean` removes them.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

VENV := .venv
COLLECTION := .cache/collections/ansible_collections/iac/ds_stack
PLAY := scripts/on-localcloud ansible-playbook -e @examples/localcloud.yml

export PATH := $(CURDIR)/$(VENV)/bin:$(CURDIR)/.cache/tools/bin:$(PATH)

.PHONY: help setup setup-demo demo demo-users demo-destroy demo-stop test lint unit integration newest molecule e2e soak bench
.PHONY: bench-site vendor-check build clean

help: ## Show this list
	@sed -n 's/^\([a-z0-9-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 16

setup: $(COLLECTION) ## Install what the other targets need (as root: also Debian packages)
	@scripts/setup test

setup-demo: $(COLLECTION) ## Install what the demo needs, without the tools of the tests
	@scripts/setup demo

$(COLLECTION):
	mkdir -p $(@D)
	ln -sfn $(CURDIR) $@

demo: setup-demo ## Run site.yml on the local cloud
	python -m localcloud start
	$(PLAY) site.yml
	@python -m localcloud notes
	@echo "What the block above says with ansible-playbook is here make demo-users and make demo-destroy;"
	@echo "make demo-stop ends the local cloud."

demo-users: setup-demo ## Show the passwords of the demo's users
	$(PLAY) playbooks/users.yml

demo-destroy: setup-demo ## Run destroy.yml on the local cloud (keeps the data volume and the image)
	$(PLAY) playbooks/destroy.yml

demo-stop: setup-demo ## Stop the local cloud: nothing of it is left
	python -m localcloud stop

test: setup ## Run every test, with a table of the times at the end
	python tests/run.py

lint unit integration newest molecule e2e: setup ## Run one tier of the tests
	python tests/run.py $@

soak: setup ## What takes too long for each change: every point to kill a run at, ways back, bakes, a cluster (two hours)
	DS_STACK_SOAK=1 python -m pytest -q -s tests/faults
	DS_STACK_SOAK=1 python -m pytest -q $(addprefix tests/integration/test_,cluster_plays.py destroy.py one_record.py replacement.py restore.py rollback.py)
	DS_STACK_SOAK=1 python -m pytest -q tests/e2e/test_story.py -k 'is_enough or seconds_of or come_without or in_a_browser or shows_just_what or changed_role or signs_in_and_runs_python'
	DS_STACK_SOAK=1 python -m pytest -q tests/e2e/test_bad_bake.py tests/e2e/test_two_bakes.py tests/e2e/test_replacing.py tests/e2e/test_cluster.py
	DS_STACK_SOAK=1 molecule test --scenario-name image

bench: setup ## Measure what a task of terraform_stack costs, on a machine that does nothing else
	python -m tests.bench.terraform_stack

bench-site: setup-demo ## Measure site.yml with nothing to change, after `make demo`
	python -m tests.bench.site

vendor-check: setup ## Ask the vendors for all that the defaults name (needs a network; ACCOUNT=1: make a stack on AWS too)
	python -m tests.vendor.check
	$(if $(ACCOUNT),python -m tests.vendor.account)

build: setup ## Build the collection's tarball
	ansible-galaxy collection build --force

clean: ## Remove what the other targets made (stop the local cloud first)
	rm -rf --one-file-system $(VENV) .cache iac-ds_stack-*.tar.gz
