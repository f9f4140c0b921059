#!/bin/sh
# See to it that there is a Chromium for the browser tests: one on PATH, or Playwright's own, or
# Debian's when we may install it, or else Playwright's download.  $1 is the Python to ask.
set -eu
python=$1

# Run it: Ubuntu's `chromium-browser` may be a stub that only tells to install a snap.
for name in chromium chromium-browser google-chrome google-chrome-stable chrome; do
    if "$name" --version >/dev/null 2>&1 </dev/null; then
        exit 0
    fi
done

has_own() {
    own=$("$python" -c '
from playwright.sync_api import sync_playwright
with sync_playwright() as playwright:
    print(playwright.chromium.executable_path)' 2>/dev/null) && "$own" --version >/dev/null 2>&1
}

if has_own; then
    exit 0
fi
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    echo "Installing Chromium for the browser tests (apt-get)"
    export DEBIAN_FRONTEND=noninteractive
    if apt-get -qq update && apt-get -qq install -y --no-install-recommends \
            chromium fonts-dejavu-core >/dev/null && chromium --version >/dev/null 2>&1; then
        exit 0
    fi
fi
echo "Installing Chromium for the browser tests (playwright install)"
if "$python" -m playwright install chromium && has_own; then
    exit 0
fi
echo "The browser tests need Chromium and none could be installed." >&2
echo "Install one (Debian: apt-get install chromium) or the libraries that Playwright's needs" >&2
echo "($python -m playwright install-deps chromium), then run the same command again." >&2
exit 1
