"""Owns the person at the verification page: opens an address, fills in forms, and presses what was asked for.

person.answer(url, {"field": "value"}, ["button or name=value", ...]) presses, on each page, the first button that
matches one of the given expressions, else submits the first form, until a page without a form comes. Returns the text
of that page. Each time in a new browser, or in the one that is given (person.browser()).
"""
import html.parser
import http.cookiejar
import re
import urllib.error
import urllib.parse
import urllib.request


class Page(html.parser.HTMLParser):
    def __init__(self, text):
        super().__init__()
        self.forms, self.words, self.button = [], [], None
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        a = {name: value or "" for name, value in attributes}
        if tag == "form":
            self.forms.append({"action": a.get("action", ""), "id": a.get("id"), "fields": {}, "buttons": []})
        elif tag == "button" or a.get("type") == "submit":
            self.button = {"name": a.get("name"), "value": a.get("value", ""), "label": a.get("value", "")}
            named = [form for form in self.forms if form["id"] and form["id"] == a.get("form")]
            for form in named[:1] or self.forms[-1:]:
                form["buttons"].append(self.button)
        elif tag == "input" and self.forms and a.get("name") and a.get("type") not in ("checkbox", "radio"):
            self.forms[-1]["fields"][a["name"]] = a.get("value", "")

    def handle_endtag(self, tag):
        if tag == "button":
            self.button = None

    def handle_data(self, data):
        self.words.append(data)
        if self.button:
            self.button["label"] += data


def browser():
    # Browsers send cookies for https to loopback over http, too.
    policy = http.cookiejar.DefaultCookiePolicy(secure_protocols=("http", "https"))
    jar = http.cookiejar.CookieJar(policy)
    return urllib.request.build_opener(urllib.request.HTTPCookieProcessor(jar), urllib.request.ProxyHandler({}))


def answer(url, fields, presses=(), pages=10, within=None):
    within = within or browser()
    address, text = open_page(within, url)
    for _ in range(pages):
        page = Page(text)
        form, button = choose(page, presses)
        if not form:
            break
        values = {name: fields.get(name, value) for name, value in form["fields"].items()}
        if button and button["name"]:
            values[button["name"]] = button["value"]
        address, text = open_page(within, urllib.parse.urljoin(address, form["action"]), values, address)
    return " ".join("".join(Page(text).words).split())


def choose(page, presses):
    for wanted in presses:
        for form in page.forms:
            for button in form["buttons"]:
                if re.search(wanted, f"{button['label']}|{button['name']}={button['value']}", re.I):
                    return form, button
    form = page.forms[0] if page.forms else None
    return form, form["buttons"][0] if form and form["buttons"] else None


def open_page(browser, url, values=None, referer=None):
    headers = {"Accept": "text/html"}
    if referer:
        headers |= {"Referer": referer, "Origin": "://".join(urllib.parse.urlsplit(referer)[:2])}
    body = None if values is None else urllib.parse.urlencode(values).encode()
    try:
        answer = browser.open(urllib.request.Request(url, body, headers), timeout=30)
    except urllib.error.HTTPError as error:
        answer = error
    return answer.url, answer.read().decode("utf-8", "replace")
