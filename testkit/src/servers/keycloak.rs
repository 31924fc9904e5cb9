//! Owns Keycloak: realms on one that runs already, their clients and people, and the certificates of its port with TLS.
//!
//! It takes half a minute to start, so `testkit/keycloak.sh` starts one for all test programs and names its folder in
//! `$DEVICE_FLOW_KEYCLOAK`. What another server is to a test, a realm is here: it has its own settings, clients, codes
//! and sessions, is made in a moment, and goes when it is dropped.

use super::{BASIC, BASIC_PLAIN, NO_DEVICE, Options, POST, PUBLIC, Person, request};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::{env, fs, io, process};

/// The variable with the folder.
const FOLDER: &str = "DEVICE_FLOW_KEYCLOAK";

/// Makes names of which there are no two.
static NUMBER: AtomicUsize = AtomicUsize::new(0);

/// A realm on a running Keycloak: alice can sign in; so can bob, who has no roles and so may not have `offline_access`.
#[derive(Debug)]
pub struct Keycloak {
    folder: PathBuf,
    base_url: String,
    realm: String,
}

impl Keycloak {
    /// Whether `testkit/keycloak.sh` has started one for this process.
    pub fn is_running() -> bool {
        env::var_os(FOLDER).is_some()
    }

    /// A realm with an interval of one second, shared by the tests of this process that run at the same time.
    ///
    /// # Panics
    /// When no Keycloak runs.
    #[track_caller]
    pub fn running() -> Arc<Self> {
        static RUNNING: Mutex<Weak<Keycloak>> = Mutex::new(Weak::new());
        let mut running = RUNNING.lock().unwrap_or_else(PoisonError::into_inner);
        running.upgrade().unwrap_or_else(|| {
            let options = Options { interval: Some(1), ..Options::default() };
            let keycloak = Arc::new(Self::with_realm(options, &json!({})));
            *running = Arc::downgrade(&keycloak);
            keycloak
        })
    }

    /// A new realm with the clients that every server here has, and these further settings, named as Keycloak's
    /// administrators name them. Access tokens live an hour, as on the other servers.
    ///
    /// # Panics
    /// When no Keycloak runs, or it does not take the settings.
    #[track_caller]
    pub fn with_realm(options: Options, settings: &Value) -> Self {
        let folder = env::var_os(FOLDER)
            .unwrap_or_else(|| panic!("no {FOLDER}: testkit/keycloak.sh starts Keycloak and runs these tests"));
        let folder = PathBuf::from(folder);
        let base_url = fs::read_to_string(folder.join("url")).expect("the address of the server");
        let realm = format!("df-{}-{}", process::id(), NUMBER.fetch_add(1, Ordering::SeqCst));
        let keycloak = Self { folder, base_url: base_url.trim().to_owned(), realm };
        let person = |name: &str, given_name: &str, roles: &[String]| {
            json!({
                "username": name, "enabled": true, "email": format!("{name}@example.test"), "emailVerified": true,
                "firstName": given_name, "lastName": "Example", "realmRoles": roles,
                "credentials": [{"type": "password", "value": Person::password(name), "temporary": false}],
            })
        };
        let client = |id: &str, secret: Option<&str>| {
            json!({
                "clientId": id, "enabled": true, "publicClient": secret.is_none(), "secret": secret,
                "standardFlowEnabled": false,
                "attributes": {"oauth2.device.authorization.grant.enabled": (id != NO_DEVICE).to_string()},
            })
        };
        let mut all = json!({
            "realm": keycloak.realm, "enabled": true, "sslRequired": "none", "accessTokenLifespan": 3600,
            "oauth2DeviceCodeLifespan": options.expires.unwrap_or(600),
            "oauth2DevicePollingInterval": options.interval.unwrap_or(5),
            // Its default is a pair of RSA, which takes seconds to make.
            "defaultSignatureAlgorithm": "ES256",
            "components": {"org.keycloak.keys.KeyProvider": [
                {"name": "signs", "providerId": "ecdsa-generated", "config": {"ecdsaEllipticCurveKey": ["P-256"]}},
                {"name": "authenticates", "providerId": "hmac-generated", "config": {"algorithm": ["HS512"]}},
                {"name": "encrypts", "providerId": "aes-generated", "config": {}},
            ]},
            "users": [
                person("alice", "Alice", &[format!("default-roles-{}", keycloak.realm)]),
                person("bob", "Bob", &[]),
            ],
            "clients": [
                client(PUBLIC, None), client(NO_DEVICE, None),
                client(BASIC.0, Some(BASIC.1)), client(BASIC_PLAIN.0, Some(BASIC_PLAIN.1)), client(POST.0, Some(POST.1)),
            ],
        });
        for (name, value) in settings.as_object().expect("settings are an object") {
            all[name.as_str()] = value.clone();
        }
        let (status, answer) = keycloak.admin("POST", "/admin/realms", Some(&all));
        assert_eq!(status, 201, "{answer}");
        keycloak
    }

