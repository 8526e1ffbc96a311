use super::super::tests::{Dice, life, opened, space};
use super::*;

fn encoded(entry: &Entry) -> (Kind, Option<u64>, String) {
    let mut body = b"earlier".to_vec();
    let (kind, trial) = encode(entry, &space(), &mut body).unwrap();
    assert_eq!(body[..7], *b"earlier");
    (kind, trial, String::from_utf8(body[7..].to_vec()).unwrap())
}

/// By what they print: `Debug` shows every bit of a float but those of NaN.
fn is_same(a: &Entry, b: &Entry) -> bool {
    format!("{a:?}") == format!("{b:?}")
}

#[test]
fn what_is_encoded_is_decoded() {
    let space = space();
    for seed in 0..40 {
        let mut dice = Dice(1000 + seed);
        let mut entries: Vec<Entry> =
            life(seed, 100).0.into_iter().flatten().map(|stamped| stamped.entry).collect();
        entries.push(opened(&mut dice));
        for failure in
            [Failure::Objective, Failure::Measurement, Failure::Timeout, Failure::Panic, Failure::Lost]
        {
            let (trial, reason) = (TrialId(dice.bits() >> 1), dice.text());
            entries.push(Entry::Study(Record::Retried {
                trial,
                attempt: dice.bits() as u32,
                failure,
                reason,
            }));
            let outcome = Outcome::Failed { failure, reason: dice.text() };
            let duration = dice.duration();
            let reused = Some(TrialId(0));
            entries.push(Entry::Study(Record::Arrived { trial, outcome: outcome.clone(), duration, reused }));
            entries.push(Entry::Study(Record::Finished { trial, outcome, duration, reused }));
        }
        for entry in entries {
            let (kind, trial, body) = encoded(&entry);
            let again = decode(kind, &body, &space).unwrap();
            assert!(is_same(&entry, &again), "{entry:?}\n{again:?}\n{body}");
            let json: serde_json::Value = serde_json::from_str(&body).unwrap();
            assert_eq!(json.get("trial").and_then(serde_json::Value::as_u64), trial);
        }
    }
}

#[test]
fn points_are_stored_as_the_space_shows_them() {
    for stamped in life(1, 200).0.into_iter().flatten() {
        let Entry::Study(Record::Asked { trials, .. }) = &stamped.entry else { continue };
        let json: serde_json::Value = serde_json::from_str(&encoded(&stamped.entry).2).unwrap();
        for (index, asked) in trials.iter().enumerate() {
            assert_eq!(json["trials"][index]["point"], space().point_to_json(&asked.point));
        }
    }
}

#[test]
fn numbers_keep_their_bits() {
    let mut dice = Dice(4);
    let special =
        [0.0, -0.0, f64::NAN, f64::INFINITY, f64::NEG_INFINITY, f64::MAX, f64::MIN_POSITIVE, 5e-324, 1e23];
    let numbers =
        special.into_iter().chain((0..10_000).map(|_| f64::from_bits(dice.bits()))).collect::<Vec<_>>();
    for number in numbers {
        let text = serde_json::to_string(&Number(number)).unwrap();
        let again: Number = serde_json::from_str(&text).unwrap();
        assert!(
            again.0.to_bits() == number.to_bits() || (again.0.is_nan() && number.is_nan()),
            "{number:e} {text}"
        );
    }
    // a diverged training reports what it has
    let measurement = Measurement::new().with("loss", f64::NAN).with_error("other", f64::INFINITY, f64::NAN);
    let entry = Entry::Study(Record::Reported { trial: TrialId(0), step: u64::MAX, measurement, stop: None });
    let (kind, _, body) = encoded(&entry);
    assert!(is_same(&decode(kind, &body, &space()).unwrap(), &entry), "{body}");
}

