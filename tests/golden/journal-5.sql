-- Changing this file is a compatibility decision: a journal of version 5 of the schema, as a host of that version wrote it
-- (with other paths). Every later host reads it. docs/journal.md says what may change.
PRAGMA application_id = 1097757562;
PRAGMA user_version = 5;
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
INSERT INTO study VALUES(1,'golden','11',1795944627.4262509346,5,'{"name":"golden","rules":{"problem":{"space":{"parameters":[{"name":"x1","domain":{"float":{"lower":-5.0,"upper":10.0,"scale":"linear"}}},{"name":"x2","domain":{"float":{"lower":0.0,"upper":15.0,"scale":"linear"}}}]},"metrics":[{"name":"value","goal":"minimise"}],"trial_count":6},"seed":11,"members":[{"label":"random","weight":1.0,"trial_count_max":null},{"label":"sobol","weight":1.0,"trial_count_max":null}],"mix":"in-turn","budget":{"trial_count":6,"wall_time":null,"target":null,"cost":null},"attempts_max":1,"duplicates":"replicate","consecutive_failures_max":10,"window":null},"objective":{"plugin":"synthetic","options":{"function":"branin"},"isolation":{"isolation":null,"call_timeout":{"secs":60,"nanos":0},"memory_bytes_max":null}},"strategies":[{"plugin":"random","options":{},"isolation":{"isolation":null,"call_timeout":{"secs":60,"nanos":0},"memory_bytes_max":null}},{"plugin":"sobol","options":{},"isolation":{"isolation":null,"call_timeout":{"secs":60,"nanos":0},"memory_bytes_max":null}}],"run":{"slot_count":1,"trial_timeout":null,"on_interrupt":"requeue"},"journal":{"path":"ansatz.db","sync":"full"},"plugin_folders":[],"faults":{"restart_count_max":3,"fallback":{"plugin":"random","options":{},"isolation":{"isolation":null,"call_timeout":{"secs":60,"nanos":0},"memory_bytes_max":null}}},"manifest_folder":"/home/eva/branin","manifest_name":"golden.toml","overrides":[]}',replace('study = { name = "golden", seed = 11 }\nmetrics = { value = "minimise" }\nspace = { x1 = { float = [-5.0, 10.0] }, x2 = { float = [0.0, 15.0] } }\nobjective = { plugin = "synthetic", options = { function = "branin" } }\nstrategy = [{ plugin = "random" }, { plugin = "sobol" }]\nbudget = { trials = 6 }\n','\n',char(10)));
CREATE TABLE member (
    study_id INTEGER NOT NULL,
    number   INTEGER NOT NULL,
    label    TEXT NOT NULL,
    plugin   TEXT,
    PRIMARY KEY (study_id, number)
) WITHOUT ROWID;
INSERT INTO member VALUES(1,0,'random','random');
INSERT INTO member VALUES(1,1,'sobol','sobol');
CREATE TABLE metric (
    study_id INTEGER NOT NULL,
    number   INTEGER NOT NULL,
    name     TEXT NOT NULL,
    goal     TEXT NOT NULL,
    PRIMARY KEY (study_id, number)
) WITHOUT ROWID;
INSERT INTO metric VALUES(1,0,'value','minimise');
CREATE TABLE record (
    study_id INTEGER NOT NULL,
    number   INTEGER NOT NULL,
    at       REAL NOT NULL,
    kind     TEXT NOT NULL,
    trial    INTEGER,
    body     TEXT NOT NULL,
    PRIMARY KEY (study_id, number)
) WITHOUT ROWID;
INSERT INTO record VALUES(1,0,1795944627.4270226955,'opened',NULL,'{"host_version":"0.1.0","process_id":10070,"elapsed_before_ns":0,"plugins":[{"component":"synthetic","role":"objective","path":"/usr/lib/ansatz/libansatz_objective_synthetic.so","package":"ansatz-objective-synthetic","version":"0.1.0","abi":"1.2.0","sha256":"e7a30c23a3f1938385e5f367aadaee1d98e6f83040a4a0de2a1ddf50a358d5a0"},{"component":"random","role":"strategy","path":"/usr/lib/ansatz/libansatz_strategy_random.so","package":"ansatz-strategy-random","version":"0.1.0","abi":"1.2.0","sha256":"9594ec4942c598b98ba3f0c2f94f108e1f9a02568c92747b830c15eac0eba73e"},{"component":"sobol","role":"strategy","path":"/usr/lib/ansatz/libansatz_strategy_sobol.so","package":"ansatz-strategy-sobol","version":"0.1.0","abi":"1.2.0","sha256":"1532a1ef9d07beefef3df4e8fb13a3de886922a4ba8e6f9b4daf518ebe57c5c6"}]}');
INSERT INTO record VALUES(1,1,1795944627.4272205829,'asked',NULL,'{"member":0,"count":1,"trials":[{"trial":0,"point":{"x1":5.253672025149943,"x2":2.679169074862825},"tag":0}]}');
INSERT INTO record VALUES(1,2,1795944627.4287717342,'finished',0,'{"trial":0,"outcome":"completed","measurement":{"value":17.123030150041117,"regret":16.725142792311377},"duration_ns":45988}');
INSERT INTO record VALUES(1,3,1795944627.4287881851,'asked',NULL,'{"member":1,"count":1,"trials":[{"trial":1,"point":{"x1":9.036847352981567,"x2":14.941796064376831},"tag":0}]}');
INSERT INTO record VALUES(1,4,1795944627.4290592669,'finished',1,'{"trial":1,"outcome":"completed","measurement":{"value":164.30134815205687,"regret":163.90346079432715},"duration_ns":1693}');
INSERT INTO record VALUES(1,5,1795944627.429069519,'asked',NULL,'{"member":0,"count":1,"trials":[{"trial":2,"point":{"x1":2.8477586386228637,"x2":10.235416802529668},"tag":0}]}');
INSERT INTO record VALUES(1,6,1795944627.4293634891,'finished',2,'{"trial":2,"outcome":"completed","measurement":{"value":60.409590128298014,"regret":60.01170277056828},"duration_ns":942}');
INSERT INTO record VALUES(1,7,1795944627.4293699264,'asked',NULL,'{"member":1,"count":1,"trials":[{"trial":3,"point":{"x1":-1.800457239151001,"x2":0.7714873552322388},"tag":0}]}');
INSERT INTO record VALUES(1,8,1795944627.4296143055,'finished',3,'{"trial":3,"outcome":"completed","measurement":{"value":80.2818652797903,"regret":79.88397792206055},"duration_ns":1402}');
INSERT INTO record VALUES(1,9,1795944627.4296207427,'asked',NULL,'{"member":0,"count":1,"trials":[{"trial":4,"point":{"x1":9.830915543989192,"x2":8.847077487989171},"tag":0}]}');
INSERT INTO record VALUES(1,10,1795944627.4298470019,'finished',4,'{"trial":4,"outcome":"completed","measurement":{"value":37.277249488885246,"regret":36.87936213115551},"duration_ns":932}');
INSERT INTO record VALUES(1,11,1795944627.4298524856,'asked',NULL,'{"member":1,"count":1,"trials":[{"trial":5,"point":{"x1":1.143311858177185,"x2":11.171454191207886},"tag":0}]}');
INSERT INTO record VALUES(1,12,1795944627.4300870895,'finished',5,'{"trial":5,"outcome":"completed","measurement":{"value":60.52364591077615,"regret":60.12575855304642},"duration_ns":1111}');
INSERT INTO record VALUES(1,13,1795944627.4302823544,'closed',NULL,'{"reason":"all trials of the budget are done","elapsed_ns":4044134}');
CREATE TABLE digest (
    study_id    INTEGER PRIMARY KEY,
    entry_count INTEGER NOT NULL,
    at          REAL NOT NULL,
    body        TEXT NOT NULL
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
