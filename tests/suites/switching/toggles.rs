//! Toggles are switched while clients are served.

use detectviz_tests::{switchable, wait_until};

use super::load::Load;
use super::{FLIGHTS, FLIGHTS_SERVICE, PLUGIN_SERVICE, await_code, await_query, status, toggles, with_both};
use crate::support::{CONFIG_MAPS, DATAPLANE_SERVICES, await_available, config_map, create};

#[test]
fn flips_under_load_fail_no_request() {
    switchable(|builder| {
        let (server, _example, plugins) = with_both(builder);
        let admin = server.admin();
        let mut watch = admin.watch(format!("{CONFIG_MAPS}?watch=true&fieldSelector=metadata.name%3Dlast"));
        let load = Load::new().local(&admin, "one").local(&admin, "two").remote(&admin).queries(&admin);
        let load = load.connecting(&admin);
        for round in 0..10 {
            let mut flights = admin.watch(format!("{FLIGHTS}?watch=true&timeoutSeconds=600"));
            flights.expect("ADDED");
            // One by one and both at once; by the file alone, and by word.
            server.reconfigure(&toggles(false, round % 2 == 0));
            if round % 3 == 0 {
                server.hangup();
            }
            for event in flights {
                assert_eq!(event["type"], "ADDED", "nothing but what there is, and a clean end");
            }
            await_code(&admin, FLIGHTS, 404);
            if round % 2 == 0 {
                assert_eq!(admin.create(super::QUERY, &super::query()).code, 200, "the other runner goes on");
            } else {
                await_query(&admin, 404);
            }
            load.go_round();
            server.reconfigure(&toggles(true, true));
            server.hangup();
            await_code(&admin, FLIGHTS, 200);
            await_query(&admin, 200);
            load.go_round();
        }
        let [answered, served] = load.end();
        eprintln!("{answered} answers, {served} as wished");
        create(&admin, CONFIG_MAPS, &config_map("last", "x"));
        assert_eq!(watch.expect("ADDED")["metadata"]["name"], "last", "a local watch went on all the time");
        assert_eq!(plugins.processes().len(), 1);
        assert_eq!(admin.get("/readyz").text(), "ok");
    });
}

#[test]
fn conditions_discovery_and_status_follow_the_toggles() {
    switchable(|builder| {
        let (mut server, _example, plugins) = with_both(builder);
        let admin = server.admin();
        let plugin_service = format!("{DATAPLANE_SERVICES}/{PLUGIN_SERVICE}");
        let starts = || {
            let status = status(&admin);
            let entries = status["entries"].as_array().unwrap().iter();
            entries.map(|row| row["wouldStart"].as_bool().unwrap()).collect::<Vec<_>>()
        };
        let lists = |group: &str| admin.get("/apis").expect(200).to_string().contains(group);
        for _ in 0..2 {
            assert_eq!(starts(), [true, true]);
            assert!(lists("example.detectviz.io"));
            server.reconfigure(&toggles(false, false));
            let off = await_available(&admin, FLIGHTS_SERVICE, "False", Some("AggregatorDisabled"));
            assert!(off.contains("feature toggle kubernetesAggregator is off"), "{off}");
            await_available(&admin, &plugin_service, "False", Some("DataplaneDisabled"));
            assert_eq!(starts(), [false, false]);
            assert!(!lists("example.detectviz.io"));
            wait_until("the plugin has ended", || match plugins.processes() {
                none if none.is_empty() => Ok(()),
                some => Err(format!("{some:?}")),
            });
            assert_eq!(admin.get("/readyz").text(), "ok");
            server.reconfigure(&toggles(true, true));
            await_available(&admin, FLIGHTS_SERVICE, "True", Some("Passed"));
            await_available(&admin, &plugin_service, "True", Some("Passed"));
        }
        server.reconfigure(&toggles(false, false));
        assert_eq!(server.stop().code(), Some(0), "also while parts are being switched");
    });
}