    /// Scheme, host and port of the server.
    pub fn base_url(&self) -> &str {
        &self.base_url
    }

    /// Where the realm is, below that.
    pub(super) fn path(&self) -> String {
        format!("/realms/{}", self.realm)
    }

    /// The issuer identifier of the realm.
    pub fn issuer(&self) -> String {
        format!("{}{}", self.base_url, self.path())
    }

    /// The same realm, asked for by another name of this computer. Keycloak calls itself what it was asked for.
    pub fn issuer_at_localhost(&self) -> String {
        self.issuer().replace("127.0.0.1", "localhost")
    }

    /// The same at the port with TLS, which asks for client certificates.
    pub fn tls_issuer(&self) -> String {
        format!("{}{}", self.file("tls-url").trim(), self.path())
    }

    /// The version, as the server says it.
    pub fn version(&self) -> String {
        let info = self.admin("GET", "/admin/serverinfo", None).1;
        info["systemInfo"]["version"].as_str().expect("a version").to_owned()
    }

    /// A file in PEM of the port with TLS: `authority`, `client` (of that authority, `CN=device-client`), or
    /// `another-client`; the last two with their keys.
    pub fn pem(&self, name: &str) -> String {
        self.file(&format!("tls/{name}.pem"))
    }

    fn file(&self, name: &str) -> String {
        fs::read_to_string(self.folder.join(name)).expect("a file of testkit/keycloak.sh")
    }

    /// What the server has logged.
    pub(super) fn log(&self) -> PathBuf {
        self.folder.join("log")
    }

    /// Registers a client of the device grant and returns its id. `attributes` are Keycloak's; `authenticator`, for a
    /// confidential client, is how it proves itself: `client-jwt`, `client-x509`.
    ///
    /// # Panics
    /// When the server does not take it.
    #[track_caller]
    pub fn client(&self, authenticator: Option<&str>, attributes: &[(&str, &str)]) -> String {
        let id = format!("device-{}", NUMBER.fetch_add(1, Ordering::SeqCst));
        let mut all = json!({"oauth2.device.authorization.grant.enabled": "true"});
        for (name, value) in attributes {
            all[*name] = json!(value);
        }
        let client = json!({
            "clientId": id, "enabled": true, "publicClient": authenticator.is_none(), "standardFlowEnabled": false,
            "clientAuthenticatorType": authenticator.unwrap_or("client-secret"), "attributes": all,
        });
        let (status, answer) = self.admin("POST", &format!("/admin{}/clients", self.path()), Some(&client));
        assert_eq!(status, 201, "{answer}");
        id
    }

    /// alice signs in, types the code and allows the device.
    ///
    /// # Panics
    /// When the server does not confirm it, with the text of the page it showed instead.
    #[track_caller]
    pub fn approve(&self, user_code: &str) {
        self.must(&Person::alice(), &self.issuer(), &[user_code]);
    }

    /// The same by bob, who may not have `offline_access`: the server takes his approval.
    ///
    /// # Panics
    /// As [`approve`](Self::approve).
    #[track_caller]
    pub fn approve_as_bob(&self, user_code: &str) {
        self.must(&Person { name: "bob", ..Person::alice() }, &self.issuer(), &[user_code]);
    }

