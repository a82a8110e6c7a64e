//! Malformed and malicious input. After each test the server still works, and no file outside the
//! guarded files has changed.

use std::fs;
use std::net::UdpSocket;
use std::os::unix::fs::symlink;
use std::time::Duration;

use leasehold_tests::client::{LONG_LEASE_MS, RawClient, expect_code, expect_status, number, text};
use leasehold_tests::datagram::{self, Key};
use leasehold_tests::log::log;
use leasehold_tests::rng::Rng;
use leasehold_tests::server::Server;
use leasehold_tests::wait::WAIT_LIMIT;
use serde_json::{Value, json};
use tempfile::TempDir;

/// Checks that a well-behaved client can use the server.
#[track_caller]
fn expect_service(server: &Server) {
    let before = server.data_dir().contents("fine");
    let mut client = RawClient::connect("fine", server.udp());
    client.append_under_lock("fine", ".");
    expect_status(&client.call("close", &json!({})), "closed");
    server.data_dir().expect_contents("fine", &format!("{before}."));
}

/// Returns what the server has sent to `stranger` in reply to all its packets.
///
/// The server handles packets in the order in which they arrive. So once it has answered a later
/// heartbeat of `witness`, it has answered all packets of `stranger` that it is going to answer.
#[track_caller]
fn replies_so_far(stranger: &mut RawClient, witness: &mut RawClient) -> Vec<Vec<u8>> {
    expect_status(&witness.call("heartbeat", &json!({})), "alive");
    std::iter::from_fn(|| stranger.receive_bytes(Duration::ZERO)).collect()
}

#[test]
fn bytes_that_are_not_a_request_get_at_most_a_short_reply() {
    let server = Server::start();
    let mut witness = RawClient::connect("witness", server.udp());
    let mut stranger = RawClient::new("stranger", server.udp());
    let hello = stranger.hello_request(LONG_LEASE_MS).to_string();
    let deep_list = "[".repeat(1_000);
    let deep_object = format!("{}1{}", "{\"a\":".repeat(190), "}".repeat(190));
    let padded = format!("{{\"op\":\"hello\",\"pad\":\"{}\"}}", "x".repeat(1_100));
    let bytes: Vec<&[u8]> = vec![
        b"",
        b"\0",
        b"x",
        b"hello",
        b"{",
        b"{}",
        b"[]",
        b"null",
        b"1e400",
        b"\"op\"",
        b"\xff\xfe\xfd",
        b"{\"op\":",
        b"{\"op\":\"no_such_thing\"}",
        b"{\"v\":1,\"op\":\"heartbeat\"}",
        b"{\"v\":1,\"op\":\"hello\"}",
        b"{\"v\":2,\"op\":\"hello\",\"client\":\"me\",\"nonce\":\"00000000000000a1\"}",
        b"{\"v\":1,\"op\":\"heartbeat\",\"session\":\"00000000000000000000000000000000\",\"seq\":1}",
        deep_list.as_bytes(),
        deep_object.as_bytes(),
        padded.as_bytes(),
    ];
    for bytes in bytes {
        stranger.send_bytes(bytes);
        let replies = replies_so_far(&mut stranger, &mut witness);
        let allowed = if datagram::parse(bytes).is_some_and(|json| json.is_object()) {
            3 * bytes.len()
        } else {
            bytes.len()
        };
        let text = String::from_utf8_lossy(bytes);
        assert!(replies.len() <= 1, "{} replies to {text:?}", replies.len());
        for reply in replies {
            assert!(reply.len() <= allowed, "a reply of {} bytes to {text:?}", reply.len());
            expect_status(&datagram::parse(&reply).expect("JSON"), "error");
        }
    }
    // Every prefix of a valid request, and the request with any one byte changed.
    for end in 0..hello.len() {
        stranger.send_bytes(&hello.as_bytes()[..end]);
    }
    for offset in 0..hello.len() {
        let mut broken = hello.clone().into_bytes();
        broken[offset] ^= 0x80;
        stranger.send_bytes(&broken);
    }
    expect_service(&server);
}

#[test]
fn random_bytes_do_no_harm() {
    let server = Server::start();
    let socket = UdpSocket::bind(("127.0.0.1", 0)).unwrap();
    let mut rng = Rng::new(5);
    for _ in 0..5_000 {
        let len = usize::try_from(rng.below(1_400)).unwrap();
        let bytes: Vec<u8> = (0..len).map(|_| rng.next_u64().to_le_bytes()[0]).collect();
        socket.send_to(&bytes, server.udp()).unwrap();
    }
    expect_service(&server);
}

