//! What strangers send. After each of it the server still serves, and nothing outside the guarded
//! files has been touched.

use std::fs;
use std::net::UdpSocket;
use std::os::unix::fs::symlink;
use std::time::Duration;

use leasehold_tests::client::{LONG, RawClient, expect_code, expect_status, number, text};
use leasehold_tests::datagram::{self, Key};
use leasehold_tests::log::tell;
use leasehold_tests::rng::Rng;
use leasehold_tests::server::Server;
use serde_json::{Value, json};
use tempfile::TempDir;

/// How long a silence must be to count as no answer: others are answered within milliseconds.
const SILENCE: Duration = Duration::from_millis(300);

/// Panics unless a client that behaves is served as ever.
#[track_caller]
fn expect_service(server: &Server) {
    let before = server.data().contents("fine");
    let mut client = RawClient::connect("fine", server.udp());
    client.turn("fine", ".");
    expect_status(&client.ask("close", &json!({})), "closed");
    server.data().expect("fine", &format!("{before}."));
}

/// Sends these bytes; gives the reply's, if there is one.
fn exchange(client: &mut RawClient, bytes: &[u8]) -> Option<Vec<u8>> {
    client.send_bytes(bytes);
    client.receive_bytes(SILENCE)
}

#[test]
fn bytes_that_are_no_request_get_no_long_answer_and_do_no_harm() {
    let server = Server::start();
    let mut stranger = RawClient::new("stranger", server.udp());
    let hello = stranger.hello_request(LONG).to_string();
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
        let reply = exchange(&mut stranger, bytes);
        let allowed = if datagram::json(bytes).is_some_and(|json| json.is_object()) {
            3 * bytes.len()
        } else {
            bytes.len()
        };
        let len = reply.as_ref().map_or(0, Vec::len);
        let shown = String::from_utf8_lossy(bytes);
        assert!(len <= allowed, "{len} bytes to a stranger for {shown:?}");
        if let Some(reply) = reply {
            expect_status(&datagram::json(&reply).expect("JSON"), "error");
        }
    }
    // Every beginning of a good request, and every byte of it turned over.
    for end in 0..hello.len() {
        stranger.send_bytes(&hello.as_bytes()[..end]);
    }
    for place in 0..hello.len() {
        let mut broken = hello.clone().into_bytes();
        broken[place] ^= 0x80;
        stranger.send_bytes(&broken);
    }
    expect_service(&server);
}

#[test]
fn noise_of_any_kind_does_no_harm() {
    let server = Server::start();
    let socket = UdpSocket::bind(("127.0.0.1", 0)).unwrap();
    let mut rng = Rng::new(5);
    for _ in 0..5_000 {
        let len = usize::try_from(rng.below(1_400)).unwrap();
        let bytes: Vec<u8> = (0..len).map(|_| rng.draw().to_le_bytes()[0]).collect();
        socket.send_to(&bytes, server.udp()).unwrap();
    }
    expect_service(&server);
}

#[test]
fn datagrams_over_the_bound_are_refused_and_those_at_the_bound_are_not() {
    let server = Server::start();
    let mut client = RawClient::connect("C1", server.udp());
    let held = client.acquire("f");
    let sized = |client: &mut RawClient, len: usize| {
        let mut request = client.append_request("f", held, "");
        let room = len - request.to_string().len();
        request["data"] = "x".repeat(room).into();
        assert_eq!(request.to_string().len(), len);
        request
    };
    let fits = sized(&mut client, 1_200);
    let reply = client.insist(&fits);
    expect_status(&reply, "appended");
    let written = usize::try_from(number(&reply, "len")).unwrap();
    for len in [1_201, 1_233, 1_234, 1_500, 9_000, 65_507] {
        let over = sized(&mut client, len);
        client.send(&json!({"note": format!("{len} bytes follow")}));
        client.send_bytes(over.to_string().as_bytes());
        // It can't be read, so its number can't be told.
        let reply = client.receive(Duration::from_secs(10)).expect("an answer");
        expect_code(&reply, "too_large");
    }
    expect_service(&server);
    server.data().expect("f", &"x".repeat(written));
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
                let reply = client.receive(Duration::from_secs(10));
                let reply = reply.unwrap_or_else(|| panic!("no answer to {bad}"));
                assert_eq!(reply["code"], "bad_request", "{bad}\n{reply}");
                refused += 1;
            }
        }
    }
    tell("C1", format_args!("{refused} requests were refused"));
    // None of them did anything: the lock, the session and the file are as they were.
    client.write("f", held, "A");
    client.acquire("g");
    server.data().expect("f", "A");
    expect_service(&server);
}

