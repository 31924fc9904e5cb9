//! Owns the format of captured answers: a block for each, with the length of its body in bytes.
//!
//! ```text
//! == pending 400                       name and HTTP status
//! > POST /token                        the request, where a test needs it: line, authorization, body
//! > grant_type=…
//! Content-Type: application/json       the headers that may matter
//! body 34                              so many bytes, then a line feed that is not part of them
//! {"error": "authorization_pending"}
//! ```

use device_flow_core::Response;

pub(crate) struct Server {
    pub(crate) name: &'static str,
    pub(crate) captures: Vec<Capture>,
}

pub(crate) struct Capture {
    pub(crate) name: &'static str,
    pub(crate) status: u16,
    pub(crate) request: Option<CapturedRequest>,
    headers: Vec<(&'static str, &'static str)>,
    pub(crate) body: &'static [u8],
}

pub(crate) struct CapturedRequest {
    pub(crate) line: &'static str,
    pub(crate) authorization: Option<&'static str>,
    pub(crate) body: &'static str,
}

/// Authlib, django-oauth-toolkit, node oidc-provider and Keycloak, asked on loopback. Every answer they gave, good or bad.
pub(crate) fn servers() -> [Server; 4] {
    [
        ("authlib", include_bytes!("authlib.txt").as_slice()),
        ("django-oauth-toolkit", include_bytes!("django-oauth-toolkit.txt")),
        ("oidc-provider", include_bytes!("oidc-provider.txt")),
        ("keycloak", include_bytes!("keycloak.txt")),
    ]
    .map(|(name, bytes)| Server { name, captures: read(bytes) })
}

impl Server {
    #[track_caller]
    pub(crate) fn capture(&self, name: &str) -> &Capture {
        let found = self.captures.iter().find(|capture| capture.name == name);
        found.unwrap_or_else(|| panic!("{} has no capture {name}", self.name))
    }
}

impl Capture {
    pub(crate) fn response(&self) -> Response<'static> {
        let response = Response::new(self.status, self.body);
        self.headers.iter().fold(response, |response, (name, value)| response.header(name, value.as_bytes()))
    }

    /// Read by an independent parser; `Null` when it is no JSON.
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_slice(self.body).unwrap_or_default()
    }
}

fn read(bytes: &'static [u8]) -> Vec<Capture> {
    let mut rest = bytes;
    let mut captures = vec![];
    while !rest.is_empty() {
        let (name, status) = line(&mut rest).strip_prefix("== ").unwrap().split_once(' ').unwrap();
        let mut capture = Capture { name, status: status.parse().unwrap(), request: None, headers: vec![], body: b"" };
        let mut asked = vec![];
        let length = loop {
            let line = line(&mut rest);
            if let Some(request) = line.strip_prefix("> ") {
                asked.push(request);
            } else if let Some(length) = line.strip_prefix("body ") {
                break length.parse().unwrap();
            } else {
                capture.headers.push(line.split_once(": ").unwrap());
            }
        };
        if let [line, more @ .., body] = asked.as_slice() {
            let authorization = more.iter().find_map(|header| header.strip_prefix("authorization: "));
            capture.request = Some(CapturedRequest { line, authorization, body });
        }
        (capture.body, rest) = rest.split_at(length);
        rest = rest.strip_prefix(b"\n").expect("a line feed behind the counted bytes");
        assert!(captures.iter().all(|known: &Capture| known.name != name), "{name} twice");
        captures.push(capture);
    }
    captures
}

fn line(rest: &mut &'static [u8]) -> &'static str {
    let end = rest.iter().position(|byte| *byte == b'\n').unwrap();
    let (line, behind) = rest.split_at(end);
    *rest = &behind[1..];
    std::str::from_utf8(line).unwrap()
}
