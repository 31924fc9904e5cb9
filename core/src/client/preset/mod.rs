//! Owns servers that are known by name: what each needs to be told, and where its endpoints are then. The table of them is
//! `table.rs`.

mod table;

pub(super) use table::{ADFS, ENTRA, ENTRA_EXTERNAL, GITHUB, GITLAB, GOOGLE};

use super::{ConfigError, Provider};
use crate::prompt::printable;
use alloc::borrow::Cow;
use alloc::string::String;
use alloc::vec::Vec;
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};

/// A server that is known by name, such as GitHub, a Keycloak of your own, or an Auth0 tenant.
///
/// The endpoints are those that the server's maker documents, so a sign-in begins without a request for metadata.
/// A server that publishes metadata can be [discovered](crate::Discovery) as well: then it also says how clients may prove
/// who they are, and whether it knows PKCE.
///
/// ```
/// use device_flow_core::{Client, Preset};
///
/// let keycloak = Preset::find("keycloak").unwrap();
/// let provider = keycloak.provider(|need| match need {
///     "host" => Some("sso.example.com".into()),
///     "realm" => Some("staff".into()),
///     _ => None,
/// })?;
/// let client = Client::builder(provider, "my-app").build()?;
/// assert_eq!(client.issuer(), Some("https://sso.example.com/realms/staff"));
/// # Ok::<(), device_flow_core::ConfigError>(())
/// ```
#[derive(Debug)]
pub struct Preset {
    name: &'static str,
    about: &'static str,
    needs: &'static [Need],
    server: Server,
}

/// Something that a [`Preset`] must be told: a host, a realm.
#[derive(Clone, Copy, Debug)]
pub struct Need {
    name: &'static str,
    about: &'static str,
    default: Option<&'static str>,
    form: Form,
}

/// Where the endpoints of a preset are.
#[derive(Debug)]
enum Server {
    At(Urls),
    /// It does not speak RFC 8628. The values are in the order of the needs.
    Dialect(fn(&[String]) -> Provider),
}

/// Templates: `{host}` stands for what the need of that name was given. All but the base continue it, unless they begin
/// with `https://`.
#[derive(Debug)]
pub(super) struct Urls {
    base: &'static str,
    /// `None` where installations differ and nothing else depends on it, so that whatever an ID token names is believed.
    issuer: Option<&'static str>,
    device_authorization: &'static str,
    token: &'static str,
    revocation: Option<&'static str>,
}

/// What a value must be like to stand in a URL.
#[derive(Clone, Copy, Debug)]
enum Form {
    /// A host with or without a port, or labels of one. It goes into the URL in lower case.
    Host,
    /// A host or an id, in letters, digits and a few signs.
    Name,
    /// One segment of a path. What may not stand there is percent-encoded.
    Segment,
    /// Any number of segments.
    Path,
    /// A URL, which the provider checks.
    Url,
    /// One of these words; each stands for a text.
    Word(&'static [(&'static str, &'static str)]),
}

/// The endpoints of a preset whose needs are filled in.
pub(super) struct Filled {
    pub(super) issuer: Option<String>,
    pub(super) device_authorization: String,
    pub(super) token: String,
    pub(super) revocation: Option<String>,
}

impl Preset {
    /// Every preset, in alphabetical order.
    #[must_use]
    pub fn all() -> &'static [Self] {
        &table::ALL
    }

    /// The preset of this name, in exactly this spelling.
    #[must_use]
    pub fn find(name: &str) -> Option<&'static Self> {
        Self::all().iter().find(|preset| preset.name == name)
    }

    /// Lower-case letters, digits and hyphens.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// The server in a few words, without a full stop.
    #[must_use]
    pub fn about(&self) -> &'static str {
        self.about
    }

    /// What it must be told; empty if there is one server of the kind.
    #[must_use]
    pub fn needs(&self) -> &'static [Need] {
        self.needs
    }

    /// The server for these values. `value` is asked for each need by its [name](Need::name), once; `None` takes the
    /// [default](Need::default).
    ///
    /// # Errors
    /// [`ConfigError`] for the first value that is missing, or cannot stand in the URLs of this server.
    pub fn provider(&'static self, value: impl Fn(&str) -> Option<String>) -> Result<Provider, ConfigError> {
        let one = |need: &Need| {
            let value = value(need.name).or_else(|| need.default.map(String::from));
            value.ok_or(ConfigError::Missing { preset: self.name, need: need.name, about: need.about })
        };
        let values = self.needs.iter().map(one).collect::<Result<Vec<_>, _>>()?;
        let provider = self.at(values);
        provider.clone().resolve(false)?;
        Ok(provider)
    }

    /// `values`: one for each need, in the same order.
    pub(super) fn at(&'static self, values: Vec<String>) -> Provider {
        match &self.server {
            Server::At(urls) => Provider::preset(self, urls, values),
            Server::Dialect(provider) => provider(&values),
        }
    }

    /// `values`: one for each need, in the same order.
    pub(super) fn fill(&self, urls: &Urls, values: &[String]) -> Result<Filled, ConfigError> {
        let values = self.needs.iter().zip(values).map(|(need, value)| Ok((need.name, need.in_url(self, value)?)));
        let values = values.collect::<Result<Vec<_>, ConfigError>>()?;
        let url = |end: &str| {
            let template = [if end.starts_with("https://") { "" } else { urls.base }, end].concat();
            substitute(&template, &values)
        };
        Ok(Filled {
            issuer: urls.issuer.map(url),
            device_authorization: url(urls.device_authorization),
            token: url(urls.token),
            revocation: urls.revocation.map(url),
        })
    }
}

