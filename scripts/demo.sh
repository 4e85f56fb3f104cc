#!/bin/sh
# The demo: sample data out of the Python installation at hand, the whole chain, and what came of it.
set -eu
llmforge sample-data sample-data
llmforge run -c configs/demo.yaml
llmforge inspect runs/demo
llmforge generate runs/demo --prompt "The with statement is used to" --tokens 60
