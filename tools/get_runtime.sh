#!/usr/bin/env bash
# Gets the archive of onnxruntime-web for the tests of the page without a server, where npm is installed; never fails. The Makefile calls it where CI is set.
version=$(sed -n 's/^_RUNTIME = "\(.*\)"$/\1/p' srfast/web/standalone.py)
ls .venv/onnxruntime-web-*.tgz > /dev/null 2>&1 || (cd .venv && timeout 120 npm pack "$version" --silent > /dev/null 2>&1)
ls .venv/onnxruntime-web-*.tgz > /dev/null 2>&1 || echo "onnxruntime-web could not be fetched by npm; its test in tests/browser will be skipped"
exit 0