/// Versions 1 and 2, word for word. Changing this is a compatibility decision: new words need a new version of the
/// schema, and these texts must be readable for ever.
#[test]
fn the_format_is_what_it_was() {
    let second = Duration::from_secs(1);
    let point = space().point_from_json(&serde_json::json!(
        {"rate \"log\"": 0.001, "x.step": 0.0, "units": 64, "optimiser": "sgd", "size": 1, "nesterov": true}
    ));
    let asked = AskedTrial {
        trial: TrialId(3),
        point: point.unwrap(),
        tag: 9,
        fidelity: Some(2.0),
        prediction: None,
    };
    let predicted =
        AskedTrial { prediction: Some(Prediction::new(0.5, 0.125).with_acquisition(-2.0)), ..asked.clone() };
    let bare = AskedTrial { tag: 0, trial: TrialId(4), fidelity: None, ..asked.clone() };
    let finished = |outcome, reused| {
        Entry::Study(Record::Finished { trial: TrialId(3), outcome, duration: second / 2, reused })
    };
    let stamp = PluginStamp {
        component: "random".into(),
        role: "strategy".into(),
        path: "/opt/ansatz/librandom.so".into(),
        package: "ansatz-strategy-random".into(),
        version: "0.1.0".into(),
        abi: "1.0.0".into(),
        sha256: "ab".into(),
    };
    let session = Opened {
        host_version: "0.1.0".into(),
        process_id: Some(4711),
        elapsed_before: second,
        plugins: vec![stamp],
        plan: None,
        manifest: Some("trials = 3\n".into()),
    };
    let failure = Failure::Timeout;
    let measurement = Measurement::new().with("loss", 0.25).with_error("accuracy", 1.0, 0.5);
    let transferred = TransferredTrial {
        original: TrialId(7),
        point: asked.point.clone(),
        fidelity: Some(2.0),
        outcome: Outcome::Completed { measurement: Measurement::new().with("loss", 0.25) },
    };
    let golden: [(Entry, Kind, Option<u64>, &str); 19] = [
        (
            Entry::Opened(session),
            Kind::Opened,
            None,
            r#"{"host_version":"0.1.0","process_id":4711,"elapsed_before_ns":1000000000,"plugins":[{"component":"random","role":"strategy","path":"/opt/ansatz/librandom.so","package":"ansatz-strategy-random","version":"0.1.0","abi":"1.0.0","sha256":"ab"}],"manifest":"trials = 3\n"}"#,
        ),
        (
            Entry::Study(Record::Transferred {
                source: "study old in a.db".into(),
                trials: vec![transferred],
            }),
            Kind::Transferred,
            None,
            r#"{"source":"study old in a.db","trials":[{"point":{"rate \"log\"":0.001,"x.step":0.0,"units":64,"optimiser":"sgd","size":1,"nesterov":true},"fidelity":2.0,"ended":{"trial":7,"outcome":"completed","measurement":{"loss":0.25},"duration_ns":0}}]}"#,
        ),
        (
            Entry::Study(Record::Enqueued { ticket: Some(5), trials: vec![bare.clone()] }),
            Kind::Enqueued,
            None,
            r#"{"ticket":5,"trials":[{"trial":4,"point":{"rate \"log\"":0.001,"x.step":0.0,"units":64,"optimiser":"sgd","size":1,"nesterov":true},"tag":0}]}"#,
        ),
        (
            Entry::Study(Record::Enqueued { ticket: None, trials: vec![bare.clone()] }),
            Kind::Enqueued,
            None,
            r#"{"trials":[{"trial":4,"point":{"rate \"log\"":0.001,"x.step":0.0,"units":64,"optimiser":"sgd","size":1,"nesterov":true},"tag":0}]}"#,
        ),
        (
            Entry::Study(Record::Asked {
                member: 1,
                count: 2,
                trials: vec![asked.clone(), bare],
                is_exhausted: false,
            }),
            Kind::Asked,
            None,
            r#"{"member":1,"count":2,"trials":[{"trial":3,"point":{"rate \"log\"":0.001,"x.step":0.0,"units":64,"optimiser":"sgd","size":1,"nesterov":true},"tag":9,"fidelity":2.0},{"trial":4,"point":{"rate \"log\"":0.001,"x.step":0.0,"units":64,"optimiser":"sgd","size":1,"nesterov":true},"tag":0}]}"#,
        ),
        (
            Entry::Study(Record::Asked { member: 1, count: 1, trials: vec![predicted], is_exhausted: false }),
            Kind::Asked,
            None,
            r#"{"member":1,"count":1,"trials":[{"trial":3,"point":{"rate \"log\"":0.001,"x.step":0.0,"units":64,"optimiser":"sgd","size":1,"nesterov":true},"tag":9,"fidelity":2.0,"prediction":{"mean":0.5,"deviation":0.125,"acquisition":-2.0}}]}"#,
        ),
        (
            Entry::Study(Record::Asked { member: 0, count: 1, trials: vec![], is_exhausted: true }),
            Kind::Asked,
            None,
            r#"{"member":0,"count":1,"trials":[],"exhausted":true}"#,
        ),
        (
            Entry::Study(Record::Broke { member: 1, remedy: Remedy::Fallback, reason: "it hung".into() }),
            Kind::Broke,
            None,
            r#"{"member":1,"remedy":"fallback","reason":"it hung"}"#,
        ),
        (
            Entry::Study(Record::EarlyStoppingBroke {
                remedy: Remedy::Restart,
                reason: "it hung".into(),
                when_asked: false,
            }),
            Kind::EarlyStoppingBroke,
            None,
            r#"{"remedy":"restart","reason":"it hung"}"#,
        ),
        (
            Entry::Study(Record::EarlyStoppingBroke {
                remedy: Remedy::LeaveOut,
                reason: "it hung".into(),
                when_asked: true,
            }),
            Kind::EarlyStoppingBroke,
            None,
            r#"{"remedy":"leave-out","reason":"it hung","when_asked":true}"#,
        ),
        (
            Entry::Study(Record::Reported {
                trial: TrialId(3),
                step: 8,
                measurement: Measurement::new().with("loss", 0.5),
                stop: Some("median at step 8: too bad".into()),
            }),
            Kind::Reported,
            Some(3),
            r#"{"trial":3,"step":8,"measurement":{"loss":0.5},"stop":"median at step 8: too bad"}"#,
        ),
        (
            Entry::Study(Record::Reported {
                trial: TrialId(3),
                step: 7,
                measurement: measurement.clone(),
                stop: None,
            }),
            Kind::Reported,
            Some(3),
            r#"{"trial":3,"step":7,"measurement":{"loss":0.25,"accuracy":{"value":1.0,"standard_error":0.5}}}"#,
        ),
        (
            Entry::Study(Record::Promoted {
                member: Some(1),
                trial: asked,
                continued: TrialId(2),
                reason: "halving: it is number 1 of 3".into(),
            }),
            Kind::Promoted,
            None,
            r#"{"member":1,"continued":2,"reason":"halving: it is number 1 of 3","trials":[{"trial":3,"point":{"rate \"log\"":0.001,"x.step":0.0,"units":64,"optimiser":"sgd","size":1,"nesterov":true},"tag":9,"fidelity":2.0}]}"#,
        ),
        (
            Entry::Study(Record::Retried { trial: TrialId(3), attempt: 2, failure, reason: "late".into() }),
            Kind::Retried,
            Some(3),
            r#"{"trial":3,"attempt":2,"failure":"timeout","reason":"late"}"#,
        ),
        (
            finished(Outcome::Completed { measurement }, Some(TrialId(1))),
            Kind::Finished,
            Some(3),
            r#"{"trial":3,"outcome":"completed","measurement":{"loss":0.25,"accuracy":{"value":1.0,"standard_error":0.5}},"duration_ns":500000000,"reused":1}"#,
        ),
        (
            finished(Outcome::Failed { failure, reason: "late".into() }, None),
            Kind::Finished,
            Some(3),
            r#"{"trial":3,"outcome":"failed","failure":"timeout","reason":"late","duration_ns":500000000}"#,
        ),
        (
            Entry::Study(Record::Arrived {
                trial: TrialId(3),
                outcome: Outcome::Infeasible { reason: "too hot".into() },
                duration: second,
                reused: None,
            }),
            Kind::Arrived,
            Some(3),
            r#"{"trial":3,"outcome":"infeasible","reason":"too hot","duration_ns":1000000000}"#,
        ),
        (
            finished(Outcome::Stopped { reason: "by hand".into(), measurement: None }, None),
            Kind::Finished,
            Some(3),
            r#"{"trial":3,"outcome":"stopped","reason":"by hand","duration_ns":500000000}"#,
        ),
        (
            Entry::Closed { reason: "interrupted".into(), elapsed: second },
            Kind::Closed,
            None,
            r#"{"reason":"interrupted","elapsed_ns":1000000000}"#,
        ),
    ];
    for (entry, kind, trial, body) in golden {
        assert_eq!(encoded(&entry), (kind, trial, body.to_owned()));
        assert_eq!(decode(kind, body, &space()), Ok(entry.clone()));
        // what a later version may add to any object of ours is passed over
        let later = body.replace("{\"trial\":", "{\"later\":{\"a\":[1]},\"trial\":");
        let later = later.replace("{\"component\":", "{\"later\":null,\"component\":");
        let later = later.replace("{\"mean\":", "{\"later\":[],\"mean\":");
        let later = format!("{{\"new\":1,{}", &later[1..]);
        assert_eq!(decode(kind, &later, &space()), Ok(entry));
        // and half of it is not something else
        for end in (0..body.len()).filter(|end| body.is_char_boundary(*end)) {
            assert!(decode(kind, &body[..end], &space()).is_err());
        }
    }
    let words = [
        "opened",
        "transferred",
        "enqueued",
        "asked",
        "broke",
        "early-stopping-broke",
        "reported",
        "promoted",
        "retried",
        "arrived",
        "finished",
        "closed",
    ];
    assert_eq!(Kind::ALL.map(Kind::word), words);
    assert_eq!(words.map(Kind::of), Kind::ALL.map(Some));
    assert_eq!(Kind::of("dreamt"), None);
}

