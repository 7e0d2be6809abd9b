# What the tests need beyond pip: LaTeX, Chromium, and servers for the store. Sourced by .ci/run; installs what is missing
# (as root, with apt-get) and makes the tests that need it mandatory.

if ! command -v pdflatex >/dev/null || ! command -v bibtex >/dev/null || ! command -v pdftoppm >/dev/null || ! kpsewhich revtex4-2.cls >/dev/null; then
  apt-get update -qq
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
    texlive-latex-base texlive-latex-recommended texlive-publishers poppler-utils >/dev/null
fi
export SUPERBIN_REQUIRE_LATEX=1

if ! command -v chromium >/dev/null; then
  apt-get update -qq
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends chromium >/dev/null
fi
export SUPERBIN_REQUIRE_CHROMIUM=1

. .ci/servers.sh
