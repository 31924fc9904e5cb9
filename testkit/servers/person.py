"""Owns the scripted person, who signs in at a verification URI, types the user code and presses a button.

usage: person.py approve|deny NAME PASSWORD VERIFICATION_URI USER_CODE...

Fills in the forms of each page that comes, so that one script serves all servers. All codes are typed in one browser, one after
the other. Exits with 0 once a page has confirmed each decision, otherwise with 1 and the text of the last page.
"""

import html.parser
import http.cookiejar
import re
import sys
import urllib.error
import urllib.parse
import urllib.request

#: decision: (the button to press if a page has it, what the last page says)
DECISIONS = {
    "approve": (r"allow|accept", r"sign-in .*was successful|device authorized|device login successful"),
    "deny": (r"deny|abort|cancel", r"sign-in request was interrupted|device denied|consent denied"),
}
MOST_PAGES = 10


class Page(html.parser.HTMLParser):
    """The forms and the visible text of a page."""

    def __init__(self, source):
        super().__init__()
        self.forms, self.buttons, self.words = [], [], []
        self.button = None
        self.hidden = False
        self.feed(source)

    @property
    def text(self):
        return " ".join("".join(self.words).split())

    def handle_starttag(self, tag, attributes):
        of = {name: value or "" for name, value in attributes}
        if tag == "form":
            self.forms.append({"id": of.get("id"), "action": of.get("action", ""), "fields": {}})
        elif tag == "input" and of.get("type") == "submit" and self.forms:
            value = of.get("value", "")
            self.buttons.append({"name": of.get("name"), "value": value, "label": value, "form": self.forms[-1]})
        elif tag == "input" and of.get("name") and self.forms:
            self.forms[-1]["fields"][of["name"]] = of.get("value", "")
        elif tag == "button":
            # A button stands in its form, or names it from elsewhere on the page.
            form = next((f for f in self.forms if of.get("form") == f["id"]), None) or (self.forms or [None])[-1]
            self.button = {"name": of.get("name"), "value": of.get("value", ""), "label": "", "form": form}
        self.hidden = tag in ("script", "style")

    def handle_endtag(self, tag):
        if tag == "button" and self.button:
            self.buttons.append(self.button)
            self.button = None
        self.hidden = False

    def handle_data(self, data):
        if self.button:
            self.button["label"] += data
        if not self.hidden:
            self.words.append(data)


def main(decision, name, password, uri, *user_codes):
    # Browsers send cookies for https to loopback over http, too.
    policy = http.cookiejar.DefaultCookiePolicy(secure_protocols=("http", "https"))
    browser = urllib.request.build_opener(
        urllib.request.HTTPCookieProcessor(http.cookiejar.CookieJar(policy)),
        urllib.request.ProxyHandler({}),
    )

    def visit(url, form=None):
        data = None if form is None else urllib.parse.urlencode(form).encode()
        try:
            # Keycloak tells a person from a device by this header.
            request = urllib.request.Request(url, data, {"Accept": "text/html"})
            answer = browser.open(request, timeout=120)
        except urllib.error.HTTPError as refused:
            answer = refused  # a page like any other: its text is what the reader of a failure needs
        with answer:
            return answer.url, answer.status, Page(answer.read().decode("utf-8", "replace"))

    known = {"login": name, "username": name, "password": password}
    return max(decide(visit, uri, decision, known | {"user_code": code, "device_user_code": code}) for code in user_codes)


def decide(visit, uri, decision, known):
    wanted, confirmed = DECISIONS[decision]
    url, status, page = visit(uri)
    for _ in range(MOST_PAGES):
        if re.search(confirmed, page.text, re.IGNORECASE):
            return 0
        says = [f"{button['label']} {button['name']} {button['value']}" for button in page.buttons]
        pressed = next((i for i, word in enumerate(says) if re.search(wanted, word, re.IGNORECASE)), 0)
        if not page.buttons or not page.buttons[pressed]["form"]:
            break
        button = page.buttons[pressed]
        form = button["form"]
        fields = {name: known.get(name, value) for name, value in form["fields"].items()}
        if button["name"]:
            fields[button["name"]] = button["value"]
        url, status, page = visit(urllib.parse.urljoin(url, form["action"] or url), fields)
    print(f"could not {decision}: {status} {url}\n{page.text}")
    return 1


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
