//! Random operations on a cache and on a naive model without index, keys and shared text.

use super::grants::*;
use device_flow_core::{Authority, Owner, TokenCache, TokenResponse};
use proptest::prelude::*;
use serde_json::json;
use std::collections::BTreeMap;
use std::sync::OnceLock;

const PEOPLE: [&str; 3] = ["a.t", "B.T", "c.t"];
const CLIENTS: [&str; 2] = ["one", "two"];
const SERVERS: [&str; 3] = ["login.microsoftonline.com", "login.windows.net", "localhost"];

#[derive(Clone, Copy, Debug)]
enum Deed {
    Save { person: usize, client: usize, server: usize, upper: bool, grant: usize },
    Remove { person: usize, client: usize, server: usize },
    Refuse { grant: usize },
    Reload,
    MergeWithItself,
}

fn deed() -> impl Strategy<Value = Deed> {
    let save = (0..3_usize, 0..2_usize, 0..3_usize, any::<bool>(), 0..8_usize);
    prop_oneof![
        6 => save.prop_map(|(person, client, server, upper, grant)| Deed::Save { person, client, server, upper, grant }),
        2 => (0..3_usize, 0..2_usize, 0..3_usize).prop_map(|(person, client, server)| Deed::Remove { person, client, server }),
        1 => (0..8_usize).prop_map(|grant| Deed::Refuse { grant }),
        1 => Just(Deed::Reload),
        1 => Just(Deed::MergeWithItself),
    ]
}

/// Grants without an identity, so that the account is the one that was refreshed; each has its own secret.
fn grants() -> &'static Vec<TokenResponse> {
    static GRANTS: OnceLock<Vec<TokenResponse>> = OnceLock::new();
    GRANTS.get_or_init(|| {
        let grant = |number| json!({"access_token": format!("AT-canary-{number}"), "refresh_token": format!("RT-canary-{number}"), "id_token": null, "client_info": null, "scope": "a"});
        (0..8).map(|number| granted("a", grant(number))).collect()
    })
}

/// The last grant of each owner: person, client, cloud.
#[derive(Default)]
struct Model {
    access: BTreeMap<(usize, usize, usize), usize>,
    refresh: BTreeMap<(usize, usize, usize), usize>,
}

/// Two names of one cloud.
fn cloud(server: usize) -> usize {
    server.max(1)
}

fn spelt(person: usize, upper: bool) -> String {
    if upper { PEOPLE[person].to_uppercase() } else { PEOPLE[person].to_lowercase() }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn any_life_of_a_cache_is_the_model_s(deeds in prop::collection::vec(deed(), 0..25)) {
        let servers = SERVERS.map(|server| Authority::entra(server, "t"));
        let (mut cache, mut model, mut now) = (TokenCache::new(), Model::default(), WRITTEN);
        for deed in deeds {
            now += 1;
            match deed {
                Deed::Save { person, client, server, upper, grant } => {
                    let home = spelt(person, upper);
                    let origin = device_flow_core::GrantOrigin { client_id: CLIENTS[client], authority: &servers[server], person: device_flow_core::Person::Id(&home), grant_type: None };
                    cache.save(&grants()[grant], &origin, at(now));
                    model.access.insert((person, client, cloud(server)), grant);
                    model.refresh.insert((person, client, cloud(server)), grant);
                }
                Deed::Remove { person, client, server } => {
                    let home = spelt(person, client == 0);
                    let owner = Owner { person: device_flow_core::Person::Id(&home), client_id: CLIENTS[client], authority: &servers[server] };
                    let before = (model.access.len(), model.refresh.len());
                    model.access.retain(|(who, _, at), _| (*who, *at) != (person, cloud(server)));
                    model.refresh.remove(&(person, client, cloud(server)));
                    prop_assert_eq!(cache.remove_account(owner), before != (model.access.len(), model.refresh.len()));
                }
                Deed::Refuse { grant } => {
                    let known = model.refresh.values().any(|known| *known == grant);
                    prop_assert_eq!(cache.remove_refresh_token(&secret(&format!("RT-canary-{grant}"))), known);
                    model.refresh.retain(|_, known| *known != grant);
                }
                Deed::Reload => cache = TokenCache::from_json(cache.to_json().expose().as_bytes()).unwrap(),
                Deed::MergeWithItself => {
                    let before = written(&cache);
                    let stored = TokenCache::from_json(cache.to_json().expose().as_bytes()).unwrap();
                    cache.merge(stored);
                    prop_assert_eq!(written(&cache), before);
                }
            }
            for person in 0..3 {
                for (client, client_id) in CLIENTS.into_iter().enumerate() {
                    for (server, authority) in servers.iter().enumerate() {
                        let home = spelt(person, server == 0);
                        let owner = Owner { person: device_flow_core::Person::Id(&home), client_id, authority };
                        let key = (person, client, cloud(server));
                        let access = model.access.get(&key).map(|grant| format!("AT-canary-{grant}"));
                        prop_assert_eq!(hit(&cache, owner, "A", now), access);
                        let refresh: Vec<String> = model.refresh.get(&key).map(|grant| format!("RT-canary-{grant}")).into_iter().collect();
                        prop_assert_eq!(refresh_tokens(&cache, owner), refresh);
                    }
                }
            }
        }
    }
}
