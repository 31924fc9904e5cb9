//! Owns misuse: each is an error with a text, and changes nothing.

use crate::support::*;
use device_flow_c::*;
use std::ffi::c_void;
use std::ptr;

#[test]
fn every_code_has_a_text_of_its_own() {
    let texts: std::collections::BTreeSet<_> = (-9..=1)
        .map(|code| {
            let mut text = EMPTY;
            assert_eq!(unsafe { df_error_text(code, &mut text) }, Code::Ok, "{code}");
            String::from_utf8(read(text)).unwrap()
        })
        .collect();
    assert_eq!(texts.len(), 11);
    let mut text = EMPTY;
    assert_eq!(unsafe { df_error_text(-10, &mut text) }, Code::BadArgument);
    assert_eq!(unsafe { df_error_text(2, &mut text) }, Code::BadArgument);
    assert_eq!(unsafe { df_error_text(0, ptr::null_mut()) }, Code::BadPointer);
}

/// Every function with a null pointer in each place, all else right.
#[test]
fn a_null_pointer_is_noticed_in_every_place() {
    let (config, client) = (config(), client());
    let machine = flow(client);
    let (mut action, mut value, mut text, mut made) = (next(machine, 0), 0_u64, EMPTY, ptr::null_mut::<Machine>());
    let ticket = action.ticket;
    let e = ENTROPY.as_ptr();
    let zero = "0".as_ptr();
    let s = zero.cast::<std::ffi::c_char>();
    let half = Header { name: ptr::null(), name_len: 1, value: s, value_len: 1 };
    let other = Header { name: s, name_len: 1, value: ptr::null(), value_len: 1 };
    let codes = unsafe {
        [
            df_config_new(ptr::null_mut()),
            df_config_set(ptr::null_mut(), 0, s, 1),
            df_config_set(config, 0, ptr::null(), 1),
            df_config_set_pair(ptr::null_mut(), 5, s, 1, s, 1),
            df_config_set_pair(config, 5, ptr::null(), 1, s, 1),
            df_config_set_pair(config, 5, s, 1, ptr::null(), 1),
            df_config_discovered(config, ptr::null_mut()),
            df_client_new(ptr::null_mut(), &mut ptr::null_mut()),
            df_client_new(config, ptr::null_mut()),
            df_flow_new(ptr::null_mut(), e, 32, &mut made),
            df_flow_new(client, ptr::null(), 32, &mut made),
            df_flow_new(client, e, 32, ptr::null_mut()),
            df_refresh_new(ptr::null_mut(), s, 1, s, 0, &mut made),
            df_refresh_new(client, ptr::null(), 1, s, 0, &mut made),
            df_refresh_new(client, s, 1, ptr::null(), 1, &mut made),
            df_refresh_new(client, s, 1, s, 0, ptr::null_mut()),
            df_revocation_new(ptr::null_mut(), s, 1, &mut made),
            df_revocation_new(client, ptr::null(), 1, &mut made),
            df_revocation_new(client, s, 1, ptr::null_mut()),
            df_discovery_new(ptr::null_mut(), &mut made),
            df_discovery_new(config, ptr::null_mut()),
            df_resume(ptr::null_mut(), s, 1, 0, 0, 0, &mut made),
            df_resume(client, ptr::null(), 1, 0, 0, 0, &mut made),
            df_resume(client, s, 1, 0, 0, 0, ptr::null_mut()),
            df_next_action(ptr::null_mut(), 0, &mut action),
            df_next_action(machine, 0, ptr::null_mut()),
            df_response(ptr::null_mut(), ticket, 200, ptr::null(), 0, zero.cast(), 1, 0),
            df_response(machine, ticket, 200, ptr::null(), 1, zero.cast(), 1, 0),
            df_response(machine, ticket, 200, ptr::null(), 0, ptr::null(), 1, 0),
            df_response(machine, ticket, 200, &half, 1, zero.cast(), 1, 0),
            df_response(machine, ticket, 200, &other, 1, zero.cast(), 1, 0),
            df_transport_failed(ptr::null_mut(), ticket, 0, s, 1, 0),
            df_transport_failed(machine, ticket, 0, ptr::null(), 1, 0),
            df_cancel(ptr::null_mut()),
            df_snapshot(ptr::null_mut(), 0, &mut text),
            df_snapshot(machine, 0, ptr::null_mut()),
            df_read_text(ptr::null_mut(), 0, 0, &mut text),
            df_read_text(machine, 0, 0, ptr::null_mut()),
            df_read_number(ptr::null_mut(), 0, &mut value),
            df_read_number(machine, 0, ptr::null_mut()),
            df_detail(ptr::null_mut(), &mut text),
            df_detail(machine.cast(), ptr::null_mut()),
        ]
    };
    for (place, code) in codes.into_iter().enumerate() {
        assert_eq!(code, Code::BadPointer, "call {place}");
    }
    assert!(made.is_null());
    // Nothing has changed: the request is still in flight.
    assert_eq!(next(machine, 0).ticket, ticket);
    assert_eq!(respond(machine, ticket, 200, &[], GRANT, 0), Code::Ok);
    assert_eq!(unsafe { df_free(ptr::null_mut()) }, Code::Ok, "like free(NULL)");
    free(machine);
    free(client);
    free(config);
}

