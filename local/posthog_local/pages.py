"""The page at ``/``: what is in the server, for a person after ``pulumi up``."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from django.core.paginator import Paginator
from django.db.models import Count, Prefetch, Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.loader import render_to_string
from django.views.decorators.http import require_safe

from . import background, page_items
from .models import (
    ExternalDataSchema,
    ExternalDataSource,
    InsightVariable,
    Project,
    RequestLogEntry,
    SavedQuery,
    SavedQueryFolder,
)

FEW = 8  # so many views or sources are shown opened
HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'unsafe-inline'; img-src data:; form-action 'self'; "
        "base-uri 'none'; frame-ancestors 'none'"
    ),
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
}

# What a terminal or a browser acts on instead of showing it: controls, direction marks, half characters.
_INVISIBLE = re.compile(
    "[\0-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u2069\ufeff\ud800-\udfff]"
)


def visible(value: Any) -> Any:
    """All texts in it with invisible characters spelled out."""
    if isinstance(value, str):
        return _INVISIBLE.sub(lambda found: f"[U+{ord(found.group()):04X}]", value)
    if isinstance(value, dict):
        return {key: visible(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [visible(item) for item in value]
    return value


@require_safe
def overview(request: HttpRequest) -> HttpResponse:
    background.settle()
    asked = _Asked(request)
    projects = list(Project.objects.order_by("id"))
    project = asked.project(projects)
    context: dict[str, Any] = {
        "base_url": request.build_absolute_uri("/").rstrip("/"),
        "q": asked.q,
        "asked_project": asked.text("project"),
        "projects": [
            {"name": item.name, "id": item.id, "url": asked.url(project=item.id), "current": item == project}
            for item in projects
        ],
        "project": project and {"name": project.name, "id": project.id},
        "clear_url": asked.url(q=None),
        "sections": _sections(project, asked) if project else [],
    }
    html = render_to_string("posthog_local/overview.html", visible(context))
    return HttpResponse(html, headers=HEADERS, status=200 if project or not asked.text("project") else 404)


def no_icon(request: HttpRequest) -> HttpResponse:
    """Browsers ask by themselves."""
    return HttpResponse(status=204, headers={"Cache-Control": "max-age=86400"})


class _Asked:
    """The query of the page: the project, the text that is looked for, and the page of each section."""

    def __init__(self, request: HttpRequest) -> None:
        self._given = {name: request.GET[name] for name in request.GET}
        self.q = self.text("q").strip()

    def text(self, name: str) -> str:
        return self._given.get(name, "")

    def project(self, projects: list[Project]) -> Project | None:
        wanted = self.text("project")
        if not wanted:
            return projects[0] if projects else None
        return next((project for project in projects if str(project.id) == wanted), None)

    def url(self, **changes: Any) -> str:
        """The same page with something else asked; another project or text starts at the first pages."""
        kept = {name: self.text(name) for name in ("project", "q") if self.text(name)}
        query = {name: value for name, value in (kept | changes).items() if value}
        return "/?" + urlencode(query, errors="surrogatepass") if query else "/"


@dataclass(frozen=True)
class _Kind:
    key: str
    title: str
    one: str
    nothing: str
    per_page: int
    rows: Callable[[Project], QuerySet[Any]]
    matches: Callable[[str], Q]
    item: Callable[[Any], dict[str, Any]]


def _sections(project: Project, asked: _Asked) -> list[dict[str, Any]]:
    return [_section(kind, project, asked) for kind in _KINDS]


def _section(kind: _Kind, project: Project, asked: _Asked) -> dict[str, Any]:
    rows = kind.rows(project)
    if asked.q:
        rows = rows.filter(kind.matches(asked.q.replace("\0", "")))
    page = Paginator(rows, kind.per_page).get_page(asked.text(kind.key))
    items = [kind.item(row) for row in page]
    return {
        "key": kind.key,
        "title": kind.title,
        "one": kind.one,
        "nothing": f"Nothing here matches “{asked.q}”." if asked.q else kind.nothing,
        "count": page.paginator.count,
        "items": items,
        "opened": page.paginator.count <= FEW,
        "first": page.start_index(),
        "last": page.end_index(),
        "pages": page.paginator.num_pages,
        "previous": _page_url(asked, kind, page.number - 1) if page.has_previous() else None,
        "next": _page_url(asked, kind, page.number + 1) if page.has_next() else None,
    }


def _page_url(asked: _Asked, kind: _Kind, number: int) -> str:
    return f"{asked.url(**{kind.key: number})}#{kind.key}"


# -- the sections -------------------------------------------------------------------------------


def _views_of(project: Project) -> QuerySet[SavedQuery]:
    edges = SavedQuery.reads.rel.related_model.objects.filter(source__deleted=False).select_related("source")
    return (
        SavedQuery.objects.filter(project=project, deleted=False)
        .select_related("folder", "created_by")
        .prefetch_related(Prefetch("reads", edges, to_attr="live_reads"))
        .order_by("name")
    )


def _sources_of(project: Project) -> QuerySet[ExternalDataSource]:
    schemas = ExternalDataSchema.objects.filter(deleted=False).select_related("table").order_by("-should_sync", "name")
    return (
        ExternalDataSource.objects.filter(project=project, deleted=False)
        .select_related("created_by", "webhook")
        .prefetch_related(Prefetch("schemas", schemas, to_attr="live_schemas"))
        .order_by("source_type", "prefix", "id")
    )


_KINDS = (
    _Kind(
        "variables",
        "Insight variables",
        "variable",
        "No insight variables yet.",
        50,
        lambda project: InsightVariable.objects.filter(project=project).order_by("name", "id"),
        lambda q: Q(name__icontains=q) | Q(code_name__icontains=q),
        page_items.variable,
    ),
    _Kind(
        "views",
        "Views",
        "view",
        "No views yet.",
        25,
        _views_of,
        lambda q: Q(name__icontains=q) | Q(description__icontains=q) | Q(query__query__icontains=q),
        page_items.view,
    ),
    _Kind(
        "folders",
        "View folders",
        "folder",
        "No folders yet.",
        50,
        lambda project: (
            SavedQueryFolder.objects.filter(project=project)
            .annotate(view_count=Count("views", filter=Q(views__deleted=False)))
            .order_by("name")
        ),
        lambda q: Q(name__icontains=q),
        page_items.folder,
    ),
    _Kind(
        "sources",
        "Data sources",
        "source",
        "No data sources yet.",
        20,
        _sources_of,
        lambda q: (
            Q(source_type__icontains=q)
            | Q(prefix__icontains=q)
            | Q(description__icontains=q)
            | Q(
                id__in=ExternalDataSchema.objects.filter(
                    Q(name__icontains=q) | Q(label__icontains=q), deleted=False
                ).values("source_id")
            )
        ),
        page_items.source,
    ),
    _Kind(
        "requests",
        "Recent requests",
        "request",
        "Nobody has asked for anything yet.",
        25,
        lambda project: RequestLogEntry.objects.defer("headers", "body").order_by("-id"),
        lambda q: Q(path__icontains=q) | Q(method__iexact=q),
        page_items.request,
    ),
)
