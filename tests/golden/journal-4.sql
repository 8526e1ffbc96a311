-- Changing this file is a compatibility decision: a journal of version 4 of the schema, as a host of that version wrote it
-- (with other paths). Every later host reads it. docs/journal.md says what may change.
PRAGMA application_id = 1097757562;
PRAGMA user_version = 4;
BEGIN TRANSACTION;
CREATE TABLE member (
    study_id INTEGER NOT NULL,
    number   INTEGER NOT NULL,
    label    TEXT NOT NULL,
    plugin   TEXT,
    PRIMARY KEY (study_id, number)
) WITHOUT ROWID;
INSERT INTO "member" VALUES(1,0,'random','random');
CREATE TABLE metric (
    study_id INTEGER NOT NULL,
    number   INTEGER NOT NULL,
    name     TEXT NOT NULL,
    goal     TEXT NOT NULL,
    PRIMARY KEY (study_id, number)
) WITHOUT ROWID;
INSERT INTO "metric" VALUES(1,0,'validation_loss','minimise');
CREATE TABLE record (
    study_id INTEGER NOT NULL,
    number   INTEGER NOT NULL,
    at       REAL NOT NULL,
    kind     TEXT NOT NULL,
    trial    INTEGER,
    body     TEXT NOT NULL,
    PRIMARY KEY (study_id, number)
) WITHOUT ROWID;
INSERT INTO "record" VALUES(1,0,1.79593156694660162926e+09,'opened',NULL,'{"host_version":"0.1.0","process_id":7901,"elapsed_before_ns":0,"plugins":[{"component":"digits","role":"objective","path":"/usr/lib/ansatz/libansatz_objective_digits.so","package":"ansatz-objective-digits","version":"0.1.0","abi":"1.2.0","sha256":"c22084be254d6e3b6fb1caacb68cf6f31cd67c5a1500b4e4693e25dc1b0a846e"},{"component":"random","role":"strategy","path":"/usr/lib/ansatz/libansatz_strategy_random.so","package":"ansatz-strategy-random","version":"0.1.0","abi":"1.2.0","sha256":"9594ec4942c598b98ba3f0c2f94f108e1f9a02568c92747b830c15eac0eba73e"},{"component":"median","role":"early-stopping","path":"/usr/lib/ansatz/libansatz_early_stopping_median.so","package":"ansatz-early-stopping-median","version":"0.1.0","abi":"1.2.0","sha256":"961a4ee021fea86f383ec22dc2feb2428fa9439eb812fc37d57ef205a3414f7c"}]}');
INSERT INTO "record" VALUES(1,1,1.79593156694683885573e+09,'asked',NULL,'{"member":0,"count":1,"trials":[{"trial":0,"point":{"learning_rate":0.02055517252312361},"tag":0}]}');
INSERT INTO "record" VALUES(1,2,1.79593156694800424582e+09,'reported',0,'{"trial":0,"step":1,"measurement":{"validation_loss":1.4315439535511865,"validation_accuracy":0.4638888888888889}}');
INSERT INTO "record" VALUES(1,3,1.79593156694890451426e+09,'reported',0,'{"trial":0,"step":2,"measurement":{"validation_loss":0.9452202818459935,"validation_accuracy":0.6833333333333333}}');
INSERT INTO "record" VALUES(1,4,1.79593156694933342928e+09,'finished',0,'{"trial":0,"outcome":"completed","measurement":{"validation_loss":0.9452202818459935,"validation_accuracy":0.6833333333333333,"test_accuracy":0.6944444444444444,"train_loss":0.9500419077711628,"epochs":2.0},"duration_ns":2153548}');
INSERT INTO "record" VALUES(1,5,1.79593156694936490055e+09,'asked',NULL,'{"member":0,"count":1,"trials":[{"trial":1,"point":{"learning_rate":0.001703118379329802},"tag":0}]}');
INSERT INTO "record" VALUES(1,6,1.79593156695032954211e+09,'reported',1,'{"trial":1,"step":1,"measurement":{"validation_loss":2.1825383567147787,"validation_accuracy":0.14166666666666666}}');
INSERT INTO "record" VALUES(1,7,1.79593156695124435426e+09,'reported',1,'{"trial":1,"step":2,"measurement":{"validation_loss":2.0183572510878247,"validation_accuracy":0.2361111111111111}}');
INSERT INTO "record" VALUES(1,8,1.79593156695163822175e+09,'finished',1,'{"trial":1,"outcome":"completed","measurement":{"validation_loss":2.0183572510878247,"validation_accuracy":0.2361111111111111,"test_accuracy":0.25,"train_loss":2.0179804673101907,"epochs":2.0},"duration_ns":1971166}');
INSERT INTO "record" VALUES(1,9,1.79593156695165276524e+09,'asked',NULL,'{"member":0,"count":1,"trials":[{"trial":2,"point":{"learning_rate":0.0002535360658478129},"tag":0}]}');
INSERT INTO "record" VALUES(1,10,1.79593156695264744753e+09,'reported',2,'{"trial":2,"step":1,"measurement":{"validation_loss":2.4464680754476125,"validation_accuracy":0.08055555555555556},"stop":"median at step 1: its best so far is 2.4465, the median of 2 completed trials 1.807"}');
INSERT INTO "record" VALUES(1,11,1.7959315669529240131e+09,'finished',2,'{"trial":2,"outcome":"stopped","measurement":{"validation_loss":2.4464680754476125,"validation_accuracy":0.08055555555555556},"reason":"median at step 1: its best so far is 2.4465, the median of 2 completed trials 1.807","duration_ns":1003633}');
INSERT INTO "record" VALUES(1,12,1.79593156695293760301e+09,'asked',NULL,'{"member":0,"count":1,"trials":[{"trial":3,"point":{"learning_rate":0.002939950706316975},"tag":0}]}');
INSERT INTO "record" VALUES(1,13,1.79593156695388460157e+09,'reported',3,'{"trial":3,"step":1,"measurement":{"validation_loss":2.1574342962768345,"validation_accuracy":0.14166666666666666},"stop":"median at step 1: its best so far is 2.1574, the median of 2 completed trials 1.807"}');
INSERT INTO "record" VALUES(1,14,1.79593156695419287676e+09,'finished',3,'{"trial":3,"outcome":"stopped","measurement":{"validation_loss":2.1574342962768345,"validation_accuracy":0.14166666666666666},"reason":"median at step 1: its best so far is 2.1574, the median of 2 completed trials 1.807","duration_ns":959892}');
INSERT INTO "record" VALUES(1,15,1.79593156695420551292e+09,'asked',NULL,'{"member":0,"count":1,"trials":[{"trial":4,"point":{"learning_rate":0.002387019006208799},"tag":0}]}');
INSERT INTO "record" VALUES(1,16,1.79593156695514488217e+09,'reported',4,'{"trial":4,"step":1,"measurement":{"validation_loss":2.130106993516286,"validation_accuracy":0.30277777777777776},"stop":"median at step 1: its best so far is 2.1301, the median of 2 completed trials 1.807"}');
INSERT INTO "record" VALUES(1,17,1.79593156695541810992e+09,'finished',4,'{"trial":4,"outcome":"stopped","measurement":{"validation_loss":2.130106993516286,"validation_accuracy":0.30277777777777776},"reason":"median at step 1: its best so far is 2.1301, the median of 2 completed trials 1.807","duration_ns":922773}');
INSERT INTO "record" VALUES(1,18,1.79593156695567488672e+09,'closed',NULL,'{"reason":"all trials of the budget are done","elapsed_ns":9966738}');
CREATE TABLE study (
    study_id       INTEGER PRIMARY KEY,
    name           TEXT NOT NULL UNIQUE,
    seed           TEXT NOT NULL,
    created_at     REAL NOT NULL,
    schema_version INTEGER NOT NULL,
    plan           TEXT NOT NULL,
    manifest       TEXT NOT NULL
);
INSERT INTO "study" VALUES(1,'golden','4',1.79593156694572114945e+09,4,'{"name":"golden","rules":{"problem":{"space":{"parameters":[{"name":"learning_rate","domain":{"float":{"lower":0.0001,"upper":0.1,"scale":"log"}}}]},"metrics":[{"name":"validation_loss","goal":"minimise"}],"trial_count":5},"seed":4,"members":[{"label":"random","weight":1.0,"trial_count_max":null}],"mix":"in-turn","budget":{"trial_count":5,"wall_time":null,"target":null,"cost":null},"attempts_max":1,"duplicates":"replicate","consecutive_failures_max":10,"window":null,"early_stopping":"median"},"objective":{"plugin":"digits","options":{"epochs":2,"hidden_units":8},"isolation":{"isolation":null,"call_timeout":{"secs":60,"nanos":0},"memory_bytes_max":null}},"strategies":[{"plugin":"random","options":{},"isolation":{"isolation":null,"call_timeout":{"secs":60,"nanos":0},"memory_bytes_max":null}}],"early_stopping":{"plugin":"median","options":{"trials_min":2,"warm_up_steps":0},"isolation":{"isolation":null,"call_timeout":{"secs":60,"nanos":0},"memory_bytes_max":null}},"run":{"slot_count":1,"trial_timeout":null,"on_interrupt":"requeue"},"journal":{"path":"ansatz.db","sync":"full"},"plugin_folders":[],"faults":{"restart_count_max":3,"fallback":{"plugin":"random","options":{},"isolation":{"isolation":null,"call_timeout":{"secs":60,"nanos":0},"memory_bytes_max":null}}},"manifest_folder":"/home/eva/digits","manifest_name":"study.toml","overrides":[]}','study = { name = "golden", seed = 4 }
metrics = { validation_loss = "minimise" }
space = { learning_rate = { float = [1e-4, 1e-1], scale = "log" } }
objective = { plugin = "digits", options = { epochs = 2, hidden_units = 8 } }
strategy = [{ plugin = "random" }]
early_stopping = { plugin = "median", options = { trials_min = 2, warm_up_steps = 0 } }
budget = { trials = 5 }
run = { slots = 1 }
');
CREATE TRIGGER record_is_never_changed BEFORE UPDATE ON record BEGIN
    SELECT RAISE(ABORT, 'a journal is only ever added to');
END;
CREATE TRIGGER study_takes_all_with_it AFTER DELETE ON study BEGIN
    DELETE FROM record WHERE study_id = OLD.study_id;
    DELETE FROM member WHERE study_id = OLD.study_id;
    DELETE FROM metric WHERE study_id = OLD.study_id;
END;
CREATE VIEW trial AS
SELECT
    study.name                                       AS study,
    asked.trial                                      AS trial,
    member.label                                     AS strategy,
    coalesce(json_extract(ended.body, '$.outcome'), 'pending') AS state,
    asked.point                                      AS point,
    json_extract(ended.body, '$.measurement')        AS measurement,
    json_extract(ended.body, '$.duration_ns') / 1e9  AS duration,
    coalesce(ended.attempt, 1)                       AS attempts,
    asked.at                                         AS asked_at,
    ended.at                                         AS finished_at,
    json_extract(ended.body, '$.failure')            AS failure,
    json_extract(ended.body, '$.reason')             AS reason,
    asked.fidelity                                   AS fidelity,
    json_extract(ended.body, '$.reused')             AS reused
FROM (
    SELECT record.study_id, record.at,
        json_extract(record.body, '$.member')  AS member,
        json_extract(each.value, '$.trial')    AS trial,
        json_extract(each.value, '$.point')    AS point,
        json_extract(each.value, '$.fidelity') AS fidelity
    FROM record, json_each(record.body, '$.trials') AS each
    WHERE record.kind = 'asked'
) AS asked
JOIN study ON study.study_id = asked.study_id
LEFT JOIN member ON member.study_id = asked.study_id AND member.number = asked.member
LEFT JOIN (
    SELECT study_id, trial,
        max(CASE kind WHEN 'retried' THEN json_extract(body, '$.attempt') END) AS attempt,
        max(CASE kind WHEN 'finished' THEN at END)   AS at,
        max(CASE kind WHEN 'finished' THEN body END) AS body
    FROM record WHERE kind IN ('retried', 'finished') GROUP BY study_id, trial
) AS ended ON ended.study_id = asked.study_id AND ended.trial = asked.trial;
CREATE VIEW measurement_value AS
SELECT study.name AS study, record.trial AS trial, each.key AS metric,
    CASE each.type WHEN 'object' THEN json_extract(each.value, '$.value') ELSE each.value END AS value,
    CASE each.type WHEN 'object' THEN json_extract(each.value, '$.standard_error') END AS standard_error
FROM record JOIN study ON study.study_id = record.study_id, json_each(record.body, '$.measurement') AS each
WHERE record.kind = 'finished';
CREATE VIEW report AS
SELECT study.name AS study, record.trial AS trial, json_extract(record.body, '$.step') AS step,
    each.key AS metric,
    CASE each.type WHEN 'object' THEN json_extract(each.value, '$.value') ELSE each.value END AS value,
    CASE each.type WHEN 'object' THEN json_extract(each.value, '$.standard_error') END AS standard_error,
    record.at AS at, json_extract(record.body, '$.stop') AS stop
FROM record JOIN study ON study.study_id = record.study_id, json_each(record.body, '$.measurement') AS each
WHERE record.kind = 'reported';
CREATE VIEW session AS
SELECT study.name AS study, opened.number AS opened_number, opened.at AS opened_at,
    closed.at                                                AS closed_at,
    json_extract(closed.body, '$.reason')                    AS reason,
    json_extract(opened.body, '$.elapsed_before_ns') / 1e9   AS elapsed_before,
    json_extract(closed.body, '$.elapsed_ns') / 1e9          AS elapsed,
    json_extract(opened.body, '$.host_version')              AS host_version,
    json_extract(opened.body, '$.process_id')                AS process_id,
    json_extract(opened.body, '$.plugins')                   AS plugins
FROM record AS opened
JOIN study ON study.study_id = opened.study_id
LEFT JOIN record AS closed ON closed.study_id = opened.study_id AND closed.kind = 'closed'
    AND closed.number = (
        SELECT min(later.number) FROM record AS later
        WHERE later.study_id = opened.study_id AND later.number > opened.number
            AND later.kind IN ('opened', 'closed')
    )
WHERE opened.kind = 'opened';
CREATE VIEW study_summary AS
SELECT study.name AS study, study.created_at AS created_at, study.seed AS seed,
    coalesce(counted.entries, 0)    AS entries,
    coalesce(counted.sessions, 0)   AS sessions,
    coalesce(counted.trials, 0)     AS trials,
    coalesce(counted.trials - counted.ended, 0) AS pending,
    coalesce(counted.completed, 0)  AS completed,
    coalesce(counted.infeasible, 0) AS infeasible,
    coalesce(counted.failed, 0)     AS failed,
    coalesce(counted.stopped, 0)    AS stopped,
    coalesce(counted.retries, 0)    AS retries,
    coalesce(counted.reports, 0)    AS reports,
    counted.last_at                 AS last_at
FROM study LEFT JOIN (
    SELECT study_id, count(*) AS entries, max(at) AS last_at,
        sum(kind = 'opened')   AS sessions,
        sum(CASE kind WHEN 'asked' THEN json_array_length(body, '$.trials') ELSE 0 END) AS trials,
        sum(kind = 'finished') AS ended,
        sum(kind = 'finished' AND json_extract(body, '$.outcome') = 'completed')  AS completed,
        sum(kind = 'finished' AND json_extract(body, '$.outcome') = 'infeasible') AS infeasible,
        sum(kind = 'finished' AND json_extract(body, '$.outcome') = 'failed')     AS failed,
        sum(kind = 'finished' AND json_extract(body, '$.outcome') = 'stopped')    AS stopped,
        sum(kind = 'retried')  AS retries,
        sum(kind = 'reported') AS reports
    FROM record GROUP BY study_id
) AS counted ON counted.study_id = study.study_id;
COMMIT;
