#!/bin/sh
# Make a repository of this folder: copy it out of the clone, then `sh begin.sh` in the copy.
set -e
git init --quiet
lt-pipeline init    # params.yaml stays; it writes dvc.yaml, plan.json, MLproject and others
git add .
lt-pipeline run
