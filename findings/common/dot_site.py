"""Owns the Django site of the scripts: `dot_site.py PORT FOLDER [seconds that a code lives]`, with the device grant of
django-oauth-toolkit as its documentation sets it up. Client "tv" (public); person "anna", password "any-will-do"."""
import pathlib
import subprocess
import sys
from wsgiref.simple_server import WSGIServer, make_server
from socketserver import ThreadingMixIn

import django
from django.conf import settings

port, folder = sys.argv[1], pathlib.Path(sys.argv[2])
subprocess.run(["openssl", "genrsa", "-out", folder / "key.pem", "2048"], check=True, stderr=subprocess.DEVNULL)
(folder / "login.html").write_text(
    '<form method="post">{% csrf_token %}<input name="username"><input name="password"><button>Log in</button></form>')
settings.configure(
    ALLOWED_HOSTS=["127.0.0.1"],
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": folder / "site.db"}},
    DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
    INSTALLED_APPS=["django.contrib.auth", "django.contrib.contenttypes", "django.contrib.sessions", "oauth2_provider"],
    LOGIN_URL="/login/",
    MIDDLEWARE=["django.contrib.sessions.middleware.SessionMiddleware", "django.middleware.csrf.CsrfViewMiddleware",
                "django.contrib.auth.middleware.AuthenticationMiddleware"],
    OAUTH2_PROVIDER={
        "OAUTH_DEVICE_VERIFICATION_URI": f"http://127.0.0.1:{port}/o/device/",
        "OIDC_ENABLED": True,
        "OIDC_RSA_PRIVATE_KEY": (folder / "key.pem").read_text(),
        "SCOPES": {"openid": "who you are"},
    },
    ROOT_URLCONF=__name__,
    SECRET_KEY="only-for-this-run",
    TEMPLATES=[{"BACKEND": "django.template.backends.django.DjangoTemplates", "DIRS": [folder], "APP_DIRS": True,
                "OPTIONS": {"context_processors": ["django.template.context_processors.request"]}}],
    USE_TZ=True,
)
django.setup()

from django.contrib.auth.models import User  # noqa: E402
from django.contrib.auth.views import LoginView  # noqa: E402
from django.core.management import call_command  # noqa: E402
from django.core.wsgi import get_wsgi_application  # noqa: E402
from django.urls import include, path  # noqa: E402
from oauth2_provider.models import Application  # noqa: E402

urlpatterns = [
    path("login/", LoginView.as_view(template_name="login.html")),
    path("o/", include("oauth2_provider.urls")),
]

if len(sys.argv) > 3:  # there is no setting for it; the library takes it from this attribute
    from oauthlib.oauth2 import DeviceApplicationServer  # noqa: F401
    from oauthlib.oauth2.rfc8628.endpoints.device_authorization import DeviceAuthorizationEndpoint

    DeviceAuthorizationEndpoint.expires_in = property(lambda self: int(sys.argv[3]))

call_command("migrate", verbosity=0)
anna = User.objects.create_user("anna", password="any-will-do")
Application.objects.create(client_id="tv", client_type="public", name="tv", user=anna, algorithm="RS256",
                           authorization_grant_type="urn:ietf:params:oauth:grant-type:device_code")


class Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True


make_server("127.0.0.1", int(port), get_wsgi_application(), Server).serve_forever()