#[test]
fn a_datagram_of_the_largest_size_is_accepted_and_a_larger_one_is_refused() {
    let server = Server::start();
    let mut client = RawClient::connect("C1", server.udp());
    let held = client.acquire("f");
    let sized = |client: &mut RawClient, len: usize| {
        let mut request = client.append_request("f", held, "");
        let missing = len - request.to_string().len();
        request["data"] = "x".repeat(missing).into();
        assert_eq!(request.to_string().len(), len);
        request
    };
    let fits = sized(&mut client, 1_200);
    let reply = client.exchange(&fits);
    expect_status(&reply, "appended");
    let written = usize::try_from(number(&reply, "len")).unwrap();
    for len in [1_201, 1_233, 1_234, 1_500, 9_000, 65_507] {
        let over = sized(&mut client, len);
        client.send(&json!({"note": format!("{len} bytes follow")}));
        client.send_bytes(over.to_string().as_bytes());
        // The server does not parse it, so the reply does not name its sequence number.
        let reply = client.receive(WAIT_LIMIT).expect("a reply");
        expect_code(&reply, "too_large");
    }
    expect_service(&server);
    server.data_dir().expect_contents("f", &"x".repeat(written));
}

#[test]
fn fields_of_the_wrong_type_or_size_are_refused() {
    let server = Server::start();
    let mut client = RawClient::connect("C1", server.udp());
    let held = client.acquire("f");
    let requests = [
        ("acquire_lock", json!({"lock": "g", "wait_ms": 0, "hold_ms": 1_000})),
        ("cancel_acquire", json!({"lock": "g"})),
        ("release_lock", json!({"lock": "f", "token": held})),
        ("append_file", json!({"file": "f", "token": held, "data": "no"})),
        ("append_outcome", json!({"of": 1})),
        ("heartbeat", json!({})),
        ("close", json!({})),
    ];
    let numbers = ["v", "seq", "attempt", "token", "wait_ms", "hold_ms", "of"];
    let wrong_numbers =
        [json!(-1), json!(1.5), json!("1"), json!(1e300), json!([]), json!({}), json!(true)];
    let wrong_texts = [json!(1), json!(true), json!([]), json!({}), json!(["f"])];
    let mut refused = 0;
    for (op, fields) in requests {
        let mut good = client.request(op, &fields);
        good["attempt"] = 0.into();
        let names: Vec<String> = good.as_object().unwrap().keys().cloned().collect();
        for name in names {
            let is_number = numbers.contains(&name.as_str());
            let wrong: &[Value] = if is_number { &wrong_numbers } else { &wrong_texts };
            for value in wrong {
                let mut bad = good.clone();
                bad[&name] = value.clone();
                client.send_bytes(bad.to_string().as_bytes());
                let reply = client.receive(WAIT_LIMIT);
                let reply = reply.unwrap_or_else(|| panic!("no reply to {bad}"));
                assert_eq!(reply["code"], "bad_request", "{bad}\n{reply}");
                refused += 1;
            }
        }
    }
    log("C1", format_args!("{refused} requests were refused"));
    // A refused request changes nothing: the lock, the session and the file are unchanged.
    client.append_ok("f", held, "A");
    client.acquire("g");
    server.data_dir().expect_contents("f", "A");
    expect_service(&server);
}

#[test]
fn a_malformed_hello_is_refused() {
    let server = Server::start();
    let mut stranger = RawClient::new("stranger", server.udp());
    let wrong = [
        ("client", json!(7)),
        ("client", json!(null)),
        ("nonce", json!(7)),
        ("nonce", json!("")),
        ("nonce", json!("00000000000000a")),
        ("nonce", json!("00000000000000a11")),
        ("nonce", json!("00000000000000g1")),
        ("lease_ms", json!("1000")),
        ("lease_ms", json!(-1)),
        ("cookie", json!(1)),
        ("v", json!(2)),
    ];
    for (field, value) in wrong {
        let mut hello = stranger.hello_request(LONG_LEASE_MS);
        hello[field] = value;
        expect_code(&stranger.exchange(&hello), "bad_request");
    }
    for field in ["client", "nonce", "v"] {
        let mut hello = stranger.hello_request(LONG_LEASE_MS);
        hello.as_object_mut().unwrap().remove(field);
        expect_code(&stranger.exchange(&hello), "bad_request");
    }
    // An unknown field is ignored, because a later version may define it.
    let mut hello = stranger.hello_request(LONG_LEASE_MS);
    hello["colour"] = "green".into();
    expect_status(&stranger.exchange(&hello), "welcome");
    expect_service(&server);
}