#[test]
fn a_hello_that_is_no_hello_is_refused() {
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
        let mut hello = stranger.hello_request(LONG);
        hello[field] = value;
        expect_code(&stranger.insist(&hello), "bad_request");
    }
    for field in ["client", "nonce", "v"] {
        let mut hello = stranger.hello_request(LONG);
        hello.as_object_mut().unwrap().remove(field);
        expect_code(&stranger.insist(&hello), "bad_request");
    }
    // What is not known is no mistake: a later version may have added it.
    let mut hello = stranger.hello_request(LONG);
    hello["colour"] = "green".into();
    expect_status(&stranger.insist(&hello), "welcome");
    expect_service(&server);
}

#[test]
fn huge_numbers_are_taken_for_what_they_are() {
    let server = Server::start();
    let mut client = RawClient::connect("C1", server.udp());
    let most = u64::MAX;
    let forever = client.ask("acquire_lock", &json!({"lock": "f", "hold_ms": most}));
    let held = leasehold_tests::client::token(&forever);
    let mut other = RawClient::new("C2", server.udp());
    let welcome = other.hello(most);
    assert_eq!(number(&welcome, "lease_ms"), 60_000, "the longest lease");
    assert_eq!(number(&other.hello(0), "lease_ms"), 250, "the shortest lease");
    other.hello(LONG);
    let wait = json!({"lock": "f", "wait_ms": most});
    expect_status(&other.ask("acquire_lock", &wait), "queued");
    expect_code(&client.append("f", most, "no"), "stale_token");
    let far = json!({"v": 1, "op": "heartbeat", "session": client.session(), "seq": most});
    client.send(&far);
    let reply = client.receive(Duration::from_secs(10)).expect("an answer");
    assert_eq!(reply["v"], 1, "{reply}");
    // A number so far ahead makes the client's own next ones old; it has to begin anew.
    drop(client);
    let mut third = RawClient::connect("C3", server.udp());
    expect_code(&third.ask("acquire_lock", &json!({"lock": "f"})), "lock_held");
    assert!(held > 0);
    expect_service(&server);
}

#[test]
fn names_that_could_leave_the_folder_are_refused() {
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
        expect_code(&client.ask("acquire_lock", &json!({"lock": name})), "bad_name");
        expect_code(&client.append(name, 1, "x"), "bad_name");
        let mut hello = client.hello_request(LONG);
        hello["client"] = name.into();
        let mut stranger = RawClient::new("stranger", server.udp());
        expect_code(&stranger.insist(&hello), "bad_name");
    }
    let most = "n".repeat(64);
    for name in ["a", "A-Z.a_z-0.9", "_", "-", "a.", "a..b", "journal.redb", &most] {
        client.turn(name, "x");
        server.data().expect(name, "x");
    }
    let entries = fs::read_dir(server.data().path().join("files")).unwrap();
    assert_eq!(entries.count(), 8, "the files that were asked for, and nothing else");
    expect_service(&server);
}

