"""HTTP on libcurl, for registries, lists from URLs, doctor's checks and the engine's API."""

from puller.http.certificates import TlsSettings
from puller.http.client import HttpClient, RequestGroup
from puller.http.errors import HttpError, HttpErrorKind
from puller.http.response import HttpResponse

__all__ = ["HttpClient", "HttpError", "HttpErrorKind", "HttpResponse", "RequestGroup", "TlsSettings"]
