//! Whatever any export of any world does wrong costs that call, and nothing else.

use archstone_model::{directory::EntryKind, id::UserId, secret::Secret};
use archstone_plugins::{
    Condition, Connector, ConnectorSetup, EnrolledOutcome, EnrolledStep, Enrolling,
    EnrollmentBegun, EntryKey, PluginError, Reach, Step, Way,
};
use serde_json::{Map, json};

use crate::{
    corpus::{Answer, Hostile, MISDEEDS, MOMENT, case, huge, text, words},
    guests::{Bench, settings},
};

/// A guest that serves within small limits, beside one that behaves.
struct Scene {
    bench: Bench,
    guest: Hostile,
}

impl Scene {
    async fn of(world: &str, proves: u8, answers: &[(&str, Answer)]) -> Self {
        let bench = Bench::new();
        let guest = Hostile::of_world(world, proves, answers);
        bench.serve_hello().await;
        let scene = Self { bench, guest };
        scene.serves_after_good_answers_only().await;
        scene
    }

    async fn prepare(&self) -> Result<(), String> {
        let with = json!({"limits": {
            "cpu_ms": 20, "memory_bytes": 8 << 20, "breaker_failures": 1000,
        }});
        let prepared =
            self.bench
                .registry
                .prepare("hostile", self.guest.component.clone(), settings(with));
        let candidate = prepared.await.map_err(|error| error.to_string())?;
        self.bench.registry.publish(candidate);
        Ok(())
    }

    /// `describe` and, but for connectors, `check` are called before anything serves.
    async fn serves_after_good_answers_only(&self) {
        for (number, (misdeed, _, _)) in MISDEEDS.iter().enumerate() {
            self.bench.set_time(self.guest.moment("describe", number));
            let refused = self.prepare().await;
            assert!(refused.is_err(), "describe: {misdeed}");
        }
        self.bench.set_time(MOMENT as i64);
        self.prepare().await.unwrap();
        let connectors = self.bench.registry.connector_plugin("hostile").is_ok();
        for (number, (misdeed, _, _)) in MISDEEDS.iter().enumerate() {
            self.bench.set_time(self.guest.moment("check", number));
            let refused = match connectors {
                false => self.prepare().await,
                true => {
                    let checked = self.bench.registry.check_connector("hostile", setup(1));
                    checked.await.map(drop).map_err(|error| error.to_string())
                }
            };
            assert!(refused.is_err(), "check: {misdeed}");
        }
        self.bench.set_time(MOMENT as i64);
        self.bench.expect_hello().await;
    }

    /// Calls an export with every misdeed, and once more after each.
    async fn costs_one_call<T: std::fmt::Debug>(
        &self,
        export: &str,
        call: impl AsyncFn() -> Result<T, PluginError>,
    ) {
        for (number, (misdeed, _, kind)) in MISDEEDS.iter().enumerate() {
            self.bench.set_time(self.guest.moment(export, number));
            let failed = call().await.expect_err(misdeed);
            assert_eq!(failed.kind(), *kind, "{export}: {misdeed}: {failed}");
            self.bench.expect_hello().await;
            self.bench.set_time(MOMENT as i64);
            let next = call().await;
            assert!(next.is_ok(), "{export} after {misdeed}: {next:?}");
        }
    }

    /// That no export was left out.
    fn has_exports(&self, called: &[&str]) {
        let mut called = [&["describe", "check"], called].concat();
        called.sort_unstable();
        let mut exports = self.guest.exports.clone();
        exports.sort_unstable();
        assert_eq!(exports, called);
    }
}

fn setup(revision: i64) -> ConnectorSetup {
    ConnectorSetup {
        id: "connector".to_owned(),
        revision,
        config: Map::new(),
    }
}

#[tokio::test]
async fn of_a_method() {
    let scene = Scene::of("auth-method", 1, &[("authenticate", Answer::denial(3))]).await;
    scene.has_exports(&["authenticate"]);
    let log_in = async || {
        let step = Step::new(json!({}));
        scene.bench.registry.authenticate("hostile", step).await
    };
    scene.costs_one_call("authenticate", log_in).await;
}

#[tokio::test]
async fn of_a_method_that_users_enrol_in() {
    let challenged = [case(0), text("{}"), text("{}"), words(&[60])].concat();
    let answers = [
        (
            "begin-enrollment",
            Answer::of(challenged, [case(0), huge()].concat()),
        ),
        ("complete-enrollment", Answer::denial(1)),
        ("named-in", Answer::of(case(0), [case(1), huge()].concat())),
        ("authenticate", Answer::denial(2)),
    ];
    let scene = Scene::of("enrollable-method", 0, &answers).await;
    scene.has_exports(&[
        "begin-enrollment",
        "complete-enrollment",
        "named-in",
        "authenticate",
    ]);
    let method = scene.bench.registry.enrollable("hostile").unwrap();
    let ada = || UserId::from("ada".to_owned());
    let enrolling = || Enrolling {
        user_id: ada(),
        label: String::new(),
        enrolled: Vec::new(),
    };
    let begin = async || method.begin_enrollment(enrolling()).await;
    scene.costs_one_call("begin-enrollment", begin).await;
    let complete = async || {
        // Each answer uses its challenge up, which is asked for while all is well.
        let now = scene.bench.time.load(std::sync::atomic::Ordering::Relaxed);
        scene.bench.set_time(MOMENT as i64);
        let Ok(EnrollmentBegun::Challenged(challenge)) = begin().await else {
            panic!("there is no challenge");
        };
        scene.bench.set_time(now);
        let completed = method.complete_enrollment(enrolling(), json!({}), &challenge.continuation);
        completed.await
    };
    scene.costs_one_call("complete-enrollment", complete).await;
    let named = async || method.named_in(&json!({})).await;
    scene.costs_one_call("named-in", named).await;
    let log_in = async || {
        let step = EnrolledStep {
            payload: json!({}),
            user_id: Some(ada()),
            is_claimed: true,
            enrolled: Vec::new(),
            continuation: None,
        };
        let outcome = method.authenticate(step).await;
        assert!(!matches!(outcome, Ok(EnrolledOutcome::Verified(_))));
        outcome
    };
    scene.costs_one_call("authenticate", log_in).await;
}

