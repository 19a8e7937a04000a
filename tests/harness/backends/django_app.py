"""A Django backend, in one module."""

import django
from django.conf import settings
from django.core.handlers.wsgi import WSGIHandler
from django.http import HttpRequest, JsonResponse
from django.urls import path
from session_client.django import client, forward, session_exempt, session_or_remembered

from tests.harness.backends.wall_clock import set_apart

set_apart()
settings.configure(
    ROOT_URLCONF=__name__, MIDDLEWARE=["session_client.django.SessionMiddleware"], ALLOWED_HOSTS=["127.0.0.1"]
)
django.setup()


def who(request: HttpRequest) -> JsonResponse:
    """Answer who calls."""
    session = request.active_session
    return JsonResponse({"user_id": session.user_id, "session_id": session.session_id})


@session_or_remembered
def who_in_an_outage(request: HttpRequest) -> JsonResponse:
    """Answer the same, while the service does not answer, too."""
    return who(request)


@session_exempt
def is_remembering(_request: HttpRequest) -> JsonResponse:
    """Answer whether this process holds the lease."""
    return JsonResponse(client().is_remembering, safe=False)


urlpatterns = [
    path("who", who),
    path("who-in-an-outage", who_in_an_outage),
    path("is-remembering", is_remembering),
    path("sessions/<path:path>", forward),
]
app = WSGIHandler()
