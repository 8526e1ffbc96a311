-- Changing this file is a compatibility decision: a journal of version 6 of the schema, as a host of that version wrote it
-- (with other paths). Every later host reads it. docs/journal.md says what may change.
PRAGMA application_id = 1097757562;
PRAGMA user_version = 6;
BEGIN TRANSACTION;
CREATE TABLE study (
    study_id       INTEGER PRIMARY KEY,
    name           TEXT NOT NULL UNIQUE,
    seed           TEXT NOT NULL,
    created_at     REAL NOT NULL,
    schema_version INTEGER NOT NULL,
    plan           TEXT NOT NULL,
    manifest       TEXT NOT NULL
);
INSERT INTO study VALUES(1,'golden','12',1795983278.5412158965,6,'{"name":"golden","rules":{"problem":{"space":{"parameters":[{"name":"learning_rate","domain":{"float":{"lower":0.0001,"upper":1.0,"scale":"log"}}}]},"metrics":[{"name":"validation_accuracy","goal":"maximise"}],"trial_count":5},"seed":12,"members":[{"label":"random","weight":1.0,"trial_count_max":null}],"mix":"in-turn","budget":{"trial_count":5,"wall_time":null,"target":null,"cost":null},"attempts_max":1,"duplicates":"replicate","consecutive_failures_max":10,"window":null,"early_stopping":"successive-halving","enqueued":[{"point":[0.01]}]},"objective":{"plugin":"digits","options":{"epochs":4},"isolation":{"isolation":null,"call_timeout":{"secs":60,"nanos":0},"memory_bytes_max":null}},"strategies":[{"plugin":"random","options":{},"isolation":{"isolation":null,"call_timeout":{"secs":60,"nanos":0},"memory_bytes_max":null}}],"early_stopping":{"plugin":"successive-halving","options":{},"isolation":{"isolation":null,"call_timeout":{"secs":60,"nanos":0},"memory_bytes_max":null}},"run":{"slot_count":1,"trial_timeout":null,"on_interrupt":"requeue"},"journal":{"path":"ansatz.db","sync":"off"},"plugin_folders":[],"faults":{"restart_count_max":3,"fallback":{"plugin":"random","options":{},"isolation":{"isolation":null,"call_timeout":{"secs":60,"nanos":0},"memory_bytes_max":null}}},"manifest_folder":"/home/user","manifest_name":"s.toml","overrides":[]}',replace('study = { name = "golden", seed = 12 }\nobjective = { plugin = "digits", options = { epochs = 4 } }\nstrategy = [{ plugin = "random" }]\nearly_stopping = { plugin = "successive-halving" }\nbudget = { trials = 5 }\nmetrics = { validation_accuracy = "maximise" }\njournal = { path = "ansatz.db", sync = "off" }\nspace = { learning_rate = { float = [1e-4, 1.0], scale = "log" } }\n[[enqueue]]\nlearning_rate = 0.01\n','\n',char(10)));
CREATE TABLE member (
    study_id INTEGER NOT NULL,
    number   INTEGER NOT NULL,
    label    TEXT NOT NULL,
    plugin   TEXT,
    PRIMARY KEY (study_id, number)
) WITHOUT ROWID;
INSERT INTO member VALUES(1,0,'random','random');
CREATE TABLE metric (
    study_id INTEGER NOT NULL,
    number   INTEGER NOT NULL,
    name     TEXT NOT NULL,
    goal     TEXT NOT NULL,
    PRIMARY KEY (study_id, number)
) WITHOUT ROWID;
INSERT INTO metric VALUES(1,0,'validation_accuracy','maximise');
CREATE TABLE record (
    study_id INTEGER NOT NULL,
    number   INTEGER NOT NULL,
    at       REAL NOT NULL,
    kind     TEXT NOT NULL,
    trial    INTEGER,
    body     TEXT NOT NULL,
    PRIMARY KEY (study_id, number)
) WITHOUT ROWID;
INSERT INTO record VALUES(1,0,1795983278.542056322,'opened',NULL,'{"host_version":"0.1.0","process_id":8992,"elapsed_before_ns":0,"plugins":[{"component":"digits","role":"objective","path":"/usr/lib/ansatz/libansatz_objective_digits.so","package":"ansatz-objective-digits","version":"0.1.0","abi":"1.2.0","sha256":"a6e8f23ad3a4541027639ed4899f3d4132fab164844003d4a2fee240d2d6f031"},{"component":"random","role":"strategy","path":"/usr/lib/ansatz/libansatz_strategy_random.so","package":"ansatz-strategy-random","version":"0.1.0","abi":"1.2.0","sha256":"c90a80b371a842d7e33dc0230534d8b6e7442c16d776af9480dd5e63f1b6b20b"},{"component":"successive-halving","role":"early-stopping","path":"/usr/lib/ansatz/libansatz_early_stopping_successive_halving.so","package":"ansatz-early-stopping-successive-halving","version":"0.1.0","abi":"1.2.0","sha256":"b7ade727d3aa5c6150f5937910ae06f96487f186bdf4677a6aca754a1df2a399"}]}');
INSERT INTO record VALUES(1,1,1795983278.5424318313,'enqueued',NULL,'{"trials":[{"trial":0,"point":{"learning_rate":0.01},"tag":0}]}');
INSERT INTO record VALUES(1,2,1795983278.5452506542,'reported',0,'{"trial":0,"step":1,"measurement":{"validation_loss":0.35175901850064595,"validation_accuracy":0.9111111111111111}}');
INSERT INTO record VALUES(1,3,1795983278.5475444794,'reported',0,'{"trial":0,"step":2,"measurement":{"validation_loss":0.19197948343223994,"validation_accuracy":0.9444444444444444}}');
INSERT INTO record VALUES(1,4,1795983278.549791336,'reported',0,'{"trial":0,"step":3,"measurement":{"validation_loss":0.14440113620625603,"validation_accuracy":0.9638888888888889}}');
INSERT INTO record VALUES(1,5,1795983278.5520515441,'reported',0,'{"trial":0,"step":4,"measurement":{"validation_loss":0.12972787784205542,"validation_accuracy":0.9666666666666667}}');
INSERT INTO record VALUES(1,6,1795983278.5531992912,'finished',0,'{"trial":0,"outcome":"completed","measurement":{"validation_loss":0.12972787784205542,"validation_accuracy":0.9666666666666667,"test_accuracy":0.9361111111111111,"train_loss":0.08863163403924572,"epochs":4.0},"duration_ns":10652554}');
INSERT INTO record VALUES(1,7,1795983278.5532758236,'asked',NULL,'{"member":0,"count":1,"trials":[{"trial":1,"point":{"learning_rate":0.00032243198701415105},"tag":0}]}');
INSERT INTO record VALUES(1,8,1795983278.5563018322,'reported',1,'{"trial":1,"step":1,"measurement":{"validation_loss":2.244054517481062,"validation_accuracy":0.17222222222222222},"stop":"successive-halving at step 1: it is number 2 with 0.17222 of 2 trials at rung 1, the best 1 go on"}');
INSERT INTO record VALUES(1,9,1795983278.5564115047,'finished',1,'{"trial":1,"outcome":"stopped","measurement":{"validation_loss":2.244054517481062,"validation_accuracy":0.17222222222222222},"reason":"successive-halving at step 1: it is number 2 with 0.17222 of 2 trials at rung 1, the best 1 go on","duration_ns":3029165}');
INSERT INTO record VALUES(1,10,1795983278.5564541816,'asked',NULL,'{"member":0,"count":1,"trials":[{"trial":2,"point":{"learning_rate":0.00028405222055694795},"tag":0}]}');
INSERT INTO record VALUES(1,11,1795983278.5590918064,'reported',2,'{"trial":2,"step":1,"measurement":{"validation_loss":2.2564642899566225,"validation_accuracy":0.175},"stop":"successive-halving at step 1: it is number 2 with 0.175 of 3 trials at rung 1, the best 1 go on"}');
INSERT INTO record VALUES(1,12,1795983278.5592133998,'finished',2,'{"trial":2,"outcome":"stopped","measurement":{"validation_loss":2.2564642899566225,"validation_accuracy":0.175},"reason":"successive-halving at step 1: it is number 2 with 0.175 of 3 trials at rung 1, the best 1 go on","duration_ns":2704898}');
INSERT INTO record VALUES(1,13,1795983278.55924654,'asked',NULL,'{"member":0,"count":1,"trials":[{"trial":3,"point":{"learning_rate":0.00876135639535141},"tag":0}]}');
INSERT INTO record VALUES(1,14,1795983278.5618412494,'reported',3,'{"trial":3,"step":1,"measurement":{"validation_loss":0.36014991054932277,"validation_accuracy":0.9138888888888889}}');
INSERT INTO record VALUES(1,15,1795983278.5641448498,'reported',3,'{"trial":3,"step":2,"measurement":{"validation_loss":0.18212504469686083,"validation_accuracy":0.9527777777777777}}');
INSERT INTO record VALUES(1,16,1795983278.5664372443,'reported',3,'{"trial":3,"step":3,"measurement":{"validation_loss":0.13285917772187128,"validation_accuracy":0.9666666666666667}}');
INSERT INTO record VALUES(1,17,1795983278.5711927413,'reported',3,'{"trial":3,"step":4,"measurement":{"validation_loss":0.1171689103047053,"validation_accuracy":0.9722222222222222}}');
INSERT INTO record VALUES(1,18,1795983278.5723116397,'finished',3,'{"trial":3,"outcome":"completed","measurement":{"validation_loss":0.1171689103047053,"validation_accuracy":0.9722222222222222,"test_accuracy":0.9472222222222222,"train_loss":0.08188316046140098,"epochs":4.0},"duration_ns":12988960}');
INSERT INTO record VALUES(1,19,1795983278.5723662376,'asked',NULL,'{"member":0,"count":1,"trials":[{"trial":4,"point":{"learning_rate":0.00020518304259654495},"tag":0}]}');
INSERT INTO record VALUES(1,20,1795983278.575012207,'reported',4,'{"trial":4,"step":1,"measurement":{"validation_loss":2.3173929999272027,"validation_accuracy":0.12777777777777777},"stop":"successive-halving at step 1: it is number 5 with 0.12778 of 5 trials at rung 1, the best 1 go on"}');
INSERT INTO record VALUES(1,21,1795983278.5751442909,'finished',4,'{"trial":4,"outcome":"stopped","measurement":{"validation_loss":2.3173929999272027,"validation_accuracy":0.12777777777777777},"reason":"successive-halving at step 1: it is number 5 with 0.12778 of 5 trials at rung 1, the best 1 go on","duration_ns":2656195}');
INSERT INTO record VALUES(1,22,1795983278.5752375126,'closed',NULL,'{"reason":"all trials of the budget are done","elapsed_ns":34059969}');
CREATE TABLE digest (
    study_id    INTEGER PRIMARY KEY,
    entry_count INTEGER NOT NULL,
    at          REAL NOT NULL,
    body        TEXT NOT NULL
);
CREATE TABLE enqueued (
    number   INTEGER PRIMARY KEY,
    study_id INTEGER NOT NULL,
    ticket   INTEGER NOT NULL,
    at       REAL NOT NULL,
    body     TEXT NOT NULL,
    UNIQUE (study_id, ticket)
);
CREATE TRIGGER record_is_never_changed BEFORE UPDATE ON record BEGIN
    SELECT RAISE(ABORT, 'a journal is only ever added to');
END;
CREATE TRIGGER study_takes_all_with_it AFTER DELETE ON study BEGIN
    DELETE FROM record WHERE study_id = OLD.study_id;
    DELETE FROM member WHERE study_id = OLD.study_id;
    DELETE FROM metric WHERE study_id = OLD.study_id;
END;
CREATE TRIGGER study_takes_its_digest_with_it AFTER DELETE ON study BEGIN
    DELETE FROM digest WHERE study_id = OLD.study_id;
END;
CREATE TRIGGER study_takes_its_queue_with_it AFTER DELETE ON study BEGIN
    DELETE FROM enqueued WHERE study_id = OLD.study_id;
END;
CREATE VIEW trial AS
SELECT
    study.name                                       AS study,
    asked.trial                                      AS trial,
    coalesce(member.label, 'enqueued')               AS strategy,
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
    WHERE record.kind IN ('asked', 'enqueued')
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
        sum(CASE WHEN kind IN ('asked', 'enqueued') THEN json_array_length(body, '$.trials') ELSE 0 END) AS trials,
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