#[test]
fn huge_numbers_are_valid_or_limited() {
    let server = Server::start();
    let mut client = RawClient::connect("C1", server.udp());
    let most = u64::MAX;
    let forever = client.call("acquire_lock", &json!({"lock": "f", "hold_ms": most}));
    let held = leasehold_tests::client::token(&forever);
    let mut other = RawClient::new("C2", server.udp());
    let welcome = other.open_session(most);
    assert_eq!(number(&welcome, "lease_ms"), 60_000, "the longest lease");
    assert_eq!(number(&other.open_session(0), "lease_ms"), 250, "the shortest lease");
    other.open_session(LONG_LEASE_MS);
    let wait = json!({"lock": "f", "wait_ms": most});
    expect_status(&other.call("acquire_lock", &wait), "queued");
    expect_code(&client.append("f", most, "no"), "stale_token");
    let far = json!({"v": 1, "op": "heartbeat", "session": client.session(), "seq": most});
    client.send(&far);
    let reply = client.receive(WAIT_LIMIT).expect("a reply");
    assert_eq!(reply["v"], 1, "{reply}");
    // This sequence number makes all later ones of the session stale, so the test continues with a
    // new client.
    drop(client);
    let mut third = RawClient::connect("C3", server.udp());
    expect_code(&third.call("acquire_lock", &json!({"lock": "f"})), "lock_held");
    assert!(held > 0);
    expect_service(&server);
}

#[test]
fn names_that_could_leave_the_data_directory_are_refused() {
    let server = Server::start();
    let mut client = RawClient::connect("C1", server.udp());
    let long = "n".repeat(65);
    let names = [
        "",
        ".",
        "..",
        "../x",
        ".x",
        "/etc/passwd",
        "a/b",
        "a\\b",
        "a\0b",
        "\0",
        " ",
        "a b",
        "a\n",
        "é",
        "ａ",
        "a:b",
        "~",
        "*",
        &long,
    ];
    for name in names {
        expect_code(&client.call("acquire_lock", &json!({"lock": name})), "bad_name");
        expect_code(&client.append(name, 1, "x"), "bad_name");
        let mut hello = client.hello_request(LONG_LEASE_MS);
        hello["client"] = name.into();
        let mut stranger = RawClient::new("stranger", server.udp());
        expect_code(&stranger.exchange(&hello), "bad_name");
    }
    let most = "n".repeat(64);
    for name in ["a", "A-Z.a_z-0.9", "_", "-", "a.", "a..b", "journal.redb", &most] {
        client.append_under_lock(name, "x");
        server.data_dir().expect_contents(name, "x");
    }
    let entries = fs::read_dir(server.data_dir().path().join("files")).unwrap();
    assert_eq!(entries.count(), 8, "only the files of the valid names exist");
    expect_service(&server);
}

#[test]
fn a_symbolic_link_among_the_guarded_files_is_not_followed() {
    let mut server = Server::start();
    let outside = TempDir::new().unwrap();
    let victim = outside.path().join("victim");
    fs::write(&victim, "untouched").unwrap();
    let mut client = RawClient::connect("C1", server.udp());
    client.append_under_lock("written", "A");
    server.data_dir().expect_contents("written", "A");

    // At the path of a file that the server has not created yet.
    symlink(&victim, server.data_dir().file_path("fresh")).unwrap();
    let held = client.acquire("fresh");
    expect_code(&client.append("fresh", held, "EVIL"), "storage_failed");
    client.release("fresh", held);
    assert_eq!(fs::read_to_string(&victim).unwrap(), "untouched");
    expect_service(&server);

    // At the path of a file that the server knows and may have open.
    fs::remove_file(server.data_dir().file_path("written")).unwrap();
    symlink(&victim, server.data_dir().file_path("written")).unwrap();
    let held = client.acquire("written");
    let reply = client.append("written", held, "EVIL");
    client.release("written", held);
    assert_eq!(fs::read_to_string(&victim).unwrap(), "untouched", "{reply}");
    expect_service(&server);

    // Without the links, the files have the acknowledged contents again.
    for name in ["fresh", "written"] {
        fs::remove_file(server.data_dir().file_path(name)).unwrap();
    }
    server.kill_and_restart();
    let acknowledged = if reply["status"] == "appended" { "AEVIL" } else { "A" };
    server.data_dir().expect_contents("written", acknowledged);
    client.append_under_lock("fresh", "B");
    server.data_dir().expect_contents("fresh", "B");
    assert_eq!(fs::read_to_string(&victim).unwrap(), "untouched");
    expect_service(&server);
}