#[test]
fn a_pointer_that_is_not_aligned_is_noticed() {
    let client = client();
    let machine = flow(client);
    let ticket = request(machine, 0);
    let mut room = [0_u64; 20];
    let odd = room.as_mut_ptr().cast::<u8>().wrapping_add(1);
    unsafe {
        assert_eq!(df_next_action(machine, 0, odd.cast()), Code::BadPointer);
        assert_eq!(df_read_number(machine, 0, odd.cast()), Code::BadPointer);
        assert_eq!(df_read_text(machine, 0, 0, odd.cast()), Code::BadPointer);
        assert_eq!(df_response(machine, ticket, 200, odd.cast(), 1, ptr::null(), 0, 0), Code::BadPointer);
        assert_eq!(df_cancel(machine.cast::<u8>().wrapping_add(1).cast()), Code::BadPointer);
        assert_eq!(df_free(machine.cast::<u8>().wrapping_add(1).cast()), Code::BadPointer);
    }
    assert_eq!(next(machine, 0).kind, ActionKind::AwaitResponse);
    free(machine);
    free(client);
}

#[test]
fn a_handle_of_another_kind_is_noticed() {
    let (config, client) = (config(), client());
    let machine = flow(client);
    let (mut made, mut place) = (ptr::null_mut(), ptr::null_mut());
    unsafe {
        assert_eq!(df_config_set(client.cast(), 0, ptr::null(), 0), Code::BadHandle);
        assert_eq!(df_client_new(machine.cast(), &mut place), Code::BadHandle);
        assert_eq!(df_flow_new(config.cast(), ENTROPY.as_ptr(), 32, &mut made), Code::BadHandle);
        assert_eq!(df_cancel(config.cast()), Code::BadHandle);
        assert_eq!(df_config_discovered(config, client.cast()), Code::BadHandle);
    }
    free(machine);
    free(client);
    free(config);
}

/// The list of live handles belongs to a debug build.
#[test]
#[cfg(debug_assertions)]
fn a_freed_handle_is_noticed_in_a_debug_build() {
    let (config, client) = (config(), client());
    let machine = flow(client);
    // Memory that looks like a handle, as that of a freed one may.
    let mut copy = [std::mem::MaybeUninit::<u64>::uninit(); 8];
    unsafe { ptr::copy_nonoverlapping(machine.cast(), copy.as_mut_ptr(), copy.len()) };
    assert_eq!(unsafe { df_detail(copy.as_mut_ptr().cast(), &mut { EMPTY }) }, Code::BadHandle);
    // One after the other, so that no memory serves a second handle.
    free(machine);
    free(client);
    free(config);
    let mut text = EMPTY;
    unsafe {
        assert_eq!(df_free(machine.cast()), Code::BadHandle);
        assert_eq!(df_cancel(machine), Code::BadHandle);
        assert_eq!(df_detail(client.cast(), &mut text), Code::BadHandle);
        assert_eq!(df_config_set(config, 0, ptr::null(), 0), Code::BadHandle);
        let mut never = 7_u64;
        assert_eq!(df_free(ptr::from_mut(&mut never).cast::<c_void>()), Code::BadHandle);
    }
}

#[test]
fn a_ticket_is_good_once_and_for_its_own_machine() {
    let client = client();
    let (one, other) = (flow(client), flow(client));
    let (due, second) = (next(one, 0), request(other, 0));
    let (first, before) = (due.ticket, sent(&due));
    assert_ne!(first, second);
    for wrong in [0, second, first + 1_000_000, u64::MAX] {
        assert_eq!(respond(one, wrong, 200, &[], GRANT, 0), Code::BadTicket);
        assert_eq!(fail(one, wrong, TransportError::Timeout, "", 0), Code::BadTicket);
    }
    assert!(detail(one).starts_with("this ticket is not the one"), "{}", detail(one));
    for status in [0, 99, 1_000, 65_736, u32::MAX] {
        assert_eq!(respond(one, first, status, &[], GRANT, 0), Code::BadStatus, "{status}");
    }
    assert_eq!(sent(&due), before, "the request is as it was");
    assert_eq!(respond(one, first, 200, &[], GRANT, 0), Code::Ok);
    assert_eq!(respond(one, first, 200, &[], GRANT, 0), Code::BadTicket, "it is spent");
    assert_eq!(next(one, 0).kind, ActionKind::ShowCode);
    free(one);
    free(other);
    free(client);
}

