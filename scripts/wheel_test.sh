#!/bin/sh
# Build the wheel, install it into an environment of its own, and run it where no checkout is in sight.
# The environment borrows the packages of the development one, so that only llmforge itself is installed anew.
set -eu
bin="$1"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"$bin/python" -m build --wheel --outdir "$work/dist" . >"$work/build.log" 2>&1 || { cat "$work/build.log"; exit 1; }
"$bin/python" -m venv "$work/venv"
"$bin/python" -c 'import site; print(site.getsitepackages()[0])' \
  >"$("$work/venv/bin/python" -c 'import site; print(site.getsitepackages()[0])')/borrowed.pth"
"$work/venv/bin/python" -m pip install --quiet --no-deps --force-reinstall "$work"/dist/*.whl
cd "$work"
where=$(venv/bin/python -c 'import llmforge; print(llmforge.__file__)')
case "$where" in
  "$work"/venv/*) ;;
  *) echo "llmforge was imported from $where, not from the wheel"; exit 1 ;;
esac
venv/bin/llmforge --version
venv/bin/llmforge init
venv/bin/llmforge init laptop -o mine.yaml
venv/bin/llmforge config show -c mine.yaml >/dev/null
mkdir texts
for number in 1 2 3 4 5 6; do
  venv/bin/python - "$number" >"texts/$number.txt" <<'PYTHON'
import pydoc_data.topics, sys
names = sorted(pydoc_data.topics.topics)
print("\n".join(pydoc_data.topics.topics[name] for name in names[int(sys.argv[1])::7]))
PYTHON
done
venv/bin/llmforge run --data texts --to plan-scaling --set tokenize.vocab_size=512
venv/bin/llmforge verify runs/llmforge
echo "the installed wheel works outside the checkout"