#[test]
fn an_unknown_session_is_refused() {
    let server = Server::start();
    let mut client = RawClient::connect("C1", server.udp());
    let mut stranger = RawClient::connect("stranger", server.udp());
    let held = client.acquire("f");
    for session in ["0".repeat(32), "f".repeat(32)] {
        for (op, fields) in [
            ("acquire_lock", json!({"lock": "f"})),
            ("append_file", json!({"file": "f", "token": held, "data": "no"})),
            ("release_lock", json!({"lock": "f", "token": held})),
            ("heartbeat", json!({})),
            ("close", json!({})),
        ] {
            let mut request = stranger.request(op, &fields);
            request["session"] = session.clone().into();
            let reply = stranger.exchange(&request);
            expect_status(&reply, "error");
            let code = text(&reply, "code");
            // If the request contains a token, the server checks the token first.
            let expected = ["unknown_session", "not_holder"];
            assert!(expected.contains(&code.as_str()), "{op}: {reply}");
        }
    }
    client.append_ok("f", held, "A");
    server.data_dir().expect_contents("f", "A");
}

#[test]
fn datagrams_that_look_like_replies_are_not_answered() {
    let server = Server::start();
    let mut client = RawClient::connect("C1", server.udp());
    let mut witness = RawClient::connect("witness", server.udp());
    let good = client.request("heartbeat", &json!({}));
    for extra in ["re", "status"] {
        let mut bytes = good.clone();
        bytes[extra] = 1.into();
        if extra == "status" {
            bytes.as_object_mut().unwrap().remove("op");
        }
        client.send(&bytes);
        let replies = replies_so_far(&mut client, &mut witness);
        assert!(replies.is_empty(), "{replies:?} to {bytes}");
    }
    expect_service(&server);
}

#[test]
fn a_sequence_number_used_for_two_different_requests_is_refused() {
    let server = Server::start();
    let mut client = RawClient::connect("C1", server.udp());
    let held = client.acquire("f");
    let first = client.append_request("f", held, "A");
    expect_status(&client.exchange(&first), "appended");
    let mut other = first.clone();
    other["data"] = "B".into();
    expect_code(&client.exchange(&other), "seq_reused");
    let mut release = client.request("release_lock", &json!({"lock": "f", "token": held}));
    release["seq"] = first["seq"].clone();
    expect_code(&client.exchange(&release), "seq_reused");
    // The server no longer retains the reply to such an old request, and does not execute it again.
    for _ in 0..70 {
        client.append_ok("f", held, ".");
    }
    expect_code(&client.exchange(&first), "stale_seq");
    server.data_dir().expect_contents("f", &format!("A{}", ".".repeat(70)));
}

#[test]
fn a_request_beyond_the_window_is_refused() {
    let server = Server::start();
    let mut holder = RawClient::connect("C1", server.udp());
    let mut greedy = RawClient::connect("C2", server.udp());
    for number in 0..33 {
        let lock = format!("lock-{number}");
        holder.acquire(&lock);
        let wait = json!({"lock": lock, "wait_ms": 60_000});
        let reply = greedy.call("acquire_lock", &wait);
        if number < 32 {
            expect_status(&reply, "queued");
        } else {
            expect_code(&reply, "window_full");
        }
    }
    // Requests that change nothing or free capacity are still accepted.
    expect_status(&greedy.call("heartbeat", &json!({})), "alive");
    expect_status(&greedy.call("cancel_acquire", &json!({"lock": "lock-0"})), "cancelled");
    let wait = json!({"lock": "lock-32", "wait_ms": 60_000});
    expect_status(&greedy.call("acquire_lock", &wait), "queued");
    expect_service(&server);
}

#[test]
fn a_server_with_a_key_answers_only_clients_that_share_it() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("key");
    fs::write(&path, "what only this class knows").unwrap();
    let server = Server::start_with(&["--key-file", path.to_str().unwrap()]);
    let mut stranger = RawClient::new("stranger", server.udp());
    let hello = stranger.hello_request(LONG_LEASE_MS);
    let key = Key::new(b"what only this class knows");
    let mut client = RawClient::new("C1", server.udp());
    client.set_key(key.clone());
    client.open_session(LONG_LEASE_MS);
    stranger.send(&hello);
    let none = Vec::<Vec<u8>>::new();
    assert_eq!(replies_so_far(&mut stranger, &mut client), none, "without a trailer");
    stranger.set_key(Key::new(b"another key"));
    stranger.send(&hello);
    assert_eq!(replies_so_far(&mut stranger, &mut client), none, "with a wrong trailer");
    stranger.send_bytes(b"");
    assert_eq!(replies_so_far(&mut stranger, &mut client), none, "with only a trailer");

    client.append_under_lock("f", "A");
    // The server signs its replies with the same key.
    let heartbeat = client.request("heartbeat", &json!({}));
    client.send(&heartbeat);
    let reply = client.receive_bytes(WAIT_LIMIT).expect("a reply");
    let end = reply.iter().position(|&byte| byte == b'\n').expect("a trailer");
    assert_eq!(reply, key.sign(&reply[..end]), "the trailer of the reply");
    server.data_dir().expect_contents("f", "A");
}
