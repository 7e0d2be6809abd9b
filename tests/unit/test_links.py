"""Links between the files of the repository."""

import re
from collections import Counter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = sorted(
    path
    for folder in ("", "docs", "specs", "validation")
    for path in ((ROOT / folder).glob("*.md") if not folder else (ROOT / folder).rglob("*.md"))
    if not {"_build", "api"} & set(path.parts)
)
LINK = re.compile(r"\[[^\]]*\]\(<?([^()\s>]+)>?(?:\s+\"[^\"]*\")?\)")
CODE = re.compile(r"```.*?```|`[^`\n]*`", re.DOTALL)


def anchors(text: str) -> set[str]:
    """The anchors of headings as GitHub and MyST make them, and those that are set by hand."""
    found: set[str] = set(re.findall(r"^\(([\w-]+)\)=\s*$", text, re.MULTILINE))
    found |= set(re.findall(r"<a (?:id|name)=\"([^\"]+)\"", text))
    seen: Counter[str] = Counter()
    for heading in re.findall(
        r"^#{1,6}\s+(.+?)\s*$", re.sub(r"```.*?```", "", text, flags=re.DOTALL), re.MULTILINE
    ):
        slug = re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
        found.add(f"{slug}-{seen[slug]}" if seen[slug] else slug)
        seen[slug] += 1
    return found


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    """every relative link of a page leads to a file of the repository, and its anchor to a heading there."""
    text = page.read_text(encoding="utf-8")
    wrong = []
    for target in LINK.findall(CODE.sub("", text)):
        # Addresses need a network; the build of the documentation draws its pictures and misses none.
        if re.match(r"[a-z][a-z0-9+.-]*:", target) or "_pictures/" in target:
            continue
        name, _, anchor = target.partition("#")
        base = ROOT / "docs" if name.startswith("/") else page.parent
        place = page if not name else base / name.lstrip("/")
        if not place.exists() or (
            anchor and place.suffix == ".md" and anchor not in anchors(place.read_text(encoding="utf-8"))
        ):
            wrong.append(target)
    assert wrong == []


def test_project_addresses() -> None:
    """the package names no address that its pages contradict: none of a repository, until there is a public one."""
    import tomllib

    urls = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["urls"]
    assert urls
    assert all(url.startswith("https://") and len(label) <= 32 for label, url in urls.items())
    home = urls.get("Homepage")
    if home is not None:
        assert urls["Issues"] == f"{home}/issues"
        assert (ROOT / urls["Changelog"].removeprefix(f"{home}/blob/main/")).is_file()
    said = " ".join(path.read_text(encoding="utf-8") for path in PAGES if path.parent == ROOT)
    assert not set(re.findall(r"https://github\.com/[\w.-]+/superbin", said)) - {home}