#[test]
fn an_impossible_length_is_noticed() {
    let client = client();
    let machine = flow(client);
    let ticket = request(machine, 0);
    let mut made = ptr::null_mut();
    let s = "x".as_ptr();
    for len in [usize::MAX, usize::MAX / 2 + 1, usize::MAX / 2] {
        unsafe {
            assert_eq!(df_response(machine, ticket, 200, ptr::null(), 0, s.cast(), usize::MAX, 0), Code::BadLength);
            assert_eq!(df_refresh_new(client, s.cast(), usize::MAX / 2 + 1, s.cast(), 0, &mut made), Code::BadLength);
            let header = header("a", "b");
            assert_eq!(df_response(machine, ticket, 200, &header, len, s.cast(), 1, 0), Code::BadLength);
        }
    }
    for len in [0, 31, 33] {
        let entropy = [7; 33];
        assert_eq!(unsafe { df_flow_new(client, entropy.as_ptr(), len, &mut made) }, Code::BadLength);
    }
    assert!(made.is_null());
    assert_eq!(next(machine, 0).ticket, ticket);
    free(machine);
    free(client);
}

#[test]
fn text_that_is_not_utf8_is_noticed() {
    let (config, client) = (config(), client());
    let machine = flow(client);
    let ticket = request(machine, 0);
    let latin = [b'M', 0xfc, b'n'];
    let (data, mut made) = (latin.as_ptr().cast(), ptr::null_mut());
    unsafe {
        assert_eq!(df_config_set(config, 0, data, 3), Code::BadText);
        assert_eq!(df_config_set_pair(config, 5, data, 3, data, 0), Code::BadText);
        assert_eq!(df_config_set_pair(config, 5, data, 0, data, 3), Code::BadText);
        assert_eq!(df_refresh_new(client, data, 3, data, 0, &mut made), Code::BadText);
        assert_eq!(df_resume(client, data, 3, 0, 0, 0, &mut made), Code::BadText);
        assert_eq!(df_transport_failed(machine, ticket, 0, data, 3, 0), Code::BadText);
        // A server's doing is no misuse: a header without a usable name is left out, a body is any bytes.
        let header = Header { name: data, name_len: 3, value: data, value_len: 3 };
        assert_eq!(df_response(machine, ticket, 500, &header, 1, latin.as_ptr().cast(), 3, 0), Code::Ok);
    }
    free(machine);
    free(client);
    free(config);
}

#[test]
fn a_number_that_stands_for_nothing_is_noticed() {
    let (config, client) = (config(), client());
    let machine = flow(client);
    let ticket = request(machine, 0);
    let (mut value, mut text) = (0, EMPTY);
    unsafe {
        for number in [Setting::MaxAnswer as u32 + 1, u32::MAX] {
            assert_eq!(df_config_set(config, number, ptr::null(), 0), Code::BadArgument);
            assert_eq!(df_config_set_pair(config, number, ptr::null(), 0, ptr::null(), 0), Code::BadArgument);
        }
        assert_eq!(
            df_transport_failed(machine, ticket, TransportError::Abandoned as u32 + 1, ptr::null(), 0, 0),
            Code::BadArgument
        );
        assert_eq!(df_read_text(machine, Text::RevocationEndpoint as u32 + 1, 0, &mut text), Code::BadArgument);
        assert_eq!(df_read_number(machine, Number::ErrorStatus as u32 + 1, &mut value), Code::BadArgument);
        for number in 0..=Text::RevocationEndpoint as u32 {
            assert_ne!(df_read_text(machine, number, 0, &mut text), Code::BadArgument, "{number}");
        }
        for number in 0..=Number::ErrorStatus as u32 {
            assert_ne!(df_read_number(machine, number, &mut value), Code::BadArgument, "{number}");
        }
    }
    // A setting in the wrong form.
    for setting in [Setting::Strict, Setting::MaxAnswer] {
        assert_eq!(set(config, setting, "yes"), Code::BadArgument, "{setting:?}");
        assert_ne!(detail(config), error_text(Code::BadArgument), "it says more");
    }
    assert_eq!(set(config, Setting::DeviceParameter, "x"), Code::BadArgument);
    assert_eq!(set_pair(config, Setting::Scope, "x", "y"), Code::BadArgument);
    free(machine);
    free(client);
    free(config);
}

#[test]
fn no_secret_is_in_the_text_of_an_error() {
    let config = config();
    assert_eq!(set(config, Setting::Preset, "github"), Code::Ok);
    assert_eq!(set(config, Setting::ClientId, "app"), Code::Ok);
    assert_eq!(set(config, Setting::ClientSecret, "SEC-canary\n"), Code::Ok);
    assert_eq!(client_of(config), Err(Code::BadConfig));
    assert!(detail(config).contains("the client secret must be") && !detail(config).contains("canary"));
    free(config);
}

#[test]
fn a_handle_may_move_between_threads() {
    struct Moved(*mut Machine);
    // What the first page promises.
    unsafe impl Send for Moved {}
    let client = client();
    let machine = Moved(flow(client));
    let ticket = request(machine.0, 0);
    let machine = std::thread::spawn(move || {
        let machine = machine;
        assert_eq!(respond(machine.0, ticket, 200, &[], GRANT, 0), Code::Ok);
        machine
    })
    .join()
    .unwrap();
    assert_eq!(next(machine.0, 0).kind, ActionKind::ShowCode);
    free(machine.0);
    free(client);
}
