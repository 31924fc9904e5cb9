//! Invariant: a `client_info` names the person exactly when it is base64url of one JSON object, without duplicate
//! members, with two IDs that are text; and then it has exactly these IDs.

use crate::body::Members;
use base64ct::{Base64UrlUnpadded, Encoding as _};
use device_flow_core::ClientInfo;

/// The bytes are the object; and, where they are text, the base64url.
pub fn check(data: &[u8]) {
    if let Ok(text) = std::str::from_utf8(data) {
        let decoded = Base64UrlUnpadded::decode_vec(text.trim_end_matches('='));
        same(ClientInfo::read(text), decoded.ok().as_deref());
    }
    let text = Base64UrlUnpadded::encode_string(data);
    for padding in ["", "=", "=="] {
        same(ClientInfo::read(&format!("{text}{padding}")), Some(data));
    }
}

fn same(read: Option<ClientInfo>, object: Option<&[u8]>) {
    let object = object.filter(|object| !object.starts_with(b"\xef\xbb\xbf"));
    let members = object.and_then(Members::read).filter(|members| !members.has_duplicates());
    let ids = members
        .and_then(|members| Some((members.get("uid").text()?.to_owned(), members.get("utid").text()?.to_owned())));
    let found = read.as_ref().map(|info| (info.raw_uid().to_owned(), info.raw_utid().to_owned()));
    assert_eq!(found, ids);
    if let (Some(info), Some((uid, utid))) = (read, ids) {
        assert_eq!(info.raw_home_account_id(), format!("{uid}.{utid}"));
        [info.uid(), info.utid(), &info.home_account_id()].into_iter().for_each(crate::judge::safe);
    }
}