#[tokio::test]
async fn of_a_connector_where_people_log_in() {
    let answers = [
        ("begin", Answer::denial(2)),
        ("complete", Answer::denial(2)),
        ("present", Answer::denial(1)),
        ("logout", Answer::denial(1)),
    ];
    let scene = Scene::of("redirect-connector", 1, &answers).await;
    scene.has_exports(&["begin", "complete", "present", "logout"]);
    let connector = scene
        .bench
        .registry
        .connector("hostile", setup(1))
        .await
        .unwrap();
    let uri = "https://cloud.example/callback";
    let begin = async || connector.begin(Way::Browser, uri, "state").await;
    scene.costs_one_call("begin", begin).await;
    let complete = async || connector.complete(uri, Vec::new(), "{}".to_owned()).await;
    scene.costs_one_call("complete", complete).await;
    let present = async || connector.present("token").await;
    scene.costs_one_call("present", present).await;
    let logout = async || connector.logout(Vec::new()).await;
    scene.costs_one_call("logout", logout).await;
}

#[tokio::test]
async fn of_a_connector_for_workloads() {
    let scene = Scene::of("token-connector", 1, &[("present", Answer::denial(1))]).await;
    scene.has_exports(&["present"]);
    let connector = scene
        .bench
        .registry
        .connector("hostile", setup(1))
        .await
        .unwrap();
    let present = async || connector.present("token").await;
    scene.costs_one_call("present", present).await;
}

#[tokio::test]
async fn of_a_connector_to_a_directory() {
    let by_kind = [
        (
            EntryKind::User,
            ["find-user", "list-users", "groups-of-user"],
        ),
        (
            EntryKind::Group,
            ["find-group", "list-groups", "members-of-group"],
        ),
    ];
    let named: Vec<&str> = by_kind.iter().flat_map(|(_, names)| *names).collect();
    // Nobody is found, or it is unavailable with a long story.
    let nothing = Answer::of(case(0), [case(1), case(0), huge()].concat());
    let rejected = [case(0), case(1)].concat();
    let verify = Answer::of(rejected.clone(), [rejected, huge()].concat());
    let answers: Vec<(&str, Answer)> = named
        .iter()
        .map(|name| (*name, nothing.clone()))
        .chain([("verify", verify)])
        .collect();
    let scene = Scene::of("directory-connector", 1, &answers).await;
    scene.has_exports(&[named.as_slice(), &["verify"]].concat());
    let directory: Connector = scene
        .bench
        .registry
        .directory("hostile", setup(1), Reach::default())
        .await
        .unwrap();
    let key = || EntryKey::Name("ada".to_owned());
    let all: [Condition; 0] = [];
    for (kind, [find, list, belonging]) in by_kind {
        scene
            .costs_one_call(find, async || directory.find(kind, key()).await)
            .await;
        scene
            .costs_one_call(list, async || directory.list(kind, &all, None).await)
            .await;
        let belongs = async || directory.belonging_to(kind, "1", &all, None).await;
        scene.costs_one_call(belonging, belongs).await;
    }
    let password = Secret::new("secret");
    let verify = async || directory.verify(key(), &password).await;
    scene.costs_one_call("verify", verify).await;
}

#[tokio::test]
async fn of_a_sink() {
    let delivered = Answer::of(case(0), [case(1), words(&[0]), huge()].concat());
    let scene = Scene::of("event-sink", 1, &[("deliver", delivered)]).await;
    scene.has_exports(&["deliver"]);
    let events = [json!({"id": "1"})];
    let deliver = async || scene.bench.registry.deliver("hostile", &events).await;
    scene.costs_one_call("deliver", deliver).await;
}

#[tokio::test]
async fn of_an_authorizer() {
    let allowed = Answer::of(case(0), [case(1), huge()].concat());
    let scene = Scene::of("authorizer", 1, &[("decide", allowed)]).await;
    scene.has_exports(&["decide"]);
    let decide = async || {
        let nothing = || "{}".to_owned();
        let registry = &scene.bench.registry;
        registry
            .decide("hostile", "identity:list_users", nothing(), nothing())
            .await
    };
    scene.costs_one_call("decide", decide).await;
}
