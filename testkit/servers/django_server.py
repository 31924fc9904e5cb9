"""Owns the django-oauth-toolkit server: a Django site with only the toolkit and a sign-in page.

Run as a script it makes the template database that every start copies.
"""

import json
import os
import pathlib

import django
from django.conf import settings
from django.urls import include, path

SOURCES = pathlib.Path(__file__).parent
INSTALLED = pathlib.Path(os.environ["INSTALLED"])
BASE_URL = os.environ.get("BASE_URL", "")

LOGIN_PAGE = """<!doctype html><title>Sign in</title>
<form method="post">{% csrf_token %}{{ form.as_p }}<button>Sign in</button></form>"""

settings.configure(
    SECRET_KEY="test-only",
    ALLOWED_HOSTS=["127.0.0.1"],
    ROOT_URLCONF="django_server",
    LOGIN_URL="/login/",
    USE_TZ=True,
    DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
    PASSWORD_HASHERS=["django.contrib.auth.hashers.MD5PasswordHasher"],  # fast, and nothing here is secret
    DATABASES={
        "default": {
            "ENGINE": "django.db.backends.sqlite3",
            "NAME": os.environ["DATABASE"],
            "OPTIONS": {"init_command": "PRAGMA synchronous=OFF", "timeout": 20, "transaction_mode": "IMMEDIATE"},
        }
    },
    INSTALLED_APPS=[
        "django.contrib.auth",
        "django.contrib.contenttypes",
        "django.contrib.sessions",
        "oauth2_provider",
    ],
    MIDDLEWARE=[
        "django.contrib.sessions.middleware.SessionMiddleware",
        "django.middleware.common.CommonMiddleware",
        "django.middleware.csrf.CsrfViewMiddleware",
        "django.contrib.auth.middleware.AuthenticationMiddleware",
    ],
    TEMPLATES=[
        {
            "BACKEND": "django.template.backends.django.DjangoTemplates",
            "OPTIONS": {
                "context_processors": ["django.template.context_processors.request"],
                "loaders": [
                    ("django.template.loaders.locmem.Loader", {"login.html": LOGIN_PAGE}),
                    "django.template.loaders.app_directories.Loader",
                ],
            },
        }
    ],
    OAUTH2_PROVIDER={
        "OIDC_ENABLED": True,
        "OIDC_RSA_PRIVATE_KEY": (INSTALLED / "signing-key.pem").read_text(),
        "SCOPES": {scope: scope for scope in ("openid", "offline_access", "profile", "email", "api:read")},
        "OAUTH_DEVICE_VERIFICATION_URI": f"{BASE_URL}/o/device/",
        "OAUTH_DEVICE_VERIFICATION_URI_COMPLETE": lambda code: f"{BASE_URL}/o/device/?user_code={code}",
        "DEVICE_FLOW_INTERVAL": int(os.environ.get("INTERVAL", "5")),
        "ACCESS_TOKEN_EXPIRE_SECONDS": 3600,
        "REFRESH_TOKEN_EXPIRE_SECONDS": 86400,
    },
)
django.setup()

# Both need the settings above.
from django.contrib.auth.views import LoginView  # noqa: E402
from oauth2_provider.urls import metadata_urlpatterns  # noqa: E402

urlpatterns = [
    path("login/", LoginView.as_view(template_name="login.html")),
    path("o/", include("oauth2_provider.urls")),
    # RFC 8414 §3: the document is at the root of the host, followed by the path of the issuer.
    path("", include((metadata_urlpatterns, "oauth2_provider"), namespace="root_metadata")),
]

if "EXPIRES" in os.environ:
    # The toolkit has no setting for the lifetime of a device code: it is the 1800 s of oauthlib.
    from oauthlib.oauth2.rfc8628.endpoints.device_authorization import DeviceAuthorizationEndpoint

    DeviceAuthorizationEndpoint.expires_in = int(os.environ["EXPIRES"])


def make_template_database():
    """Tables, alice and the clients."""
    from django.contrib.auth.models import User
    from django.core.management import call_command
    from oauth2_provider.models import Application

    call_command("migrate", verbosity=0)
    alice = User.objects.create_user("alice", "alice@example.test", "alice-pw")
    for client in json.loads((SOURCES / "clients.json").read_text()):
        device = client["grant"] == "device"
        Application.objects.create(
            name=client["id"],
            user=alice,
            client_id=client["id"],
            client_secret=client.get("secret", ""),
            client_type="confidential" if "secret" in client else "public",
            authorization_grant_type=Application.GRANT_DEVICE_CODE if device else Application.GRANT_AUTHORIZATION_CODE,
            redirect_uris="" if device else "http://127.0.0.1/cb",
            algorithm=Application.RS256_ALGORITHM,
        )


if __name__ == "__main__":
    make_template_database()
else:
    from django.core.wsgi import get_wsgi_application

    application = get_wsgi_application()