impl Need {
    /// The name, in lower-case letters: `host`, `realm`.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// What it is, in a few words, without a full stop.
    #[must_use]
    pub fn about(&self) -> &'static str {
        self.about
    }

    /// The value if none is given; `None`: one must be given.
    #[must_use]
    pub fn default(&self) -> Option<&'static str> {
        self.default
    }

    /// The only values that it can have, each with the host that it stands for; empty: any value.
    #[must_use]
    pub fn choices(&self) -> &'static [(&'static str, &'static str)] {
        if let Form::Word(words) = self.form { words } else { &[] }
    }

    /// The value as it stands in a URL.
    fn in_url<'a>(&self, preset: &Preset, value: &'a str) -> Result<Cow<'a, str>, ConfigError> {
        let wrong = |rule| ConfigError::Value {
            preset: preset.name,
            need: self.name,
            value: printable(value),
            rule: String::into_boxed_str(rule),
        };
        match self.form {
            Form::Host => host(value).map(Cow::Owned),
            Form::Url => Ok(Cow::Borrowed(value)),
            Form::Name => check_name(value).map(|()| Cow::Borrowed(value)),
            Form::Segment => segment(value).ok_or_else(|| wrong(SEGMENT_RULE.into())),
            Form::Path => {
                let path = value.trim_matches('/');
                if path.is_empty() {
                    return Ok(Cow::Borrowed(""));
                }
                let segments = path.split('/').map(segment).collect::<Option<Vec<_>>>();
                let segments = segments.ok_or_else(|| wrong("write the path alone, such as /auth".into()))?;
                Ok(Cow::Owned(["/", &segments.join("/")].concat()))
            }
            Form::Word(words) => {
                let one =
                    words.iter().find(|(word, _)| *word == value).map(|(_, stands_for)| Cow::Borrowed(*stands_for));
                one.ok_or_else(|| {
                    let words = words.iter().map(|(word, _)| *word).collect::<Vec<_>>().join(", ");
                    wrong(["write one of ", &words].concat())
                })
            }
        }
    }
}

/// Each `{name}` replaced by its value. What no value is named after stays, and is no URL then.
fn substitute(template: &str, values: &[(&str, Cow<'_, str>)]) -> String {
    let mut url = String::new();
    let mut rest = template;
    while let Some((before, name, after)) =
        rest.split_once('{').and_then(|(before, open)| open.split_once('}').map(|(name, after)| (before, name, after)))
    {
        url.push_str(before);
        match values.iter().find(|(known, _)| *known == name) {
            Some((_, value)) => url.push_str(value),
            None => ["{", name, "}"].into_iter().for_each(|piece| url.push_str(piece)),
        }
        rest = after;
    }
    url.push_str(rest);
    url
}

/// A host, as it stands in URLs. The issuer of a server has neither capitals nor the default port, whatever a person types.
pub(super) fn host(name: &str) -> Result<String, ConfigError> {
    check_name(name)?;
    let host = name.to_ascii_lowercase();
    Ok(host.strip_suffix(":443").map(String::from).unwrap_or(host))
}

/// Checks the name of a host (with port) or tenant, which goes into a URL as it stands.
pub(super) fn check_name(name: &str) -> Result<(), ConfigError> {
    let known = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_' | b':' | b'[' | b']');
    let dots = name.split('.').any(str::is_empty);
    // The port of an issuer is a number without zeros before it, and a host without one has no colon either.
    let after_address = name.rsplit_once(']').map_or(name, |(_, rest)| rest);
    let port = after_address.split_once(':').map(|(_, port)| port);
    let odd_port = port.is_some_and(|port| port.starts_with('0') || port.parse::<u16>().is_err());
    if name.is_empty() || dots || odd_port || !name.bytes().all(known) {
        Err(ConfigError::Name(printable(name)))
    } else {
        Ok(())
    }
}

const SEGMENT_RULE: &str = "give its name alone and as the server shows it, not percent-encoded, without a slash";

/// One segment of a path (RFC 3986 §3.3). What could leave the segment is refused: a server, or a proxy before it, may
/// decode it first. A semicolon begins parameters for some servers.
fn segment(text: &str) -> Option<Cow<'_, str>> {
    const ENCODED: AsciiSet = CONTROLS.add(b' ').add(b'"').add(b'<').add(b'>').add(b'[').add(b']').add(b'^').add(b'`');
    const ENCODED_TOO: AsciiSet = ENCODED.add(b'{').add(b'|').add(b'}');
    let refused = |c: char| c.is_control() || matches!(c, '/' | '\\' | '?' | '#' | '%' | ';');
    let names_folder = text.chars().all(|c| c == '.');
    // Also of an empty one, which is all dots.
    (!names_folder && !text.contains(refused)).then(|| utf8_percent_encode(text, &ENCODED_TOO).into())
}

impl PartialEq for Preset {
    /// Names are unique.
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Eq for Preset {}