#[test]
fn a_link_planted_among_the_guarded_files_is_not_followed() {
    let mut server = Server::start();
    let outside = TempDir::new().unwrap();
    let victim = outside.path().join("victim");
    fs::write(&victim, "untouched").unwrap();
    let mut client = RawClient::connect("C1", server.udp());
    client.turn("written", "A");
    server.data().expect("written", "A");

    // Where a file is to be.
    symlink(&victim, server.data().file("fresh")).unwrap();
    let held = client.acquire("fresh");
    expect_code(&client.append("fresh", held, "EVIL"), "storage_failed");
    client.release("fresh", held);
    assert_eq!(fs::read_to_string(&victim).unwrap(), "untouched");
    expect_service(&server);

    // In the place of a file that the server knows, and may have open.
    fs::remove_file(server.data().file("written")).unwrap();
    symlink(&victim, server.data().file("written")).unwrap();
    let held = client.acquire("written");
    let reply = client.append("written", held, "EVIL");
    client.release("written", held);
    assert_eq!(fs::read_to_string(&victim).unwrap(), "untouched", "{reply}");
    expect_service(&server);

    // Once the links are gone, the files are what was acknowledged.
    for name in ["fresh", "written"] {
        fs::remove_file(server.data().file(name)).unwrap();
    }
    server.kill_and_start_again();
    let acknowledged = if reply["status"] == "appended" { "AEVIL" } else { "A" };
    server.data().expect("written", acknowledged);
    client.turn("fresh", "B");
    server.data().expect("fresh", "B");
    assert_eq!(fs::read_to_string(&victim).unwrap(), "untouched");
    expect_service(&server);
}

#[test]
fn a_session_that_was_never_given_opens_nothing() {
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
            let reply = stranger.insist(&request);
            expect_status(&reply, "error");
            let code = text(&reply, "code");
            // Where a token is named it is looked at first.
            let expected = ["unknown_session", "not_holder"];
            assert!(expected.contains(&code.as_str()), "{op}: {reply}");
        }
    }
    client.write("f", held, "A");
    server.data().expect("f", "A");
}

#[test]
fn replies_and_what_is_no_request_are_never_answered() {
    let server = Server::start();
    let mut client = RawClient::connect("C1", server.udp());
    let good = client.request("heartbeat", &json!({}));
    for extra in ["re", "status"] {
        let mut bytes = good.clone();
        bytes[extra] = 1.into();
        if extra == "status" {
            bytes.as_object_mut().unwrap().remove("op");
        }
        client.send(&bytes);
        let reply = client.receive(SILENCE);
        assert_eq!(reply, None, "to {bytes}");
    }
    expect_service(&server);
}

#[test]
fn a_number_used_twice_for_different_requests_is_refused() {
    let server = Server::start();
    let mut client = RawClient::connect("C1", server.udp());
    let held = client.acquire("f");
    let first = client.append_request("f", held, "A");
    expect_status(&client.insist(&first), "appended");
    let mut other = first.clone();
    other["data"] = "B".into();
    expect_code(&client.insist(&other), "seq_reused");
    let mut release = client.request("release_lock", &json!({"lock": "f", "token": held}));
    release["seq"] = first["seq"].clone();
    expect_code(&client.insist(&release), "seq_reused");
    // Far behind what is kept, nothing can be said any more, and nothing is done.
    for _ in 0..70 {
        client.write("f", held, ".");
    }
    expect_code(&client.insist(&first), "stale_seq");
    server.data().expect("f", &format!("A{}", ".".repeat(70)));
}

#[test]
fn more_than_a_window_of_requests_at_a_time_is_refused() {
    let server = Server::start();
    let mut holder = RawClient::connect("C1", server.udp());
    let mut greedy = RawClient::connect("C2", server.udp());
    for number in 0..33 {
        let lock = format!("lock-{number}");
        holder.acquire(&lock);
        let wait = json!({"lock": lock, "wait_ms": 60_000});
        let reply = greedy.ask("acquire_lock", &wait);
        if number < 32 {
            expect_status(&reply, "queued");
        } else {
            expect_code(&reply, "window_full");
        }
    }
    // What changes nothing and what makes room is still heard.
    expect_status(&greedy.ask("heartbeat", &json!({})), "alive");
    expect_status(&greedy.ask("cancel_acquire", &json!({"lock": "lock-0"})), "cancelled");
    let wait = json!({"lock": "lock-32", "wait_ms": 60_000});
    expect_status(&greedy.ask("acquire_lock", &wait), "queued");
    expect_service(&server);
}

