"""Paths. The trailing slash is optional on every route (contract 1.1)."""

from __future__ import annotations

from django.urls import include, path, re_path
from rest_framework.routers import SimpleRouter

from . import control, fault_control, live_control, openapi, pages, rate_limit_control
from .insight_variables import InsightVariableViewSet
from .saved_query_folders import SavedQueryFolderViewSet
from .saved_query_views import SavedQueryViewSet
from .sources.schema_views import ExternalDataSchemaViewSet
from .sources.source_views import ExternalDataSourceViewSet
from .users import ApiNotFound, ProjectsViewSet, UserViewSet


def _router(routes: dict[str, type]) -> SimpleRouter:
    router = SimpleRouter()
    router.trailing_slash = "/?"
    for prefix, viewset in routes.items():
        router.register(prefix, viewset, basename=prefix)
    return router


inside_project = _router(
    {
        "insight_variables": InsightVariableViewSet,
        "warehouse_saved_queries": SavedQueryViewSet,
        "warehouse_saved_query_folders": SavedQueryFolderViewSet,
        "external_data_sources": ExternalDataSourceViewSet,
        "external_data_schemas": ExternalDataSchemaViewSet,
    }
)
outside_project = _router({"users": UserViewSet})

urlpatterns = [
    path("", pages.overview),
    path("favicon.ico", pages.no_icon),
    re_path(r"^api/projects/(?P<project_id>[^/]+)/", include(inside_project.urls)),
    re_path(r"^api/projects/(?P<project_id>[^/]+)/?$", ProjectsViewSet.as_view({"get": "retrieve"})),
    path("api/", include(outside_project.urls)),
    re_path(r"^api(/.*)?$", ApiNotFound.as_view(), name="api-not-found"),
    path("__local/openapi.json", openapi.OpenAPI.as_view()),
    path("__local/", include(control.urlpatterns)),
    path("__local/", include(fault_control.urlpatterns)),
    path("__local/", include(live_control.urlpatterns)),
    path("__local/", include(rate_limit_control.urlpatterns)),
]