    /// alice signs in once and allows these devices in one browser, where they share a session.
    ///
    /// # Panics
    /// As [`approve`](Self::approve).
    #[track_caller]
    pub fn approve_in_one_browser(&self, user_codes: &[&str]) {
        self.must(&Person::alice(), &self.issuer(), user_codes);
    }

    /// alice allows the device at another address of this realm, which is then the issuer in the tokens of the device:
    /// [`issuer_at_localhost`](Self::issuer_at_localhost) or [`tls_issuer`](Self::tls_issuer).
    ///
    /// # Panics
    /// As [`approve`](Self::approve).
    #[track_caller]
    pub fn approve_at(&self, issuer: &str, user_code: &str) {
        self.must(&Person::alice(), issuer, &[user_code]);
    }

    #[track_caller]
    fn must(&self, person: &Person<'_>, issuer: &str, user_codes: &[&str]) {
        let authority = self.folder.join("tls/authority.pem");
        if let Err(page) = decide(person, &format!("{issuer}/device"), user_codes, Some(&authority)) {
            panic!("user codes {user_codes:?}: {page}");
        }
    }

    /// Ends every session of alice, as "sign out of all devices" does.
    ///
    /// # Panics
    /// When the server does not do it.
    #[track_caller]
    pub fn end_sessions(&self) {
        let users = self.admin("GET", &format!("/admin{}/users?username=alice", self.path()), None).1;
        let id = users[0]["id"].as_str().expect("the id of alice");
        let (status, answer) = self.admin("POST", &format!("/admin{}/users/{id}/logout", self.path()), None);
        assert_eq!(status, 204, "{answer}");
    }

    /// A call of the administrator, with a token of its own: they live a minute.
    #[track_caller]
    fn admin(&self, method: &str, path: &str, body: Option<&Value>) -> (u16, Value) {
        self.try_admin(method, path, body).expect("an answer to the administrator")
    }

    fn try_admin(&self, method: &str, path: &str, body: Option<&Value>) -> io::Result<(u16, Value)> {
        let form = form_urlencoded::Serializer::new(String::new())
            .extend_pairs([("client_id", "admin-cli"), ("grant_type", "password")])
            .extend_pairs([("username", "admin"), ("password", "canary-admin")])
            .finish();
        let token = "/realms/master/protocol/openid-connect/token";
        let (status, signed_in) =
            self.call("POST", token, "Content-Type: application/x-www-form-urlencoded\r\n", &form)?;
        let Some(token) = signed_in["access_token"].as_str() else {
            return Err(io::Error::other(format!("the administrator cannot sign in: {status} {signed_in}")));
        };
        let headers = format!("Authorization: Bearer {token}\r\nContent-Type: application/json\r\n");
        self.call(method, path, &headers, &body.map(Value::to_string).unwrap_or_default())
    }

    fn call(&self, method: &str, path: &str, headers: &str, body: &str) -> io::Result<(u16, Value)> {
        let host = self.base_url.trim_start_matches("http://");
        let headers = format!("{headers}Content-Length: {}\r\n", body.len());
        let answer = request(host, method, path, &headers, body)?;
        let status = answer.split(' ').nth(1).and_then(|status| status.parse().ok());
        let (Some(status), Some((_, body))) = (status, answer.split_once("\r\n\r\n")) else {
            return Err(io::Error::other(format!("no HTTP: {answer}")));
        };
        Ok((status, serde_json::from_str(body).unwrap_or_default()))
    }
}

impl Drop for Keycloak {
    fn drop(&mut self) {
        // The next start removes those that stay.
        let _ = self.try_admin("DELETE", &format!("/admin{}", self.path()), None);
    }
}

/// Sends a person to Keycloak, one at a time: when somebody allows two devices of one client in the same moment,
/// version 26.7.3 fails for one of them.
pub(super) fn decide(
    person: &Person<'_>,
    verification_uri: &str,
    user_codes: &[&str],
    roots: Option<&Path>,
) -> Result<(), String> {
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    let _turn = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    person.at(verification_uri, user_codes, roots)
}
