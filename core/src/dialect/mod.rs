//! Owns what a dialect is: how a server that does not speak RFC 8628 is asked, and how its answers are understood. No
//! machine knows of it: a request is translated when it is made, an answer before it is judged.

mod aws;
mod entra_v1;
mod facebook;
mod google_tv;
mod salesforce;
mod trakt;
mod twitch;
mod words;
mod yandex;

pub(crate) use aws::{AWS, host as aws_host};
pub(crate) use entra_v1::ENTRA_V1;
pub(crate) use facebook::FACEBOOK;
pub(crate) use google_tv::GOOGLE_TV;
pub(crate) use salesforce::SALESFORCE;
pub(crate) use trakt::TRAKT;
pub(crate) use twitch::TWITCH;
pub(crate) use yandex::YANDEX;

use crate::Response;
use crate::message::FORM;
use crate::message::json::{NoObject, Object};
use alloc::string::String;
use core::fmt;
use words::{Word, Words};

/// The language of one provider, as data; one constant for each.
pub(crate) struct Dialect {
    /// What people call the provider.
    pub(crate) name: &'static str,
    /// Behind the host, and behind the tenant or version where there is one: of device authorization, of polls, of refreshes
    /// if they have another than polls, of revocation, of registration. Empty for none.
    paths: [&'static str; 5],
    /// The issuer of ID tokens, where it is known to follow from the host: its path, or the whole URL.
    issuer: Option<&'static str>,
    /// Whether bodies of requests are JSON, and no forms.
    json: bool,
    pub(crate) secret: Presence,
    pub(crate) scope: Presence,
    /// One, in place of a scope.
    pub(crate) resource: Presence,
    pub(crate) language: Presence,
    /// The parameters that have another name in every request.
    parameters: &'static [Word],
    device: Words,
    poll: Words,
    refresh: Words,
    registration: Words,
    /// The members of answers: what the provider calls them, what RFC 6749 and RFC 8628 call them.
    members: &'static [(&'static str, &'static str)],
    errors: Errors,
    /// What a person must know of it, one sentence each: what it needs beforehand, and what it cannot say.
    pub(crate) notes: &'static [&'static str],
}

/// Looks for an error that is not in the form of RFC 6749 §5.2, and puts one in that form into the object. Returns whether
/// there was one. It must never touch a token.
type Errors = for<'a> fn(Call, &Response<'a>, &mut Object<'a>) -> bool;

/// What a request is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Call {
    Device,
    Poll,
    Refresh,
    Revocation,
    Registration,
}

impl Dialect {
    /// A dialect that is none, which each of the others changes.
    const STANDARD: Self = Self {
        name: "",
        paths: [""; 5],
        issuer: None,
        json: false,
        secret: Presence::Optional,
        scope: Presence::Optional,
        resource: Presence::Never,
        language: Presence::Never,
        parameters: &[],
        device: Words::SAME,
        poll: Words::SAME,
        refresh: Words::SAME,
        registration: Words::SAME,
        members: &[],
        errors: |_, _, _| false,
        notes: &[],
    };
}

/// Whether a setting of a client has a place in the requests of a dialect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Presence {
    Never,
    Optional,
    Required,
}

impl Dialect {
    /// The URL of the endpoint for these requests, at this host; `None` where the provider has none.
    pub(crate) fn url(&self, call: Call, base: &str) -> Option<String> {
        let [device, token, refresh, revocation, registration] = self.paths;
        let path = match call {
            Call::Device => device,
            Call::Poll => token,
            Call::Refresh => refresh,
            Call::Revocation => revocation,
            Call::Registration => registration,
        };
        (!path.is_empty()).then(|| [base, path].concat())
    }

    /// The issuer of ID tokens, where it is known to follow from the host.
    pub(crate) fn issuer(&self, base: &str) -> Option<String> {
        let issuer = self.issuer?;
        Some([if issuer.starts_with('/') { base } else { "" }, issuer].concat())
    }

    /// The media type of the bodies of requests.
    pub(crate) fn content_type(&self) -> &'static str {
        if self.json { "application/json" } else { FORM }
    }

    /// Whether these requests go without the secret of the client.
    pub(crate) fn leaves_out_secret(&self, call: Call) -> bool {
        self.words(call).leaves_out_secret()
    }

    fn words(&self, call: Call) -> &Words {
        match call {
            Call::Device => &self.device,
            Call::Poll => &self.poll,
            Call::Refresh => &self.refresh,
            Call::Revocation => &Words::SAME,
            Call::Registration => &self.registration,
        }
    }

    /// Whether requests have a parameter of this name that is the dialect's own, so that nobody else may add one.
    pub(crate) fn owns(&self, name: &str) -> bool {
        let all = [&self.device, &self.poll, &self.refresh, &self.registration];
        all.into_iter().any(|words| words.has(name)) || self.parameters.iter().any(|word| word.1 == name)
    }

    /// Renames the members of an answer, and finds the error in it where that is in another place. `read`: whether the
    /// body was an object, whose members are in `object` then. What the dialect does not explain stays as it is: a page
    /// of a captive portal, an outage, a body that is too long.
    #[cold]
    pub(crate) fn translate<'a>(
        &self,
        call: Call,
        response: &Response<'a>,
        read: &mut Result<(), NoObject>,
        object: &mut Object<'a>,
    ) {
        match read {
            Ok(()) => {
                self.members.iter().for_each(|(theirs, ours)| object.rename(theirs, ours));
                (self.errors)(call, response, object);
                // A member with both names is there twice.
                *read = object.refuse_duplicates();
            }
            // Where the status or a header says everything.
            Err(NoObject::NotJson)
                if response.body().trim_ascii().is_empty() && (self.errors)(call, response, object) =>
            {
                *read = Ok(());
            }
            Err(_) => {}
        }
    }
}

impl fmt::Debug for Dialect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}