#[test]
fn with_a_key_only_those_who_share_it_are_heard() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("key");
    fs::write(&path, "what only this class knows").unwrap();
    let server = Server::start_with(&["--key-file", path.to_str().unwrap()]);
    let mut stranger = RawClient::new("stranger", server.udp());
    let hello = stranger.hello_request(LONG);
    stranger.send(&hello);
    assert_eq!(stranger.receive(SILENCE), None, "without a trailer");
    stranger.set_key(Key::new(b"another key"));
    stranger.send(&hello);
    assert_eq!(stranger.receive(SILENCE), None, "with a wrong one");
    stranger.send_bytes(b"");
    assert_eq!(stranger.receive(SILENCE), None, "with nothing else");

    let key = Key::new(b"what only this class knows");
    let mut client = RawClient::new("C1", server.udp());
    client.set_key(key.clone());
    client.hello(LONG);
    client.turn("f", "A");
    // Its own reply is signed too, and differs from that of another key.
    let beat = client.request("heartbeat", &json!({}));
    client.send(&beat);
    let reply = client.receive_bytes(Duration::from_secs(10)).expect("an answer");
    let end = reply.iter().position(|&byte| byte == b'\n').expect("a trailer");
    assert_eq!(reply, key.sign(&reply[..end]), "the reply's own trailer");
    server.data().expect("f", "A");
}

/// The flood is answered in steps of 64, so that no socket's buffer loses any of it.
#[test]
fn a_flood_of_hellos_takes_no_more_memory_than_its_bound() {
    let server = Server::start_with(&["--max-sessions", "1000"]);
    let mut client = RawClient::connect("C1", server.udp());
    let held = client.acquire("f");
    let socket = UdpSocket::bind(("127.0.0.1", 0)).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(1))).unwrap();
    let (welcome, overloaded) = flood(&socket, &server, 0..5_000);
    assert!((900..=999).contains(&welcome), "{welcome} welcomes, {overloaded} refusals");
    let before = resident_kb(&server);
    let (welcome, overloaded) = flood(&socket, &server, 5_000..200_000);
    let after = resident_kb(&server);
    tell("flood", format_args!("{before} kB, then {after} kB; {overloaded} were refused"));
    assert_eq!(welcome, 0, "the bound is reached");
    assert!(overloaded > 190_000, "only {overloaded} were refused");
    // 195,000 hellos that each left 200 bytes behind would be 39 MB.
    assert!(after < before + 32_768, "from {before} kB to {after} kB");
    client.write("f", held, "A");
    server.data().expect("f", "A");
}

/// Sends hellos that differ; gives how many were welcome, and how many were refused as too many.
fn flood(socket: &UdpSocket, server: &Server, nonces: std::ops::Range<u64>) -> (usize, usize) {
    let (mut welcome, mut overloaded) = (0, 0);
    let mut buffer = [0; 2_000];
    for start in nonces.clone().step_by(64) {
        let end = nonces.end.min(start + 64);
        for nonce in start..end {
            let hello = format!(
                "{{\"v\":1,\"op\":\"hello\",\"client\":\"flood\",\"nonce\":\"{nonce:016x}\",\"lease_ms\":60000}}"
            );
            socket.send_to(hello.as_bytes(), server.udp()).unwrap();
        }
        for _ in start..end {
            let Ok(len) = socket.recv(&mut buffer) else { break };
            let reply = String::from_utf8_lossy(&buffer[..len]);
            welcome += usize::from(reply.contains("\"welcome\""));
            overloaded += usize::from(reply.contains("\"overloaded\""));
        }
    }
    (welcome, overloaded)
}

fn resident_kb(server: &Server) -> u64 {
    let pid = server.process().pid().as_raw_nonzero();
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}
