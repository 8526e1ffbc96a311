-- Changing this file is a compatibility decision: a journal of version 3 of the schema, as a host of that version wrote it
-- (with other paths). Every later host reads it. docs/journal.md says what may change.
PRAGMA application_id = 1097757562;
PRAGMA user_version = 3;
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
INSERT INTO "record" VALUES(1,0,1.79553896451088547707e+09,'opened',NULL,'{"host_version":"0.1.0","process_id":17407,"elapsed_before_ns":0,"plugins":[{"component":"digits","role":"objective","path":"/usr/lib/ansatz/libansatz_objective_digits.so","package":"ansatz-objective-digits","version":"0.1.0","abi":"1.1.0","sha256":"a30756898db338c380d0cd35ff8e2545a1bc8cb4c4509229ffca9b0447f70822"},{"component":"random","role":"strategy","path":"/usr/lib/ansatz/libansatz_strategy_random.so","package":"ansatz-strategy-random","version":"0.1.0","abi":"1.1.0","sha256":"7f5dd469bbd05f9eccd48052d96b7f666456c2bb72fdb62c5d6750ce490383cd"}]}');
INSERT INTO "record" VALUES(1,1,1.79553896451115894321e+09,'asked',NULL,'{"member":0,"count":1,"trials":[{"trial":0,"point":{"learning_rate":0.02055517252312361},"tag":0}]}');
INSERT INTO "record" VALUES(1,2,1.79553896452632451058e+09,'reported',0,'{"trial":0,"step":1,"measurement":{"validation_loss":0.28756097753842674,"validation_accuracy":0.9}}');
INSERT INTO "record" VALUES(1,3,1.79553896452632498741e+09,'reported',0,'{"trial":0,"step":2,"measurement":{"validation_loss":0.15771014624171786,"validation_accuracy":0.9555555555555556}}');
INSERT INTO "record" VALUES(1,4,1.79553896452633023257e+09,'finished',0,'{"trial":0,"outcome":"completed","measurement":{"validation_loss":0.15771014624171786,"validation_accuracy":0.9555555555555556,"test_accuracy":0.9305555555555556,"train_loss":0.1257925802840053,"epochs":2.0},"duration_ns":13180446}');
INSERT INTO "record" VALUES(1,5,1.79553896452634644508e+09,'asked',NULL,'{"member":0,"count":1,"trials":[{"trial":1,"point":{"learning_rate":0.001703118379329802},"tag":0}]}');
INSERT INTO "record" VALUES(1,6,1.7955389645330052376e+09,'reported',1,'{"trial":1,"step":1,"measurement":{"validation_loss":1.6284762481848398,"validation_accuracy":0.6638888888888889}}');
INSERT INTO "record" VALUES(1,7,1.79553896453737640379e+09,'reported',1,'{"trial":1,"step":2,"measurement":{"validation_loss":1.0199860754940244,"validation_accuracy":0.8916666666666667}}');
INSERT INTO "record" VALUES(1,8,1.79553896453738188738e+09,'finished',1,'{"trial":1,"outcome":"completed","measurement":{"validation_loss":1.0199860754940244,"validation_accuracy":0.8916666666666667,"test_accuracy":0.8666666666666667,"train_loss":1.0216807371615921,"epochs":2.0},"duration_ns":8803078}');
INSERT INTO "record" VALUES(1,9,1.79553896453740167611e+09,'asked',NULL,'{"member":0,"count":1,"trials":[{"trial":2,"point":{"learning_rate":0.0002535360658478129},"tag":0}]}');
INSERT INTO "record" VALUES(1,10,1.79553896455300593371e+09,'reported',2,'{"trial":2,"step":1,"measurement":{"validation_loss":2.1394142733679877,"validation_accuracy":0.19166666666666668}}');
INSERT INTO "record" VALUES(1,11,1.79553896455300641054e+09,'reported',2,'{"trial":2,"step":2,"measurement":{"validation_loss":1.988597646024492,"validation_accuracy":0.3638888888888889}}');
INSERT INTO "record" VALUES(1,12,1.79553896455904102324e+09,'finished',2,'{"trial":2,"outcome":"completed","measurement":{"validation_loss":1.988597646024492,"validation_accuracy":0.3638888888888889,"test_accuracy":0.38055555555555554,"train_loss":2.0011901346311154,"epochs":2.0},"duration_ns":8704564}');
INSERT INTO "record" VALUES(1,13,1.79553896456078028679e+09,'closed',NULL,'{"reason":"all trials of the budget are done","elapsed_ns":95248765}');
CREATE TABLE study (
    study_id       INTEGER PRIMARY KEY,
    name           TEXT NOT NULL UNIQUE,
    seed           TEXT NOT NULL,
    created_at     REAL NOT NULL,
    schema_version INTEGER NOT NULL,
    plan           TEXT NOT NULL,
    manifest       TEXT NOT NULL
);
INSERT INTO "study" VALUES(1,'golden','4',1.79553896446555137636e+09,3,'{"name":"golden","rules":{"problem":{"space":{"parameters":[{"name":"learning_rate","domain":{"float":{"lower":0.0001,"upper":0.1,"scale":"log"}}}]},"metrics":[{"name":"validation_loss","goal":"minimise"}],"trial_count":3},"seed":4,"members":[{"label":"random","weight":1.0,"trial_count_max":null}],"mix":"in-turn","budget":{"trial_count":3,"wall_time":null,"target":null,"cost":null},"attempts_max":1,"duplicates":"replicate","consecutive_failures_max":10,"window":null},"objective":{"plugin":"digits","options":{"epochs":2},"isolation":{"isolation":null,"call_timeout":{"secs":60,"nanos":0},"memory_bytes_max":null}},"strategies":[{"plugin":"random","options":{},"isolation":{"isolation":null,"call_timeout":{"secs":60,"nanos":0},"memory_bytes_max":null}}],"run":{"slot_count":1,"trial_timeout":null,"on_interrupt":"requeue"},"journal":{"path":"ansatz.db","sync":"full"},"plugin_folders":[],"faults":{"restart_count_max":3,"fallback":{"plugin":"random","options":{},"isolation":{"isolation":null,"call_timeout":{"secs":60,"nanos":0},"memory_bytes_max":null}}},"manifest_folder":"/home/eva/study","manifest_name":"study.toml","overrides":[]}','study = { name = "golden", seed = 4 }
metrics = { validation_loss = "minimise" }
space = { learning_rate = { float = [1e-4, 1e-1], scale = "log" } }
objective = { plugin = "digits", options = { epochs = 2 } }
strategy = [{ plugin = "random" }]
budget = { trials = 3 }
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
    record.at AS at
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
