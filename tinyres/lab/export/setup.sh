#!/usr/bin/env bash
# Builds the autograder: a virtual environment with NumPy and the wheel that lies beside this file.
# TINYRES_AUTOGRADER names another place than /autograder, to try it elsewhere; TINYRES_PYTHON names a Python.
set -euo pipefail
root="${TINYRES_AUTOGRADER:-/autograder}"
source="$root/source"

suits() { "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; }
python=""
for candidate in "${TINYRES_PYTHON:-}" python3 python3.14 python3.13 python3.12 python3.11; do
  if [ -n "$candidate" ] && suits "$candidate"; then python="$candidate"; break; fi
done
if [ -z "$python" ]; then # Ubuntu 22.04 has 3.10, and 3.11 as a package
  apt-get update -q && apt-get install -y -q python3.11 python3.11-venv
  python=python3.11
fi
if ! "$python" -m venv "$root/venv"; then # Debian and Ubuntu keep venv in a package of its own
  version="$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')"
  apt-get update -q && apt-get install -y -q "python$version-venv"
  "$python" -m venv --clear "$root/venv"
fi
"$root/venv/bin/python" -m pip install -q --disable-pip-version-check -r "$source/requirements.txt"
"$root/venv/bin/python" -m pip install -q --disable-pip-version-check --no-deps --no-index "$source"/tinyres-*.whl
"$root/venv/bin/python" -m compileall -q "$root/venv" >/dev/null || true

if [ "$(id -u)" = 0 ] && [ "$root" = /autograder ]; then # students' code runs as a user who may read none of this
  id student >/dev/null 2>&1 || useradd --no-create-home --shell /usr/sbin/nologin student || true
  chmod 700 "$source" "$root"/venv/lib/python*/site-packages/tinyres
fi