#[test]
fn how_version_1_said_that_a_strategy_broke_is_still_read() {
    let left_out = Record::Broke { member: 1, remedy: Remedy::LeaveOut, reason: String::new() };
    assert_eq!(
        decode(Kind::Asked, r#"{"member":1,"count":0,"trials":[]}"#, &space()),
        Ok(Entry::Study(left_out))
    );
}

#[test]
fn what_makes_no_sense_is_an_error() {
    for (kind, body, reason) in [
        (Kind::Finished, r#"{"trial":0,"outcome":"completed","duration_ns":1}"#, "measurement"),
        (Kind::Finished, r#"{"trial":0,"outcome":"failed","duration_ns":1,"reason":""}"#, "failure"),
        (Kind::Finished, r#"{"trial":0,"outcome":"dreamt","duration_ns":1}"#, "dreamt"),
        (Kind::Finished, r#"{"trial":-1,"outcome":"stopped","duration_ns":1}"#, "-1"),
        (Kind::Reported, r#"{"trial":0,"step":0,"measurement":{"loss":"low"}}"#, "low"),
        (Kind::Reported, r#"{"trial":0,"step":0,"measurement":{"loss":null}}"#, "null"),
        (Kind::Reported, r#"{"trial":0,"step":0,"measurement":{"loss":{"value":{}}}}"#, "object"),
        (Kind::Reported, r#"{"trial":0,"step":0,"measurement":[1]}"#, "metrics"),
        (Kind::Asked, r#"{"member":0,"count":1,"trials":[{"trial":5,"point":{"unit":1}}]}"#, "trial 5"),
        (Kind::Asked, r#"{"member":0,"count":1,"trials":[{"trial":5,"point":{"x.step":0.05}}]}"#, "x.step"),
        (Kind::Closed, "[]", "2 elements"),
    ] {
        let error = decode(kind, body, &space()).unwrap_err();
        assert!(error.contains(reason), "{error}");
    }
}

#[test]
fn any_text_is_an_entry_or_an_error() {
    let space = space();
    let mut dice = Dice(3);
    for stamped in life(2, 100).0.into_iter().flatten() {
        let (kind, _, body) = encoded(&stamped.entry);
        for _ in 0..20 {
            let mut bytes = body.clone().into_bytes();
            let place = dice.below(bytes.len() as u64) as usize;
            bytes[place] = b"{}[]\",:0-9eax"[dice.below(13) as usize];
            if let Ok(text) = String::from_utf8(bytes) {
                let _ = decode(kind, &text, &space);
            }
        }
        for other in Kind::ALL {
            let _ = decode(other, &body, &space);
        }
    }
}
