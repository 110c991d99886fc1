//! Long lists: sent as they are read, and no faster.

use detectviz_tests::{Client, Connection, Server, variants, wait_for};

use crate::support::{CONFIG_MAPS, config_map, create, names, version};

/// How much of the server is in memory, in bytes.
fn resident(server: &Server) -> usize {
    let status = std::fs::read_to_string(format!("/proc/{}/status", server.id())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().strip_suffix(" kB").unwrap().parse::<usize>().unwrap() * 1024
}

#[test]
fn a_list_that_nobody_reads_is_not_held() {
    const OBJECTS: usize = 80;
    const SIZE: usize = 250_000;
    variants(|server| {
        let admin = server.admin();
        for number in 0..OBJECTS {
            create(&admin, CONFIG_MAPS, &config_map(&format!("n{number}"), &"x".repeat(SIZE)));
        }
        for accept in ["application/json", "application/yaml", "application/json;pretty=1"] {
            // What is read once shows what reading costs; the allocator keeps it.
            assert_eq!(admin.get(format!("{CONFIG_MAPS}?limit=1")).code, 200);
            let before = resident(&server);
            let stalled: Vec<_> = (0..3)
                .map(|_| {
                    let mut connection = admin.connect().unwrap();
                    let head = format!("GET {CONFIG_MAPS} HTTP/1.1\r\nHost: x\r\nAccept: {accept}\r\n\r\n");
                    connection.send(head.as_bytes()).unwrap();
                    assert_eq!(connection.answer_code(), Some(200));
                    connection
                })
                .collect();
            // Each has begun; by the time that another list is read whole, they are as far as they go.
            assert_eq!(names(&admin.get(CONFIG_MAPS).expect(200)).len(), OBJECTS);
            let grown = resident(&server).saturating_sub(before);
            assert!(grown < OBJECTS * SIZE / 2, "{accept}: {grown} bytes for lists that nobody reads");
            drop(stalled);
        }
    });
}

/// A list that has begun and is not read on.
fn stalled(client: &Client, path: &str) -> Connection {
    let mut connection = client.connect().unwrap();
    connection.send(format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n").as_bytes()).unwrap();
    assert_eq!(connection.answer_code(), Some(200));
    connection
}

#[test]
fn copies_of_the_stores_history_have_so_many_places() {
    variants(|server| {
        let admin = server.admin();
        for number in 0..40 {
            create(&admin, CONFIG_MAPS, &config_map(&format!("n{number}"), &"x".repeat(250_000)));
        }
        let old = version(&admin.get(format!("{CONFIG_MAPS}?limit=1")).expect(200));
        // Beyond the cache's window, which leaves the store's history.
        for number in 0..110 {
            let object = config_map("n0", &format!("{number}{}", "x".repeat(100_000)));
            admin.update(format!("{CONFIG_MAPS}/n0"), &object).expect(200);
        }
        let exact = format!("{CONFIG_MAPS}?resourceVersion={old}&resourceVersionMatch=Exact");
        let mut readers: Vec<_> = (0..16).map(|_| stalled(&admin, &exact)).collect();
        admin.get(&exact).refused(429, "TooManyRequests");
        assert_eq!(names(&admin.get(CONFIG_MAPS).expect(200)).len(), 40);
        readers.pop();
        wait_for("a place is free", || (admin.get(&exact).code == 200).then_some(()));
    });
}
